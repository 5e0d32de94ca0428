// The folder of a run: one run at a time, and never files of two runs side by side. `run.json` lists the files of the run; only
// these, and its checkpoints, are removed when it is replaced. The replaced run waits in a hidden folder until the new one has a
// model, and comes back if it ends without one, unless it can be resumed.
import { mkdir, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { FileError, OptionError } from '../errors.js';
import { isCheckpoint } from '../files/checkpoints.js';
import { lockFolder, unlockFolder } from '../files/folder-lock.js';
import { advice, ensureWritableFolder, removeLeftovers, systemCode, writeFileAtomically } from '../files/write.js';
import { mayWriteCard } from '../reporting/own-card.js';
import { finiteOrText, type RunResult } from '../reporting/run-result.js';

export interface RunFolderOptions {
  /** The folder that the user gives: refused if it holds a run, unless that is to be replaced. */
  readonly given?: string | undefined;
  /** The folder if none is given; its name gets a number if it holds a run. */
  readonly usual: string;
  /** Whether to replace the run that the folder holds. */
  readonly overwrite?: boolean | undefined;
  /** Whether to go on with the run that the given folder holds. */
  readonly resume?: boolean | undefined;
  /** Files that the run reads, and must not replace. */
  readonly reads?: readonly string[];
  /** The command that makes the run from its start. */
  readonly command: string;
}

/** How a run ended; `running` also if its process was killed. */
export type RunState = 'running' | 'finished' | 'interrupted' | 'diverged' | 'failed';

export const manifestName = 'run.json';
/** The folder of a run that is being replaced. */
const asideName = '.cgfac-old';
export const fileNames = {
  model: 'model.onnx',
  metrics: 'metrics.jsonl',
  csv: 'metrics.csv',
  report: 'report.html',
} as const;
/** The model card, the configuration of a run, and the folder of its checkpoints: all have names that others use as well. */
export const cardName = 'README.md';
export const configName = 'config.json';
export const checkpointsName = 'checkpoints';
/** The folder of events for TensorBoard in that of a run. */
export const eventsFolder = 'tensorboard';
const isEventFile = (name: string): boolean => name.startsWith('events.out.tfevents.');
/** Files that only runs have, also those without a manifest. */
const marks: readonly string[] = [...Object.values(fileNames), manifestName];
const isExternalData = (name: string): boolean => /^model\.onnx\.[0-9a-f]{12}\.data$/.test(name);

export class RunFolder {
  readonly path: string;
  readonly command: string;
  readonly #made: readonly string[];
  /** Files of the run that is to be replaced. */
  #old: readonly string[];
  #isAside = false;
  #hasWritten = false;
  readonly #files = new Set<string>();
  readonly #started = new Date().toISOString();
  #results: readonly RunResult[] = [];

  private constructor(path: string, command: string, made: readonly string[], old: readonly string[]) {
    this.path = path;
    this.command = command;
    this.#made = made;
    this.#old = old;
  }

  /**
   * Make the folder if need be and lock it. Files of an older run stay until the new one writes its first, and come back if it ends
   * without a model.
   * @throws OptionError if it holds a run or another process writes to it
   * @throws OptionError, FileError if it cannot be written
   */
  static async open(options: RunFolderOptions): Promise<RunFolder> {
    const { given, usual, overwrite = false, resume = false, reads = [], command } = options;
    if (given?.trim() === '') throw new OptionError('--out is empty; give a folder, or leave it out');
    const chosen = given ?? usual;
    if (resume) return await RunFolder.#reopen(chosen, command);
    for (let number = 1; ; number++) {
      const path = number === 1 ? chosen : `${chosen}-${number}`;
      const isFixed = given !== undefined || overwrite;
      if (!isFixed && (await holdsRun(path))) continue;
      const made = await ensureWritableFolder(path);
      const holder = await lockFolder(path);
      if (holder !== undefined) {
        if (!isFixed) continue;
        throw new OptionError(`'${path}' is being written by ${holder}: wait for it, or choose another folder (--out)`);
      }
      try {
        await removeLeftovers(path);
        await settle(path);
        const old = await filesOf(path);
        if (old.length > 0 && !isFixed) {
          await unlockFolder(path); // another process was faster
          continue;
        }
        if (old.length > 0 && !overwrite) {
          throw new OptionError(
            `'${path}' holds a run already (${old.slice(0, 3).join(', ')}): ${await resumeHint(path)}choose another --out, or replace it with --overwrite`,
          );
        }
        const read = reads.find((file) => old.some((name) => resolve(path, name) === resolve(file)));
        if (read !== undefined) {
          throw new OptionError(`'${read}' is read by this run and would be replaced by it: choose another --out`);
        }
        return new RunFolder(path, command, made, old);
      } catch (error) {
        await unlockFolder(path);
        await removeMade(made);
        throw error;
      }
    }
  }

  /** Lock the folder of a run that is to go on. */
  static async #reopen(path: string, command: string): Promise<RunFolder> {
    const holder = await lockFolder(path);
    if (holder !== undefined) throw new OptionError(`the run in '${path}' is in progress: it is written by ${holder}`);
    try {
      await removeLeftovers(path);
      const folder = new RunFolder(path, command, [], []);
      folder.#isAside = (await readdir(path)).includes(asideName);
      for (const name of await filesOf(path)) if (!isCheckpoint(name)) folder.#files.add(name);
      return folder;
    } catch (error) {
      await unlockFolder(path);
      throw error;
    }
  }

  /**
   * Write a file of the run with `write`, then note it in the manifest. The first call moves the old run aside, and the first model
   * removes it.
   * @returns what `write` returns
   * @throws FileError if the folder cannot be changed, and what `write` throws
   */
  async write<T>(name: readonly string[], write: (path: string) => Promise<T>): Promise<T> {
    const path = join(this.path, ...name);
    await this.#moveOldAside();
    if (dirname(path) !== this.path) {
      await ensureWritableFolder(dirname(path));
      await removeLeftovers(dirname(path));
    }
    const result = await write(path);
    this.#hasWritten = true;
    const own = relative(this.path, path).split(sep).join('/');
    if (!this.#files.has(own)) {
      this.#files.add(own);
      await this.#note('running');
    }
    if (this.#isAside && isModel(own)) {
      await rm(join(this.path, asideName), { recursive: true, force: true });
      this.#isAside = false;
    }
    return result;
  }

  /** Remove a file that the run has written. */
  async discard(...name: readonly string[]): Promise<void> {
    await rm(join(this.path, ...name), { force: true });
    this.#files.delete(name.join('/'));
  }

  /** Whether the run can go on from a checkpoint: one of its own, not of the run that it was to replace. */
  get isResumable(): Promise<boolean> {
    return this.#old.length > 0 ? Promise.resolve(false) : isResumable(this.path);
  }

  /** Remove all checkpoints but the newest one, to make room; return whether there were others. */
  async keepNewestCheckpoint(): Promise<boolean> {
    const older = (await checkpointsIn(this.path)).sort().slice(0, -1);
    for (const name of older) await rm(join(this.path, name), { force: true });
    return older.length > 0;
  }

  /** Whether nothing has been written. */
  get isEmpty(): boolean {
    return this.#files.size === 0;
  }

  /**
   * Unlock the folder, and remove it if it was made for nothing.
   * @returns whether the old run was put back, since the new one has no model
   */
  async close(state: RunState): Promise<boolean> {
    const isBack = this.#isAside && !(await isResumable(this.path));
    try {
      if (isBack) {
        await putBack(this.path, [...this.#files]);
        this.#files.clear();
        this.#isAside = false;
      } else if (this.#hasWritten) await this.#note(state);
    } finally {
      await unlockFolder(this.path);
    }
    if (this.isEmpty) await removeMade(this.#made);
    return isBack;
  }

  async #moveOldAside(): Promise<void> {
    const old = this.#old;
    if (old.length === 0) return;
    this.#isAside = true;
    // A run that waits there was to be replaced by the one that is replaced now.
    await rm(join(this.path, asideName), { recursive: true, force: true });
    // The manifest first: even if this process is killed, it lists what else belongs to the moved run.
    await move([...old].sort(manifestFirst), this.path, join(this.path, asideName));
    this.#old = [];
    await removeEmptyFolders(this.path, old);
  }

  /** Keep what the runs came to: the manifest has it from the next file on. */
  set results(results: readonly RunResult[]) {
    this.#results = results;
  }

  #note(state: RunState): Promise<void> {
    const results = this.#results.length > 0 && { results: this.#results };
    const manifest = { command: this.command, started: this.#started, state, files: [...this.#files], ...results };
    return writeFileAtomically(join(this.path, manifestName), `${JSON.stringify(manifest, finiteOrText, 2)}\n`);
  }
}

const isModel = (name: string): boolean => basename(name) === fileNames.model;
const manifestFirst = (a: string, b: string): number => Number(b === manifestName) - Number(a === manifestName);

/**
 * Finish a replacement that a killed process began: the new run stays if it has a model, both stay if it can be resumed, else the
 * old one comes back.
 */
async function settle(path: string): Promise<void> {
  const names = await readdir(path);
  if (!names.includes(asideName)) return;
  // Without a manifest the new run has written nothing: the files are those of the old one that were not moved yet.
  const own = names.includes(manifestName) ? await filesOf(path) : [];
  if (own.some(isModel)) await rm(join(path, asideName), { recursive: true, force: true });
  else if (!own.some(isCheckpoint)) await putBack(path, own);
}

/** Remove files of a new run, and put the old run in their place. */
async function putBack(path: string, files: readonly string[]): Promise<void> {
  const aside = join(path, asideName);
  const old = await filesOf(aside).catch((): string[] => []);
  // If nothing is aside the old run is in its place: nothing was moved yet, or all is back.
  if (old.length > 0) {
    for (const name of [...files, manifestName].sort((a, b) => manifestFirst(b, a)))
      await rm(join(path, name), { force: true });
    await removeEmptyFolders(path, files);
    await move(
      [...old].sort((a, b) => manifestFirst(b, a)),
      aside,
      path,
    );
  }
  await rm(aside, { recursive: true, force: true });
}

/**
 * Move files with their folders; missing ones are skipped.
 * @throws FileError if a file cannot be moved
 */
async function move(names: readonly string[], from: string, to: string): Promise<void> {
  for (const name of names) {
    try {
      await mkdir(dirname(join(to, name)), { recursive: true });
      await rename(join(from, name), join(to, name));
    } catch (error) {
      if (systemCode(error) === 'ENOENT') continue;
      throw new FileError(`cannot move '${join(from, name)}' to '${join(to, name)}': ${advice(error)}`, {
        cause: error,
      });
    }
  }
}

/** Remove the folders of files that were moved or removed; one that holds something else stays. */
async function removeEmptyFolders(path: string, files: readonly string[]): Promise<void> {
  const folders = new Set(files.map((name) => dirname(name)).filter((name) => name !== '.'));
  for (const name of [...folders].sort((a, b) => b.length - a.length)) {
    for (let folder = name; folder !== '.'; folder = dirname(folder))
      await rmdir(join(path, folder)).catch(() => undefined);
  }
}

async function holdsRun(path: string): Promise<boolean> {
  const names = await readdir(path).catch((): string[] => []);
  return [...marks, asideName].some((mark) => names.includes(mark));
}

/** The files of the run in a folder, relative to it: those of its manifest, and the files that only runs have. */
async function filesOf(path: string): Promise<string[]> {
  const names = await readdir(path);
  const noted = names.includes(manifestName) ? await filesNoted(join(path, manifestName)) : [];
  const folders = new Set(['.', ...noted.map((name) => dirname(name))]);
  const external: string[] = [];
  for (const folder of folders) {
    const inside = await readdir(join(path, folder)).catch((): string[] => []);
    external.push(...inside.filter(isExternalData).map((name) => join(folder, name)));
    const events = await readdir(join(path, folder, eventsFolder)).catch((): string[] => []);
    external.push(...events.filter(isEventFile).map((name) => join(folder, eventsFolder, name)));
  }
  const own: string[] = [];
  for (const name of noted) {
    // A card that the user has taken over stays.
    if (basename(name) !== cardName || (await mayWriteCard(join(path, name)))) own.push(name);
  }
  const checkpoints = noted.includes(configName) ? await checkpointsIn(path) : [];
  return [...new Set([...marks.filter((mark) => names.includes(mark)), ...own, ...external, ...checkpoints])];
}

/** The checkpoints of the run in a folder, relative to it. */
async function checkpointsIn(path: string): Promise<string[]> {
  const inside = await readdir(join(path, checkpointsName)).catch((): string[] => []);
  return inside.filter(isCheckpoint).map((name) => join(checkpointsName, name));
}

/** Whether the run in a folder, which is in progress or has ended, left checkpoints. */
const isResumable = async (path: string): Promise<boolean> => (await checkpointsIn(path)).length > 0;

/** What to do about a run that was stopped, to put into a sentence. */
async function resumeHint(path: string): Promise<string> {
  const state = await stateOf(path);
  const isStopped = (await isResumable(path)) && (state === 'running' || state === 'interrupted' || state === 'failed');
  return isStopped ? `go on with it by cgfac train --resume ${path}, ` : '';
}

/** Return how the run in a folder ended; undefined if it does not say. */
export async function stateOf(path: string): Promise<RunState | undefined> {
  try {
    const { state } = JSON.parse(await readFile(join(path, manifestName), 'utf8')) as { state?: RunState };
    return state;
  } catch {
    return undefined; // there is none, or it is damaged
  }
}

/** The files in a manifest; only names of runs' files inside the folder are believed. */
async function filesNoted(manifest: string): Promise<string[]> {
  try {
    const { files } = JSON.parse(await readFile(manifest, 'utf8')) as { files?: unknown };
    if (!Array.isArray(files)) return [];
    return files.filter(
      (name): name is string =>
        typeof name === 'string' &&
        !name.split('/').includes('..') &&
        !name.startsWith('/') &&
        [...marks, cardName, configName].includes(basename(name)),
    );
  } catch {
    return []; // damaged: the files that it lists stay
  }
}

/** Remove folders that were made for nothing, the innermost first. */
async function removeMade(made: readonly string[]): Promise<void> {
  for (const folder of [...made].reverse()) await rmdir(folder).catch(() => undefined);
}
