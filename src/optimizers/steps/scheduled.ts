// Scheduled steps: learning rate, heavy-ball momentum, KL clip and decoupled weight decay, set by hand.
import { total } from '../../curvature/factors/matrices.js';
import type { Value } from '../../graph/graph.js';
import { checkKeys, type OptionKeys } from '../../options.js';
import { checked, isSome, numberOf } from '../options.js';
import type { Schedule } from '../schedules.js';
import { tunedRate } from '../tuning.js';
import { decayedParameters, partFactor, type StepRule, stateNames, steppedParameters, sumOf } from './rule.js';

export interface ScheduledOptions {
  /** η; 0.1 by default. */
  readonly learningRate?: Schedule;
  /** λ; 1 by default. */
  readonly damping?: Schedule;
  /** μ; 0.9 by default. */
  readonly momentum?: Schedule;
  /** Decoupled weight decay w of all parameters of blocks, θ ← (1 − η·w)θ; 0 by default. */
  readonly weightDecay?: Schedule;
  /**
   * Bound κ on the squared Fisher norm of a step (Ba et al. 2017, section 5), which others call the norm constraint; 0.001 by
   * default, 0 is none.
   */
  readonly klClip?: Schedule;
}

const keys: OptionKeys<ScheduledOptions> = {
  learningRate: true,
  damping: true,
  momentum: true,
  weightDecay: true,
  klClip: true,
};

/**
 * Return scheduled steps: v ← μv + Δ; θ ← θ − η·v − η·w·θ, with Δ scaled by ν = min(1, √(κ/(η²·Δᵀ∇))). The squared Fisher
 * norm of the step is about η²·Δᵀ∇, since (F + λI)Δ = ∇ (Ba, Grosse & Martens 2017, section 5).
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = kfac({ step: scheduled({ learningRate: (step) => 0.1 / (1 + step / 100), damping: 0.03 }) });
 */
export function scheduled(options: ScheduledOptions = {}): StepRule {
  checkKeys('scheduled', options, keys);
  const learningRate = checked('learningRate', options.learningRate ?? 0.1, { above: 0 });
  const damping = checked('damping', options.damping ?? 1, { above: 0 });
  const momentum = checked('momentum', options.momentum ?? 0.9, { atLeast: 0, below: 1 });
  const weightDecay = checked('weightDecay', options.weightDecay ?? 0, { atLeast: 0 });
  const klClip = checked('klClip', options.klClip ?? 1e-3, { atLeast: 0 });
  return {
    name: 'scheduled',
    remedy: 'Lower the learning rate or raise the damping',
    begin(context) {
      const { b, scalar, state, report } = context;
      const rate = scalar('learningRate', tunedRate(context, learningRate));
      const [past, bound] = [numberOf(context, 'momentum', momentum), numberOf(context, 'klClip', klClip)];
      const lambda = scalar('damping', damping);
      return {
        damping: lambda,
        build({ blocks }) {
          // Directions carry a factor λ: the scalars are divided by it, by its root twice so that nothing overflows. A block
          // without curvature damps by less than λ, which its direction, the gradient, does not depend on.
          const least = b.sqrt(lambda);
          const withoutDamping = (x: Value, own: Value): Value => {
            const root = b.max(own, least);
            return b.div(b.div(x, root), root);
          };
          const product = sumOf(
            context,
            blocks.map(({ direction, gradient, rootDamping }) =>
              total(b, withoutDamping(direction.dots(b, gradient), rootDamping)),
            ),
          );
          const norm = b.mul(b.square(rate), b.max(product, 1e-30));
          const clip = isSome(klClip) ? b.min(b.sqrt(b.div(bound, norm)), 1) : b.scalar(1, rate.dtype);
          report('learningRate', rate);
          report('klClip', clip);
          const factor = b.neg(b.mul(rate, clip));
          // Momentum on steps, not on directions: a changing rate does not rescale the past.
          const steps = blocks.map(({ block, direction, rootDamping }) => {
            const length = withoutDamping(factor, rootDamping);
            const names = stateNames('step', block);
            const step = direction.mapNamed((part, kind) => {
              const own = partFactor(context, block, kind, length, learningRate);
              return state(names[kind], part.dims, (old) => b.add(b.mul(old, past), b.mul(part, own)));
            });
            return { block, step };
          });
          const names = context.parameters.keys();
          const decayed = decayedParameters(context, { rate, own: { learningRate, weightDecay }, names });
          return {
            parameters: steppedParameters(decayed, steps),
            squaredLength: sumOf(
              context,
              blocks.map(({ direction }) => direction.dot(b, direction)),
            ),
          };
        },
      };
    },
  };
}
