// What is evaluated and kept of the weights of a run: an average of its iterates, an exponential one, or the last iterate.
import { OptionError } from '../errors.js';
import { checkedNumber, described, isRecord } from '../options.js';

/** How iterates are averaged. */
export interface AverageRule {
  /** Whether the iterate after `steps` steps joins the average; the last one of a run always does. */
  joins(steps: number): boolean;
  /**
   * Return the weight of the past for the iterate after `steps` steps, `since` of them after the last iterate in the average.
   * @param headStart how many times as many steps an average that reaches back over a share of all steps begins with: 1, or more if
   *   the run continues a trained model
   */
  weightOfPast(steps: number, since: number, headStart: number): number;
}

/** What a run keeps of its weights. */
export interface WeightAverage {
  readonly name: string;
  /** Undefined if the last iterate is kept. */
  readonly rule: AverageRule | undefined;
}

/** Steps between updates: an average over every fourth iterate is as good, and costs fewer passes over all parameters. */
const interval = 4;

/**
 * Return the average of the iterates that forgets the beginning of a run of any length (polynomial decay: Shamir & Zhang 2013,
 * section 4): the weight of the past is ∏ min(1 − (η + 1)/(k + s·(η + 1)), maximum) over the steps k between, with η = 8 and the head
 * start s of the run.
 * @param maximum largest weight of the past, for each step
 * @throws OptionError if the number is not in (0, 1)
 * @example
 * await train(model, { data, optimizer: adam(), steps: 100, average: iterateAverage() });
 */
export function iterateAverage(maximum = 0.99): WeightAverage {
  checkedNumber('maximum', maximum, { above: 0, below: 1 });
  return {
    name: `iterate:${maximum}`,
    rule: {
      // The first steps change the parameters most: each of them counts.
      joins: (steps) => steps <= 2 * interval || steps % interval === 0,
      weightOfPast(steps, since, headStart) {
        let weight = 1;
        for (let k = steps - since; k < steps; k++) weight *= Math.min(1 - 9 / (k + 9 * headStart), maximum);
        return weight;
      },
    },
  };
}

/**
 * Return the exponential moving average of the weights after each step, without the bias towards the start: that of θ₁ … θₖ
 * with weights `decayᵏ⁻ⁱ`. It costs a pass over all parameters a step.
 * @param decay weight of the past for each step
 * @throws OptionError if the number is not in (0, 1)
 * @example
 * await train(model, { data, optimizer: adam(), steps: 100, average: exponentialAverage(0.99) });
 */
export function exponentialAverage(decay = 0.999): WeightAverage {
  checkedNumber('decay', decay, { above: 0, below: 1 });
  return {
    name: `ema:${decay}`,
    rule: {
      joins: () => true,
      weightOfPast: (steps, since) => (decay ** since * (1 - decay ** (steps - since))) / (1 - decay ** steps),
    },
  };
}

/**
 * Return what keeps the last iterate, whatever the optimizer would average.
 * @example
 * await train(model, { data, optimizer: cgfac(), steps: 100, average: lastIterate() });
 */
export const lastIterate = (): WeightAverage => ({ name: 'none', rule: undefined });

/** @throws OptionError for anything but what the functions above return, and own averages */
export function checkWeightAverage(average: WeightAverage | undefined): void {
  const given: unknown = average;
  if (given === undefined || (isRecord(given) && typeof given.name === 'string' && 'rule' in given)) return;
  throw new OptionError(
    `average is ${described(given)}; give iterateAverage(), exponentialAverage(0.999) or lastIterate()`,
  );
}
