// One process at a time writes to a folder: a lock file that names the process. The lock of a process that is dead is
// taken over.
import { randomBytes } from 'node:crypto';
import { link, open, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isRunning, systemCode } from '../files.js';

const lockName = '.cgfac-lock';

interface Holder {
  readonly process: number;
  readonly host: string;
}

/** Locks a folder that exists; returns undefined where it is done, else who holds it, in words. */
export async function lockFolder(folder: string): Promise<string | undefined> {
  const path = join(folder, lockName);
  for (let attempt = 0; attempt < 3; attempt++) {
    if (await created(path)) return undefined;
    const holder = await readHolder(path);
    if (holder === 'gone') continue;
    if (holder === undefined) return `an unknown process (where none runs, delete '${path}')`;
    if (holder.host !== hostname())
      return `process ${holder.process} of ${holder.host} (where it has ended, delete '${path}')`;
    if (isRunning(holder.process)) return `process ${holder.process}`;
    await rm(path, { force: true });
  }
  return 'another process';
}

export async function unlockFolder(folder: string): Promise<void> {
  await rm(join(folder, lockName), { force: true });
}

/** Makes the lock with its content in it, so that nobody reads half of it; false where there is one. */
async function created(path: string): Promise<boolean> {
  const holder: Holder = { process: process.pid, host: hostname() };
  const draft = join(path, '..', `.cgfac-${process.pid}-${randomBytes(6).toString('hex')}.tmp`);
  const file = await open(draft, 'wx');
  try {
    await file.writeFile(JSON.stringify(holder));
    await link(draft, path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    return await createdWithoutLink(path, holder);
  } finally {
    await file.close();
    await rm(draft, { force: true });
  }
}

/** For file systems without links. */
async function createdWithoutLink(path: string, holder: Holder): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    await file.writeFile(JSON.stringify(holder));
    await file.close();
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

async function readHolder(path: string): Promise<Holder | 'gone' | undefined> {
  try {
    const { process: id, host } = JSON.parse(await readFile(path, 'utf8')) as Partial<Holder>;
    return typeof id === 'number' && typeof host === 'string' ? { process: id, host } : undefined;
  } catch (error) {
    return systemCode(error) === 'ENOENT' ? 'gone' : undefined;
  }
}
