// `--resume DIR`: what a run that was stopped began as, and whether it may go on.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checkSameOrigin } from '../api/checkpointing.js';
import { OptionError } from '../errors.js';
import { holdsCheckpoints, newestCheckpoint } from '../files/checkpoints.js';
import type { RunState } from '../training/run-state.js';
import { typedCommand } from './environment.js';
import type { GivenOptions } from './given-options.js';
import { type GivenRun, originOf, type RunConfig, readConfig } from './run-config.js';
import { checkpointsName, fileNames, stateOf } from './run-folder.js';

/** A run that is to go on. */
export interface StoppedRun {
  /** Its folder, as it is reached from the folder in which the run goes on. */
  readonly path: string;
  readonly config: RunConfig;
  /** What the run is given now. */
  readonly given: GivenRun;
}

/**
 * Return the run in a folder with the options that are given anew, and go to the folder in which it began: paths in its options begin
 * there.
 * @throws OptionError if the folder holds no run of `cgfac train`
 */
export async function stoppedRun(
  folder: string,
  { model, options }: { readonly model: string | undefined; readonly options: GivenOptions },
): Promise<StoppedRun> {
  const config = await readConfig(folder);
  const { resume: _, force: __, ...anew } = options;
  const { steps, epochs, ...rest } = config.options;
  const length = 'steps' in anew || 'epochs' in anew ? {} : { ...(steps && { steps }), ...(epochs && { epochs }) };
  const given = { ...config, model: model ?? config.model, options: { ...rest, ...length, ...anew } };
  const isElsewhere = config.folder !== process.cwd() && existsSync(config.folder);
  const path = isElsewhere ? resolve(folder) : folder;
  if (isElsewhere) process.chdir(config.folder);
  return { path, config, given: { model: given.model, options: given.options, folder: process.cwd() } };
}

/** The state that a run goes on from. */
export interface Resumption {
  readonly state: RunState;
  readonly path: string;
}

/**
 * Return the newest whole checkpoint of a run; undefined if it was killed before the first one, and begins anew.
 * @param now the configuration of the run that is to go on
 * @throws OptionError if the run is finished or diverged, and if anything has changed that would change its numbers, unless forced;
 *   FileError if there is no whole checkpoint
 */
export async function resumption(
  { path, config }: StoppedRun,
  now: RunConfig,
  { force, warn }: { readonly force: boolean; readonly warn: (line: string) => void },
): Promise<Resumption | undefined> {
  const state = await stateOf(path);
  const [before, steps] = [Number(config.effective.steps), Number(now.effective.steps)];
  if (state === 'diverged' && !force) {
    throw new OptionError(
      `the run in '${path}' diverged, and would again: change what may be the reason, and go on by --force`,
    );
  }
  const advice = 'go on all the same by --force, or begin a run of its own by another --out';
  checkSameOrigin(`the run in '${path}' cannot go on as it began`, originOf(config), originOf(now), {
    force,
    advice,
    warn,
  });
  if (config.processor !== now.processor)
    warn(`the run began on another processor (${config.processor}): its last digits may differ`);
  if (steps < before && !force)
    throw new OptionError(
      `the run in '${path}' has ${before} steps, and ${steps} are fewer: raise them, or shorten it by --force`,
    );
  const folder = join(path, checkpointsName);
  if (!(await holdsCheckpoints(folder))) {
    // It was killed, perhaps before it had a manifest, and has nothing that could be lost.
    const wasKilled = state === 'running' || state === undefined;
    if (wasKilled && !existsSync(join(path, fileNames.model))) return undefined;
    throw new OptionError(
      `the run in '${path}' has no checkpoint to go on from: it was begun with --no-checkpoints, or they were removed`,
    );
  }
  if (state === 'finished' && steps <= before) {
    throw new OptionError(`the run in '${path}' is finished (${before} steps): raise --steps or --epochs to go on`);
  }
  const found = await newestCheckpoint(folder, warn);
  const { step, numbers, tensors, origin } = found.checkpoint;
  checkSameOrigin(`'${found.path}' is of another run`, origin, originOf(config), { force, advice, warn });
  return { path: found.path, state: { step, numbers: numbers as RunState['numbers'], tensors } };
}

/** Return the command that goes on with a run. */
export const resumeCommand = (path: string): string => typedCommand(['train', '--resume', path]);
