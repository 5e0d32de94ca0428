// The kinds of second-order steps: which options each takes, and which one is meant where none is named.
import { OptionError } from '../../errors.js';
import { lossOf } from '../../losses/index.js';
import type { Setting } from '../optimizer.js';
import type { Schedule } from '../options.js';
import type { DampingOptions } from './levenberg-marquardt.js';
import { normalizedStep } from './normalized.js';
import type { StepRule } from './rule.js';
import { scheduledStep } from './scheduled.js';
import { selfTuningStep } from './self-tuning.js';

export const stepKinds = ['normalized', 'self-tuning', 'scheduled'] as const;
export type StepKind = (typeof stepKinds)[number];

/** What rules take, some of them only some of it. */
export interface StepOptions extends DampingOptions {
  /**
   * Damping. Self-tuning: λ at first, 0.03 by default. Scheduled: λ, 1 by default. Normalized: relative to the mean
   * eigenvalue of each block's Fisher matrix, 0.1 by default. The last two may be schedules.
   */
  readonly damping?: Schedule;
  /**
   * η of scheduled steps; of normalized steps, the root mean square of the change of a block's parameters: by default
   * 0.002/√(1 + k/100) at step k.
   */
  readonly learningRate?: Schedule;
  /** μ of a scheduled step; of a normalized step, the weight β of the past in the averaged gradient. 0.9 by default. */
  readonly momentum?: number;
  /**
   * Decoupled weight decay w, θ ← (1 − η·w)θ: of all parameters of blocks in scheduled steps, 0 by default; of matrices and
   * kernels in normalized steps, 0.5 by default.
   */
  readonly weightDecay?: number;
  /**
   * Precision p of a Gaussian prior N(½w₀, 2/(p·m)) on the weights of matrices and kernels of m
   * inputs, beside self-tuning steps: it counts
   * as p/N in the mean over N examples, and fades as the loss does. w₀ is what a run begins with; of models from files the
   * mean is w₀ itself. 1 by default, 0 is none.
   */
  readonly priorPrecision?: number;
  /** Bound κ on the squared Fisher norm of a scheduled step (Osawa et al., Ba et al. 2017); 0.001 by default, 0 is none. */
  readonly klClip?: number;
}

const rules: Readonly<
  Record<
    StepKind,
    { create(options: StepOptions, setting: Setting): StepRule; readonly takes: readonly (keyof StepOptions)[] }
  >
> = {
  normalized: { create: normalizedStep, takes: ['learningRate', 'damping', 'momentum', 'weightDecay'] },
  'self-tuning': {
    create: selfTuningStep,
    takes: ['damping', 'dampingInterval', 'dampingDecay', 'minimumDamping', 'priorPrecision'],
  },
  scheduled: { create: scheduledStep, takes: ['learningRate', 'damping', 'momentum', 'weightDecay', 'klClip'] },
};

/** Options are checked before it is known what a run is about. */
const anySetting: Setting = {
  loss: lossOf('mean-squared-error'),
  examples: 1,
  batchSize: 1,
  isTable: true,
  isPretrained: false,
};

/** Every option that belongs to some kinds of steps only. */
const ownOptions = [...new Set(stepKinds.flatMap((kind) => rules[kind].takes))];

/** The kind of step that is meant where none is named. */
export function defaultStep(options: StepOptions, { loss, isTable }: Pick<Setting, 'loss' | 'isTable'>): StepKind {
  if (options.learningRate !== undefined) return 'scheduled';
  return isTable ? 'self-tuning' : loss.step;
}

/**
 * Refuses options that would have no effect, whatever the loss, and values out of range.
 * @throws OptionError naming the option and the kinds of steps it is for
 */
export function checkStepOptions(kind: StepKind | undefined, options: StepOptions): void {
  if (kind !== undefined && !stepKinds.includes(kind)) {
    throw new OptionError(`unknown step '${kind}'; choose one of ${stepKinds.join(', ')}`);
  }
  // Where none is named, loss and data decide which is meant.
  const losses = (['normalized', 'self-tuning'] as const).map((step) => ({ ...anySetting.loss, step }));
  const defaults = losses.map((loss) => defaultStep(options, { loss, isTable: false }));
  const meant = kind === undefined ? stepKinds.filter((each) => defaults.includes(each)) : [kind];
  const able = meant.filter((each) => idleOptions(each, options).length === 0);
  if (able.length === 0) throw idleError(meant, options);
  const failures = able.map((each) => {
    try {
      rules[each].create(options, anySetting);
      return undefined;
    } catch (error) {
      if (error instanceof OptionError) return error;
      throw error;
    }
  });
  if (failures.every((failure) => failure)) throw failures[0];
}

/** @throws OptionError for options that the kind does not take, and for values out of range */
export function stepRule(kind: StepKind, options: StepOptions, setting: Setting): StepRule {
  if (idleOptions(kind, options).length > 0) throw idleError([kind], options);
  return rules[kind].create(options, setting);
}

/** Options that are given and that a kind does not take. */
const idleOptions = (kind: StepKind, options: StepOptions): (keyof StepOptions)[] =>
  ownOptions.filter((option) => options[option] !== undefined && !rules[kind].takes.includes(option));

/** What none of the kinds takes; or else the first one does not, where each option is for another kind. */
function idleError(kinds: readonly StepKind[], options: StepOptions): OptionError {
  const idle = kinds.map((kind) => idleOptions(kind, options));
  const [own = []] = idle;
  const ofNone = own.find((option) => idle.every((others) => others.includes(option)));
  const option = ofNone ?? own[0];
  const refusing = ofNone === undefined ? kinds.slice(0, 1) : kinds;
  const owners = stepKinds.filter((kind) => option !== undefined && rules[kind].takes.includes(option));
  return new OptionError(
    `${option} has no effect on ${refusing.join(' and ')} steps; it is an option of ${owners.join(' and ')} steps`,
  );
}
