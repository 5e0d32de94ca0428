// A learning rate for a model, its data and an optimizer: a short run whose rate grows from step to step, and what its losses say.
import { OptionError, TrainingError } from '../errors.js';
import type { Model } from '../model/model.js';
import { rated } from '../optimizers/tuning.js';
import { checkedNumber } from '../options.js';
import type { LearningTask } from './task/task.js';
import { type RunOptions, runTask } from './trainer.js';

/** How a search goes. */
export interface RateSweep {
  /** The first and the last learning rate; 10⁻⁷ and 10 by default. */
  readonly from?: number;
  readonly to?: number;
  /** Number of rates, a step each; 100 by default. */
  readonly steps?: number;
}

/** A learning rate with the loss of the batch after a step with it. */
export interface RatePoint {
  readonly rate: number;
  readonly loss: number;
  /** The loss averaged over its neighbours. */
  readonly smoothed: number;
}

/** What a search has found. */
export interface RateSearch {
  readonly points: readonly RatePoint[];
  /** A rate to begin with: where the loss falls most steeply, but at most a tenth of that of the lowest loss; undefined if it never falls. */
  readonly suggestion: number | undefined;
  /** The rate at which the smoothed loss falls most, by the logarithm of the rate. */
  readonly steepest: number | undefined;
  /** The point of the lowest smoothed loss. */
  readonly lowest: RatePoint | undefined;
  /** Whether the loss grew so much that the search ended early. */
  readonly diverged: boolean;
}

type SearchOptions = Omit<
  RunOptions,
  'steps' | 'epochs' | 'target' | 'evaluateEvery' | 'evaluationExamples' | 'average'
>;

/** Ends a run without its final evaluations. */
class SearchEnded extends Error {}

/** Weight of the past in the average by which a search notices that it diverges. */
const memory = 0.9;

/** The search ends if the average exceeds its lowest value by so many times the loss. */
const mostGrowth = 3;

/**
 * Take a few steps with growing learning rates `from·(to/from)^(k/(steps − 1))` (Smith 2017, arXiv 1506.01186, section 3.3), until
 * the loss grows. The given model does not change.
 * @throws OptionError for numbers out of range, and for an optimizer without a learning rate
 */
export async function searchRate(
  model: Model,
  task: LearningTask,
  options: SearchOptions,
  sweep: RateSweep = {},
): Promise<RateSearch> {
  const steps = checkedNumber('steps', sweep.steps ?? 100, { atLeast: 10, integer: true });
  const from = checkedNumber('from', sweep.from ?? 1e-7, { above: 0 });
  const to = checkedNumber('to', sweep.to ?? 10, { above: 0 });
  if (to <= from) throw new OptionError(`to is ${to}, which is no larger than from, ${from}`);
  const rateAt = (k: number): number => from * (to / from) ** (k / (steps - 1));
  const losses: number[] = [];
  const watch = new GrowthWatch();
  let diverged = false;
  const onStep = ({ loss }: { readonly loss: number }) => {
    losses.push(loss);
    diverged = watch.hasGrown(loss);
    if (diverged || losses.length > steps) throw new SearchEnded();
  };
  const { callbacks = [] } = options;
  try {
    await runTask(model, task, {
      ...options,
      optimizer: rated(options.optimizer, 'a search for a learning rate', () => rateAt),
      // One more: the loss after the last rate is that of the next step. None is the last, whose evaluations would cost time.
      steps: steps + 2,
      evaluateEvery: steps + 2,
      callbacks: [...(Array.isArray(callbacks) ? callbacks : [callbacks]), { onStep }],
    });
  } catch (error) {
    // A loss that is not finite is the end of the sweep.
    if (error instanceof TrainingError && losses.length > 1) diverged = true;
    else if (!(error instanceof SearchEnded)) throw error;
  }
  const measured = losses.slice(1).map((loss, k) => ({ rate: rateAt(k), loss }));
  return { ...suggestedRate(measured), diverged };
}

/** Notices losses that grow. */
class GrowthWatch {
  #sum = 0;
  #weight = 0;
  #lowest = Number.POSITIVE_INFINITY;
  #first: number | undefined;

  hasGrown(loss: number): boolean {
    if (!Number.isFinite(loss)) return true;
    this.#first ??= loss;
    this.#sum = memory * this.#sum + (1 - memory) * loss;
    this.#weight = memory * this.#weight + (1 - memory);
    const average = this.#sum / this.#weight;
    this.#lowest = Math.min(this.#lowest, average);
    return average - this.#lowest > mostGrowth * Math.max(Math.abs(this.#lowest), this.#first - this.#lowest);
  }
}

/** Neighbours on each side that count in a smoothed loss, with falling weights. */
const reach = 3;

/**
 * Return the smoothed losses of rates and what they suggest. Smoothing is symmetric, so that it does not move the curve.
 * @param measured in ascending order of the rates
 */
export function suggestedRate(
  measured: readonly { readonly rate: number; readonly loss: number }[],
): Omit<RateSearch, 'diverged'> {
  const finite = measured.filter(({ loss }) => Number.isFinite(loss));
  const points = finite.map(({ rate, loss }, i): RatePoint => {
    const [sum, weights] = finite.reduce(
      ([total, all], other, j): readonly [number, number] => {
        const weight = Math.max(0, reach + 1 - Math.abs(i - j));
        return [total + weight * other.loss, all + weight];
      },
      [0, 0] as readonly [number, number],
    );
    return { rate, loss, smoothed: sum / weights };
  });
  const lowest = points.reduce<RatePoint | undefined>(
    (best, point) => (best === undefined || point.smoothed < best.smoothed ? point : best),
    undefined,
  );
  const descent = points.slice(0, lowest === undefined ? 0 : points.indexOf(lowest) + 1);
  const slopes = descent.slice(1, -1).map(({ rate }, i) => {
    const [before, after] = [descent[i], descent[i + 2]];
    const fall = (after?.smoothed ?? 0) - (before?.smoothed ?? 0);
    return { rate, slope: fall / Math.log((after?.rate ?? 1) / (before?.rate ?? 1)) };
  });
  const steepest = slopes.reduce<{ readonly rate: number; readonly slope: number } | undefined>(
    (best, each) => (each.slope < (best?.slope ?? 0) ? each : best),
    undefined,
  )?.rate;
  const suggestion = steepest === undefined || !lowest ? undefined : Math.min(steepest, lowest.rate / 10);
  return { points, suggestion: suggestion && Number(suggestion.toPrecision(2)), steepest, lowest };
}
