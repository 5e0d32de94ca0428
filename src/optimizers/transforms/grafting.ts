// Grafting: the direction of one transform with the length of another, for each parameter.
import { OptionError } from '../../errors.js';
import { described } from '../../options.js';
import { scoped } from '../optimizer.js';
import type { Transform } from './updates.js';

/** Keeps the quotient finite where a direction is 0: the smallest normal number of float32. */
const tiny = 2 ** -126;

/**
 * Return the transform `u ← ‖m‖/‖d‖ · d` for each parameter, m and d being what two transforms make of the updates (Agarwal et
 * al. 2020, arXiv 2002.11803; layer-wise, as in Anil et al. 2020). States of the first are named `graft.…`.
 * @param magnitude gives the length of the update
 * @param direction gives its direction
 * @throws OptionError if one of them is no transform
 * @example
 * chain(grafted(scaleByAdam(), scaleByShampoo()), scaleByLearningRate(0.001));
 */
export function grafted(magnitude: Transform, direction: Transform): Transform {
  checkedTransform('magnitude', magnitude);
  checkedTransform('direction', direction);
  return (context, updates) => {
    const { b } = context;
    const lengths = magnitude(scoped(context, 'graft'), updates).values();
    return direction(context, updates).map((update, name) => {
      const other = lengths.get(name) ?? update;
      return b.mul(update, b.sqrt(b.div(b.dot(other, other), b.max(b.dot(update, update), tiny))));
    });
  };
}

/** Return the transform. @throws OptionError if it is something else, such as a whole optimizer */
export function checkedTransform(name: string, value: Transform): Transform {
  if (typeof value === 'function') return value;
  throw new OptionError(`${name} is ${described(value)}; give a transform such as scaleByAdam()`);
}
