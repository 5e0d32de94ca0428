// Checkpoints of a training in a folder of Node's file system: written while it goes on, and gone on from.
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { FileError, messageOf, OptionError } from '../errors.js';
import type { Json } from '../exact-json.js';
import { CheckpointFolder, holdsCheckpoints, newestCheckpoint } from '../files/checkpoints.js';
import { differences } from '../files/differences.js';
import { lockFolder, unlockFolder } from '../files/folder-lock.js';
import { ensureWritableFolder } from '../files/write.js';
import { checkedCount, checkedFlag, checkKeys, described } from '../options.js';
import { type Cadence, cadence, type Every } from '../training/cadence.js';
import type { Checkpointing, RunState } from '../training/run-state.js';
import type { Persistence } from '../training/trainer.js';

export interface CheckpointOptions {
  /** The folder of the checkpoints; it is made if need be. */
  readonly dir: string;
  /** How often: a number of steps, `'30s'`, `'5m'`, `'2epochs'`; every minute by default. */
  readonly every?: Every;
  /** Number of checkpoints to keep, the newest ones; 3 by default. Each holds the best parameters so far, if a value is monitored. */
  readonly keep?: number;
}

export interface ResumeOptions {
  /** The folder of the checkpoints. */
  readonly dir: string;
  /** Go on even if data, model or options are other ones; false by default. */
  readonly force?: boolean;
}

export const usualEvery: Every = '1m';
export const usualKeep = 3;

/** What a run is made of: if it is the same, a run that goes on ends with the same bits. */
export type Origin = Readonly<Record<string, Json>>;

/** Writes checkpoints to a folder. One that cannot be written is a warning: the ones before it stay. */
export class FileCheckpointing implements Checkpointing {
  readonly #open: () => Promise<CheckpointFolder>;
  #folder: CheckpointFolder | undefined;
  readonly #cadence: Cadence;
  readonly #origin: Origin;
  readonly #warn: (line: string) => void;
  readonly #before: () => void;
  #hasFailed = false;

  /**
   * @param open called before the first write
   * @param before called before each write: what belongs to a checkpoint must be on the disk first
   */
  constructor(
    open: () => Promise<CheckpointFolder>,
    {
      every,
      origin,
      warn,
      before = () => undefined,
    }: {
      readonly every: Cadence;
      readonly origin: Origin;
      readonly warn: (line: string) => void;
      readonly before?: () => void;
    },
  ) {
    this.#open = open;
    this.#cadence = every;
    this.#origin = origin;
    this.#warn = warn;
    this.#before = before;
  }

  due(at: { readonly step: number; readonly epoch: number }): boolean {
    return this.#cadence.due(at);
  }

  async save(state: RunState): Promise<{ readonly path: string } | undefined> {
    try {
      this.#before();
      this.#folder ??= await this.#open();
      const path = await this.#folder.save({ ...state, origin: this.#origin });
      this.#hasFailed = false;
      return { path };
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      if (!this.#hasFailed) this.#warn(`${messageOf(error)}; the run goes on, and earlier checkpoints stay`);
      this.#hasFailed = true;
      return undefined;
    }
  }
}

/**
 * Check that a run may go on from where another one was.
 * @throws OptionError naming each difference, unless forced: then they are warnings
 */
export function checkSameOrigin(
  what: string,
  was: Origin,
  is: Origin,
  { force, advice, warn }: { readonly force: boolean; readonly advice: string; readonly warn: (line: string) => void },
): void {
  const found = differences(was, is);
  if (found.length === 0) return;
  const all = found.join('; ');
  if (!force) throw new OptionError(`${what}: ${all}; ${advice}`);
  warn(`the run goes on as another one: ${all}`);
}

/** Options of `train` that are about checkpoints. */
export interface CheckpointedOptions {
  readonly checkpoint?: CheckpointOptions | undefined;
  readonly resumeFrom?: string | ResumeOptions | undefined;
}

/**
 * Train by `use` with checkpoints in their folder, which is locked meanwhile.
 * @throws OptionError for options that are none, for a folder that another run writes to or has left, and if `resumeFrom` is of another
 *   run; FileError if there is no whole checkpoint, or the folder cannot be written
 */
export async function withCheckpoints<Result>(
  { checkpoint, resumeFrom }: CheckpointedOptions,
  origin: () => Promise<Origin>,
  warn: (line: string) => void,
  use: (persistence: Persistence) => Promise<Result>,
): Promise<Result> {
  const every = checkpoint && checkedCheckpoint(checkpoint);
  const resumed = resumeFrom === undefined ? undefined : checkedResume(resumeFrom);
  const madeOf = await origin();
  const state = resumed && (await resumedState(resumed, madeOf, warn));
  if (!checkpoint || !every) return await use({ ...(state && { resumeFrom: state }) });
  const { dir, keep = usualKeep } = checkpoint;
  await ensureWritableFolder(dir);
  const isOther = resumed === undefined || (await realpath(resolve(resumed.dir))) !== (await realpath(resolve(dir)));
  const holder = await lockFolder(dir);
  if (holder !== undefined) throw new OptionError(`'${dir}' is being written by ${holder}: give another dir`);
  try {
    if (isOther && (await holdsCheckpoints(dir))) {
      throw new OptionError(
        `'${dir}' holds checkpoints of a run: go on from them by resumeFrom: '${dir}', or give another dir`,
      );
    }
    const folder = await CheckpointFolder.open(dir, keep);
    const checkpointing = new FileCheckpointing(async () => folder, { every, origin: madeOf, warn });
    return await use({ checkpointing, ...(state && { resumeFrom: state }) });
  } finally {
    await unlockFolder(dir);
  }
}

function checkedCheckpoint(options: CheckpointOptions): Cadence {
  checkKeys('checkpoint', options, { dir: true, every: true, keep: true });
  const { dir, every = usualEvery, keep = usualKeep } = options;
  checkedFolder('dir of checkpoint', dir);
  checkedCount('keep of checkpoint', keep);
  return cadence('every of checkpoint', every);
}

function checkedResume(given: string | ResumeOptions): Required<ResumeOptions> {
  if (typeof given !== 'string') checkKeys('resumeFrom', given, { dir: true, force: true });
  const { dir, force } = typeof given === 'string' ? { dir: given, force: false } : given;
  checkedFolder('resumeFrom', dir);
  return { dir, force: checkedFlag('force of resumeFrom', force) ?? false };
}

function checkedFolder(name: string, dir: string): void {
  const given: unknown = dir;
  if (typeof given !== 'string' || given.trim() === '')
    throw new OptionError(`${name} is ${described(given)}; give the path of a folder`);
}

async function resumedState(
  { dir, force }: Required<ResumeOptions>,
  madeOf: Origin,
  warn: (line: string) => void,
): Promise<RunState> {
  const { path, checkpoint } = await newestCheckpoint(dir, warn);
  const { origin, step, numbers, tensors } = checkpoint;
  const advice =
    'give the model, the data and the options that it had, or go on all the same by resumeFrom: { dir, force: true }';
  checkSameOrigin(`'${path}' is of another run`, origin, madeOf, { force, advice, warn });
  return { step, numbers: numbers as RunState['numbers'], tensors };
}
