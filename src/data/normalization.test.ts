// Means and deviations against the textbook's two passes in float64.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OptionError } from '../errors.js';
import { type Dataset, dataset, type PictureSize } from './dataset.js';
import { lostDigits, measureNormalization, measureTargetNormalization } from './normalization.js';

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
          const picture: PictureSize = { channels, height, width };
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

  it('counts examples by their weights', () => {
    const column = (numbers: readonly number[], shape: readonly number[] = []) =>
      ({ dtype: 'float32', shape, data: Float32Array.from(numbers) }) as const;
    const weighted = dataset({
      ...{ name: 'weighted', size: 4, inputs: column([1e9, 1, 4, 7], [1]), targets: column([-1e9, 10, 20, 30], [1]) },
      weights: column([0, 2, 1, 1]),
    });
    expect(measureNormalization(weighted)).toEqual({ mean: [3.25], deviation: [Math.sqrt(6.1875)] });
    expect(measureTargetNormalization(weighted)).toEqual({ mean: [17.5], deviation: [Math.sqrt(68.75)] });
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

describe('measureTargetNormalization', () => {
  const inputs = { dtype: 'float32', shape: [1], data: Float32Array.of(1, 2) } as const;
  const targets = (shape: readonly number[], ...numbers: number[]): Dataset =>
    dataset({ name: 'rows', size: 2, inputs, targets: { dtype: 'float32', shape, data: Float32Array.from(numbers) } });

  it('measures columns, one number for each, and all numbers together where they have more axes', () => {
    expect(measureTargetNormalization(targets([], 1, 5))).toEqual({ mean: [3], deviation: [2] });
    expect(measureTargetNormalization(targets([2], 1, 7, 5, 7))).toEqual({ mean: [3, 7], deviation: [2, 1] });
    expect(measureTargetNormalization(targets([2, 1], 1, 1, 5, 5))).toEqual({ mean: [3], deviation: [2] });
  });

  it('takes for constant what float32 cannot divide by', () => {
    const { deviation } = measureTargetNormalization(targets([2], 1e-30, 1e-44, 3e-30, 0));
    expect((deviation[0] ?? 0) / 1e-30).toBeCloseTo(1, 6);
    expect(deviation[1]).toBe(1);
  });

  it('refuses labels', () => {
    const labelled = dataset({ name: 'rows', size: 2, inputs, targets: labels(2) });
    expect(() => measureTargetNormalization(labelled)).toThrow(/the targets of 'rows' are int64, as labels are/);
  });
});

describe('lostDigits', () => {
  const warned = (mean: number, deviation: number) =>
    lostDigits({ mean: [0, mean], deviation: [1, deviation] }, 'rows', 'inputs');

  it('warns where less than three digits are left', () => {
    const step = 128; // of float32 at 1.7e9
    expect(warned(1.7e9, 999 * step)).toEqual([
      expect.stringMatching(/^column 2 of the inputs of 'rows' is 1700000000 ± 127900: /),
    ]);
    expect(warned(1.7e9, 1001 * step)).toEqual([]);
    expect(warned(-1e6, 10)).toHaveLength(1);
    expect(warned(0, 1e-30)).toEqual([]);
  });

  it('warns of constants only where whole numbers may have been lost', () => {
    expect(warned(2 ** 24, 1)).toEqual([expect.stringMatching(/is 16780000 in every row: /)]);
    expect(warned(1e6, 1)).toEqual([]);
  });
});
