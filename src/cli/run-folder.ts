// The folder that a command writes to: one run at a time, and never files of two runs side by side. `run.json` says which
// files are the run's own; only these are removed when it is replaced.
import { readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { OptionError } from '../errors.js';
import { ensureWritableFolder, removeLeftovers, writeFileAtomically } from '../files.js';
import { lockFolder, unlockFolder } from './folder-lock.js';

export interface RunFolderOptions {
  /** As it was given: a folder that holds a run is refused, unless it is to be replaced. */
  readonly given?: string | undefined;
  /** Where none is given; where a run is there already, its name gets a number. */
  readonly usual: string;
  /** Replace the run that the folder holds. */
  readonly overwrite?: boolean | undefined;
  /** Files that are read: a run does not replace them. */
  readonly reads?: readonly string[];
  /** The command that was typed. */
  readonly command: string;
}

/** How a run ended; `running` also where its process was killed. */
export type RunState = 'running' | 'finished' | 'interrupted' | 'diverged' | 'failed';

const manifestName = 'run.json';
export const fileNames = { model: 'model.onnx', metrics: 'metrics.jsonl', report: 'report.html' } as const;
/** What tells a run, also one without a manifest. */
const marks: readonly string[] = [...Object.values(fileNames), manifestName];
const isExternalData = (name: string): boolean => /^model\.onnx\.[0-9a-f]{12}\.data$/.test(name);

export class RunFolder {
  readonly path: string;
  readonly #command: string;
  readonly #made: readonly string[];
  /** Files of the run that is to be replaced. */
  #old: readonly string[];
  readonly #files = new Set<string>();
  readonly #started = new Date().toISOString();

  private constructor(path: string, command: string, made: readonly string[], old: readonly string[]) {
    this.path = path;
    this.#command = command;
    this.#made = made;
    this.#old = old;
  }

  /**
   * Makes the folder if need be and locks it. Files of an older run stay until the new one writes its first.
   * @throws OptionError where it holds a run or another process writes to it; OptionError, FileError where it cannot be
   *   written
   */
  static async open({ given, usual, overwrite = false, reads = [], command }: RunFolderOptions): Promise<RunFolder> {
    if (given?.trim() === '') throw new OptionError('--out is empty; give a folder, or leave it out');
    const chosen = given ?? usual;
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
        const old = await filesOf(path);
        if (old.length > 0 && !isFixed) {
          await unlockFolder(path); // another process was faster
          continue;
        }
        if (old.length > 0 && !overwrite) {
          throw new OptionError(
            `'${path}' holds a run already (${old.slice(0, 3).join(', ')}): choose another --out, or replace it with --overwrite`,
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

  /** The path of a file that is about to be written. The first such call removes the old run's files. */
  async file(...name: readonly string[]): Promise<string> {
    const path = join(this.path, ...name);
    await this.#removeOld();
    if (dirname(path) !== this.path) {
      await ensureWritableFolder(dirname(path));
      await removeLeftovers(dirname(path));
    }
    const own = relative(this.path, path).split(sep).join('/');
    if (!this.#files.has(own)) {
      this.#files.add(own);
      await this.#note('running');
    }
    return path;
  }

  /** Whether nothing has been written. */
  get isEmpty(): boolean {
    return this.#files.size === 0;
  }

  /** Unlocks the folder, and removes it where it was made for nothing. */
  async close(state: RunState): Promise<void> {
    if (!this.isEmpty) await this.#note(state);
    await unlockFolder(this.path);
    if (this.isEmpty) await removeMade(this.#made);
  }

  async #removeOld(): Promise<void> {
    const old = this.#old;
    this.#old = [];
    for (const name of old) await rm(join(this.path, name), { force: true });
    const folders = new Set(old.map((name) => dirname(name)).filter((name) => name !== '.'));
    for (const name of [...folders].sort((a, b) => b.length - a.length)) {
      // Not empty: something else is there, and stays.
      for (let folder = name; folder !== '.'; folder = dirname(folder))
        await rmdir(join(this.path, folder)).catch(() => undefined);
    }
  }

  #note(state: RunState): Promise<void> {
    const manifest = { command: this.#command, started: this.#started, state, files: [...this.#files] };
    return writeFileAtomically(join(this.path, manifestName), `${JSON.stringify(manifest, undefined, 2)}\n`);
  }
}

async function holdsRun(path: string): Promise<boolean> {
  const names = await readdir(path).catch((): string[] => []);
  return marks.some((mark) => names.includes(mark));
}

/** Files of the run that a folder holds, relative to it: those of its manifest, and what a run without one leaves. */
async function filesOf(path: string): Promise<string[]> {
  const names = await readdir(path);
  const noted = names.includes(manifestName) ? await filesNoted(join(path, manifestName)) : [];
  const folders = new Set(['.', ...noted.map((name) => dirname(name))]);
  const external: string[] = [];
  for (const folder of folders) {
    const inside = await readdir(join(path, folder)).catch((): string[] => []);
    external.push(...inside.filter(isExternalData).map((name) => join(folder, name)));
  }
  return [...new Set([...marks.filter((mark) => names.includes(mark)), ...noted, ...external])];
}

/** Of a manifest only names of runs' files inside the folder are believed. */
async function filesNoted(manifest: string): Promise<string[]> {
  try {
    const { files } = JSON.parse(await readFile(manifest, 'utf8')) as { files?: unknown };
    if (!Array.isArray(files)) return [];
    return files.filter(
      (name): name is string =>
        typeof name === 'string' &&
        !name.split('/').includes('..') &&
        !name.startsWith('/') &&
        marks.includes(basename(name)),
    );
  } catch {
    return []; // damaged: what it noted stays
  }
}

/** Removes folders that were made for nothing, the innermost first. */
async function removeMade(made: readonly string[]): Promise<void> {
  for (const folder of [...made].reverse()) await rmdir(folder).catch(() => undefined);
}
