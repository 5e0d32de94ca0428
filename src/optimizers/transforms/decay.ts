// Weight decay: the parameters shrink towards 0.
import { checked, isSome } from '../options.js';
import { type ParameterRule, parameterRule, parametersOf } from '../parameters.js';
import type { Schedule } from '../schedules.js';
import { tunedDecays } from '../tuning.js';
import type { Transform } from './updates.js';

/**
 * Return the transform `u ← u + w·θ`. After the transforms that rescale the gradient it is decoupled weight decay (Loshchilov
 * & Hutter 2019), θ ← θ − η·w·θ; before them, L2 regularization.
 * @param of the parameters that decay: a glob on their names, or a predicate; all by default
 * @throws OptionError if the number is negative, and for a glob that matches no parameter
 * @example
 * chain(scaleByAdam(), addDecayedWeights(0.1, isMatrix), scaleByLearningRate(0.001)); // biases do not decay
 */
export function addDecayedWeights(weight: Schedule, of: ParameterRule = '*'): Transform {
  checked('weightDecay', weight, { atLeast: 0 });
  const takes = parameterRule(of);
  return (context, updates) => {
    if (!isSome(weight) && !context.tuning) return updates;
    const taken = new Set(takes(parametersOf(context)).map(({ name }) => name));
    return tunedDecays(context, weight, (name) => taken.has(name)).reduce(
      (given, { weight: own, names }) => given.decayed(own, (name) => names.has(name)),
      updates,
    );
  };
}
