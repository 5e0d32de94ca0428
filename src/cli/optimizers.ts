// Optimizers by name with their options, as the command line writes them: `adam`, `cgfac:rank=64:damping=3`.
import { OptionError } from '../errors.js';
import { lossOf } from '../losses/index.js';
import { adam, adamw } from '../optimizers/adam.js';
import type { Optimizer, Setting } from '../optimizers/optimizer.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { kfac } from '../optimizers/second-order/kfac.js';
import { sgd } from '../optimizers/sgd.js';
import { stepKinds } from '../optimizers/steps/kinds.js';
import { didYouMean } from '../suggest.js';
import {
  camelCased,
  describeOptions,
  known,
  type OptionKinds,
  type OptionValues,
  readOptions,
} from './named-options.js';

interface Kind {
  readonly options: OptionKinds;
  readonly create: (options: OptionValues) => Optimizer;
}

const firstOrder = { 'learning-rate': 'number', 'weight-decay': 'number' } as const;
const adamOptions = { ...firstOrder, beta1: 'number', beta2: 'number', epsilon: 'number' } as const;
const secondOrder = {
  step: stepKinds,
  ...firstOrder,
  damping: 'number',
  momentum: 'number',
  'kl-clip': 'number',
  'curvature-rows': 'number',
  fisher: ['sampled', 'empirical', 'exact'],
  'damping-kind': ['factored', 'tikhonov'],
  'damping-interval': 'number',
  'damping-decay': 'number',
  'minimum-damping': 'number',
  'prior-precision': 'number',
  decay: 'number',
  'max-iterations': 'number',
  tolerance: 'number',
  'iterate-averaging': 'number',
  'rest-learning-rate': 'number',
} as const;

const kinds: Readonly<Record<string, Kind>> = {
  cgfac: {
    options: { ...secondOrder, rank: 'number', form: ['gram', 'primal'], 'warm-start': 'boolean' },
    create: cgfac,
  },
  kfac: { options: { ...secondOrder, 'inverse-interval': 'number' }, create: kfac },
  adam: { options: adamOptions, create: adam },
  adamw: { options: adamOptions, create: adamw },
  sgd: { options: { ...firstOrder, momentum: 'number', nesterov: 'boolean' }, create: sgd },
};

export const optimizerNames: readonly string[] = Object.keys(kinds);

/** Lines for --help: each optimizer with its options. */
export function optimizerHelp(): string {
  const lines = Object.entries(kinds).map(([name, { options }]) => `  ${name.padEnd(6)} ${describeOptions(options)}`);
  return ['Optimizers and their options, written NAME:option=value:option=value', ...lines].join('\n');
}

/** An optimizer as it was asked for. */
export interface ChosenOptimizer {
  /** `adam`, or with its own options `adam:learning-rate=0.003`: unique in a comparison. */
  readonly label: string;
  readonly optimizer: Optimizer;
}

/** Options that hold where an optimizer does not set its own. */
export interface SharedOptions {
  readonly learningRate?: number;
  readonly damping?: number;
  readonly rank?: number;
}

/** What defaults depend on. */
export interface RunSetting extends Setting {
  /** Elements of one example's output: losses that are means over elements have gradients that much smaller. */
  readonly outputs: number;
}

/** @throws OptionError for an unknown optimizer or option, or a value that it does not take */
export function chooseOptimizer(spec: string, shared: SharedOptions, setting: RunSetting): ChosenOptimizer {
  // Which options an optimizer takes may depend on the run: its controller knows.
  return { label: spec, optimizer: created(spec, shared, setting, (optimizer) => optimizer.controller(setting)) };
}

function created(
  spec: string,
  shared: SharedOptions,
  setting: RunSetting,
  check: (optimizer: Optimizer) => unknown,
): Optimizer {
  const [name = '', ...parts] = spec.split(':');
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (!kind) {
    throw new OptionError(
      `unknown optimizer '${name}'${didYouMean(name, optimizerNames)}; choose one of ${optimizerNames.join(', ')}`,
    );
  }
  const own: Record<string, OptionValues[string]> = {
    ...readOptions(`optimizer '${spec}'`, parts, kind.options),
  };
  for (const [key, value] of Object.entries(shared)) {
    const option = kebab(key);
    if (value === undefined || option in own) continue;
    if (!(option in kind.options)) throw new OptionError(`--${option} is no option of ${name}; ${known(kind.options)}`);
    own[option] = value;
  }
  if (name === 'sgd') own['learning-rate'] ??= sgdLearningRate(setting);
  try {
    const optimizer = kind.create(camelCased(own));
    check(optimizer);
    return optimizer;
  } catch (error) {
    if (error instanceof OptionError) throw new OptionError(`optimizer '${spec}': ${error.message}`, { cause: error });
    throw error;
  }
}

const anyRun: RunSetting = {
  loss: lossOf('mean-squared-error'),
  examples: 1,
  batchSize: 1,
  isTable: true,
  isPretrained: false,
  outputs: 1,
};

/** Throws as `chooseOptimizer` does, where the setting is not known yet and does not matter. */
export function checkOptimizer(spec: string, shared: SharedOptions): void {
  created(spec, shared, anyRun, () => undefined);
}

/** The shared options among a command's flags. */
export const sharedOptions = ({ learningRate, damping, rank }: SharedOptions): SharedOptions => ({
  ...(learningRate !== undefined && { learningRate }),
  ...(damping !== undefined && { damping }),
  ...(rank !== undefined && { rank }),
});

/** Those of the shared options that concern an optimizer of a comparison: a learning rate is for first-order ones. */
export function sharedFor(spec: string, shared: SharedOptions): SharedOptions {
  const kind = kinds[spec.split(':')[0] ?? ''];
  if (!kind) return {};
  const isSecondOrder = 'damping' in kind.options;
  return Object.fromEntries(
    Object.entries(shared).filter(([key]) => kebab(key) in kind.options && !(isSecondOrder && key === 'learningRate')),
  );
}

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/**
 * Learning rates of SGD with momentum 0.9, for losses as sums over an example's outputs. Found by
 * `cgfac compare mlp --steps 250 --optimizers sgd:learning-rate=0.01,sgd:learning-rate=0.03,…` (0.01 to 0.3: best 0.1) and
 * `cgfac compare autoencoder --data 'digits?train=8000&test=500' --steps 100 --optimizers sgd:learning-rate=0.39,…` (0.39
 * to 78, which is 0.0005 to 0.1 as a sum: alike up to 0.005, worse beyond 0.01).
 */
const sgdRates = { labels: 0.1, values: 0.002 } as const;

/** Losses that are means over an example's outputs take rates larger by their number. */
function sgdLearningRate({ loss: { targets }, outputs }: RunSetting): number {
  return sgdRates[targets] * (targets === 'labels' ? 1 : outputs);
}
