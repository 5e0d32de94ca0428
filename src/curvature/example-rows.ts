// Rows by examples: the gradient of each example, and the rows of a block that sums those of each example.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { FormedGradients, type PairedRows } from './formed-gradients.js';
import type { KroneckerBlock } from './kronecker-block.js';
import type { LayerUse } from './layers/layer-kind.js';
import type { RowShares } from './row-shares.js';
import type { LayerRows } from './statistics.js';
import { identityOutputs, identityRows, rowCount, rowsOf, stacked } from './use-rows.js';

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

/** The gradients of the examples of a block. */
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
  const measured = Math.min(...block.uses.map((use) => use.layer.rowExamples?.(use) ?? batch));
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

/** The rows of the first examples. */
function firstExamples(b: Builder, block: KroneckerBlock, rows: Value, examples: number, taken: number): Value {
  const each = rowCount(rows) / examples;
  if (Number.isInteger(each)) return b.slice(rows, rows.rank - 2, 0, each * taken);
  throw new OptionError(
    `the ${rowCount(rows)} rows of '${block.weight}' (${block.description}) do not belong to ${examples} examples; choose another form for it in blocks`,
  );
}

/** Rows of a block that sums the rows of each example: one row of activations, and one of gradients for each pass. */
export function reducedRows(
  b: Builder,
  block: KroneckerBlock,
  { batch, perCase, shares, gradientsOf }: Measured,
): LayerRows {
  const { uses, bias, factor } = block;
  if (factor === 'diagonal' || uses.some(({ transposed }) => transposed)) {
    const why = factor === 'diagonal' ? 'its inputs are a diagonal factor' : 'it is used transposed, too';
    throw new OptionError(
      `reduced() does not fit '${block.weight}' (${block.description}): ${why}; choose kronecker() for it`,
    );
  }
  /** The sum of each example's rows: `[…, examples, size]`. */
  const summed = (rows: Value, examples: number): Value => {
    const [count = 1, size = 1] = firstExamples(b, block, rows, examples, examples).dims.slice(-2);
    const apart = b.reshape(rows, [...rows.dims.slice(0, -2), examples, count / examples, size]);
    return b.sum(apart, [apart.rank - 2]);
  };
  const overUses = (values: readonly Value[]): Value => values.reduce((sum, value) => b.add(sum, value));
  const passes = uses.map((use) => gradientsOf(use).map((rows) => summed(rows, batch)));
  const [first = []] = passes;
  const outputs = first.map((_, pass) => overUses(passes.map((each) => each[pass] as Value))); // as many in each use
  const rightRows = outputs.length > 0 ? b.mul(stacked(b, outputs), perCase) : identityOutputs(b, uses);
  const right = { outputs: rightRows, ...(outputs.length === 0 && { outputsAreIdentity: true as const }) };
  if (factor === 'identity') return { ...right, inputs: identityRows(b, block) };
  const measured = Math.min(...uses.map((use) => use.layer.rowExamples?.(use) ?? batch));
  const each = uses.map((use) =>
    firstExamples(b, block, rowsOf(b, use), use.layer.rowExamples?.(use) ?? batch, measured),
  );
  const positions = each.reduce((sum, rows) => sum + rowCount(rows), 0) / measured;
  const means = b.mul(overUses(each.map((rows) => summed(rows, measured))), 1 / positions);
  const own = shares?.ofRows(uses.slice(0, 1), [measured]);
  const roots = own
    ? b.reshape(b.sqrt(b.cast(own, means.dtype)), [measured, 1])
    : b.filled([measured, 1], 1 / Math.sqrt(measured), means.dtype);
  const ones = b.filled([...means.dims.slice(0, -1), 1], 1, means.dtype);
  return {
    ...right,
    inputs: { values: b.mul(means, roots), homogeneous: bias === undefined ? undefined : b.mul(ones, roots) },
  };
}
