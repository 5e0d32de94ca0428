// Forms of a Fisher block that are no Kronecker product: its diagonal, the whole matrix, and a multiple of the identity.

import { elementDot, traceOf } from '../../curvature/factors/matrices.js';
import { averaged } from '../../curvature/factors/moving-average.js';
import { smallestScale } from '../../curvature/factors/sides.js';
import type { FormedGradients } from '../../curvature/formed-gradients.js';
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { LayerRows } from '../../curvature/statistics.js';
import { OptionError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { identityLike } from '../../ops/identity.js';
import { checkedNumber, checkKeys } from '../../options.js';
import { spdInverse } from '../../solvers/spd-inverse.js';
import { decayOf } from '../averages.js';
import type { StepContext } from '../optimizer.js';
import type { BlockForm } from './block-form.js';
import { type BlockScales, rootDampingOf } from './damping.js';

export interface MeasuredFormOptions {
  /** Largest weight ρ of the past in the moving average; 0 uses this batch alone. 0.95 by default. */
  readonly decay?: number;
}

/** Largest order of a whole block: its inverse takes 8 billion operations, in each step. */
const largestOrder = 2048;

const checkedDecay = (name: string, options: MeasuredFormOptions): number => {
  checkKeys(name, options, { decay: true });
  return checkedNumber('decay', options.decay ?? 0.95, { atLeast: 0, below: 1 });
};

/**
 * Return the diagonal of the block's Fisher matrix: the mean square of the examples' gradients for each weight. Of a scale or
 * a shift of a normalization, whose inputs are not measured, it is the diagonal of G.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ blocks: [['*.weight', diagonal({ decay: 0.99 })]] });
 */
export function diagonal(options: MeasuredFormOptions = {}): BlockForm {
  const decay = checkedDecay('diagonal', options);
  return {
    name: 'diagonal',
    measure: (context, { block, rows }) =>
      average(context, block, 'diagonal', diagonalOf(context.b, block, rows), decay),
    precondition({ context: { b }, block, curvature: squares, delta }) {
      const mean = b.mean(squares, [squares.rank - 2, squares.rank - 1], block.block.groups > 1);
      const scales = scalesOf(b, mean);
      const own = delta(b, scales);
      const square = b.square(own);
      const inUnits = b.div(squares, b.square(scales.inputs.rootScale));
      const factors = block.smoothed.split(b, b.div(square, b.add(inUnits, square)));
      const direction = block.smoothed.map((part, factor) => b.mul(part, factor), factors);
      return { ...block, direction, rootDamping: rootDampingOf(b, own, scales) };
    },
  };
}

/**
 * Return the whole Fisher matrix of the block, of the order of the number of its weights, inverted in each step: for small
 * layers.
 * @throws OptionError for unknown options and numbers out of range; when a run begins, for a block of more than 2048 weights
 * @example
 * const optimizer = kfac({ blocks: [['head.*', full()]] });
 */
export function full(options: MeasuredFormOptions = {}): BlockForm {
  const decay = checkedDecay('full', options);
  return {
    name: 'full',
    measure(context, { block, rows }) {
      const { b } = context;
      const order = orderOf(block);
      if (order > largestOrder) {
        throw new OptionError(
          `full() of '${block.weight}' would be a matrix of order ${order}; it is for blocks of at most ${largestOrder} weights: choose kronecker() or diagonal()`,
        );
      }
      const examples = examplesOf('full', block, rows).matrices();
      const [count = 1] = examples.dims.slice(-3);
      const vectors = b.reshape(examples, [...examples.dims.slice(0, -3), count, order]);
      return average(context, block, 'full', b.gemm(vectors, vectors, undefined, { transposeX: true }), decay);
    },
    precondition({ context: { b }, block, curvature: matrix, delta }) {
      const order = orderOf(block.block);
      const scales = scalesOf(b, b.mul(traceOf(b, matrix), 1 / order));
      const own = delta(b, scales);
      const square = b.square(own);
      const inUnits = b.div(matrix, b.square(scales.inputs.rootScale));
      const inverse = b.mul(spdInverse(b, b.add(inUnits, b.mul(identityLike(b, inUnits), square))), square);
      const joined = block.smoothed.joined(b);
      // The inverse is symmetric: a row from the left.
      const solved = b.matmul(b.reshape(joined, [...joined.dims.slice(0, -2), 1, order]), inverse);
      return {
        ...block,
        direction: block.smoothed.split(b, b.reshape(solved, joined.dims)),
        rootDamping: rootDampingOf(b, own, scales),
      };
    },
  };
}

/**
 * Return the multiple of the identity that has the trace of A⊗G: gradient descent whose rate is in units of the block's mean
 * curvature.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ blocks: [[isVector, scaledIdentity()]] });
 */
export function scaledIdentity(options: MeasuredFormOptions = {}): BlockForm {
  const decay = checkedDecay('scaledIdentity', options);
  return {
    name: 'scaledIdentity',
    measure: (context, { block, rows }) =>
      average(context, block, 'meanEigenvalue', meanEigenvalue(context.b, block, rows), decay),
    precondition({ context: { b }, block, curvature, delta }) {
      const scales = scalesOf(b, curvature);
      const own = delta(b, scales);
      const square = b.square(own);
      const factor = b.div(square, b.add(square, 1));
      return {
        ...block,
        direction: block.smoothed.map((part) => b.mul(part, factor)),
        rootDamping: rootDampingOf(b, own, scales),
      };
    },
  };
}

/** The number of a block's weights, biases included. */
const orderOf = ({ inputs, outputs, bias }: KroneckerBlock): number =>
  (inputs + (bias === undefined ? 0 : 1)) * outputs;

/** The average over steps of a value of the block; the value itself without decay. */
function average(context: StepContext, block: KroneckerBlock, name: string, value: Value, decay: number): Value {
  if (decay === 0) return value;
  const own = `${name}.${block.weight}`;
  const over = decayOf(context, own, decay);
  return context.state(own, value.dims, (old) => averaged(context.b, old, value, over));
}

/** A block of the given mean eigenvalue, whose damping is bounded as that of one side: all of it is λ. */
function scalesOf(b: Builder, meanEigenvalue: Value): BlockScales {
  const rootScale = b.sqrt(b.max(meanEigenvalue, smallestScale));
  return { inputs: { rootScale }, outputs: { rootScale: b.scalar(1, rootScale.dtype), identity: true } };
}

/** The diagonal, `[inputs (+1), outputs]`. */
function diagonalOf(b: Builder, block: KroneckerBlock, rows: LayerRows): Value {
  if (block.factor !== 'identity') return examplesOf('diagonal', block, rows).squares();
  const { outputs } = rows;
  const squares = b.sum(b.square(outputs), [outputs.rank - 2], true);
  return block.bias === undefined ? squares : b.concat([squares, squares], squares.rank - 2);
}

/** (tr A/m)(tr G/n): a scalar, or `[groups, 1, 1]`. */
function meanEigenvalue(
  b: Builder,
  block: KroneckerBlock,
  { inputs, outputs, diagonal: frequencies }: LayerRows,
): Value {
  const { values, homogeneous } = inputs;
  const squares = frequencies ? b.sum(frequencies) : elementDot(b, values, values);
  const trace = homogeneous ? b.add(squares, elementDot(b, homogeneous, homogeneous)) : squares;
  const size = (block.inputs + (homogeneous ? 1 : 0)) * block.outputs;
  return b.mul(b.mul(trace, elementDot(b, outputs, outputs)), 1 / size);
}

/** @throws OptionError if no gradients are measured */
function examplesOf(form: string, { weight }: KroneckerBlock, { examples }: LayerRows): FormedGradients {
  if (examples) return examples();
  throw new OptionError(
    `${form}() of '${weight}' measures gradients of examples, and the fisher measures inputs alone; choose kronecker() for it`,
  );
}
