// Normalized steps: the natural gradient decides the direction of each block's step, the learning rate its length.
import type { KroneckerBlock } from '../curvature/blocks.js';
import type { LayerTensor } from '../curvature/layer-tensor.js';
import type { Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import { remember, scheduled } from './optimizer.js';
import { at, checked, inverseRoot } from './options.js';
import type { StepOptions } from './step-kinds.js';
import { type StepRule, shrunk, stateNames, steppedParameters } from './step-rule.js';

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
      const steps = directions.map((direction) => {
        const square = b.mul(direction.dot(b, direction), 1 / elements(direction));
        const factor = b.neg(b.div(rate, b.sqrt(b.max(square, 1e-36))));
        return direction.map((part) => b.mul(part, factor));
      });
      const kept = b.sub(1, b.mul(rate, weightDecay));
      const from = weightDecay > 0 ? shrunk(context, decaying(blocks), kept) : context;
      return {
        parameters: steppedParameters(from, blocks, steps),
        state: new Map(),
        diagnostics: new Map([['learningRate', rate]]),
      };
    },
    controller: () => scheduled((step) => ({ learningRate: at(learningRate, step), damping: at(damping, step) })),
  };
}

/**
 * Matrices and kernels. Not biases and scales, whose size is no complexity; nor the rows of a table, which would vanish
 * where no batch reads them.
 */
const decaying = (blocks: readonly KroneckerBlock[]): string[] =>
  blocks.filter(({ kind }) => kind !== 'scale-and-shift' && kind !== 'embedding').map(({ weight }) => weight);

const elements = ({ weight, bias }: LayerTensor): number =>
  elementCount(weight.dims) + (bias ? elementCount(bias.dims) : 0);
