// Means and deviations against the textbook's two passes in float64.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OptionError } from '../errors.js';
import { type Dataset, dataset, type Picture } from './dataset.js';
import { measureNormalization } from './normalization.js';

const labels = (size: number) => ({ dtype: 'int64', shape: [], data: new Int32Array(size) }) as const;

/** Mean and deviation of each group of elements, in two passes. */
function twoPasses(values: readonly number[], groupOf: (index: number) => number, groups: number) {
  const members = Array.from({ length: groups }, (_, group) => values.filter((_, index) => groupOf(index) === group));
  const mean = members.map((each) => each.reduce((sum, x) => sum + x, 0) / each.length);
  const deviation = members.map((each, i) => {
    const variance = each.reduce((sum, x) => sum + (x - (mean[i] ?? 0)) ** 2, 0) / each.length;
    return each.every((x) => x === each[0]) ? 1 : Math.sqrt(variance);
  });
  return { mean, deviation };
}

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, x] of actual.entries())
    expect(Math.abs(x - (expected[i] ?? 0))).toBeLessThan(1e-9 * (1 + Math.abs(x)));
}

describe('measureNormalization', () => {
  it('measures the channels of pictures, flattened or not, of bytes or floats', () => {
    const size = fc.integer({ min: 1, max: 4 });
    fc.assert(
      fc.property(
        size,
        size,
        size,
        size,
        fc.boolean(),
        fc.boolean(),
        fc.infiniteStream(fc.nat({ max: 255 })),
        (...drawn) => {
          const [count, channels, height, width, flat, bytes, stream] = drawn;
          const area = height * width;
          const values = Array.from({ length: count * channels * area }, () => stream.next().value as number);
          const shape = flat ? [channels * area] : [channels, height, width];
          const scale = bytes ? 1 / 255 : 1;
          const inputs = bytes
            ? ({ dtype: 'float32', shape, data: Uint8Array.from(values), scale } as const)
            : ({ dtype: 'float32', shape, data: Float32Array.from(values) } as const);
          const picture: Picture = { channels, height, width };
          const { mean, deviation } = measureNormalization(
            dataset({ name: 'pictures', size: count, inputs, targets: labels(count), picture }),
          );
          const expected = twoPasses(values, (index) => Math.floor(index / area) % channels, channels);
          expectClose(
            mean,
            expected.mean.map((x) => x * scale),
          );
          // A constant channel has deviation 1 whatever its scale.
          const constant = (group: number) =>
            values.every((x, i) => Math.floor(i / area) % channels !== group || x === values[group * area]);
          expectClose(
            deviation,
            expected.deviation.map((x, group) => (constant(group) ? 1 : x * scale)),
          );
        },
      ),
    );
  });

  it('measures the columns of rows, keeps the digits of a small deviation, and spares a constant one', () => {
    const set = dataset({
      name: 'table',
      size: 3,
      inputs: { dtype: 'float32', shape: [3], data: Float32Array.of(1, 5, 1e6, 3, 5, 1e6 + 1, 5, 5, 1e6 + 2) },
      targets: labels(3),
    });
    const { mean, deviation } = measureNormalization(set);
    expect(mean).toEqual([3, 5, 1e6 + 1]);
    expectClose(deviation, [Math.sqrt(8 / 3), 1, Math.sqrt(2 / 3)]);
  });

  it('refuses tokens, and sets without examples', () => {
    const tokens: Dataset = {
      name: 'text',
      size: 1,
      inputs: { dtype: 'int64', shape: [2], data: new Int32Array(2) },
      targets: labels(1),
    };
    expect(() => measureNormalization(tokens)).toThrow(OptionError);
    expect(() => measureNormalization(tokens)).toThrow(/inputs of 'text' are int64, as of text: only pictures/);
    const numbers = { dtype: 'float32', shape: [1], data: Float32Array.of(3) } as const;
    const both = { a: { dtype: 'int64', shape: [2], data: new Int32Array(2) } as const, b: numbers };
    expect(measureNormalization({ ...tokens, inputs: both })).toEqual({ mean: [3], deviation: [1] });
    expect(() => measureNormalization({ ...tokens, inputs: { ...both, c: numbers } })).toThrow(
      /'a', 'b', 'c', of which 2 are real numbers/,
    );
    const none = { ...tokens, size: 0, inputs: { dtype: 'float32', shape: [2], data: new Float32Array() } as const };
    expect(() => measureNormalization(none)).toThrow(/no examples/);
  });
});
