// Disks that fail: at the k-th call that changes something, before or after its effect; and disks whose power is cut.
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { type Disk, type NewFile, disk as theDisk } from '../../src/files/disk.js';

/**
 * What goes wrong: `ENOSPC` and `EIO` are reported, and half of what was to be written is; `short` writes half and says so; after
 * `crash` nothing else happens any more.
 */
export type Fault = 'ENOSPC' | 'EIO' | 'short' | 'crash';

export interface FailingDisk extends Disk {
  /** Calls so far. */
  readonly calls: number;
}

class Crash extends Error {}

/** Return the disk itself, but for its call number `at`, counted from 0. @param after whether the call has its effect first */
export function failingDisk(at: number, fault: Fault, after: boolean, under: Disk = theDisk): FailingDisk {
  let calls = 0;
  const called = async <T>(act: () => Promise<T>): Promise<T> => {
    const call = calls++;
    if (call < at || (call > at && fault !== 'crash') || (call === at && fault === 'short')) return act();
    if (call === at && after) await act();
    throw fault === 'crash' ? new Crash('the process is gone') : Object.assign(new Error(fault), { code: fault });
  };
  return {
    get calls() {
      return calls;
    },
    makeFolder: (path) => called(() => under.makeFolder(path)),
    list: (folder) => called(() => under.list(folder)),
    rename: (from, to) => called(() => under.rename(from, to)),
    remove: (path) => called(() => under.remove(path)),
    syncFolder: (folder) => called(() => under.syncFolder(folder)),
    create: async (path) => {
      const made: NewFile[] = [];
      try {
        await called(async () => made.push(await under.create(path)));
      } catch (error) {
        for (const each of made) await each.close();
        throw error;
      }
      const file = made[0] as NewFile;
      return {
        // Half a write is what a full disk leaves.
        write: (bytes) =>
          called(() => file.write(calls - 1 === at ? bytes.subarray(0, Math.ceil(bytes.length / 2)) : bytes)),
        sync: () => called(() => file.sync()),
        // A process that is gone closes its files.
        close: () =>
          called(() => file.close()).catch((error: unknown) => file.close().then(() => Promise.reject(error))),
      };
    },
  };
}

/**
 * Return the disk itself, with what a cut of the power does to it: files that were not synced keep half of their bytes, and what
 * was made, renamed and removed in folders that were not synced since is undone, if `forgetful`.
 */
export function cutDisk(forgetful: boolean): Disk & { cut(): Promise<void> } {
  const unsynced = new Map<string, number>();
  let pending: (() => Promise<void>)[] = [];
  /** How to bring back what is at a path now. */
  const restorer = async (path: string) => {
    const bytes = await readFile(path).catch(() => undefined);
    return () => (bytes ? writeFile(path, bytes) : rm(path, { force: true }));
  };
  return {
    ...theDisk,
    async create(path) {
      const file = await theDisk.create(path);
      pending.push(() => rm(path, { force: true }));
      unsynced.set(path, 0);
      return {
        async write(bytes) {
          const count = await file.write(bytes);
          unsynced.set(path, (unsynced.get(path) ?? 0) + count);
          return count;
        },
        async sync() {
          await file.sync();
          unsynced.delete(path);
        },
        close: () => file.close(),
      };
    },
    async rename(from, to) {
      const [source, target] = [await restorer(from), await restorer(to)];
      await theDisk.rename(from, to);
      pending.push(source, target);
      const size = unsynced.get(from);
      unsynced.delete(from);
      if (size !== undefined) unsynced.set(to, size);
    },
    async remove(path) {
      pending.push(await restorer(path));
      await theDisk.remove(path);
    },
    async syncFolder(folder) {
      await theDisk.syncFolder(folder);
      pending = [];
    },
    async cut() {
      for (const [path, size] of unsynced) await truncate(path, Math.floor(size / 2)).catch(() => undefined);
      if (forgetful) for (const undo of pending.reverse()) await undo();
    },
  };
}
