// Reads whole files; each failure is a FileError that names the file, what was expected, what was found and what to do.
import { readdir, readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { FileError, messageOf } from '../../errors.js';
import { systemCode } from '../../files/write.js';

/**
 * Return the bytes of a file, unpacked if its name ends in .gz.
 * @param what the kind of file, for messages: 'IDX file'
 * @throws FileError if it cannot be read or unpacked
 */
export async function readBytes(path: string, what: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw unreadable(path, what, cause);
  }
  return path.endsWith('.gz') ? unpackGzip(bytes, path) : bytes;
}

/** More than this is not unpacked into memory: a damaged or hostile file of a few bytes can claim any size. */
const mostUnpacked = 2 ** 30;

async function unpackGzip(bytes: Uint8Array, path: string): Promise<Uint8Array> {
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: mostUnpacked });
  } catch (cause) {
    if (cause instanceof RangeError) {
      throw new FileError(
        `${path}: its ${bytes.length} bytes unpack to more than 1 GiB, too much for memory: unpack it first (gunzip), and split it if it is text`,
        { cause },
      );
    }
    throw new FileError(
      `${path}: expected gzip-compressed data, but ${bytes.length} bytes do not unpack (${messageOf(cause)}): fetch the file again, or drop '.gz' from its name if it is not compressed`,
      { cause },
    );
  }
}

/**
 * Return the text of UTF-8 bytes, without a byte order mark.
 * @throws FileError if they are not UTF-8 or too long for a string
 */
export function decodeText(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FileError(
      `${path}: expected UTF-8 text that fits in memory, but its ${bytes.length} bytes do not decode: save it as UTF-8, or split it`,
      { cause },
    );
  }
}

/** Return the names in a folder, sorted. @throws FileError if it is missing or not a folder */
export async function listFolder(path: string, what: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (cause) {
    throw unreadable(path, what, cause);
  }
}

/** Return whether the path is a folder. @throws FileError if there is nothing */
export async function isFolder(path: string, what: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    throw unreadable(path, what, cause);
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder: check the path',
  EISDIR: 'it is a folder, expected a file: name the file inside it',
  ENOTDIR: 'it is a file, expected a folder: name the folder that holds it',
  EACCES: 'permission denied: make it readable for this user',
};

/** Return the error of a file or folder that cannot be read. */
export const unreadable = (path: string, what: string, cause: unknown): FileError =>
  new FileError(`${path}: cannot read this ${what}: ${reasons[systemCode(cause) ?? ''] ?? messageOf(cause)}`, {
    cause,
  });
