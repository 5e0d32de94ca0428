// What a regression does on the test set, in one pass: predicted against true values, and the rows with the largest residuals.
import { elementCount } from '../../graph/tensor.js';
import type { RunRecord, WorstExample } from '../run-record.js';
import type { Predictions } from './evaluation.js';
import { Largest } from './largest.js';
import { firstInputs, mostRows } from './rows.js';

/** Points of a chart: of larger sets every n-th example. */
const mostPoints = 400;
/** Outputs of a table; more are no rows that a person reads. */
export const mostOutputs = 4;

export async function examineRegression(
  size: number,
  batches: AsyncIterable<Predictions>,
): Promise<Pick<RunRecord, 'predictions' | 'worst'>> {
  const worst = new Largest<WorstExample>(mostRows);
  const every = Math.max(1, Math.ceil(size / mostPoints));
  const outputs: [number, number][][] = [];
  for await (const { indices, batch, expected } of batches) {
    const width = elementCount(expected.dims.slice(1));
    for (let row = 0; row < indices.length; row++) {
      const values = (of: ArrayLike<number | bigint>) =>
        Array.from({ length: width }, (_, i) => Number(of[row * width + i]));
      const [actual, predicted] = [values(batch.target.data), values(expected.data)];
      const loss = Math.sqrt(actual.reduce((sum, x, i) => sum + (x - (predicted[i] ?? Number.NaN)) ** 2, 0) / width);
      const example = indices[row] ?? 0;
      worst.offer(loss, () => ({ example, loss, actual, predicted, inputs: firstInputs(batch, row) }));
      if (example % every !== 0) continue;
      for (const [i, x] of actual.entries()) {
        outputs[i] ??= [];
        outputs[i].push([x, predicted[i] ?? Number.NaN]);
      }
    }
  }
  return { predictions: outputs, worst: worst.values };
}
