// How much each row of activations counts in A = Σ share·aaᵀ, if the cases of a batch have unequal weights.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import type { Cases, OutputLikelihood } from '../losses/likelihood.js';
import type { Builder } from '../ops/builder.js';
import type { LayerUse } from './layers/layer-kind.js';

/** A sum of weights that is 0 divides weights that are 0: no row counts then. */
const least = 1e-30;

/**
 * Shares of rows, which add up to 1: the weights of the cases over their sum, so that rows of weight 0 do not count, and
 * whole weights count as rows that are repeated. A layer with a row for each case has the weights of the cases; with
 * other rows, those of an example share the mean weight of its cases.
 */
export class RowShares {
  readonly #b: Builder;
  /** Examples of the batch. */
  readonly #examples: number;
  /** `[examples · cases of an example]` */
  readonly #weights: Value;

  /** @param weights broadcasts to the output, whose first axis is that of the examples */
  constructor(b: Builder, weights: Value, output: Value, cases: number) {
    const spread = b.mul(weights, b.onesLike(output));
    this.#b = b;
    this.#examples = output.dims[0] ?? 1;
    this.#weights = b.mean(b.reshape(spread, [cases, elementCount(output.dims) / cases]), [1]);
  }

  /** Return the shares of the cases, or undefined if all count alike. */
  static of(b: Builder, forward: Cases, likelihood: OutputLikelihood): RowShares | undefined {
    const weights = likelihood.caseWeights?.(b, forward);
    return weights && new RowShares(b, weights, forward.output, likelihood.cases(forward.output));
  }

  /**
   * Return the shares `[rows]` of the rows of some uses, one use after the other.
   * @param counts rows of each use
   */
  ofRows(uses: readonly LayerUse[], counts: readonly number[]): Value {
    const b = this.#b;
    const weights = b.concat(
      uses.map((use, i) => this.#ofUse(use, counts[i] ?? 0)),
      0,
    );
    return b.div(weights, b.max(b.sum(weights), least));
  }

  #ofUse({ layer, ...use }: LayerUse, rows: number): Value {
    const b = this.#b;
    const weights = this.#weights;
    const taken = layer.rowExamples?.({ layer, ...use }) ?? this.#examples;
    const perExample = rows / taken;
    if (!Number.isInteger(perExample)) {
      // A layer on what does not depend on the batch, such as a table of positions.
      if (layer.rowExamples === undefined) return b.filled([rows], 1, weights.dtype);
      throw new OptionError(
        `rowExamples of the layer kind '${layer.kind}' is ${taken}, and its inputRows are ${rows}: each example has equally many rows`,
      );
    }
    const cases = (weights.dims[0] ?? 1) / this.#examples;
    if (cases === perExample) return b.slice(weights, 0, 0, rows);
    const means = cases === 1 ? weights : b.mean(b.reshape(weights, [this.#examples, cases]), [1]);
    const columns = b.reshape(b.slice(means, 0, 0, taken), [taken, 1]);
    return b.reshape(b.mul(columns, b.filled([1, perExample], 1, weights.dtype)), [rows]);
  }
}
