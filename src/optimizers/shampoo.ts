// Shampoo (Gupta, Koren & Singer 2018, arXiv 1802.09568, algorithms 1 and 2), with the blocks, the moving averages and the grafting
// of its distributed forms (Anil et al. 2020, arXiv 2002.09018; Shi et al. 2023, arXiv 2309.06497).
import { stack, unstack } from '../curvature/factors/matrices.js';
import type { Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import { checkedCount, checkedFlag, checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { inverseRoot } from '../solvers/inverse-root.js';
import { scaleByAdam } from './adam.js';
import { type Chain, namedChain } from './chain.js';
import { Modes } from './modes.js';
import { type StepContext, states } from './optimizer.js';
import type { Schedule } from './schedules.js';
import { solvedInGroups } from './second-order/groups.js';
import { addDecayedWeights } from './transforms/decay.js';
import { checkedTransform, grafted } from './transforms/grafting.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average } from './transforms/moments.js';
import type { StepNumber, Transform } from './transforms/updates.js';

export interface ShampooPreconditionerOptions {
  /** Weight of the past in the averaged gradient, which is preconditioned; 0.9 by default. */
  readonly beta1?: number;
  /** Weight of the past in the statistics; at 1 they are sums, as in the paper. 0.999 by default. */
  readonly beta2?: number;
  /** What is added to the diagonal of a statistic, as a share of its largest row sum; 1e-6 by default. */
  readonly epsilon?: number;
  /** Multiple of I that a statistic begins with, the paper's ε; 0 by default. */
  readonly initialStatistic?: number;
  /** Steps T from one computation of the inverse roots to the next; 20 by default. The first steps refresh more often. */
  readonly rootInterval?: number;
  /** Longest side of a block: longer sides of a parameter are cut into equal parts; 256 by default. */
  readonly blockSize?: number;
  /** Whether a kernel is seen as a matrix, its first axis × all others, instead of a tensor of four modes; true by default. */
  readonly mergeKernels?: boolean;
}

export interface ShampooOptions extends ShampooPreconditionerOptions {
  /** η; 0.001 by default. */
  readonly learningRate?: Schedule;
  /** Decoupled weight decay w: θ ← θ − η·w·θ; 0 by default. */
  readonly weightDecay?: Schedule;
  /** The transform whose length each parameter's update gets; by default Adam's with the same averages. */
  readonly graft?: Transform;
}

const ownKeys: OptionKeys<ShampooPreconditionerOptions> = {
  beta1: true,
  beta2: true,
  epsilon: true,
  initialStatistic: true,
  rootInterval: true,
  blockSize: true,
  mergeKernels: true,
};
const keys: OptionKeys<ShampooOptions> = { ...ownKeys, learningRate: true, weightDecay: true, graft: true };

/**
 * Return Shampoo, grafted to Adam. The roots of a parameter `[m, n]` take about 100·(m³ + n³) operations every T steps, with
 * sides of at most `blockSize`, and its states 2·(m² + n²) + 3·m·n elements.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = shampoo({ learningRate: 0.003, rootInterval: 20 });
 * const likeAdagrad = shampoo({ learningRate: 0.05, graft: scaleByAdagrad() });
 */
export function shampoo(options: ShampooOptions = {}): Chain {
  checkKeys('shampoo', options, keys);
  const { learningRate = 1e-3, weightDecay = 0, graft, ...own } = options;
  const { beta1, beta2 } = checkedOptions('shampoo', own);
  return namedChain(
    'shampoo',
    grafted(
      checkedTransform('graft', graft ?? scaleByAdam({ beta1, ...(beta2 < 1 && { beta2 }) })),
      scaleByShampoo(own),
    ),
    addDecayedWeights(weightDecay),
    scaleByLearningRate(learningRate),
  );
}

/** Above this residual an inverse root is not used: the one before stays (Anil et al. 2020). */
const largestResidual = 0.1;

/**
 * Return the transform that multiplies each mode i of the averaged updates by Lᵢ^(−1/2r), r being the number of modes and Lᵢ a
 * sum or an average of u₍ᵢ₎·u₍ᵢ₎ᵀ. It has no length of its own that suits a rate for Adam: see `grafted`.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * // As in the paper
 * chain(scaleByShampoo({ beta1: 0, beta2: 1, epsilon: 0, initialStatistic: 1e-4, rootInterval: 1 }), scaleByLearningRate(0.1));
 */
export function scaleByShampoo(options: ShampooPreconditionerOptions = {}): Transform {
  checkKeys('scaleByShampoo', options, ownKeys);
  const { beta1, beta2, epsilon, initialStatistic, rootInterval, blockSize, mergeKernels } = checkedOptions(
    'scaleByShampoo',
    options,
  );
  const meanCorrection: StepNumber = { name: 'directionCorrection', at: (_, kept) => 1 - beta1 ** (kept + 1) };
  return (context, updates) => {
    const { b, scalar, state } = context;
    const refresh = scalar('refresh', (_, kept) => Number(isRefreshed(kept, rootInterval)));
    const correction =
      beta2 < 1 ? scalar('statisticCorrection', (_, kept) => 1 / (1 - beta2 ** (kept + 1))) : undefined;
    const sides: Side[] = [];
    const values = updates.values();
    if (values.size === 0) return updates;
    const parameters = new Map(
      [...values].map(([name, update]) => {
        const modes = new Modes(update.dims, { mergeKernels, blockSize });
        const blocks = modes.split(b, update);
        const own = modes.sizes.map((_, mode) => {
          const dims = modes.squareOf(mode);
          const gram = modes.gram(b, blocks, mode);
          const statistic = state(
            `statistic.${mode}.${name}`,
            dims,
            (old) => (beta2 < 1 ? average(b, old, gram, beta2) : b.add(old, gram)),
            initialStatistic > 0 ? identities(dims, initialStatistic) : undefined,
          );
          return { name: `root.${mode}.${name}`, statistic, power: 2 * modes.sizes.length };
        });
        sides.push(...own);
        return [name, { modes, own }] as const;
      }),
    );
    const rootOf = keptRoots(context, sides, { refresh, correction, epsilon });
    const directed = updates.map((update, name, { dims }) => {
      const parameter = parameters.get(name);
      if (!parameter) return update; // each update is among the values
      const { modes, own } = parameter;
      const mean = beta1 === 0 ? update : state(`direction.${name}`, dims, (old) => average(b, old, update, beta1));
      const direction = own.reduce((x, side, mode) => modes.apply(b, x, mode, rootOf(side)), modes.split(b, mean));
      return modes.join(b, direction);
    });
    return beta1 === 0 ? directed : directed.over(meanCorrection);
  };
}

/** One mode of a parameter. */
interface Side {
  /** Of the state that keeps the root. */
  readonly name: string;
  readonly statistic: Value;
  /** p of L^(−1/p). */
  readonly power: number;
}

/** Whether the roots are computed anew: every T steps, and at first when the number of steps has doubled. */
const isRefreshed = (kept: number, interval: number): boolean => kept % interval === 0 || (kept & (kept + 1)) === 0;

/** The inverse roots of all sides, computed if `refresh` is 1 and kept as states; equal ones are computed as one batch. */
function keptRoots(
  context: StepContext,
  sides: readonly Side[],
  { refresh, correction, epsilon }: { refresh: Value; correction: Value | undefined; epsilon: number },
): (side: Side) => Value {
  const { b } = context;
  const shapes = new Map(sides.map(({ name, statistic }) => [name, statistic.dims]));
  const { next } = states(context, shapes, (old) => {
    const [residual, ...roots] = b.branch(
      b.greater(refresh, 0.5),
      (inner) => {
        const residuals: Value[] = [];
        const rootOf = solvedInGroups(
          sides,
          ({ statistic, power }) => `${statistic.dims.at(-1)}^${power}`,
          (group) => {
            const statistics = group.map(({ statistic }) => statistic);
            const stacked = stack(inner, statistics);
            const corrected = correction ? inner.mul(stacked, correction) : stacked;
            const found = inverseRoot(inner, corrected, group[0]?.power ?? 2, epsilon);
            residuals.push(found.residual);
            const before = stack(
              inner,
              group.map(({ name }) => old(name)),
            );
            const chosen = inner.where(inner.less(found.residual, largestResidual), found.root, before);
            return statistics.map((_, i) => unstack(inner, chosen, statistics, i));
          },
        );
        const values = sides.map(rootOf);
        return [residuals.reduce((x, y) => inner.max(x, y)), ...values];
      },
      () => [b.scalar(Number.NaN, refresh.dtype), ...sides.map(({ name }) => old(name))],
    );
    if (residual) context.report('rootResidual', residual);
    return { next: new Map(sides.map(({ name }, i) => [name, roots[i] as Value])) }; // one root a side
  });
  return ({ name }) => next.get(name) as Value; // of these sides
}

const identities = (dims: readonly number[], factor: number) => {
  const [batch, order] = dims.length === 3 ? [dims[0] ?? 1, dims[1] ?? 1] : [1, dims[0] ?? 1];
  const elements = new Float64Array(batch * order ** 2);
  for (let i = 0; i < batch * order; i++) elements[i * order + (i % order)] = factor;
  return tensorFrom('float32', dims, elements);
};

function checkedOptions(of: string, options: ShampooPreconditionerOptions): Required<ShampooPreconditionerOptions> {
  checkKeys(of, options, ownKeys);
  return {
    beta1: checkedNumber('beta1', options.beta1 ?? 0.9, { atLeast: 0, below: 1 }),
    beta2: checkedNumber('beta2', options.beta2 ?? 0.999, { atLeast: 0, atMost: 1 }),
    epsilon: checkedNumber('epsilon', options.epsilon ?? 1e-6, { atLeast: 0 }),
    initialStatistic: checkedNumber('initialStatistic', options.initialStatistic ?? 0, { atLeast: 0 }),
    rootInterval: checkedCount('rootInterval', options.rootInterval ?? 20),
    blockSize: checkedCount('blockSize', options.blockSize ?? 256),
    mergeKernels: checkedFlag('mergeKernels', options.mergeKernels) ?? true,
  };
}
