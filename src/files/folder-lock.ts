// One run at a time writes to a folder: a lock file that names the process. The lock of a process that has ended is taken over, also
// if another program has its id now, and so is one that names nobody and is older than this process.
import { link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { FileError } from '../errors.js';
import { processStart } from './process-start.js';
import { advice, isRunning, systemCode, temporaryIn } from './write.js';

const lockName = '.cgfac-lock';
/** Codes of file systems without links. */
const withoutLinks: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

interface Holder {
  readonly process: number;
  readonly host: string;
  /** When the process began, if the system tells. */
  readonly started?: string | undefined;
}

/**
 * Lock a folder that exists. Return undefined if that is done, else who holds the lock, in words.
 * @throws FileError if the lock cannot be written
 */
export async function lockFolder(folder: string): Promise<string | undefined> {
  const path = join(folder, lockName);
  const started = await processStart(process.pid);
  const content = JSON.stringify({ process: process.pid, host: hostname(), started } satisfies Holder);
  for (let attempt = 0; attempt < 3; attempt++) {
    if (await created(path, content)) return undefined;
    const found = await readFile(path, 'utf8').catch((error: unknown) =>
      systemCode(error) === 'ENOENT' ? undefined : '',
    );
    if (found === undefined) continue;
    const holder = holderOf(found);
    const living = holder ? await livingHolder(holder, path) : await unknownHolder(path);
    if (living !== undefined) return living;
    await takeAway(path, found);
  }
  return 'another process';
}

/** Describe the holder of a lock if it may be running. */
async function livingHolder(holder: Holder, path: string): Promise<string | undefined> {
  const { process: id, host, started } = holder;
  if (host !== hostname()) return `process ${id} of ${host} (if it has ended, delete '${path}')`;
  const now = await processStart(id);
  const isOther = started !== undefined && now !== undefined && now !== started;
  if (isOther) return undefined;
  if (id === process.pid) return started !== undefined ? 'this process' : undefined;
  return isRunning(id) ? `process ${id} (if that is not cgfac, delete '${path}')` : undefined;
}

/** Remove a lock that was found stale; another process may have done so, and made its own. */
async function takeAway(path: string, stale: string): Promise<void> {
  const aside = temporaryIn(dirname(path));
  try {
    await rename(path, aside);
    if ((await readFile(aside, 'utf8')) !== stale) await link(aside, path);
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes(systemCode(error) ?? '')) throw cannotLock(path, error);
  } finally {
    await rm(aside, { force: true });
  }
}

/** Return whether a process of this machine, or one of another machine, holds the lock of a folder. */
export async function isLocked(folder: string): Promise<boolean> {
  const path = join(folder, lockName);
  const found = await readFile(path, 'utf8').catch((error: unknown) =>
    systemCode(error) === 'ENOENT' ? undefined : '',
  );
  if (found === undefined) return false;
  const holder = holderOf(found);
  return (holder ? await livingHolder(holder, path) : await unknownHolder(path)) !== undefined;
}

export async function unlockFolder(folder: string): Promise<void> {
  // A lock that cannot be removed is taken over later: its process has ended.
  await rm(join(folder, lockName), { force: true }).catch(() => undefined);
}

/** Make the lock with its content in it, so that nobody reads half of it; return false if there is one. */
async function created(path: string, content: string): Promise<boolean> {
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

/** Describe the holder of a lock that names nobody, unless it is so old that nobody can be in the middle of writing it. */
async function unknownHolder(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || found.mtimeMs < Date.now() - process.uptime() * 1000) return undefined;
  return `an unknown process (if none runs, delete '${path}')`;
}

function holderOf(content: string): Holder | undefined {
  try {
    const { process: id, host, started } = JSON.parse(content) as Partial<Holder>;
    const isHolder = typeof id === 'number' && typeof host === 'string';
    return isHolder ? { process: id, host, started: typeof started === 'string' ? started : undefined } : undefined;
  } catch {
    return undefined; // it was cut short, or is another program's
  }
}
