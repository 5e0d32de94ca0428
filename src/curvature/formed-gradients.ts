// The gradient of each example in a layer, formed of the layer's rows: its second moments are what blocks are made of that are
// not Kronecker products. Products with all gradients at once need none of them formed: see example-jacobian.ts.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { firstExamples, type Measured, measuredExamples } from './example-rows.js';
import type { KroneckerBlock } from './kronecker-block.js';
import { rowsOf } from './use-rows.js';

/** The rows of one use of a layer in one backward pass: an example's gradient is the sum of left·rightᵀ over its rows. */
export interface PairedRows {
  /** `[examples · rows, inputs (+1)]`, with a leading axis for several groups. */
  readonly left: Value;
  /** `[examples · rows, outputs]` */
  readonly right: Value;
}

/** A matrix for each side of a layer that its rows are multiplied by, such as an eigenbasis; a side may have none. */
export interface Bases {
  readonly inputs: Value | undefined;
  readonly outputs: Value | undefined;
}

/** The gradients J of single examples, scaled so that the layer's block of the Fisher matrix is the sum of their outer products. */
export class FormedGradients {
  readonly #b: Builder;
  readonly #examples: number;
  readonly #scale: number;
  /** Each backward pass with the uses of the layer. */
  readonly #passes: readonly (readonly PairedRows[])[];

  /**
   * @param examples that the rows belong to, each to equally many
   * @param scale of the gradients that the rows make
   */
  constructor(b: Builder, examples: number, scale: number, passes: readonly (readonly PairedRows[])[]) {
    this.#b = b;
    this.#examples = examples;
    this.#scale = scale;
    this.#passes = passes;
  }

  /** Return the gradients, `[passes · examples, inputs (+1), outputs]`, with a leading axis for several groups. */
  matrices(): Value {
    return this.#products((rows) => ({ ...rows, right: this.#b.mul(rows.right, this.#scale) }));
  }

  /** Return the sum of the squares of the gradients, `[inputs (+1), outputs]`: the diagonal of the Fisher matrix. */
  squares(bases?: Bases): Value {
    const b = this.#b;
    const turn = (rows: PairedRows) => this.#turned(rows, bases);
    const single = this.#passes.every(
      (uses) => uses.length === 1 && uses.every(({ left }) => left.dims.at(-2) === this.#examples),
    );
    if (!single) {
      const all = this.#products(turn);
      return this.#scaled(b.sum(b.square(all), [all.rank - 3]));
    }
    // An example has one row: the square of a product is the product of squares.
    const passes = this.#passes.flat().map((rows) => {
      const { left, right } = turn(rows);
      return b.gemm(b.square(left), b.square(right), undefined, { transposeX: true });
    });
    return this.#scaled(this.#sum(passes));
  }

  /** Return the square of the sum of the gradients, `[inputs (+1), outputs]`, summed over the passes. */
  squaredSums(bases?: Bases): Value {
    const b = this.#b;
    const sums = this.#passes.map((uses) =>
      this.#sum(
        uses.map((rows) => {
          const { left, right } = this.#turned(rows, bases);
          return b.gemm(left, right, undefined, { transposeX: true });
        }),
      ),
    );
    return this.#scaled(this.#sum(sums.map((sum) => b.square(sum))));
  }

  /** Squares in the scale of the gradients. Beside a product of matrices, the runtime would round a factor to float32. */
  #scaled(squares: Value): Value {
    return this.#b.mul(squares, this.#scale ** 2);
  }

  #sum(values: readonly Value[]): Value {
    return values.reduce((sum, value) => this.#b.add(sum, value));
  }

  #turned({ left, right }: PairedRows, bases: Bases | undefined): PairedRows {
    const turned = (rows: Value, basis: Value | undefined) => (basis ? this.#b.matmul(rows, basis) : rows);
    return { left: turned(left, bases?.inputs), right: turned(right, bases?.outputs) };
  }

  /** A matrix for each example of each pass, from its rows after a change. */
  #products(change: (rows: PairedRows) => PairedRows): Value {
    const b = this.#b;
    const apart = (rows: Value): Value => {
      const [count = 1, size = 1] = rows.dims.slice(-2);
      return b.reshape(rows, [...rows.dims.slice(0, -2), this.#examples, count / this.#examples, size]);
    };
    const each = this.#passes.map((uses) =>
      this.#sum(
        uses.map((rows) => {
          const { left, right } = change(rows);
          return b.gemm(apart(left), apart(right), undefined, { transposeX: true });
        }),
      ),
    );
    return b.concat(each, (each[0]?.rank ?? 3) - 3);
  }
}

/**
 * Return the gradients of the examples of a block, of those that all its uses have rows of.
 * @throws OptionError for a layer whose inputs are not measured, or whose rows do not belong to examples
 */
export function formedGradients(
  b: Builder,
  block: KroneckerBlock,
  { batch, perCase, gradientsOf }: Measured,
): FormedGradients {
  if (block.factor === 'identity') {
    throw new OptionError(
      `the inputs of '${block.weight}' (${block.description}) are not measured: A is the identity; choose another form for it in blocks`,
    );
  }
  const measured = measuredExamples(block, batch);
  const scale = perCase * Math.sqrt(batch / measured);
  const uses = block.uses.map((use) => {
    const activations = firstExamples(b, block, rowsOf(b, use), use.layer.rowExamples?.(use) ?? batch, measured);
    const ones = b.filled([...activations.dims.slice(0, -1), 1], 1, activations.dtype);
    const left = block.bias === undefined ? activations : b.concat([activations, ones], activations.rank - 1);
    return gradientsOf(use).map((rows): PairedRows => {
      const right = firstExamples(b, block, rows, batch, measured);
      return use.transposed ? { left: right, right: left } : { left, right };
    });
  });
  const [first = []] = uses;
  return new FormedGradients(
    b,
    measured,
    scale,
    first.map((_, pass) => uses.map((use) => use[pass] as PairedRows)), // as many passes in each use
  );
}
