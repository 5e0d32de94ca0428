// Writes files so that a crash leaves either the old file or the new one, never half of one; and checks folders before hours of
// training, not after.

import { randomBytes } from 'node:crypto';
import { realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CgfacError, FileError, messageOf, OptionError } from '../errors.js';
import { type Disk, disk as theDisk } from './disk.js';

/** What to do about each error of the operating system, by its code. */
const adviceByCode: Readonly<Record<string, string>> = {
  EACCES: 'permission was denied; choose another place, or change its permissions',
  EPERM: 'the system does not permit it; choose another place',
  EROFS: 'it is on a read-only file system; choose another place',
  ENOSPC: 'the disk is full; free some space, or choose another disk',
  EDQUOT: 'the disk quota is used up; free some space, or choose another disk',
  ENOENT: 'its folder does not exist; make the folder first',
  ENOTDIR: 'a part of its path is a file, not a folder; choose another path',
  EISDIR: 'it is a folder; choose the path of a file',
  EEXIST: 'there is a file where a folder was expected; choose another path',
  ENAMETOOLONG: 'the name is too long for the file system; choose a shorter one',
  EMFILE: 'too many files are open; close some, or raise the limit (ulimit -n)',
};

/** Return the code of an operating-system error (`ENOENT`, …), undefined for any other error. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Return whether an error or its cause says that the disk or the quota is used up. */
export function isDiskFull(error: unknown): boolean {
  const code = systemCode(error) ?? (error instanceof Error ? systemCode(error.cause) : undefined);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** Return what an operating-system error means and what to do about it; the error's own message if its code is not listed. */
export function advice(error: unknown): string {
  return adviceByCode[systemCode(error) ?? ''] ?? messageOf(error);
}

/**
 * Write a file whole or not at all: to a temporary name in the same folder, synced to the disk, then renamed over `path`.
 * After it resolves the new content survives a power cut; if it rejects, whatever was at `path` is untouched. A link stays
 * a link: the file that it leads to is replaced.
 * @param content bytes as they are, or text as UTF-8, in one or several parts; an error of cgfac in making these is thrown as it is
 * @throws FileError if any of it fails; the temporary file is removed. Also for a device, a pipe and a socket, which a rename
 *   would replace
 */
export async function writeFileAtomically(
  path: string,
  content: Uint8Array | string | Iterable<Uint8Array> | AsyncIterable<string>,
  disk: Disk = theDisk,
): Promise<void> {
  const target = await realpath(path).catch(() => path); // nothing is there yet, or it cannot be followed
  const found = await stat(target).catch(() => undefined);
  if (found && !found.isFile() && !found.isDirectory()) {
    throw new FileError(`cannot write '${path}': it is a device, a pipe or a socket; choose the path of a file`);
  }
  const folder = dirname(target);
  const temporary = temporaryIn(folder);
  const whole = typeof content === 'string' ? Buffer.from(content) : content;
  try {
    const file = await disk.create(temporary);
    try {
      for await (const part of whole instanceof Uint8Array ? [whole] : whole) {
        const bytes = typeof part === 'string' ? Buffer.from(part) : part;
        for (let written = 0; written < bytes.length; ) {
          const count = await file.write(bytes.subarray(written, written + mostAtOnce));
          if (count <= 0) throw new Error('the system takes no more bytes, and does not say why');
          written += count;
        }
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.rename(temporary, target);
    await syncFolder(folder, disk);
  } catch (error) {
    await disk.remove(temporary).catch(() => undefined); // the first error is the one to report
    if (error instanceof CgfacError) throw error;
    throw new FileError(`cannot write '${path}': ${advice(error)}`, { cause: error });
  }
}

/** Bytes of one call: between two of them the process does other work. */
const mostAtOnce = 2 ** 22;

/** Make what was renamed in the folder durable. Windows cannot open folders and some network file systems cannot sync them. */
export async function syncFolder(folder: string, disk: Disk = theDisk): Promise<void> {
  try {
    await disk.syncFolder(folder);
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'EISDIR', 'EPERM', 'EACCES'].includes(systemCode(error) ?? '')) throw error;
  }
}

/** Like `mkdir` with `recursive`, which never returns if the system says ENOENT inside a folder that exists (/proc). */
async function makeFolder(path: string, disk: Disk): Promise<string[]> {
  try {
    await disk.makeFolder(path);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return [];
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path || (await stat(parent).catch(() => undefined))?.isDirectory()) throw error;
    const above = await makeFolder(parent, disk);
    return [...above, ...(await makeFolder(path, disk))];
  }
  return [path];
}

/**
 * Make the folder (and those above it) if need be, and prove by writing that files can be written in it.
 * @returns the folders that it made, the outermost first
 * @throws OptionError if there is a file at `path` or above it: another path must be given
 * @throws FileError if the system refuses to make the folder or to write in it
 */
export async function ensureWritableFolder(path: string, disk: Disk = theDisk): Promise<readonly string[]> {
  let made: string[];
  try {
    made = await makeFolder(path, disk);
  } catch (error) {
    const blocked = ['EEXIST', 'ENOTDIR'].includes(systemCode(error) ?? '');
    const found = await stat(path).catch(() => undefined);
    const message = found?.isFile()
      ? `'${path}' is a file, but a folder is needed there; give another path, or move the file away`
      : `cannot make the folder '${path}': ${systemCode(error) === 'ENOENT' ? 'the system makes no folders there; choose another place' : advice(error)}`;
    throw blocked ? new OptionError(message, { cause: error }) : new FileError(message, { cause: error });
  }
  const probe = temporaryIn(path);
  try {
    await (await disk.create(probe)).close();
    await disk.remove(probe);
  } catch (error) {
    throw new FileError(`cannot write in the folder '${path}': ${advice(error)}`, { cause: error });
  }
  return made;
}

/**
 * Return a new path for a temporary file in a folder, which `removeLeftovers` knows. It is not made of another file's name:
 * that may already be as long as the file system allows.
 */
export const temporaryIn = (folder: string): string =>
  join(folder, `.cgfac-${process.pid}-${randomBytes(6).toString('hex')}.tmp`);

/** Remove the temporary files that killed processes have left in a folder. */
export async function removeLeftovers(folder: string, disk: Disk = theDisk): Promise<void> {
  for (const name of await disk.list(folder).catch(() => [])) {
    const [, owner] = /^\.cgfac-(\d+)-[0-9a-f]{12}\.tmp$/.exec(name) ?? [];
    if (owner !== undefined && !isRunning(Number(owner))) await disk.remove(join(folder, name)).catch(() => undefined);
  }
}

/** Return whether a process of this machine, other than this one, is running. */
export function isRunning(id: number): boolean {
  if (id === process.pid) return false;
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM'; // another user's
  }
}
