// How far the targets are from what the model says, estimated as the loss goes: the variance of a Gaussian likelihood, and
// what stands for it in others.
import { averaged, decayAt } from '../../curvature/factors/moving-average.js';
import type { Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import { type Likelihood, likelihoodOfVariance, unitLikelihood } from '../../losses/likelihood.js';
import { remember, type StepContext } from '../optimizer.js';

/** Scalars of an average over steps, and its largest weight of the past. */
interface Average {
  readonly keep: string;
  readonly take: string;
  readonly decay: number;
}

const slow: Average = { keep: 'loss.keep', take: 'loss.take', decay: 0.95 };
const quick: Average = { keep: 'recentLoss.keep', take: 'recentLoss.take', decay: 0.8 };

/** The slow average of the loss counts at most so many times the quick one: it must not stay behind a loss that falls. */
const largestLag = 3;

/** Squared errors below this share of the targets' mean square are rounding of float32. */
const rounding = 1e-14;

/**
 * The variance is at most so many times the mean square of the predictions: targets of other units than the model's are
 * not noise, and steps that took them for it would be too short to reach them. And at least a share of the squared error.
 */
const [largestExcess, smallestShare] = [4, 1e-12];

export interface Estimate {
  readonly likelihood: Likelihood;
  /**
   * A scalar in (0, 1]: the average loss, at most 1, of likelihoods without a variance; 1 of those in units of their
   * variance, which contain it already.
   */
  readonly dispersion: Value;
}

/**
 * The likelihood of the loss with its variance σ² at its maximum-likelihood estimate, the mean squared error, averaged over
 * steps: the targets' units and a noise that is larger or smaller than 1 change neither damping nor steps. Losses whose
 * likelihood has no variance are taken as they are.
 * @param state gets the new averages
 */
export function estimated(context: StepContext, state: Map<string, Value>): Estimate {
  const { b, forward, objective } = context;
  const { loss } = objective;
  const average = (name: string, value: Value, over: Average): Value =>
    remember(context, state, name, [], (old) =>
      averaged(b, old, value, { keep: context.scalar(over.keep), take: context.scalar(over.take) }),
    );
  const recent = average('loss.recent', forward.loss, quick);
  const error = b.min(average('loss.average', forward.loss, slow), b.mul(recent, largestLag));
  if (!loss.likelihood?.hasVariance) {
    const dispersion = loss.mayBeNegative ? b.scalar(1, error.dtype) : b.min(error, 1);
    return { likelihood: unitLikelihood(b, loss), dispersion };
  }
  const { targets, output } = forward;
  const meanSquare = (x: Value): Value => b.mul(b.dot(x, x), 1 / elementCount(x.dims));
  const predictions = average('predictions.average', meanSquare(output), slow);
  const least = b.max(b.mul(error, smallestShare), b.mul(meanSquare(targets), rounding));
  const variance = b.max(b.max(b.min(error, b.mul(predictions, largestExcess)), least), 1e-30);
  return { likelihood: likelihoodOfVariance(b, loss, variance), dispersion: b.scalar(1, variance.dtype) };
}

/** The scalars that the estimate takes at a step, counted from 0. */
export function dispersionScalars(step: number): Record<string, number> {
  const scalars = [slow, quick].flatMap(({ keep, take, decay }) => {
    const weight = decayAt(step, decay);
    return [
      [keep, weight],
      [take, 1 - weight],
    ] as const;
  });
  return Object.fromEntries(scalars);
}
