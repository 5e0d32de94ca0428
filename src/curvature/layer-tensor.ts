// A vector in the parameter space of one dense layer: a matrix [inputs (+1), outputs] held as weight and bias apart,
// in the orientation of the model's file, so that gradients and updates are never copied into another layout.
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';

/** Rows in the space of a layer's (homogeneous) inputs. */
export interface InputRows {
  /** `[rows, inputs]` */
  readonly values: Value;
  /** `[rows, 1]`: the homogeneous coordinate, where the layer has a bias. */
  readonly homogeneous: Value | undefined;
}

export class LayerTensor {
  /** `[inputs, outputs]`, or `[outputs, inputs]` where `outputsFirst`. */
  readonly weight: Value;
  /** `[outputs]` */
  readonly bias: Value | undefined;
  readonly outputsFirst: boolean;

  constructor(weight: Value, bias: Value | undefined, outputsFirst: boolean) {
    this.weight = weight;
    this.bias = bias;
    this.outputsFirst = outputsFirst;
  }

  /** Elementwise, together with further tensors of the same layer. */
  map(f: (...parts: Value[]) => Value, ...others: readonly LayerTensor[]): LayerTensor {
    const weight = f(this.weight, ...others.map((other) => other.weight));
    const biases = others.flatMap((other) => (other.bias ? [other.bias] : []));
    return new LayerTensor(weight, this.bias && f(this.bias, ...biases), this.outputsFirst);
  }

  mapNamed(f: (part: Value, kind: 'weight' | 'bias') => Value): LayerTensor {
    return new LayerTensor(f(this.weight, 'weight'), this.bias && f(this.bias, 'bias'), this.outputsFirst);
  }

  /** The inner product Σ x·y over weight and bias, a scalar. */
  dot(b: Builder, other: LayerTensor): Value {
    const weights = b.dot(this.weight, other.weight);
    return this.bias && other.bias ? b.add(weights, b.dot(this.bias, other.bias)) : weights;
  }

  /** rows·V: `[rows, outputs]`. */
  contractInputs(b: Builder, rows: InputRows): Value {
    const shift = this.bias && rows.homogeneous ? b.mul(rows.homogeneous, this.bias) : undefined;
    return b.gemm(rows.values, this.weight, shift, { transposeY: this.outputsFirst });
  }

  /** rows·Vᵀ for rows `[rows, outputs]`: rows in the input space. */
  contractOutputs(b: Builder, rows: Value): InputRows {
    const values = b.gemm(rows, this.weight, undefined, { transposeY: !this.outputsFirst });
    return { values, homogeneous: this.bias && b.gemm(rows, b.unsqueeze(this.bias, [1])) };
  }

  /** V − rowsᵀ·columns for input rows and `columns: [rows, outputs]`. */
  minusProduct(b: Builder, rows: InputRows, columns: Value): LayerTensor {
    return this.#addProduct(b, rows, columns, -1);
  }

  /** V + rowsᵀ·columns for input rows and `columns: [rows, outputs]`. */
  plusProduct(b: Builder, rows: InputRows, columns: Value): LayerTensor {
    return this.#addProduct(b, rows, columns, 1);
  }

  #addProduct(b: Builder, rows: InputRows, columns: Value, alpha: number): LayerTensor {
    const [left, right] = this.outputsFirst ? [columns, rows.values] : [rows.values, columns];
    const weight = b.gemm(left, right, this.weight, { transposeX: true, alpha });
    if (!this.bias || !rows.homogeneous) return new LayerTensor(weight, this.bias, this.outputsFirst);
    const bias = b.gemm(rows.homogeneous, columns, b.unsqueeze(this.bias, [0]), { transposeX: true, alpha });
    return new LayerTensor(weight, b.squeeze(bias, [0]), this.outputsFirst);
  }

  /** diag(factors)·V for factors `[inputs]` of a layer without bias. */
  scaledInputs(b: Builder, factors: Value): LayerTensor {
    if (this.bias) throw new Error('the inputs of a layer with bias are one more');
    const column = b.unsqueeze(factors, [this.outputsFirst ? 0 : 1]);
    return this.map((part) => b.mul(part, column));
  }

  /** One matrix `[inputs (+1), outputs]`, the bias its last row: a copy, for small layers and dense factors. */
  joined(b: Builder): Value {
    const weight = this.outputsFirst ? b.transpose(this.weight) : this.weight;
    return this.bias ? b.concat([weight, b.unsqueeze(this.bias, [0])], 0) : weight;
  }

  /** A joined matrix in the layout of this tensor. */
  split(b: Builder, joined: Value): LayerTensor {
    if (!this.bias)
      return new LayerTensor(this.outputsFirst ? b.transpose(joined) : joined, undefined, this.outputsFirst);
    const inputs = (joined.dims[0] ?? 1) - 1;
    const weight = b.slice(joined, 0, 0, inputs);
    const bias = b.squeeze(b.slice(joined, 0, inputs, inputs + 1), [0]);
    return new LayerTensor(this.outputsFirst ? b.transpose(weight) : weight, bias, this.outputsFirst);
  }
}

/** Sum of the inner products of the layers of two vectors in the whole parameter space. */
export function innerProduct(b: Builder, x: readonly LayerTensor[], y: readonly LayerTensor[]): Value {
  const products = x.flatMap((part, i) => {
    const other = y[i];
    return other ? [part.dot(b, other)] : [];
  });
  return products.reduce((sum, product) => b.add(sum, product));
}
