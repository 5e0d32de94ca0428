// The sign of the updates, and which of them agree with the gradient.
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
 * Return the transform that keeps those elements of an update that have the sign of the gradient, over their share of the
 * parameter, at least 10⁻⁵ (Liang et al. 2024, cautious optimizers, arXiv 2411.16085; the share as lion-pytorch has it).
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
