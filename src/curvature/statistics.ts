// The rows that curvature is made of: each layer's activations and per-example pre-activation gradients.
import { vectorJacobianProduct } from '../autodiff/gradients.js';
import { int, text, type Value } from '../graph/graph.js';
import { type DataType, elementCount, tensorFrom } from '../graph/tensor.js';
import type { Cases, OutputLikelihood } from '../losses/likelihood.js';
import type { Builder } from '../ops/builder.js';
import { patches } from '../ops/spatial/patches.js';
import type { KroneckerBlock, LayerUse } from './blocks.js';
import type { Fisher } from './fisher.js';
import type { InputRows } from './layer-tensor.js';

/** The rows of one layer, scaled so that `A = aᵀa` and `G = gᵀg` (the division by the number of cases is done). */
export interface LayerRows {
  readonly inputs: InputRows;
  /** `[rows, outputs]` */
  readonly outputs: Value;
  /** `[inputs]`: the diagonal of A where it is no more than that, as an embedding's is: what `inputs` would add up to. */
  readonly diagonal?: Value;
}

/** The rows of a block. */
export interface BlockRows extends LayerRows {
  readonly block: KroneckerBlock;
}

/**
 * Rows of patches of one convolution that its factor A is made of, at most (but one example's at least): the patches of
 * the first examples stand for those of all. A patch is as large as its kernel, and neighbours overlap.
 */
const maximumPatchRows = 16_384;

/**
 * Activations and pre-activation gradients of the layers in one evaluation of the network. Positions of a sequence or of
 * an image, and the several uses of tied weights, count as rows of their own: with N cases of T positions A = Σaaᵀ/(N·T)
 * and G = Σggᵀ/N (the "expand" setting of Eschenhagen et al. 2023, arXiv 2311.00636; for convolutions Grosse & Martens
 * 2016, arXiv 1602.01407, where the factor T is in A).
 * @param blocks found in the graph of this very evaluation
 * @param noise draws the random numbers that sampled targets need
 */
export function layerRows(
  b: Builder,
  forward: Cases,
  loss: OutputLikelihood,
  blocks: readonly KroneckerBlock[],
  fisher: Fisher,
  noise: (dims: readonly number[]) => Value,
): BlockRows[] {
  const { output } = forward;
  const preActivations = blocks.flatMap((block) => block.uses.map((use) => use.preActivations));
  const pull = (cotangent: Value) => vectorJacobianProduct(b, [{ value: output, cotangent }], preActivations);
  const passes = fisher.cotangents({ b, forward, likelihood: loss, noise }).map(pull);
  const perCase = 1 / Math.sqrt(loss.cases(output));
  /** Rows of pre-activation gradients of some uses, from all passes. */
  const gradients = (uses: readonly LayerUse[]): Value => {
    const rows = passes.flatMap((pass) =>
      uses.map((use) => gradientRows(b, use, pass[preActivations.indexOf(use.preActivations)] ?? output)),
    );
    return b.mul(b.concat(rows, 0), perCase);
  };
  return blocks.map((block) => {
    const [exchanged, plain] = [true, false].map((turned) => block.uses.filter((use) => use.exchanged === turned));
    if (!plain || !exchanged) throw new Error('uses are as they are stored or exchanged');
    if (exchanged.length > 0) {
      const stored = { left: activationsOf(b, block, plain), right: gradients(plain) };
      const rows = balancedRows(b, stored, { left: gradients(exchanged), right: activationsOf(b, block, exchanged) });
      return { block, ...rows };
    }
    const rows = { block, inputs: inputRows(b, block), outputs: gradients(plain) };
    return block.kind === 'embedding' ? { ...rows, diagonal: frequencies(b, block) } : rows;
  });
}

/** Rows of the two sides of one Kronecker product: L = leftᵀ·left, R = rightᵀ·right. */
interface RowPair {
  readonly left: Value;
  readonly right: Value;
}

/**
 * Rows of one product that stands for the sum of two, L₁⊗R₁ + L₂⊗R₂, and has its trace: with mean eigenvalues l and r,
 * L = r₁·L₁ + r₂·L₂ and R = (l₁·R₁ + l₂·R₂)/(l₁r₁ + l₂r₂). It is the sum itself where L₁ and L₂ are multiples of each
 * other, or R₁ and R₂ are, and where one of the two is zero.
 */
