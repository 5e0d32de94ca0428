// The rows of a block that sums those of each example ("reduce", arXiv 2311.00636): one row of activations, one of gradients.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { firstExamples, type Measured, measuredExamples } from './example-rows.js';
import type { KroneckerBlock } from './kronecker-block.js';
import type { LayerRows } from './statistics.js';
import { identityOutputs, identityRows, rowCount, rowsOf, stacked } from './use-rows.js';

/** Return the rows of such a block, those of gradients for each pass. */
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
  const measured = measuredExamples(block, batch);
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
