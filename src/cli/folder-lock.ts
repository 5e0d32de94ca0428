// One process at a time writes to a folder: a lock file that names the process. The lock of a process that is dead is
// taken over, and so is one that names nobody and is older than this process.
import { link, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { FileError } from '../errors.js';
import { advice, isRunning, systemCode, temporaryIn } from '../files/write.js';

const lockName = '.cgfac-lock';
/** Codes of file systems without links. */
const withoutLinks: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

interface Holder {
  readonly process: number;
  readonly host: string;
}

/**
 * Lock a folder that exists. Return undefined if that is done, else who holds the lock, in words.
 * @throws FileError if the lock cannot be written
 */
export async function lockFolder(folder: string): Promise<string | undefined> {
  const path = join(folder, lockName);
  for (let attempt = 0; attempt < 3; attempt++) {
    if (await created(path)) return undefined;
    const holder = await readHolder(path);
    if (holder === 'gone') continue;
    if (holder === undefined && (await isOlderThanThisProcess(path))) {
      await rm(path, { force: true });
      continue;
    }
    if (holder === undefined) return `an unknown process (if none runs, delete '${path}')`;
    if (holder.host !== hostname())
      return `process ${holder.process} of ${holder.host} (if it has ended, delete '${path}')`;
    if (isRunning(holder.process)) return `process ${holder.process} (if that is not cgfac, delete '${path}')`;
    await rm(path, { force: true });
  }
  return 'another process';
}

/** Return whether a process of this machine, or one of another machine, holds the lock of a folder. */
export async function isLocked(folder: string): Promise<boolean> {
  const holder = await readHolder(join(folder, lockName));
  if (holder === 'gone') return false;
  return holder === undefined || holder.host !== hostname() || isRunning(holder.process);
}

export async function unlockFolder(folder: string): Promise<void> {
  await rm(join(folder, lockName), { force: true });
}

/** Make the lock with its content in it, so that nobody reads half of it; return false if there is one. */
async function created(path: string): Promise<boolean> {
  const content = JSON.stringify({ process: process.pid, host: hostname() } satisfies Holder);
  const draft = temporaryIn(dirname(path));
  try {
    await writeFile(draft, content, { flag: 'wx' });
    await link(draft, path);
    return true;
  } catch (error) {
    const code = systemCode(error) ?? '';
    if (code === 'EEXIST') return false;
    if (withoutLinks.includes(code)) return await createdWithoutLink(path, content);
    throw cannotLock(path, error);
  } finally {
    await rm(draft, { force: true }).catch(() => undefined); // the first error is the one to report
  }
}

/** Like `created`, for file systems without links. */
async function createdWithoutLink(path: string, content: string): Promise<boolean> {
  try {
    await writeFile(path, content, { flag: 'wx' });
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    await rm(path, { force: true }).catch(() => undefined); // half a lock names nobody
    throw cannotLock(path, error);
  }
}

function cannotLock(path: string, cause: unknown): FileError {
  return new FileError(`cannot write the lock '${path}': ${advice(cause)}`, { cause });
}

/** Return whether nobody can be in the middle of writing the lock. */
async function isOlderThanThisProcess(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && found.mtimeMs < Date.now() - process.uptime() * 1000;
}

async function readHolder(path: string): Promise<Holder | 'gone' | undefined> {
  try {
    const { process: id, host } = JSON.parse(await readFile(path, 'utf8')) as Partial<Holder>;
    return typeof id === 'number' && typeof host === 'string' ? { process: id, host } : undefined;
  } catch (error) {
    return systemCode(error) === 'ENOENT' ? 'gone' : undefined;
  }
}
