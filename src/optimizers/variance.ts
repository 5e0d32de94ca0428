// The variance of a Gaussian likelihood, estimated as the loss goes.
import { averaged, decayAt } from '../curvature/moving-average.js';
import type { Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import { type Likelihood, likelihoodOfVariance, unitLikelihood } from '../losses/likelihood.js';
import type { Loss } from '../losses/loss.js';
import { remember, type StepContext } from './optimizer.js';

/** Largest weight of the past in the average of the variance. */
const decay = 0.95;

/** Squared errors below this share of the targets' mean square are rounding of float32. */
const rounding = 1e-14;

const names = { keep: 'variance.keep', take: 'variance.take', state: 'variance' } as const;

/**
 * The likelihood of the loss with its variance σ² at its maximum-likelihood estimate, the mean squared error, averaged over
 * steps: the targets' units and a noise that is larger or smaller than 1 change neither damping nor steps. Losses whose
 * likelihood has no variance are taken as they are.
 */
export function estimatedLikelihood(context: StepContext, state: Map<string, Value>): Likelihood {
  const { b, forward, objective } = context;
  const { loss } = objective;
  if (!loss.hasVariance) return unitLikelihood(b, loss);
  const { targets } = forward;
  const average = remember(context, state, names.state, [], (old) =>
    averaged(b, old, forward.loss, { keep: context.scalar(names.keep), take: context.scalar(names.take) }),
  );
  const resolved = b.mul(b.dot(targets, targets), rounding / elementCount(targets.dims));
  return likelihoodOfVariance(b, loss, b.max(b.max(average, resolved), 1e-30));
}

/** The scalars that the estimate takes at a step, counted from 0. */
export function varianceScalars(loss: Loss, step: number): Record<string, number> {
  if (!loss.hasVariance) return {};
  const keep = decayAt(step, decay);
  return { [names.keep]: keep, [names.take]: 1 - keep };
}
