// Multiplication of the updates by the learning rate.

import type { StepContext } from '../optimizer.js';
import { checked } from '../options.js';
import type { Schedule } from '../schedules.js';
import { tunedRate, tunedShare } from '../tuning.js';
import type { StepNumber, Transform } from './updates.js';

/**
 * Return the transform `u ← η·u`, which also reports the learning rate η.
 * @throws OptionError if the number is not greater than 0
 * @example
 * chain(scaleByAdam(), scaleByLearningRate(warmUp(100, 0.001)));
 */
export function scaleByLearningRate(learningRate: Schedule): Transform {
  const own = checked('learningRate', learningRate, { above: 0 });
  return (context, updates) => {
    const rates = new LearningRates(context, own);
    context.report('learningRate', updates.scalar(rates.common));
    return updates.times((name) => rates.of(name));
  };
}

/** The learning rates of a step: one for all parameters, and others for groups of them. */
export class LearningRates {
  readonly #context: Pick<StepContext, 'tuning'>;
  readonly #own: Schedule;
  readonly #byShare = new Map<number, StepNumber>();
  readonly common: StepNumber;

  constructor(context: Pick<StepContext, 'tuning'>, own: Schedule) {
    this.#context = context;
    this.#own = own;
    this.common = { name: 'learningRate', at: tunedRate(context, own) };
    this.#byShare.set(1, this.common);
  }

  of(parameter: string): StepNumber {
    const share = tunedShare(this.#context, parameter, this.#own);
    const known = this.#byShare.get(share);
    if (known) return known;
    const { at: common } = this.common;
    const rate: StepNumber = {
      name: `learningRate*${share}`,
      at: (step, kept) => share * (typeof common === 'number' ? common : common(step, kept)),
    };
    this.#byShare.set(share, rate);
    return rate;
  }
}
