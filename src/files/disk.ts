// The calls that change files and folders, as one object: a test puts a disk in its place that fails at any of them.
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';

/** A new file that is open for writing. */
export interface NewFile {
  /** Write the first of the bytes, and return how many: the system may take fewer than it is given. */
  write(bytes: Uint8Array): Promise<number>;
  /** Bring everything that was written to the disk. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  /** Make one folder; its parent exists. */
  makeFolder(path: string): Promise<void>;
  /** Return the names in a folder. */
  list(folder: string): Promise<string[]>;
  /** Make a file that does not exist yet. */
  create(path: string): Promise<NewFile>;
  /** Put a file in the place of another. */
  rename(from: string, to: string): Promise<void>;
  /** Remove a file if it is there. */
  remove(path: string): Promise<void>;
  /** Bring what was made, renamed and removed in a folder to the disk; fails on systems that cannot. */
  syncFolder(folder: string): Promise<void>;
}

/** The disk itself. */
export const disk: Disk = {
  makeFolder: (path) => mkdir(path),
  list: (folder) => readdir(folder),
  async create(path) {
    const file = await open(path, 'wx');
    return {
      write: async (bytes) => (await file.write(bytes)).bytesWritten,
      sync: () => file.sync(),
      close: () => file.close(),
    };
  },
  rename,
  remove: (path) => rm(path, { force: true }),
  async syncFolder(folder) {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};
