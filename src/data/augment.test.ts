import { describe, expect, it } from 'vitest';
import { OptionError } from '../errors.js';
import { augment, measureNormalization, normalize } from './augment.js';
import { type Batch, gatherBatch } from './batches.js';
import { dataset } from './dataset.js';
import { drawnDigits } from './digits.js';
import { random } from './random.js';

function pictures(count: number, channels: number, height: number, width: number): Batch {
  const length = count * channels * height * width;
  return {
    input: {
      dtype: 'float32',
      dims: [count, channels, height, width],
      data: Float32Array.from({ length }, (_, index) => index + 1),
    },
    target: { dtype: 'int64', dims: [count], data: new BigInt64Array(count) },
  };
}

describe('augment', () => {
  const shape = { channels: 2, height: 3, width: 4 };

  it('moves and mirrors whole pictures, all channels alike', () => {
    const batch = pictures(64, 2, 3, 4);
    const varied = augment(batch, shape, { flip: true, padding: 1, fill: -7 }, random(1, 'augment', 0)).input.data;
    const seen = new Set<string>();
    for (let picture = 0; picture < 64; picture++) {
      // Which of the 18 ways of moving and mirroring explains this picture?
      const ways = [-1, 0, 1].flatMap((dy) =>
        [-1, 0, 1].flatMap((dx) => [false, true].map((mirrored) => ({ dy, dx, mirrored }))),
      );
      const way = ways.filter(({ dy, dx, mirrored }) =>
        Array.from({ length: 24 }, (_, index) => index).every((index) => {
          const [plane, y, x] = [Math.floor(index / 12), Math.floor(index / 4) % 3, index % 4];
          const [fromY, fromX] = [y + dy, (mirrored ? 3 - x : x) + dx];
          const inside = fromY >= 0 && fromY < 3 && fromX >= 0 && fromX < 4;
          const expected = inside ? picture * 24 + plane * 12 + fromY * 4 + fromX + 1 : -7;
          return Number(varied[picture * 24 + index]) === expected;
        }),
      );
      expect(way.length).toBe(1);
      seen.add(JSON.stringify(way[0]));
    }
    expect(seen.size).toBeGreaterThan(12);
  });

  it('is a pure function of its stream, and leaves the batch alone', () => {
    const batch = pictures(8, 2, 3, 4);
    const before = batch.input.data.slice();
    const [first, again] = [0, 0].map(() => augment(batch, shape, { flip: true, padding: 2 }, random(5, 'augment', 3)));
    expect(first).toEqual(again);
    expect(batch.input.data).toEqual(before);
    expect(augment(batch, shape, {}, random(5)).input.data).toEqual(before);
  });

  it('refuses what is no picture', () => {
    expect(() => augment(pictures(1, 1, 2, 2), shape, {}, random(0))).toThrow(
      'inputs of shape [1,2,2] are no pictures of 2 × 3 × 4',
    );
    expect(() => augment(pictures(1, 2, 3, 4), shape, { padding: 0.5 }, random(0))).toThrow(OptionError);
  });
});

describe('normalize', () => {
  it('gives each channel mean 0 and deviation 1', () => {
    const set = dataset({
      name: 'pictures',
      size: 5,
      inputs: {
        dtype: 'float32',
        shape: [2, 3, 4],
        data: Float32Array.from(
          { length: 120 },
          (_, index) => 1000 + (index + 1) ** (1 + (Math.floor(index / 12) % 2)),
        ),
      },
      targets: { dtype: 'int64', shape: [], data: new Int32Array(5) },
    });
    const normal = normalize(gatherBatch(set, [0, 1, 2, 3, 4]), measureNormalization(set)).input.data;
    for (const channel of [0, 1]) {
      const values = Array.from(normal, Number).filter((_, index) => Math.floor(index / 12) % 2 === channel);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const variance = values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
      expect(mean).toBeCloseTo(0, 5);
      expect(variance).toBeCloseTo(1, 5);
    }
  });

  it('measures features one by one, and spares a constant one', () => {
    const set = dataset({
      name: 'table',
      size: 2,
      inputs: { dtype: 'float32', shape: [2], data: Float32Array.of(1, 5, 3, 5) },
      targets: { dtype: 'float32', shape: [1], data: Float32Array.of(0, 1) },
    });
    expect(measureNormalization(set, true)).toEqual({ mean: [2, 5], deviation: [1, 1] });
    expect(measureNormalization(set)).toEqual({ mean: [3.5], deviation: [Math.sqrt(2.75)] });
    const { test } = drawnDigits({ trainSize: 1, testSize: 50 });
    expect(measureNormalization(test).mean[0]).toBeGreaterThan(0.05);
  });

  it('refuses channels that do not fit', () => {
    const batch = pictures(1, 2, 3, 4);
    expect(() => normalize(batch, { mean: [0, 0, 0, 0, 0], deviation: [1, 1, 1, 1, 1] })).toThrow(OptionError);
    expect(() => normalize(batch, { mean: [0], deviation: [0] })).toThrow('by the deviation 0 cannot be done');
  });
});
