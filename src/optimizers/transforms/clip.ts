// Bounds on updates: on the norm of all, on the norm of each parameter's, on each element.
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { checked, numberOf } from '../options.js';
import type { Schedule } from '../schedules.js';
import type { Transform } from './updates.js';

/** Keeps the quotient finite, as in PyTorch's clip_grad_norm_. */
const epsilon = 1e-6;

/**
 * Return the transform `u ← u·min(1, c/(‖u‖ + 10⁻⁶))`, ‖u‖ being the Euclidean norm of all updates together (Pascanu et al.
 * 2013, arXiv 1211.5063, algorithm 1; the 10⁻⁶ is PyTorch's). It reports that norm as `gradientNorm`.
 * @throws OptionError if the number is not greater than 0
 * @example
 * chain(clipByGlobalNorm(1), adamw({ learningRate: 0.001 }));
 */
export function clipByGlobalNorm(maximum: Schedule): Transform {
  checked('maximum', maximum, { above: 0 });
  return (context, updates) => {
    const { b } = context;
    const values = updates.values();
    if (values.size === 0) return updates;
    const norm = b.sqrt([...values.values()].map((value) => b.dot(value, value)).reduce((x, y) => b.add(x, y)));
    context.report('gradientNorm', norm);
    const share = shareWithin(b, norm, numberOf(context, 'clipByGlobalNorm', maximum));
    return updates.map((update) => b.mul(update, share));
  };
}

/**
 * Return the transform `u ← u·min(1, c/(‖u‖ + 10⁻⁶))`, ‖u‖ being the Euclidean norm of one parameter's update.
 * @throws OptionError if the number is not greater than 0
 * @example
 * chain(clipByBlockNorm(0.1), sgd({ learningRate: 0.1 }));
 */
export function clipByBlockNorm(maximum: Schedule): Transform {
  checked('maximum', maximum, { above: 0 });
  return (context, updates) => {
    const { b } = context;
    const bound = numberOf(context, 'clipByBlockNorm', maximum);
    return updates.map((update) => b.mul(update, shareWithin(b, b.sqrt(b.dot(update, update)), bound)));
  };
}

/**
 * Return the transform that limits each element of the updates to −c … c.
 * @throws OptionError if the number is not greater than 0
 * @example
 * chain(clipByValue(0.5), sgd({ learningRate: 0.1 }));
 */
export function clipByValue(maximum: Schedule): Transform {
  checked('maximum', maximum, { above: 0 });
  return (context, updates) => {
    const { b } = context;
    const bound = numberOf(context, 'clipByValue', maximum);
    return updates.map((update) => b.min(b.max(update, typeof bound === 'number' ? -bound : b.neg(bound)), bound));
  };
}

const shareWithin = (b: Builder, norm: Value, bound: Value | number): Value =>
  b.min(b.div(bound, b.add(norm, epsilon)), 1);
