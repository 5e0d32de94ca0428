// Transforms by signs: the sign of the updates, and agreement with the sign of the gradient.
import { checkKeys, type NoOptions } from '../../options.js';
import type { Transform } from './updates.js';

/**
 * Return the transform `u ← sign(u)` (Bernstein et al. 2018, signSGD, arXiv 1802.04434).
 * @throws OptionError for options: it has none
 * @example
 * chain(scaleByMomentum(), scaleBySign(), scaleByLearningRate(0.001));
 */
export function scaleBySign(options: NoOptions = {}): Transform {
  checkKeys('scaleBySign', options, {});
  return (context, updates) => updates.map((update) => context.b.sign(update));
}

/**
 * Return the transform that keeps the elements of an update that have the sign of the gradient, and divides them by their
 * share of the parameter, at least 10⁻⁵ (Liang et al. 2024, cautious optimizers, arXiv 2411.16085; the share as in
 * lion-pytorch).
 * @example
 * chain(scaleByAdam(), cautious(), scaleByLearningRate(0.001));
 */
export const cautious =
  (): Transform =>
  ({ b, gradients }, updates) =>
    updates.map((update, name) => {
      const gradient = gradients.get(name) ?? update;
      const agrees = b.max(b.mul(b.sign(update), b.sign(gradient)), 0);
      return b.mul(update, b.div(agrees, b.max(b.mean(agrees), 1e-5)));
    });
