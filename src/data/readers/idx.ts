// The IDX format of the MNIST family: a magic number (0, 0, element type, number of axes), the axes as big-endian
// 32-bit counts, then the elements. Only unsigned bytes occur in those sets, and only they are read.
import { FileError } from '../../errors.js';
import { elementCount } from '../../graph/tensor.js';
import { readBytes } from './files.js';

/** Unsigned bytes with a shape, rows first. */
export interface IdxArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

const unsignedByte = 0x08;

/** Read an IDX file, plain or .gz. @throws FileError if it is missing, damaged, or does not have `axes` axes */
export async function readIdx(path: string, axes: number): Promise<IdxArray> {
  return parseIdx(await readBytes(path, 'IDX file'), path, axes);
}

/** Parse IDX bytes; `path` is for messages. @throws FileError for a wrong magic, number of axes or length */
export function parseIdx(bytes: Uint8Array, path: string, axes: number): IdxArray {
  const expected = `expected an IDX file of unsigned bytes with ${axes} axes (magic ${hex([0, 0, unsignedByte, axes])})`;
  const header = 4 + 4 * axes;
  if (bytes.length < header) {
    throw new FileError(
      `${path}: ${expected}, found only ${bytes.length} bytes, and its header takes ${header}: fetch the file again`,
    );
  }
  if (bytes[0] !== 0 || bytes[1] !== 0 || bytes[2] !== unsignedByte || bytes[3] !== axes) {
    const hint =
      bytes[0] === 0x1f && bytes[1] === 0x8b
        ? "it is gzip-compressed: add '.gz' to its name"
        : 'check that this is the right file (images have 3 axes, labels 1)';
    throw new FileError(`${path}: ${expected}, found magic ${hex([...bytes.subarray(0, 4)])}: ${hint}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: axes }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = elementCount(shape);
  if (bytes.length !== header + size) {
    throw new FileError(
      `${path}: its header says [${shape}], so expected ${header + size} bytes, found ${bytes.length}: the file is ${bytes.length < header + size ? 'truncated' : 'longer than it says'}; fetch it again`,
    );
  }
  return { shape, data: bytes.subarray(header) };
}

function hex(bytes: readonly number[]): string {
  return `0x${bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
