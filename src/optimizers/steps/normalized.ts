// Normalized steps: the natural gradient decides the direction of each block's step, the learning rate its length.
import { total } from '../../curvature/factors/matrices.js';
import type { Value } from '../../graph/graph.js';
import { remember } from '../optimizer.js';
import { at, checked, inverseRoot } from '../options.js';
import { StepWatch } from './judge.js';
import type { StepOptions } from './kinds.js';
import { type StepRule, shrunk, stateNames, steppedParameters } from './rule.js';

/** Steps between measurements of a step's own batch: a tenth of a forward pass a step. */
const measureInterval = 10;

/** Factor on the length of steps after one that was taken back, and after each that was kept. */
const [shorter, longer] = [0.5, 1.02];

/**
 * m ← βm + (1 − β)∇; θ ← (1 − η·w)θ − η·Δ/rms(Δ) for each block, where Δ is the natural gradient of the average m and
 * rms(Δ) the root mean square of its elements: the length of the step is given, as Adam's nearly is, and only its
 * direction comes from the curvature ("grafting": Agarwal et al. 2020, arXiv 2002.11803; Anil et al. 2020, arXiv
 * 2002.09018). The damping is relative, ε times the mean eigenvalue of the block's Fisher matrix. So steps depend neither
 * on the scale of the loss nor on that of a layer's inputs or gradients, and layers whose gradients are small at first
 * (the queries and keys of attention) move from the beginning.
 */
export function normalizedStep(options: StepOptions): StepRule {
  const learningRate = checked('learningRate', options.learningRate ?? inverseRoot(2e-3), { above: 0 });
  const damping = checked('damping', options.damping ?? 0.1, { above: 0 });
  const momentum = checked('momentum', options.momentum ?? 0.9, { atLeast: 0, below: 1 });
  const weightDecay = checked('weightDecay', options.weightDecay ?? 0.5, { atLeast: 0 });
  return {
    relativeDamping: true,
    estimatesVariance: true,
    isJudged: true,
    smooth(context, blocks, gradient) {
      const { b } = context;
      if (momentum === 0) return { values: gradient, state: new Map() };
      const averages = new Map<string, Value>();
      const values = gradient.map((tensor, i) => {
        const block = blocks[i];
        if (!block) throw new Error('each gradient has a block');
        const names = stateNames('momentum', block);
        return tensor.mapNamed((part, kind) =>
          remember(context, averages, names[kind], part.dims, (old) =>
            b.add(b.mul(old, momentum), b.mul(part, 1 - momentum)),
          ),
        );
      });
      return { values, state: averages };
    },
    build({ context, blocks, directions }) {
      const { b } = context;
      const rate = context.scalar('learningRate');
      const squares = directions.map((direction) => b.mul(direction.dots(b, direction), 1 / direction.groupSize));
      const steps = directions.map((direction, i) => {
        const factor = b.neg(b.div(rate, b.sqrt(b.max(squares[i] as Value, 1e-36)))); // one square a direction
        return direction.map((part) => b.mul(part, factor));
      });
      const kept = b.sub(1, b.mul(rate, weightDecay));
      const from =
        weightDecay > 0
          ? shrunk(
              context,
              blocks.filter(({ decays }) => decays).map(({ weight }) => weight),
              kept,
            )
          : context;
      return {
        parameters: steppedParameters(from, blocks, steps),
        state: new Map(),
        squaredLength: squares.map((square) => total(b, square)).reduce((sum, square) => b.add(sum, square)),
        diagnostics: new Map([['learningRate', rate]]),
      };
    },
    controller: () => {
      const watch = new StepWatch(measureInterval);
      let share = 1;
      return {
        recovers: true,
        scalars: (step) => ({
          ...watch.scalars(step),
          learningRate: share * at(learningRate, step),
          damping: at(damping, step),
        }),
        observe(step, { loss = Number.NaN, accepted }) {
          watch.observe(step, loss, accepted !== 0);
          share = accepted === 0 ? share * shorter : Math.min(1, share * longer);
        },
        snapshot: () => ({ ...watch.snapshot(), share }),
        restore: ({ share: kept = 1, ...rest }) => {
          watch.restore(rest);
          share = kept;
        },
      };
    },
  };
}
