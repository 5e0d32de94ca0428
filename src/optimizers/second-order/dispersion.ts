// The dispersion of the targets about the predictions, estimated from the loss: the variance of a Gaussian likelihood, and a
// substitute for it in others.
import { averaged, type Decay } from '../../curvature/factors/moving-average.js';
import type { Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import { type Likelihood, likelihoodOfVariance, unitLikelihood } from '../../losses/likelihood.js';
import { decayOf } from '../averages.js';
import type { StepContext } from '../optimizer.js';

/** Largest weights of the past in the slow and in the fast average of the loss. */
const [slowDecay, fastDecay] = [0.95, 0.8];

/** Upper bound on the slow average of the loss in units of the fast one: the slow one must not lag behind a falling loss. */
const largestLag = 3;

/** Squared errors below this share of the targets' mean square are rounding errors of float32. */
const rounding = 1e-14;

/**
 * Bounds on the variance: at most this multiple of the mean square of the predictions, since targets in other units than the
 * model's are not noise, and steps for such a noise would be too short to reach them; and at least this share of the squared
 * error.
 */
const [largestExcess, smallestShare] = [4, 1e-12];

export interface Estimate {
  readonly likelihood: Likelihood;
  /**
   * A scalar in (0, 1]: the average loss, at most 1, if the likelihood has no variance; 1 if it has one, which then is its
   * unit.
   */
  readonly dispersion: Value;
}

/**
 * Return the likelihood of the loss with the maximum-likelihood estimate of its variance σ²: the mean squared error, averaged
 * over steps. So neither damping nor steps depend on the units of the targets or on the size of the noise. A likelihood
 * without a variance does not change.
 */
export function estimated(context: StepContext): Estimate {
  const { b, forward, objective } = context;
  const { loss } = objective;
  const [slow, fast] = [decayOf(context, 'loss', slowDecay), decayOf(context, 'recentLoss', fastDecay)];
  const average = (name: string, value: Value, over: Decay): Value =>
    context.state(name, [], (old) => averaged(b, old, value, over));
  const recent = average('loss.recent', forward.loss, fast);
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
