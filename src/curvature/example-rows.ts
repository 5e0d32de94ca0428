// The rows of a batch by examples: what the gradients of single examples, and their sums of rows, are made from.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import type { KroneckerBlock } from './kronecker-block.js';
import type { LayerUse } from './layers/layer-kind.js';
import type { RowShares } from './row-shares.js';
import { rowCount } from './use-rows.js';

/** What the rows of all blocks are made with. */
export interface Measured {
  /** Examples. */
  readonly batch: number;
  /** The root of a case's share of the mean. */
  readonly perCase: number;
  readonly shares: RowShares | undefined;
  /** Rows of the pre-activation gradients of a use, from each pass. */
  gradientsOf(use: LayerUse): readonly Value[];
}

/** The number of examples that all uses of a block have rows of: kinds of layers may take some of the batch. */
export const measuredExamples = ({ uses }: KroneckerBlock, batch: number): number =>
  Math.min(...uses.map((use) => use.layer.rowExamples?.(use) ?? batch));

/**
 * Return the rows of the first examples.
 * @throws OptionError if examples do not have equally many rows
 */
export function firstExamples(b: Builder, block: KroneckerBlock, rows: Value, examples: number, taken: number): Value {
  const each = rowCount(rows) / examples;
  if (Number.isInteger(each)) return b.slice(rows, rows.rank - 2, 0, each * taken);
  throw new OptionError(
    `the ${rowCount(rows)} rows of '${block.weight}' (${block.description}) do not belong to ${examples} examples; choose another form for it in blocks`,
  );
}
