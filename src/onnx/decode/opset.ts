// The versions of ONNX's own operator set that files may be written for.
import { FileError, UnsupportedError } from '../../errors.js';
import { isOnnx } from '../types.js';

const oldestOpset = 7;
const newestOpset = 23;

/**
 * Return the version of ONNX's own operator set that a file imports.
 * @throws FileError if there is none; UnsupportedError for versions that are not read
 */
export function opsetOf(imports: readonly { readonly domain: string; readonly version: bigint }[]): number {
  const version = imports.find(({ domain }) => isOnnx(domain))?.version;
  if (version === undefined) throw new FileError("the model does not say which version of ONNX's operators it uses");
  if (version < oldestOpset || version > newestOpset) {
    throw new UnsupportedError(
      `the model is of opset ${version}; cgfac reads opsets ${oldestOpset} to ${newestOpset}. Export it again with opset 17 or 21`,
    );
  }
  return Number(version);
}
