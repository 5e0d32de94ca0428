// `config.json`: what a run is made of. It is enough to go on with the run, and to tell whether something has changed since.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Origin } from '../api/checkpointing.js';
import { dataFingerprint, modelFingerprint } from '../api/fingerprints.js';
import { FileError, OptionError } from '../errors.js';
import { advice, systemCode } from '../files/write.js';
import { isRecord } from '../options.js';
import { describeEnvironment, typedCommand } from './environment.js';
import type { Plan } from './experiment.js';
import { areGivenOptions, type GivenOptions } from './given-options.js';
import type { ChosenOptimizer } from './optimizers.js';
import { configName } from './run-folder.js';
import { wordsOf } from './settings.js';

/** What was typed, and where. */
export interface GivenRun {
  readonly model: string;
  readonly options: GivenOptions;
  /** The folder in which the command was given: paths in its options begin there. */
  readonly folder: string;
}

export interface RunConfig extends GivenRun {
  /** Raised when a reader of before would misread it. */
  readonly format: 1;
  /** The command that makes the run from its start. */
  readonly command: string;
  /** Every option as it takes effect: those that were not given too. */
  readonly effective: Readonly<Record<string, unknown>>;
  readonly threads: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly processor: string;
  /** SHA-256 of the model before the first step, and of the data as they were loaded. */
  readonly fingerprints: { readonly model: string; readonly data: string };
}

/** Options that may be others when a run goes on: they say how long it is, and what is shown and kept of it. */
const free: ReadonlySet<string> = new Set([
  ...['steps', 'epochs', 'max-time', 'checkpoint-every', 'keep', 'no-checkpoints'],
  ...['out', 'overwrite', 'json', 'debug', 'csv', 'tensorboard', 'tensorboard-gradients'],
]);
/** Options whose effect is compared, not their words: data may have been moved. */
const comparedElsewhere: ReadonlySet<string> = new Set(['data', 'threads']);

/** Return the command that gives a model and options. */
export const commandOf = ({ model, options }: Pick<GivenRun, 'model' | 'options'>): string =>
  typedCommand(['train', model, ...wordsOf('options', options)]);

/** Return the configuration of a run. */
export async function configOf(
  given: GivenRun,
  plan: Plan,
  { optimizer, label }: ChosenOptimizer,
  threads: number,
): Promise<RunConfig> {
  const {
    cgfac = '',
    'ONNX Runtime': onnxruntime = '',
    'Node.js': node = '',
    processor = '',
  } = await describeEnvironment(threads);
  const { model, task, batchSize, total, flags } = plan;
  const { loss, data } = task;
  return {
    format: 1,
    command: commandOf(given),
    ...given,
    effective: {
      ...plain(flags),
      optimizer: { name: optimizer.name, label },
      loss: loss.name,
      steps: total,
      batchSize,
      threads,
      examples: { train: data.train.size, test: data.test.size },
      ...(plan.normalization && { normalization: plan.normalization }),
      ...(plan.targetNormalization && { targetNormalization: plan.targetNormalization }),
    },
    threads,
    versions: { cgfac, onnxruntime, node },
    processor,
    fingerprints: { model: modelFingerprint(model), data: dataFingerprint(data) },
  };
}

/** Values of flags that are JSON; objects that words became by their names. */
function plain(flags: object): Record<string, unknown> {
  const shown = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shown);
    if (isRecord(value)) return typeof value.name === 'string' ? value.name : plain(value);
    return typeof value === 'function' ? undefined : value;
  };
  return Object.fromEntries(Object.entries(flags).map(([key, value]) => [key, shown(value)]));
}

/** Return what must be the same for a run to go on with the same bits. */
export function originOf({ options, threads, versions, fingerprints }: RunConfig): Origin {
  const own = Object.entries(options).filter(([name]) => !free.has(name) && !comparedElsewhere.has(name));
  // The data first: a model may be normalized by them.
  const digits = { data: fingerprints.data.slice(0, 12), model: fingerprints.model.slice(0, 12) };
  return { ...digits, options: Object.fromEntries(own), threads, versions };
}

/**
 * Read the configuration of the run in a folder.
 * @throws OptionError if there is no such folder, or no run of `cgfac train` in it; FileError if the file cannot be read
 */
export async function readConfig(folder: string): Promise<RunConfig> {
  const path = join(folder, configName);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (systemCode(cause) !== 'ENOENT' && systemCode(cause) !== 'ENOTDIR')
      throw new FileError(`cannot read '${path}': ${advice(cause)}`, { cause });
    const found = await stat(folder).catch(() => undefined);
    const what = !found ? 'does not exist' : found.isDirectory() ? `has no ${configName}` : 'is a file';
    throw new OptionError(`--resume '${folder}': it ${what}; give the --out folder of a run of cgfac train`, { cause });
  }
  const found = parsed(text);
  if (isConfig(found)) return found;
  const format = isRecord(found) && typeof found.format === 'number' && found.format > 1;
  throw new OptionError(
    format
      ? `'${path}' was written by a newer cgfac: update cgfac to go on with the run`
      : `'${path}' is no configuration of cgfac train: give the --out folder of one of its runs`,
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isConfig = (value: unknown): value is RunConfig =>
  isRecord(value) &&
  value.format === 1 &&
  typeof value.model === 'string' &&
  typeof value.folder === 'string' &&
  typeof value.command === 'string' &&
  typeof value.threads === 'number' &&
  typeof value.processor === 'string' &&
  areGivenOptions(value.options) &&
  isRecord(value.effective) &&
  isRecord(value.versions) &&
  isRecord(value.fingerprints);
