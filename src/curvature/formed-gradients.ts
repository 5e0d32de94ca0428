// The gradient of each example in a layer, made of the layer's rows: what blocks are made of that are not Kronecker products.
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';

/** The rows of one use of a layer in one backward pass: an example's gradient is the sum of left·rightᵀ over its rows. */
export interface PairedRows {
  /** `[examples · rows, inputs (+1)]`, with a leading axis for several groups. */
  readonly left: Value;
  /** `[examples · rows, outputs]` */
  readonly right: Value;
}

/** A matrix for each side of a layer that its rows are multiplied by: an eigenbasis. */
export interface Bases {
  readonly inputs: Value;
  readonly outputs: Value;
}

/** The gradients J of single examples, scaled so that the layer's block of the Fisher matrix is the sum of their outer products. */
export class FormedGradients {
  readonly #b: Builder;
  readonly #examples: number;
  /** Each backward pass with the uses of the layer. */
  readonly #passes: readonly (readonly PairedRows[])[];

  /** @param examples that the rows belong to, each to equally many */
  constructor(b: Builder, examples: number, passes: readonly (readonly PairedRows[])[]) {
    this.#b = b;
    this.#examples = examples;
    this.#passes = passes;
  }

  /** Return the gradients, `[passes · examples, inputs (+1), outputs]`, with a leading axis for several groups. */
  matrices(bases?: Bases): Value {
    const b = this.#b;
    const each = this.#passes.map((uses) =>
      uses.map((rows) => this.#products(this.#turned(rows, bases))).reduce((sum, own) => b.add(sum, own)),
    );
    return b.concat(each, (each[0]?.rank ?? 3) - 3);
  }

  /** Return the sum of the squares of the gradients, `[inputs (+1), outputs]`: the diagonal of the Fisher matrix. */
  squares(bases?: Bases): Value {
    const b = this.#b;
    const single = this.#passes.every(
      (uses) => uses.length === 1 && uses.every(({ left }) => left.dims.at(-2) === this.#examples),
    );
    if (!single) {
      const all = this.matrices(bases);
      return b.sum(b.square(all), [all.rank - 3]);
    }
    // An example has one row: the square of a product is the product of squares.
    return this.#passes
      .flat()
      .map((rows) => this.#turned(rows, bases))
      .map(({ left, right }) => b.gemm(b.square(left), b.square(right), undefined, { transposeX: true }))
      .reduce((sum, own) => b.add(sum, own));
  }

  #turned({ left, right }: PairedRows, bases: Bases | undefined): PairedRows {
    if (!bases) return { left, right };
    return { left: this.#b.matmul(left, bases.inputs), right: this.#b.matmul(right, bases.outputs) };
  }

  #products({ left, right }: PairedRows): Value {
    const b = this.#b;
    const apart = (rows: Value): Value => {
      const [count = 1, size = 1] = rows.dims.slice(-2);
      return b.reshape(rows, [...rows.dims.slice(0, -2), this.#examples, count / this.#examples, size]);
    };
    return b.gemm(apart(left), apart(right), undefined, { transposeX: true });
  }
}
