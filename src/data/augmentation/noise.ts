// Gaussian noise on inputs, in proportion to the deviation of each column or channel.
import type { Random } from '../../random.js';

/** Add noise to each of the rows `[batch, columns · area]` in place, each from its own stream. @param deviations of the noise, one a column */
export function addNoise(
  rows: Float32Array,
  length: number,
  deviations: readonly number[],
  streamOf: (row: number) => Random,
): void {
  const area = length / deviations.length;
  const drawn = new Float32Array(length);
  for (let start = 0, row = 0; start < rows.length; start += length, row++) {
    streamOf(row).fillNormal(drawn);
    for (let i = 0; i < length; i++) {
      const deviation = deviations[Math.floor(i / area)] as number; // a column for each area
      rows[start + i] = (rows[start + i] as number) + deviation * (drawn[i] as number);
    }
  }
}
