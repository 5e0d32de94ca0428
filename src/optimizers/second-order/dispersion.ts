// How far the targets are from what the model says, estimated as the loss goes: the variance of a Gaussian likelihood, and
// what stands for it in others.
import { averaged, type Decay } from '../../curvature/factors/moving-average.js';
import type { Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import { type Likelihood, likelihoodOfVariance, unitLikelihood } from '../../losses/likelihood.js';
import { decayOf } from '../averages.js';
import type { StepContext } from '../optimizer.js';

/** Largest weights of the past in the slow and in the quick average of the loss. */
const [slowDecay, quickDecay] = [0.95, 0.8];

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
 */
export function estimated(context: StepContext): Estimate {
  const { b, forward, objective } = context;
  const { loss } = objective;
  const [slow, quick] = [decayOf(context, 'loss', slowDecay), decayOf(context, 'recentLoss', quickDecay)];
  const average = (name: string, value: Value, over: Decay): Value =>
    context.state(name, [], (old) => averaged(b, old, value, over));
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
