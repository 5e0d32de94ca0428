// The runs in a folder, as they are now: a run is a folder with metrics.jsonl, and runs below one run.json belong together.
import { readdir, readFile } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { FileError, OptionError } from '../../errors.js';
import { advice, systemCode } from '../../files/write.js';
import { isRecord } from '../../options.js';
import type { StepRecord } from '../../training/run-record.js';
import { MetricsTail } from './metrics-tail.js';

/** How a run is: as its folder says, or `killed` if its process is gone without having said so. */
export type WatchedState = 'waiting' | 'running' | 'finished' | 'interrupted' | 'diverged' | 'failed' | 'killed';

const states: readonly WatchedState[] = ['running', 'finished', 'interrupted', 'diverged', 'failed'];

/** The steps of one optimizer. */
export interface WatchedRun {
  readonly name: string;
  readonly records: readonly StepRecord[];
}

/** A folder of one command, and its runs. */
export interface WatchedGroup {
  /** The path below the watched folder; the name of that folder for itself. */
  readonly title: string;
  /** Where it is. */
  readonly path: string;
  readonly state: WatchedState;
  /** The command line that started it. */
  readonly command?: string;
  readonly runs: readonly WatchedRun[];
}

export interface FolderNames {
  readonly metrics: string;
  readonly manifest: string;
  /** Whether a process of this machine holds the lock of a folder. */
  readonly isLocked: (folder: string) => Promise<boolean>;
}

/** Folders of runs lie this deep at most: `runs/DATE/RUN/OPTIMIZER`. */
const mostDepth = 3;

export class WatchedFolder {
  readonly path: string;
  readonly #names: FolderNames;
  readonly #tails = new Map<string, MetricsTail>();
  /** What the last look found, without the records. */
  #seen = '';
  #version = 0;
  #groups: readonly WatchedGroup[] = [];

  constructor(path: string, names: FolderNames) {
    this.path = path;
    this.#names = names;
  }

  /** Counts the looks that found something new. */
  get version(): number {
    return this.#version;
  }

  get groups(): readonly WatchedGroup[] {
    return this.#groups;
  }

  /**
   * Look at the folder.
   * @throws OptionError if there is no such folder; FileError if it cannot be read
   */
  async look(): Promise<void> {
    const folders = await this.#folders(this.path, mostDepth);
    let changed = false;
    for (const folder of this.#tails.keys())
      if (!folders.some(({ path, isRun }) => isRun && path === folder)) this.#tails.delete(folder);
    for (const { path, isRun } of folders) {
      if (!isRun) continue;
      const tail = this.#tails.get(path) ?? new MetricsTail(join(path, this.#names.metrics));
      this.#tails.set(path, tail);
      if (await tail.look()) changed = true;
    }
    this.#groups = await this.#grouped(folders);
    const seen = JSON.stringify(
      this.#groups.map(({ runs, ...group }) => ({ ...group, runs: runs.map(({ name }) => name) })),
    );
    if (seen !== this.#seen) changed = true;
    this.#seen = seen;
    if (changed) this.#version += 1;
  }

  /** The folder and those below it that have to do with runs, outer ones first. */
  async #folders(path: string, depth: number): Promise<{ path: string; isRun: boolean; isGroup: boolean }[]> {
    const entries = await readdir(path, { withFileTypes: true }).catch((cause: unknown) => {
      if (path !== this.path) return []; // removed since
      if (systemCode(cause) === 'ENOENT') throw new OptionError(`there is no folder '${path}'`);
      if (systemCode(cause) === 'ENOTDIR') throw new OptionError(`'${path}' is a file; give the folder of a run`);
      throw new FileError(`cannot read the folder '${path}': ${advice(cause)}`, { cause });
    });
    const has = (name: string) => entries.some((entry) => entry.name === name && entry.isFile());
    const isRun = has(this.#names.metrics);
    const isGroup = has(this.#names.manifest) || (await this.#names.isLocked(path));
    const below = entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map(({ name }) => name)
      .sort();
    const inside = depth > 0 ? await Promise.all(below.map((name) => this.#folders(join(path, name), depth - 1))) : [];
    return [...(isRun || isGroup ? [{ path, isRun, isGroup }] : []), ...inside.flat()];
  }

  /** A run belongs to the nearest folder above it with a manifest, or to itself. */
  async #grouped(folders: readonly { path: string; isRun: boolean; isGroup: boolean }[]): Promise<WatchedGroup[]> {
    const members = new Map<string, string[]>();
    for (const { path, isRun, isGroup } of folders) {
      const home = isGroup ? path : folders.findLast((one) => one.isGroup && path.startsWith(one.path + sep))?.path;
      const runs = members.get(home ?? path) ?? [];
      members.set(home ?? path, isRun ? [...runs, path] : runs);
    }
    return await Promise.all([...members].map(([path, runs]) => this.#group(path, runs)));
  }

  async #group(path: string, folders: readonly string[]): Promise<WatchedGroup> {
    const { state, command } = await readManifest(join(path, this.#names.manifest));
    const title = relative(this.path, path).split(sep).join('/') || basename(resolve(this.path));
    const isLocked = await this.#names.isLocked(path);
    const runs = folders.map((folder) => ({
      name: relative(path, folder).split(sep).join('/') || title,
      records: this.#tails.get(folder)?.records ?? [],
    }));
    return { title, path, state: stateOf(state, isLocked, runs), ...(command !== undefined && { command }), runs };
  }
}

function stateOf(noted: WatchedState | undefined, isLocked: boolean, runs: readonly WatchedRun[]): WatchedState {
  if (isLocked) return runs.some(({ records }) => records.length > 0) ? 'running' : 'waiting';
  return noted === undefined || noted === 'running' ? 'killed' : noted;
}

/** What a manifest says; nothing if it is missing or damaged. */
async function readManifest(path: string): Promise<{ state?: WatchedState; command?: string }> {
  try {
    const found: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (!isRecord(found)) return {};
    const state = states.find((one) => one === found.state);
    return { ...(state && { state }), ...(typeof found.command === 'string' && { command: found.command }) };
  } catch {
    return {};
  }
}
