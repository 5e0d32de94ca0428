// Normalized steps: the natural gradient decides the direction of each block's step, the learning rate its length.
import { total } from '../../curvature/factors/matrices.js';
import type { Value } from '../../graph/graph.js';
import { checkKeys, type OptionKeys } from '../../options.js';
import { adam } from '../adam.js';
import { headStart } from '../head-start.js';
import type { Optimizer, Setting } from '../optimizer.js';
import { checked, isSome, numberOf } from '../options.js';
import { at, type Schedule } from '../schedules.js';
import { StepWatch } from './acceptance.js';
import { type StepRule, shrunk, stateNames, steppedParameters, sumOf } from './rule.js';

export interface NormalizedOptions {
  /**
   * Root mean square of the change of a block's parameters; by default 0.002/√(1 + k/100) at step k, and for weights that are
   * trained already 0.002/√(s + k/100): s is the loss of a constant output over the model's own loss at the start, at most 100.
   */
  readonly learningRate?: Schedule;
  /** ε, relative to the mean eigenvalue of each block's Fisher matrix; 0.1 by default. */
  readonly damping?: Schedule;
  /** Weight β of the past in the averaged gradient; 0.9 by default. */
  readonly momentum?: Schedule;
  /** Decoupled weight decay w of matrices and kernels, θ ← (1 − η·w)θ; 0.5 by default. */
  readonly weightDecay?: Schedule;
}

const keys: OptionKeys<NormalizedOptions> = { learningRate: true, damping: true, momentum: true, weightDecay: true };

/** Steps between measurements of a step's own batch: they cost a tenth of a forward pass a step. */
const measureInterval = 10;

/** Factors on the length of steps: after a step that was taken back, and after each kept step. */
const [shorter, longer] = [0.5, 1.02];

/** Steps after which a rate has fallen to 1/√2. */
const fadingSteps = 100;

/** Return the schedule that a run has by default: `inverseRoot` with the head start of the run. */
const fading = (peak: number, setting: Setting): Schedule => {
  const start = headStart(setting);
  return (step) => peak / Math.sqrt(start + step / fadingSteps);
};

/** Adam with rates that fade as the length of the blocks' steps does. */
const adamOfRest: Optimizer = {
  name: 'adam',
  build: (context) => adam({ learningRate: fading(3e-3, context.setting) }).build(context),
};

/**
 * Return normalized steps: m ← βm + (1 − β)∇; θ ← (1 − η·w)θ − η·Δ/rms(Δ) for each block. Δ is the natural gradient of the
 * average m, and rms(Δ) the root mean square of its elements: the learning rate sets the length of the step, as it nearly
 * does in Adam, and the curvature sets only its direction ("grafting": Agarwal et al. 2020, arXiv 2002.11803; Anil et al.
 * 2020, arXiv 2002.09018). The damping is relative, ε times the mean eigenvalue of the block's Fisher matrix. So steps
 * depend neither on the scale of the loss nor on that of a layer's inputs or gradients, and layers whose gradients are small
 * at first (the queries and keys of attention) move from the beginning.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ step: normalized({ learningRate: 1e-3, weightDecay: 0.1 }) });
 */
export function normalized(options: NormalizedOptions = {}): StepRule {
  checkKeys('normalized', options, keys);
  const { learningRate: given } = options;
  const learningRate = given === undefined ? undefined : checked('learningRate', given, { above: 0 });
  const damping = checked('damping', options.damping ?? 0.1, { above: 0 });
  const momentum = checked('momentum', options.momentum ?? 0.9, { atLeast: 0, below: 1 });
  const weightDecay = checked('weightDecay', options.weightDecay ?? 0.5, { atLeast: 0 });
  return {
    name: 'normalized',
    relativeDamping: true,
    setsLengths: true,
    estimatesVariance: true,
    rest: adamOfRest,
    remedy: given === undefined ? 'Take larger batches, or raise the damping' : 'Lower the learning rate',
    begin(context) {
      const { b, scalar, state, report, setting } = context;
      const watch = new StepWatch(measureInterval);
      let share = 1;
      context.steer({
        recovers: true,
        observe(step, { loss = Number.NaN, accepted }) {
          watch.observe(step, loss, accepted !== 0);
          share = accepted === 0 ? share * shorter : Math.min(1, share * longer);
        },
        snapshot: () => ({ ...watch.snapshot(), share }),
        restore: ({ share: kept = 1, ...rest }) => {
          watch.restore(rest);
          share = kept;
        },
      });
      const length = learningRate ?? fading(2e-3, setting);
      const rate = scalar('learningRate', (step) => share * at(length, step));
      const weights = {
        old: numberOf(context, 'momentum', momentum),
        decay: numberOf(context, 'weightDecay', weightDecay),
      };
      // With a constant β the sum Σ βᵏ·∇ is kept, 1/(1 − β) times the average: steps are of given length, and the share 1 − β
      // of the new gradient would cost a pass over all parameters.
      const taken = (part: Value): Value =>
        typeof weights.old === 'number' ? part : b.mul(part, b.sub(1, weights.old));
      return {
        damping: scalar('damping', damping),
        watch,
        ...(isSome(momentum) && {
          smooth(block, gradient) {
            const names = stateNames('momentum', block);
            return gradient.mapNamed((part, kind) =>
              state(names[kind], part.dims, (old) => b.add(b.mul(old, weights.old), taken(part))),
            );
          },
        }),
        build({ blocks }) {
          report('learningRate', rate);
          const backward = b.neg(rate);
          const moved = blocks.map(({ block, direction }) => {
            const square = b.mul(direction.dots(b, direction), 1 / direction.groupSize);
            const factor = b.div(backward, b.sqrt(b.max(square, 1e-36)));
            return { block, square, step: direction.map((part) => b.mul(part, factor)) };
          });
          const decaying = blocks.flatMap(({ block }) => (block.decays ? [block.weight] : []));
          const from = isSome(weightDecay) ? shrunk(context, decaying, b.sub(1, b.mul(rate, weights.decay))) : context;
          return {
            parameters: steppedParameters(from, moved),
            squaredLength: sumOf(
              context,
              moved.map(({ square }) => total(b, square)),
            ),
          };
        },
      };
    },
  };
}
