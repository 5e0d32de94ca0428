// Scheduled steps: learning rate, heavy-ball momentum, KL clip and decoupled weight decay, as one sets them by hand.
import { total } from '../../curvature/factors/matrices.js';
import { innerProduct } from '../../curvature/layer-tensor.js';
import type { Value } from '../../graph/graph.js';
import { type Controller, scheduled } from '../optimizer.js';
import { at, checked } from '../options.js';
import type { StepOptions } from './kinds.js';
import { previousSteps, type StepRule, shrunk, steppedParameters } from './rule.js';

/**
 * v ← μv + Δ; θ ← θ − η·v − η·w·θ, with Δ scaled by ν = min(1, √(κ/(η²·Δᵀ∇))): the squared Fisher norm of the step is
 * about η²·Δᵀ∇, since (F + λI)Δ = ∇ (Ba, Grosse & Martens 2017, section 5).
 */
export function scheduledStep(options: StepOptions): StepRule {
  const learningRate = checked('learningRate', options.learningRate ?? 0.1, { above: 0 });
  const damping = checked('damping', options.damping ?? 1, { above: 0 });
  const momentum = checked('momentum', options.momentum ?? 0.9, { atLeast: 0, below: 1 });
  const weightDecay = checked('weightDecay', options.weightDecay ?? 0, { atLeast: 0 });
  const klClip = checked('klClip', options.klClip ?? 1e-3, { atLeast: 0 });
  return {
    build({ context, blocks, gradient, directions, rootDampings }) {
      const { b } = context;
      const rate = context.scalar('learningRate');
      // Directions carry a factor λ: it is taken back out of the scalars, by its root so that nothing overflows.
      const withoutDamping = (x: Value, i: number): Value => {
        const root = rootDampings[i];
        return root ? b.div(b.div(x, root), root) : x;
      };
      const product = directions
        .map((direction, i) => total(b, withoutDamping(direction.dots(b, gradient[i] ?? direction), i)))
        .reduce((sum, part) => b.add(sum, part));
      const norm = b.mul(b.square(rate), b.max(product, 1e-30));
      const clip = klClip > 0 ? b.min(b.sqrt(b.div(klClip, norm)), 1) : b.scalar(1, rate.dtype);
      const factor = b.neg(b.mul(rate, clip));
      const previous = previousSteps(context, gradient, blocks);
      // Momentum on steps, not on directions: a changing rate does not rescale the past.
      const steps = directions.map((direction, i) => {
        const length = withoutDamping(factor, i);
        return direction.map(
          (part, old) => b.add(b.mul(old ?? part, momentum), b.mul(part, length)),
          ...previous.values.slice(i, i + 1),
        );
      });
      const decayed =
        weightDecay > 0 ? shrunk(context, context.parameters.keys(), b.sub(1, b.mul(rate, weightDecay))) : context;
      return {
        parameters: steppedParameters(decayed, blocks, steps),
        state: previous.next(steps),
        squaredLength: innerProduct(b, directions, directions),
        diagnostics: new Map([
          ['learningRate', rate],
          ['klClip', clip],
        ]),
      };
    },
    controller: (): Controller =>
      scheduled((step) => ({ learningRate: at(learningRate, step), damping: at(damping, step) })),
  };
}
