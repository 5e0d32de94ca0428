// Schedule-Free learning (Defazio et al. 2024, arXiv 2405.15682, algorithm 1): gradients at y, steps of z, and the average x of
// the z, which is evaluated and kept. With the weights of its authors' program.
import { checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { scaleByAdam } from './adam.js';
import { type Chain, namedChain } from './chain.js';
import { initialParameter } from './optimizer.js';
import { checked } from './options.js';
import { at, type Schedule } from './schedules.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import type { MomentsOptions } from './transforms/moments.js';
import type { Transform } from './transforms/updates.js';
import { tunedRate } from './tuning.js';

export interface AveragingOptions {
  /** Share β of the average x in y = βx + (1 − β)z, where gradients are taken; 0.9 by default, more for very long runs. */
  readonly momentum?: number;
  /** Power r of the step in the weights `tʳ·ηᵖ` of the average; 0 by default. */
  readonly stepPower?: number;
  /** Power p of the largest learning rate so far in these weights; 2 by default. */
  readonly ratePower?: number;
}

export interface ScheduleFreeOptions extends AveragingOptions {
  /** η: constant, with a warm-up that its authors recommend (`warmUp(100, 1)`); it needs no end. */
  readonly learningRate: Schedule;
}

export interface ScheduleFreeSgdOptions extends AveragingOptions {
  /** η; 1 by default: 10 to 50 times that of SGD with a schedule. */
  readonly learningRate?: Schedule;
  /** Weight decay w of z, taken at y: z ← z − η·w·y; 0 by default. */
  readonly weightDecay?: Schedule;
}

export interface ScheduleFreeAdamwOptions
  extends Omit<AveragingOptions, 'momentum'>,
    Pick<MomentsOptions, 'beta2' | 'epsilon'> {
  /** η; 0.0025 by default: 1 to 10 times that of AdamW with a schedule. */
  readonly learningRate?: Schedule;
  /** Weight decay w of z, taken at y: z ← z − η·w·y; 0 by default. */
  readonly weightDecay?: Schedule;
  /** Share β₁ of the average x in y = β₁x + (1 − β₁)z, where gradients are taken; 0.9 by default. */
  readonly beta1?: number;
}

const averagingKeys: OptionKeys<AveragingOptions> = { momentum: true, stepPower: true, ratePower: true };
const sgdKeys: OptionKeys<ScheduleFreeSgdOptions> = { ...averagingKeys, learningRate: true, weightDecay: true };
const adamwKeys: OptionKeys<ScheduleFreeAdamwOptions> = {
  ...{ learningRate: true, weightDecay: true, beta1: true, beta2: true, epsilon: true },
  ...{ stepPower: true, ratePower: true },
};

/**
 * Return Schedule-Free SGD. The average x of its iterates is evaluated and kept; running averages of batch normalization are
 * those at y.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = scheduleFreeSgd({ learningRate: warmUp(100, 1) });
 */
export function scheduleFreeSgd(options: ScheduleFreeSgdOptions = {}): Chain {
  checkKeys('scheduleFreeSgd', options, sgdKeys);
  const { learningRate = 1, weightDecay = 0, ...averaging } = options;
  return namedChain('schedule-free-sgd', addDecayedWeights(weightDecay), scheduleFree({ learningRate, ...averaging }));
}

/**
 * Return Schedule-Free AdamW, which has no first moment. The average x of its iterates is evaluated and kept; running averages
 * of batch normalization are those at y.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = scheduleFreeAdamw({ learningRate: warmUp(100, 0.0025), weightDecay: 0.1 });
 */
export function scheduleFreeAdamw(options: ScheduleFreeAdamwOptions = {}): Chain {
  checkKeys('scheduleFreeAdamw', options, adamwKeys);
  const { learningRate = 0.0025, weightDecay = 0, beta1 = 0.9, beta2, epsilon, ...powers } = options;
  const momentum = checkedNumber('beta1', beta1, { atLeast: 0, below: 1 });
  return namedChain(
    'schedule-free-adamw',
    scaleByAdam({ beta1: 0, ...(beta2 !== undefined && { beta2 }), ...(epsilon !== undefined && { epsilon }) }),
    addDecayedWeights(weightDecay),
    scheduleFree({ learningRate, momentum, ...powers }),
  );
}

/**
 * Return the end of a chain that makes its updates schedule-free, its learning rate included: `z ← z − η·u`,
 * `x ← (1 − c)x + c·z`, and y = βx + (1 − β)z becomes the parameter. c is the share of this step in the sum of the weights
 * `tʳ·ηᵖ`, η being the largest rate so far.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const signs = chain(scaleBySign(), scheduleFree({ learningRate: 0.0003 }));
 */
export function scheduleFree(options: ScheduleFreeOptions): Chain {
  checkKeys('scheduleFree', options, { ...averagingKeys, learningRate: true });
  const beta = checkedNumber('momentum', options.momentum ?? 0.9, { atLeast: 0, below: 1 });
  const stepPower = checkedNumber('stepPower', options.stepPower ?? 0, { atLeast: 0 });
  const ratePower = checkedNumber('ratePower', options.ratePower ?? 2, { atLeast: 0 });
  const learningRate = checked('learningRate', options.learningRate, { above: 0 });
  const averaged: Transform = (context, updates) => {
    const { b, state } = context;
    const weight = (k: number, largestRate: number) => (k + 1) ** stepPower * largestRate ** ratePower;
    const share = shares(weight, tunedRate(context, learningRate));
    const taken = context.scalar('averageShare', (_, kept) => share(kept));
    return updates.placed((update, name, { dims }) => {
      const initial = initialParameter(context, name);
      const z = state(`z.${name}`, dims, (old) => b.sub(old, update), initial);
      const x = state(`average.${name}`, dims, (old) => b.add(old, b.mul(b.sub(z, old), taken)), initial);
      return { parameter: b.add(z, b.mul(b.sub(x, z), beta)), evaluated: x };
    });
  };
  return namedChain('schedule-free', scaleByLearningRate(learningRate), averaged);
}

/** Return the share of a kept step, counted from 0, in the sum of the weights until then; 0 while all of them are 0. */
function shares(
  weight: (step: number, largestRate: number) => number,
  learningRate: Schedule,
): (step: number) => number {
  const known: { readonly weight: number; readonly sum: number; readonly rate: number }[] = [];
  return (step) => {
    for (let k = known.length; k <= step; k++) {
      const before = known[k - 1] ?? { sum: 0, rate: 0 };
      const rate = Math.max(before.rate, at(learningRate, k));
      const own = weight(k, rate);
      known.push({ weight: own, sum: before.sum + own, rate });
    }
    const { weight: own = 0, sum = 0 } = known[step] ?? {};
    return sum === 0 ? 0 : own / sum;
  };
}
