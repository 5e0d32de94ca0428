// PSGD with Kronecker-factored preconditioners (Li 2018, arXiv 1512.04202 and 2211.04422; whitening by triangular factors in the
// equivariant form of lixilinx/psgd_torch), as evanatyourservice/kron_torch trains with it.
import type { Value } from '../graph/graph.js';
import { int } from '../graph/graph.js';
import { elementCount, type TensorData, tensorFrom } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import { checkedCount, checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { random } from '../random.js';
import { upperInverse } from '../solvers/triangular-inverse.js';
import { type Chain, namedChain } from './chain.js';
import { states } from './optimizer.js';
import { checked } from './options.js';
import { at, type Schedule } from './schedules.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average } from './transforms/moments.js';
import type { Transform } from './transforms/updates.js';

export interface KroneckerWhiteningOptions {
  /** Weight of the past in the averaged gradient, which is preconditioned; 0.9 by default. */
  readonly beta1?: number;
  /** Rate of the factors; 0.1 by default. */
  readonly factorRate?: number;
  /**
   * Probability with which a step changes the factors; by default 1 in the first 250 steps, then falling exponentially to 0.03
   * at step 3,757.
   */
  readonly updateProbability?: Schedule;
  /** Longest side that has a triangular factor; longer ones have a diagonal one. 1024 by default; its authors give 8192. */
  readonly largestSide?: number;
}

export interface PsgdKronOptions extends KroneckerWhiteningOptions {
  /** η; 0.001 by default. */
  readonly learningRate?: Schedule;
  /** Decoupled weight decay w of all parameters but vectors: θ ← θ − η·w·θ; 0 by default. */
  readonly weightDecay?: Schedule;
}

const ownKeys: OptionKeys<KroneckerWhiteningOptions> = {
  beta1: true,
  factorRate: true,
  updateProbability: true,
  largestSide: true,
};
const keys: OptionKeys<PsgdKronOptions> = { ...ownKeys, learningRate: true, weightDecay: true };

/**
 * Return PSGD with Kronecker-factored preconditioners. The states of `[m, n]` are m² + n² + mn elements; a step that changes the
 * factors takes about 3·(m³ + n³) + 12·mn·(m + n) operations, others 8·mn·(m + n).
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = psgdKron({ learningRate: 0.001, updateProbability: 0.1 });
 */
export function psgdKron(options: PsgdKronOptions = {}): Chain {
  checkKeys('psgdKron', options, keys);
  const { learningRate = 1e-3, weightDecay = 0, ...own } = options;
  return namedChain(
    'psgd-kron',
    scaleByKroneckerWhitening(own),
    addDecayedWeights(weightDecay, ({ dims }) => dims.length > 1),
    scaleByLearningRate(learningRate),
  );
}

/** The root of float32's precision: the share of noise that keeps what a gradient lacks from growing without bound. */
const noiseShare = Math.sqrt(2 ** -23);

/** A whitened step has a root mean square of 1: more than this is a factor that has not settled. */
const largestStep = 1.1;

const tiny = 2 ** -100;

/** A parameter seen as `[m, n]` or `[n]`, with a factor for each side. */
interface Whitened {
  readonly name: string;
  readonly dims: readonly number[];
  readonly mean: Value;
  /** ±1, in the shape that it is seen in. */
  readonly noise: Value;
  readonly factors: readonly Factor[];
}

interface Factor {
  readonly state: string;
  /** `[s, s]`, upper triangular, or `[s]`, a diagonal. */
  readonly dims: readonly number[];
}

/**
 * Return the transform `u ← Q₁ᵀQ₁·m̂·Q₂ᵀQ₂`, clipped to a root mean square of 1.1. Factors follow the descent that makes a whitened
 * update and a whitened noise alike: `Q ← Q − μ·triu(AAᵀ − BBᵀ)/‖AAᵀ + BBᵀ‖·Q`, with `A = Q₁m̂Q₂ᵀ` and `B = Q₁⁻ᵀVQ₂⁻¹` for random
 * signs V. A kernel is seen as the matrix that is most nearly square; vectors have diagonal factors.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * chain(scaleByKroneckerWhitening({ factorRate: 0.05 }), scaleByLearningRate(0.001));
 */
export function scaleByKroneckerWhitening(options: KroneckerWhiteningOptions = {}): Transform {
  const { beta1, factorRate, updateProbability, largestSide } = checkedOptions(options);
  return (context, updates) => {
    const { b, scalar, state, noise } = context;
    if (updates.values().size === 0) return updates;
    const isChanged = scalar('factorUpdate', (step, kept) =>
      Number(random(kept, 'psgd-kron').uniform() < at(updateProbability, step)),
    );
    const correction = scalar('whiteningCorrection', (_, kept) => 1 / (1 - beta1 ** (kept + 1)));
    const parameters = [...updates.values()].map(([name, update]): Whitened => {
      const mean = state(`mean.${name}`, update.dims, (old) => average(b, old, update, beta1));
      const dims = seenAs(update.dims);
      const factors = dims.map((size, side) => ({
        state: `factor.${side}.${name}`,
        dims: dims.length > 1 && size <= largestSide ? [size, size] : [size],
      }));
      return {
        name,
        dims,
        mean: b.reshape(b.mul(mean, correction), dims),
        noise: noise(`whitening.${name}`, dims, 'sign'),
        factors,
      };
    });
    const shapes = new Map(parameters.flatMap(({ factors }) => factors.map((factor) => [factor.state, factor.dims])));
    const { directions } = states(
      context,
      shapes,
      (old) => {
        const both = b.branch(
          b.greater(isChanged, 0.5),
          (inner) => parameters.flatMap((parameter) => changed(inner, parameter, old, factorRate)),
          () => parameters.flatMap(({ mean, factors }) => [mean, ...factors.map((factor) => old(factor.state))]),
        );
        const values = both[Symbol.iterator]();
        const next = new Map<string, Value>();
        const made = parameters.map(({ name, factors }) => {
          const mean = values.next().value as Value; // as many as either branch gives
          const own = factors.map((factor) => {
            const value = values.next().value as Value;
            next.set(factor.state, value);
            return value;
          });
          const white = own.reduce((x, factor, side) => along(b, factor, x, side), mean);
          const direction = own.reduce((x, factor, side) => along(b, factor, x, side, true), white);
          const size = b.sqrt(b.mean(b.square(direction)));
          return [name, b.mul(direction, b.min(b.div(largestStep, size), 1))] as const;
        });
        return { next, directions: new Map(made) };
      },
      new Map([...shapes].map(([name, dims]) => [name, identity(dims)])),
    );
    return updates.map((update, name) => b.reshape(directions.get(name) ?? update, update.dims));
  };
}

/** The average with a little noise, and the parameter's factors after a step of their descent. */
function changed(b: Builder, parameter: Whitened, old: (name: string) => Value, rate: number): readonly Value[] {
  const { mean, noise } = parameter;
  const size = b.mean(b.abs(mean));
  const noisy = b.add(mean, b.mul(noise, b.mul(size, noiseShare)));
  const factors = parameter.factors.map((factor) => old(factor.state));
  const white = factors.reduce((x, factor, side) => along(b, factor, x, side), noisy);
  const spread = factors.reduce((x, factor, side) => against(b, factor, x, side), noise);
  // A parameter without a gradient would have factors that grow for ever.
  const step = b.mul(b.cast(b.greater(size, 0), mean.dtype), rate);
  const moved = factors.map((factor, side) => {
    const [first, second] = [gram(b, factor, white, side), gram(b, factor, spread, side)];
    const [difference, sum] = [b.sub(first, second), b.add(first, second)];
    if (factor.rank === 1) {
      return b.sub(factor, b.mul(b.mul(factor, difference), b.div(step, b.max(b.reduceMax(sum), tiny))));
    }
    const upper = b.op('Trilu', [b.mul(difference, b.div(step, normBound(b, sum)))]);
    return b.sub(factor, b.matmul(upper, factor));
  });
  return [noisy, ...balanced(b, moved)];
}

/** Return two factors with equal largest elements: their product, all that a step depends on, is the same. */
function balanced(b: Builder, factors: readonly Value[]): readonly Value[] {
  const [first, second] = factors;
  if (!first || !second) return factors;
  const largest = (factor: Value): Value => b.max(b.reduceMax(b.abs(factor)), tiny);
  const ratio = b.sqrt(b.div(largest(second), largest(first)));
  return [b.mul(first, ratio), b.div(second, ratio)];
}

/** Return a factor, or its transpose, applied along a side: Q·X or X·Qᵀ. */
function along(b: Builder, factor: Value, x: Value, side: number, transposed = false): Value {
  if (factor.rank === 1) return b.mul(x, diagonalAlong(b, factor, x, side));
  return side === 0
    ? b.gemm(factor, x, undefined, transposed ? { transposeX: true } : {})
    : b.gemm(x, factor, undefined, transposed ? {} : { transposeY: true });
}

/** Return the inverse transpose of a factor applied along a side: Q⁻ᵀ·X or X·Q⁻¹. */
function against(b: Builder, factor: Value, x: Value, side: number): Value {
  if (factor.rank === 1) return b.div(x, diagonalAlong(b, factor, x, side));
  const inverse = upperInverse(b, factor);
  return side === 0 ? b.gemm(inverse, x, undefined, { transposeX: true }) : b.matmul(x, inverse);
}

/** Return X·Xᵀ or XᵀX, of a diagonal factor only the diagonal. */
function gram(b: Builder, factor: Value, x: Value, side: number): Value {
  if (factor.rank === 2) return b.gemm(x, x, undefined, side === 0 ? { transposeY: true } : { transposeX: true });
  return x.rank === 1 ? b.square(x) : b.sum(b.square(x), [1 - side]);
}

const diagonalAlong = (b: Builder, factor: Value, x: Value, side: number): Value =>
  x.rank === 2 && side === 0 ? b.unsqueeze(factor, [1]) : factor;

/** Return a lower bound of the largest eigenvalue of a symmetric matrix, near it: one step of power iteration from its longest row. */
function normBound(b: Builder, matrix: Value): Value {
  const largest = b.max(b.reduceMax(b.abs(matrix)), tiny);
  const scaled = b.div(matrix, largest);
  const longest = b.op('ArgMax', [b.sum(b.square(scaled), [1])], { axis: int(0) });
  const x = b.matmul(b.gather(scaled, longest), scaled);
  const norm = (y: Value): Value => b.sqrt(b.dot(y, y));
  return b.max(b.mul(b.div(norm(b.matmul(x, scaled)), b.max(norm(x), tiny)), largest), tiny);
}

/** The dims of a vector or a matrix; of a kernel those of the matrix that is most nearly square. */
function seenAs(dims: readonly number[]): readonly number[] {
  if (dims.length < 3) return dims.length === 0 ? [1] : dims;
  const splits = dims.slice(1).map((_, i) => [elementCount(dims.slice(0, i + 1)), elementCount(dims.slice(i + 1))]);
  const skew = ([rows = 1, columns = 1]: readonly number[]): number => Math.max(rows / columns, columns / rows);
  return splits.reduce((best, split) => (skew(split) < skew(best) ? split : best));
}

function identity(dims: readonly number[]): TensorData {
  const [order = 1] = dims;
  const elements = Array.from({ length: elementCount(dims) }, (_, i) =>
    Number(dims.length === 1 || i % (order + 1) === 0),
  );
  return tensorFrom('float32', dims, elements);
}

/** As its authors recommend it. */
const usualProbability = (step: number): number => Math.min(1, Math.max(0.03, Math.exp(-0.001 * (step - 250))));

function checkedOptions(options: KroneckerWhiteningOptions): Required<KroneckerWhiteningOptions> {
  checkKeys('scaleByKroneckerWhitening', options, ownKeys);
  return {
    beta1: checkedNumber('beta1', options.beta1 ?? 0.9, { atLeast: 0, below: 1 }),
    factorRate: checkedNumber('factorRate', options.factorRate ?? 0.1, { above: 0, atMost: 1 }),
    updateProbability: checked('updateProbability', options.updateProbability ?? usualProbability, {
      above: 0,
      atMost: 1,
    }),
    largestSide: checkedCount('largestSide', options.largestSide ?? 1024),
  };
}
