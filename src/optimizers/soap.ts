// SOAP (Vyas et al. 2024, arXiv 2409.11321, algorithm 3): Adam in the eigenbases of Shampoo's statistics.
import { stack, unstack } from '../curvature/factors/matrices.js';
import type { Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import { checkedCount, checkedFlag, checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { firstEigenbasis, orderedIteration } from '../solvers/eigenbasis.js';
import { permuted } from '../solvers/symmetric-eigen.js';
import { type Chain, namedChain } from './chain.js';
import { Modes } from './modes.js';
import { states } from './optimizer.js';
import type { Schedule } from './schedules.js';
import { solvedInGroups } from './second-order/groups.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average } from './transforms/moments.js';
import type { StepNumber, Transform } from './transforms/updates.js';

export interface RotatedAdamOptions {
  /** Weight of the past in the averaged gradient; 0.95 by default. */
  readonly beta1?: number;
  /** Weight of the past in the averaged squares and in the statistics; 0.95 by default. */
  readonly beta2?: number;
  /** Number added to the root; 1e-8 by default. */
  readonly epsilon?: number;
  /** Steps from one renewal of the eigenbases to the next; 10 by default. */
  readonly basisInterval?: number;
  /** Longest side of a matrix that is rotated; 2048 by default. Its authors give 10,000. */
  readonly largestSide?: number;
  /** Whether a kernel is seen as a matrix, its first axis × all others, instead of a tensor of four modes; true by default. */
  readonly mergeKernels?: boolean;
}

export interface SoapOptions extends RotatedAdamOptions {
  /** η; 0.003 by default. */
  readonly learningRate?: Schedule;
  /** Decoupled weight decay w: θ ← θ − η·w·θ; 0.01 by default. */
  readonly weightDecay?: Schedule;
}

const ownKeys: OptionKeys<RotatedAdamOptions> = {
  beta1: true,
  beta2: true,
  epsilon: true,
  basisInterval: true,
  largestSide: true,
  mergeKernels: true,
};
const keys: OptionKeys<SoapOptions> = { ...ownKeys, learningRate: true, weightDecay: true };

/**
 * Return SOAP. Its first step only sets up the eigenbases. A renewal of a side of n takes about 8·n³ operations, the first
 * bases about ten times as much; the states of `[m, n]` are 2·(m² + n²) + 2·m·n elements.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = soap({ learningRate: 0.003, basisInterval: 20 });
 */
export function soap(options: SoapOptions = {}): Chain {
  checkKeys('soap', options, keys);
  const { learningRate = 3e-3, weightDecay = 0.01, ...own } = options;
  return namedChain('soap', scaleBySoap(own), addDecayedWeights(weightDecay), scaleByLearningRate(learningRate));
}

/** A side of a parameter that is rotated. */
interface Side {
  readonly mode: number;
  /** Of the state that keeps its basis. */
  readonly basis: string;
  readonly statistic: Value;
}

/** A parameter in its modes, with the names of its states. */
interface Rotated {
  readonly name: string;
  readonly modes: Modes;
  readonly gradient: Value;
  readonly sides: readonly Side[];
  readonly mean: string;
  readonly square: string;
}

/**
 * Return Adam's transform in eigenbases: `u ← Q₁·(m̂/(√v̂ + ε))·Q₂ᵀ`, m and v being averages of `Q₁ᵀuQ₂` and of its square, Q₁ and Q₂
 * eigenbases of the averages of `uuᵀ` and `uᵀu`. They are renewed after every `basisInterval`-th step by one step of orthogonal
 * iteration, and m goes over to them. Vectors and sides longer than `largestSide` are not rotated. The first step is 0.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * chain(clipByGlobalNorm(1), scaleBySoap(), scaleByLearningRate(0.003));
 */
export function scaleBySoap(options: RotatedAdamOptions = {}): Transform {
  const { beta1, beta2, epsilon, basisInterval, largestSide, mergeKernels } = checkedOptions(options);
  const correction: StepNumber = {
    name: 'soapCorrection',
    at: (_, kept) => (kept === 0 ? 1 : Math.sqrt(1 - beta2 ** kept) / (1 - beta1 ** kept)),
  };
  return (context, updates) => {
    const { b, scalar, state } = context;
    const started = (gain: number) => (_: number, kept: number) => (kept === 0 ? 0 : gain);
    const gains = { mean: scalar('meanGain', started(1 - beta1)), square: scalar('squareGain', started(1 - beta2)) };
    const renewal = scalar('renewal', (_, kept) => (kept === 0 ? first : kept % basisInterval === 0 ? next : 0));
    const parameters = [...updates.values()].map(([name, update]): Rotated => {
      const modes = new Modes(update.dims, { mergeKernels, blockSize: Number.MAX_SAFE_INTEGER });
      const gradient = modes.split(b, update);
      const isRotated = (size: number) => modes.sizes.length > 1 && size > 1 && size <= largestSide;
      const sides = modes.sizes.flatMap((size, mode): Side[] => {
        if (!isRotated(size)) return [];
        const gram = modes.gram(b, gradient, mode);
        const statistic = state(`statistic.${mode}.${name}`, [size, size], (old) => average(b, old, gram, beta2));
        return [{ mode, basis: `basis.${mode}.${name}`, statistic }];
      });
      return { name, modes, gradient, sides, mean: `mean.${name}`, square: `square.${name}` };
    });
    const shapes = new Map(
      parameters.flatMap(({ modes, sides, mean, square }): [string, readonly number[]][] => [
        ...sides.map(({ basis, statistic }) => [basis, statistic.dims] as [string, readonly number[]]),
        [mean, modes.shape],
        [square, modes.shape],
      ]),
    );
    const { directions } = states(context, shapes, (old) => {
      const values = new Map<string, Value>();
      const made = parameters.map((parameter) => {
        const { name, modes, gradient, sides, mean, square } = parameter;
        const rotated = sides.reduce((x, { mode, basis }) => modes.apply(b, x, mode, old(basis), true), gradient);
        const [m, v] = [
          b.add(b.mul(old(mean), beta1), b.mul(rotated, gains.mean)),
          b.add(b.mul(old(square), beta2), b.mul(b.square(rotated), gains.square)),
        ];
        values.set(mean, m).set(square, v);
        for (const { basis } of sides) values.set(basis, old(basis));
        const scaled = b.div(m, b.add(b.sqrt(v), epsilon));
        const direction = sides.reduce((x, { mode, basis }) => modes.apply(b, x, mode, old(basis)), scaled);
        return [name, modes.join(b, direction)] as const;
      });
      const renewed = parameters.filter(({ sides }) => sides.length > 0);
      const names = renewed.flatMap(({ sides, mean, square }) => [...sides.map(({ basis }) => basis), mean, square]);
      const current = (name: string): Value => values.get(name) as Value; // each was set
      if (names.length > 0) {
        const after = b.branch(
          b.greater(renewal, 0.5),
          (inner) => renewedStates(inner, renewed, current, renewal),
          () => names.map(current),
        );
        for (const [i, name] of names.entries()) values.set(name, after[i] as Value); // one a name
      }
      return { next: values, directions: new Map(made) };
    });
    return updates.map((update, name) => directions.get(name) ?? update).times(correction);
  };
}

/** Kinds of renewal, as the scalar tells them: of no basis, and of the one before. */
const [first, next] = [2, 1];

/** The bases, the average and the squares of each parameter, in that order, after the bases have been renewed. */
function renewedStates(
  b: Builder,
  parameters: readonly Rotated[],
  current: (name: string) => Value,
  renewal: Value,
): readonly Value[] {
  const renewalOf = solvedInGroups(
    parameters.flatMap(({ sides }) => sides),
    ({ statistic }) => String(statistic.dims[0]),
    (group) => {
      const statistics = group.map(({ statistic }) => statistic);
      const stacked = stack(b, statistics);
      const bases = stack(
        b,
        group.map(({ basis }) => current(basis)),
      );
      const order = stacked.dims[1] ?? 1;
      const unmoved = Array.from({ length: group.length * order }, (_, i) => i % order);
      const [basis, positions] = b.branch(
        b.greater(renewal, (first + next) / 2),
        (inner) => [
          firstEigenbasis(inner, stacked),
          inner.constant(tensorFrom('int64', [group.length, order], unmoved)),
        ],
        (inner) => {
          const renewed = orderedIteration(inner, stacked, bases);
          return [renewed.basis, renewed.positions];
        },
      ) as [Value, Value]; // of the two that each gives
      return statistics.map((_, i) => ({
        basis: unstack(b, basis, statistics, i),
        positions: b.squeeze(b.slice(positions, 0, i, i + 1), [0]),
      }));
    },
  );
  return parameters.flatMap(({ modes, sides, mean, square }) => {
    const renewed = sides.map((side) => ({ ...side, ...renewalOf(side) }));
    const original = sides.reduce((x, { mode, basis }) => modes.apply(b, x, mode, current(basis)), current(mean));
    return [
      ...renewed.map(({ basis }) => basis),
      renewed.reduce((x, { mode, basis }) => modes.apply(b, x, mode, basis, true), original),
      renewed.reduce((x, { mode, positions }) => permuted(b, x, positions, mode), current(square)),
    ];
  });
}

function checkedOptions(options: RotatedAdamOptions): Required<RotatedAdamOptions> {
  checkKeys('scaleBySoap', options, ownKeys);
  return {
    beta1: checkedNumber('beta1', options.beta1 ?? 0.95, { atLeast: 0, below: 1 }),
    beta2: checkedNumber('beta2', options.beta2 ?? 0.95, { atLeast: 0, below: 1 }),
    epsilon: checkedNumber('epsilon', options.epsilon ?? 1e-8, { above: 0 }),
    basisInterval: checkedCount('basisInterval', options.basisInterval ?? 10),
    largestSide: checkedCount('largestSide', options.largestSide ?? 2048),
    mergeKernels: checkedFlag('mergeKernels', options.mergeKernels) ?? true,
  };
}