function balancedRows(b: Builder, ...pairs: readonly [RowPair, RowPair]): LayerRows {
  const mean = (rows: Value): Value => b.mul(b.dot(rows, rows), 1 / (rows.dims[1] ?? 1));
  const weighed = pairs.map(({ left, right }) => ({ left, right, l: mean(left), r: mean(right) }));
  const trace = weighed.map(({ l, r }) => b.mul(l, r)).reduce((x, y) => b.add(x, y));
  const share = (l: Value): Value => b.sqrt(b.div(l, b.max(trace, 1e-30)));
  const left = b.concat(
    weighed.map((pair) => b.mul(pair.left, b.sqrt(pair.r))),
    0,
  );
  const right = b.concat(
    weighed.map((pair) => b.mul(pair.right, share(pair.l))),
    0,
  );
  return { inputs: { values: left, homogeneous: undefined }, outputs: right };
}

/** What a layer multiplies its weight with, in all its uses, and the homogeneous coordinate. */
function inputRows(b: Builder, block: KroneckerBlock): InputRows {
  const { kind, bias, uses } = block;
  if (kind === 'scale-and-shift') {
    // x̂ and 1 have the second moments E[x̂²] = E[1] = 1 and E[x̂] = 0.
    const dtype = uses[0]?.preActivations.dtype ?? 'float32';
    const column = (...values: number[]) => b.constant(tensorFrom(dtype, [values.length, 1], values));
    return bias === undefined
      ? { values: column(1), homogeneous: undefined }
      : { values: column(1, 0), homogeneous: column(0, 1) };
  }
  const values = activationsOf(b, block, uses);
  const rows = values.dims[0] ?? 1;
  return {
    values,
    homogeneous: bias === undefined ? undefined : b.filled([rows, 1], 1 / Math.sqrt(rows), values.dtype),
  };
}

/** Rows of activations of some uses, of which A is the sum of squares. */
function activationsOf(b: Builder, block: KroneckerBlock, uses: readonly LayerUse[]): Value {
  const rows = b.concat(
    uses.map((use) => activationRows(b, block, use)),
    0,
  );
  return b.mul(rows, 1 / Math.sqrt(rows.dims[0] ?? 1));
}

/** The share of each token among all that an embedding reads: `[vocabulary]`. */
function frequencies(b: Builder, { inputs, uses }: KroneckerBlock): Value {
  const numbers = b.concat(
    uses.map(({ activations }) => b.cast(b.reshape(activations, [elementCount(activations.dims)]), 'int64')),
    0,
  );
  const count = numbers.dims[0] ?? 1;
  const dtype = uses[0]?.preActivations.dtype ?? 'float32';
  const counted = b.where(b.less(numbers, 0), b.add(numbers, inputs), numbers);
  const [zeros, shares] = [b.filled([inputs], 0, dtype), b.filled([count], 1 / count, dtype)];
  return b.op('ScatterElements', [zeros, counted, shares], { axis: int(0), reduction: text('add') });
}

/** What one use of a layer multiplies its weight with: `[rows, inputs]`. */
function activationRows(
  b: Builder,
  { inputs }: KroneckerBlock,
  { kind, activations, preActivations, node }: LayerUse,
): Value {
  if (kind === 'dense') return asRows(b, activations);
  if (kind === 'embedding') return oneHotRows(b, activations, inputs, preActivations.dtype);
  const [examples = 1, , ...positions] = preActivations.dims;
  const perExample = positions.reduce((product, extent) => product * extent, 1);
  const taken = Math.min(examples, Math.max(1, Math.floor(maximumPatchRows / perExample)));
  return patches(b, b.slice(activations, 0, 0, taken), node);
}

/** A row for each number, 1 at it and 0 elsewhere: `[count, size]`. Negative numbers count from the end, as in Gather. */
function oneHotRows(b: Builder, numbers: Value, size: number, dtype: DataType): Value {
  const column = b.cast(
    b.reshape(numbers, [numbers.dims.reduce((product, extent) => product * extent, 1), 1]),
    'int64',
  );
  const counted = b.where(b.less(column, 0), b.add(column, size), column);
  return b.cast(b.equal(counted, b.integers(Array.from({ length: size }, (_, i) => i))), dtype);
}

/** The cotangent of pre-activations as rows: `[rows, outputs]`. */
function gradientRows(b: Builder, { outputAxes: [from, to] }: LayerUse, cotangent: Value): Value {
  const axes = cotangent.dims.map((_, axis) => axis);
  const order = [...axes.slice(0, from), ...axes.slice(to), ...axes.slice(from, to)];
  const outputs = elementCount(cotangent.dims.slice(from, to));
  const arranged = to === axes.length ? cotangent : b.transpose(cotangent, order);
  return b.reshape(arranged, [elementCount(cotangent.dims) / outputs, outputs]);
}

/** `[rows, …, size]` as `[rows · …, size]`. */
function asRows(b: Builder, value: Value): Value {
  const size = value.dims.at(-1) ?? 1;
  const rows = value.dims.slice(0, -1).reduce((product, extent) => product * extent, 1);
  return b.reshape(value, [rows, size]);
}
