// The checkpoints of one run in a folder: the newest ones stay, an older one is removed only after a new one is on the disk, and
// the newest good one is found, whatever happened to the others.
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FileError, messageOf } from '../errors.js';
import { type Checkpoint, readCheckpoint, writeCheckpoint } from './checkpoint.js';
import { type Disk, disk as theDisk } from './disk.js';
import { advice, ensureWritableFolder, removeLeftovers, syncFolder, systemCode } from './write.js';

/** A checkpoint's name, with its step. Nothing else in the folder is taken for one. */
const nameOf = (step: number): string => `step-${String(step).padStart(10, '0')}.safetensors`;
const stepOf = (name: string): number | undefined => {
  const [, digits] = /^step-(\d{10,})\.safetensors$/.exec(name) ?? [];
  return digits === undefined ? undefined : Number(digits);
};

/** Return whether a path is that of a checkpoint, good or not. */
export const isCheckpoint = (path: string): boolean => stepOf(basename(path)) !== undefined;

export interface FoundCheckpoint {
  readonly path: string;
  readonly checkpoint: Checkpoint;
}

/** Writes the checkpoints of a run. One process writes to a folder. */
export class CheckpointFolder {
  readonly #path: string;
  readonly #keep: number;
  readonly #disk: Disk;

  private constructor(path: string, keep: number, disk: Disk) {
    this.#path = path;
    this.#keep = keep;
    this.#disk = disk;
  }

  /**
   * Make the folder if need be, and remove what processes that were killed have left half written in it.
   * @param keep number of checkpoints to keep, at least 1
   * @throws OptionError, FileError if the folder cannot be made or written
   */
  static async open(path: string, keep: number, disk: Disk = theDisk): Promise<CheckpointFolder> {
    const folder = new CheckpointFolder(path, keep, disk);
    const made = await ensureWritableFolder(path, disk);
    await folder.#attempt(async () => {
      for (const each of made) await syncFolder(dirname(each), disk);
    });
    await removeLeftovers(path, disk);
    return folder;
  }

  /**
   * Write a checkpoint; when it is on the disk, remove those beyond the newest ones, and those of later steps, which the run repeats.
   * One call at a time.
   * @returns its path
   * @throws FileError if it cannot be written: all others are untouched; or if others cannot be removed
   */
  async save(checkpoint: Checkpoint): Promise<string> {
    const { step } = checkpoint;
    const path = join(this.#path, nameOf(step));
    await writeCheckpoint(path, checkpoint, this.#disk);
    await this.#attempt(async () => {
      const others = (await this.#disk.list(this.#path)).flatMap((name) => stepOf(name) ?? []);
      const older = others.filter((at) => at < step).sort((a, b) => b - a);
      const unwanted = [...others.filter((at) => at > step), ...older.slice(this.#keep - 1)];
      for (const at of unwanted) await this.#disk.remove(join(this.#path, nameOf(at)));
    });
    return path;
  }

  async #attempt(part: () => Promise<void>): Promise<void> {
    try {
      await part();
    } catch (cause) {
      throw new FileError(`cannot tidy the checkpoints in '${this.#path}': ${advice(cause)}`, { cause });
    }
  }
}

/** Return the checkpoints in a folder by their names, the newest first; none if there is no such folder. */
async function listed(folder: string): Promise<string[]> {
  try {
    const names = await readdir(folder);
    return names.filter(isCheckpoint).sort().reverse();
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return [];
    throw new FileError(`cannot read the folder '${folder}': ${advice(cause)}`, { cause });
  }
}

/** Return whether a folder holds checkpoints, good ones or not. */
export const holdsCheckpoints = async (folder: string): Promise<boolean> => (await listed(folder)).length > 0;

/**
 * Return the newest checkpoint that is whole.
 * @param warn gets a sentence for each newer one that is not
 * @throws FileError if there is none
 */
export async function newestCheckpoint(folder: string, warn: (line: string) => void): Promise<FoundCheckpoint> {
  const names = await listed(folder);
  for (const name of names) {
    const path = join(folder, name);
    try {
      const checkpoint = await readCheckpoint(path);
      if (checkpoint.step !== stepOf(name))
        throw new FileError(`'${path}' is the checkpoint of step ${checkpoint.step}`);
      return { path, checkpoint };
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      warn(`${messageOf(error)}; it is skipped, and the one before it is taken`);
    }
  }
  throw new FileError(
    names.length === 0
      ? `'${folder}' has no checkpoint to go on from`
      : `none of the checkpoints in '${folder}' is whole: begin the run anew`,
  );
}
