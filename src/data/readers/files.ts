// Reading files whole, with every way of failing told as a FileError that names the file, what was expected, what was
// found and what to do.
import { readdir, readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { FileError, messageOf } from '../../errors.js';

/** The bytes of a file, unpacked where its name ends in .gz. `what` says what the file is for, e.g. 'IDX file'. */
export async function readBytes(path: string, what: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new FileError(`${path}: cannot read this ${what}: ${reason(cause)}`, { cause });
  }
  return path.endsWith('.gz') ? unpackGzip(bytes, path) : bytes;
}

/** More than this is not unpacked into memory: of a few bytes a damaged or hostile file makes any number. */
const mostUnpacked = 2 ** 30;

/** Unpacks gzip. Throws FileError on damaged or truncated data. */
async function unpackGzip(bytes: Uint8Array, path: string): Promise<Uint8Array> {
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: mostUnpacked });
  } catch (cause) {
    if (cause instanceof RangeError) {
      throw new FileError(
        `${path}: its ${bytes.length} bytes unpack to more than 1 GiB, which cgfac does not read so: unpack it first (gunzip), and split it if it is text`,
        { cause },
      );
    }
    const why = messageOf(cause);
    throw new FileError(
      `${path}: expected gzip-compressed data, but ${bytes.length} bytes do not unpack (${why}): fetch the file again, or drop '.gz' from its name if it is not compressed`,
      { cause },
    );
  }
}

/** Text of UTF-8 bytes, without a byte order mark. Throws FileError where they are not UTF-8 or too long for a string. */
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

/** A folder's entry names, sorted. Throws FileError where it is missing or not a folder. */
export async function listFolder(path: string, what: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (cause) {
    throw new FileError(`${path}: cannot read this ${what}: ${reason(cause)}`, { cause });
  }
}

/** Whether the path is a folder. Throws FileError where nothing is there. */
export async function isFolder(path: string, what: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    throw new FileError(`${path}: cannot read this ${what}: ${reason(cause)}`, { cause });
  }
}

function reason(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  switch (code) {
    case 'ENOENT':
      return 'there is no such file or folder: check the path';
    case 'EISDIR':
      return 'it is a folder, expected a file: name the file inside it';
    case 'ENOTDIR':
      return 'it is a file, expected a folder: name the folder that holds it';
    case 'EACCES':
      return 'permission denied: make it readable for this user';
    default:
      return messageOf(cause);
  }
}
