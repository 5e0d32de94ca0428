// Tensors in files beside the model. Only files inside the model's folder are read: a model file is not trusted.
import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, relative, sep } from 'node:path';
import { FileError } from '../errors.js';
import type { ReadExternal } from './decode/tensor.js';

/** Return a reader of the external data of models in a folder. */
export function externalDataIn(folder: string): ReadExternal {
  return (location, offset, length) => {
    const path = resolveInside(folder, location);
    const status = statSync(path);
    // Checked before it is opened: opening a pipe would wait for a writer.
    if (!status.isFile()) throw new FileError(`the external data '${location}' is not a file`);
    const file = openFile(path, location);
    try {
      if (offset + length > status.size) {
        throw new FileError(
          `the external data file '${location}' has ${status.size} bytes, but the model refers to bytes ${offset} to ` +
            `${offset + length}; it is truncated, or of another model`,
        );
      }
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        // One read moves at most 2^31 − 1 bytes.
        const read = readSync(file, bytes, done, Math.min(length - done, 2 ** 30), offset + done);
        if (read === 0) throw new FileError(`the external data file '${location}' shrank while it was read`);
        done += read;
      }
      return bytes;
    } finally {
      closeSync(file);
    }
  };
}

/** Return the real path of a location, symbolic links followed. @throws FileError if it is not inside the folder */
function resolveInside(folder: string, location: string): string {
  const outside = () =>
    new FileError(
      `the model refers to external data at '${location}', outside its own folder; this is not read. Put the data beside the model`,
    );
  const leaves = (path: string) => path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path);
  const separators = location.replaceAll('\\', '/').split('/');
  if (isAbsolute(location) || /^[A-Za-z]:/.test(location) || separators.includes('..') || location.includes('\0')) {
    throw outside();
  }
  const root = realPath(folder, location);
  const path = realPath(join(folder, location), location);
  if (leaves(relative(root, path))) throw outside();
  return path;
}

function realPath(path: string, location: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    const message = `the external data file '${location}' of the model is missing: it belongs beside the model file`;
    throw new FileError(message, { cause });
  }
}

function openFile(path: string, location: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    const message = `the external data file '${location}' of the model cannot be opened: check its permissions`;
    throw new FileError(message, { cause });
  }
}
