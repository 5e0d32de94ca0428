// A vector in the parameter space of one dense layer: a matrix [inputs (+1), outputs], held as a separate weight and bias in
// the layout of the model's file, so that gradients and updates are never copied into another layout.
import type { Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import { elementDot } from './factors/matrices.js';

/** Rows in the space of a layer's (homogeneous) inputs. */
export interface InputRows {
  /** `[rows, inputs]`, or `[groups, rows, inputs]`. */
  readonly values: Value;
  /** `[rows, 1]`: the homogeneous coordinate, if the layer has a bias. */
  readonly homogeneous: Value | undefined;
}

export class LayerTensor {
  /** `[inputs, outputs]`, or `[outputs, inputs]` if `outputsFirst`; with a leading axis for several groups. */
  readonly weight: Value;
  /** `[outputs]`, or `[groups, 1, outputs]` */
  readonly bias: Value | undefined;
  readonly outputsFirst: boolean;
  /** The matrix that this was split from. */
  readonly #joined: Value | undefined;

  /** @param joined weight and bias as one matrix, if it is there already */
  constructor(weight: Value, bias: Value | undefined, outputsFirst: boolean, joined?: Value) {
    this.weight = weight;
    this.bias = bias;
    this.outputsFirst = outputsFirst;
    this.#joined = joined;
  }

  /** Return the result of an elementwise function of this and further tensors of the same layer. */
  map(f: (...parts: Value[]) => Value, ...others: readonly LayerTensor[]): LayerTensor {
    const weight = f(this.weight, ...others.map((other) => other.weight));
    const biases = others.flatMap((other) => (other.bias ? [other.bias] : []));
    return new LayerTensor(weight, this.bias && f(this.bias, ...biases), this.outputsFirst);
  }

  /** Return the result of a function of the weight and of the bias. */
  mapNamed(f: (part: Value, kind: 'weight' | 'bias') => Value): LayerTensor {
    return new LayerTensor(f(this.weight, 'weight'), this.bias && f(this.bias, 'bias'), this.outputsFirst);
  }

  /** Return the inner product Σ x·y over weight and bias, a scalar. */
  dot(b: Builder, other: LayerTensor): Value {
    const weights = b.dot(this.weight, other.weight);
    return this.bias && other.bias ? b.add(weights, b.dot(this.bias, other.bias)) : weights;
  }

  /** Return the inner product in each group: a scalar, or `[groups, 1, 1]`. */
  dots(b: Builder, other: LayerTensor): Value {
    const weights = elementDot(b, this.weight, other.weight);
    return this.bias && other.bias ? b.add(weights, elementDot(b, this.bias, other.bias)) : weights;
  }

  /** Number of elements of weight and bias. */
  get size(): number {
    const { weight, bias } = this;
    return elementCount(weight.dims) + (bias ? elementCount(bias.dims) : 0);
  }

  /** Number of elements of weight and bias in one group. */
  get groupSize(): number {
    return this.#isGrouped ? this.size / (this.weight.dims[0] ?? 1) : this.size;
  }

  get #isGrouped(): boolean {
    return this.weight.rank === 3;
  }

  /** Return rows·V, `[rows, outputs]`. */
  contractInputs(b: Builder, rows: InputRows): Value {
    const shift = this.bias && rows.homogeneous ? b.mul(rows.homogeneous, this.bias) : undefined;
    return b.gemm(rows.values, this.weight, shift, { transposeY: this.outputsFirst });
  }

  /** Return rows·Vᵀ for rows `[rows, outputs]`: rows in the input space. */
  contractOutputs(b: Builder, rows: Value): InputRows {
    const values = b.gemm(rows, this.weight, undefined, { transposeY: !this.outputsFirst });
    if (!this.bias) return { values, homogeneous: undefined };
    const column = this.#isGrouped ? b.transposeMatrices(this.bias) : b.unsqueeze(this.bias, [1]);
    return { values, homogeneous: b.gemm(rows, column) };
  }

  /** Return V − rowsᵀ·columns for input rows and `columns: [rows, outputs]`. */
  minusProduct(b: Builder, rows: InputRows, columns: Value): LayerTensor {
    const [left, right] = this.outputsFirst ? [columns, rows.values] : [rows.values, columns];
    const weight = b.gemm(left, right, this.weight, { transposeX: true, alpha: -1 });
    if (!this.bias || !rows.homogeneous) return new LayerTensor(weight, this.bias, this.outputsFirst);
    const bias = b.gemm(rows.homogeneous, columns, this.#biasRow(b, this.bias), { transposeX: true, alpha: -1 });
    return new LayerTensor(weight, this.#biasOf(b, bias), this.outputsFirst);
  }

  /** Return diag(factors)·V for factors `[inputs]` of a layer without bias. */
  scaledInputs(b: Builder, factors: Value): LayerTensor {
    if (this.bias) throw new Error('a layer with a diagonal factor has no bias');
    const column = b.unsqueeze(factors, [this.outputsFirst ? 0 : 1]);
    return this.map((part) => b.mul(part, column));
  }

  /** Return V·M for a matrix `[outputs, outputs]`. */
  timesOutputs(b: Builder, matrix: Value): LayerTensor {
    if (this.#joined) return this.split(b, b.matmul(this.#joined, matrix));
    const weight = this.outputsFirst
      ? b.gemm(matrix, this.weight, undefined, { transposeX: true })
      : b.matmul(this.weight, matrix);
    const bias = this.bias && this.#biasOf(b, b.matmul(this.#biasRow(b, this.bias), matrix));
    return new LayerTensor(weight, bias, this.outputsFirst);
  }

  /** Return one matrix `[inputs (+1), outputs]` with the bias as its last row: a copy, for small layers and dense factors. */
  joined(b: Builder): Value {
    if (this.#joined) return this.#joined;
    const weight = this.outputsFirst ? b.transposeMatrices(this.weight) : this.weight;
    return this.bias ? b.concat([weight, this.#biasRow(b, this.bias)], weight.rank - 2) : weight;
  }

  /** Return a joined matrix as a tensor in the layout of this one. */
  split(b: Builder, joined: Value): LayerTensor {
    const laidOut = (matrix: Value) => (this.outputsFirst ? b.transposeMatrices(matrix) : matrix);
    if (!this.bias) return new LayerTensor(laidOut(joined), undefined, this.outputsFirst, joined);
    const axis = joined.rank - 2;
    const inputs = (joined.dims[axis] ?? 1) - 1;
    const weight = b.slice(joined, axis, 0, inputs);
    const bias = this.#biasOf(b, b.slice(joined, axis, inputs, inputs + 1));
    return new LayerTensor(laidOut(weight), bias, this.outputsFirst, joined);
  }

  /** A bias as a matrix of one row. */
  #biasRow(b: Builder, bias: Value): Value {
    return this.#isGrouped ? bias : b.unsqueeze(bias, [0]);
  }

  #biasOf(b: Builder, row: Value): Value {
    return this.#isGrouped ? row : b.squeeze(row, [0]);
  }
}
