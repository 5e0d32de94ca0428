// Each variation by identities: nothing at 0, known pictures, moments, and targets whose mass is kept.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { random } from '../../random.js';
import type { Batch } from '../batches.js';
import { drawBeta } from './beta.js';
import { jitter, recolour } from './colour.js';
import { erase } from './erase.js';
import { mixed } from './mix.js';
import { addNoise } from './noise.js';
import { rotate, rotated } from './rotate.js';

const streamOf = (row: number) => random(5, 'test', row);
const numbered = (length: number) => Float32Array.from({ length }, (_, i) => i + 1);
const uniform = (length: number, seed = 1) => {
  const data = new Float32Array(length);
  random(seed, 'uniform').fillUniform(data);
  return data;
};
const sizes = fc.record({
  channels: fc.integer({ min: 1, max: 3 }),
  width: fc.integer({ min: 1, max: 7 }),
  height: fc.integer({ min: 1, max: 7 }),
});
const mean = (values: ArrayLike<number>) => Array.from(values).reduce((sum, x) => sum + x, 0) / values.length;

describe('rotated', () => {
  it('by 0 is the picture, bit for bit; a quarter is the transposed mirror; four quarters are the picture', () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 7 }), ({ channels }, side) => {
        const size = { channels, width: side, height: side };
        const picture = uniform(channels * side * side);
        expect(rotated(picture, size, 0, 9)).toEqual(picture);
        const quarter = rotated(picture, size, Math.PI / 2, 0);
        for (let plane = 0; plane < channels; plane++) {
          for (let y = 0; y < side; y++) {
            for (let x = 0; x < side; x++) {
              // Counter-clockwise: the column at the right becomes the row at the top.
              const from = picture[(plane * side + x) * side + side - 1 - y];
              expect(quarter[(plane * side + y) * side + x]).toBeCloseTo(Number(from), 6);
            }
          }
        }
        const whole = [1, 2, 3].reduce((turned) => rotated(turned, size, Math.PI / 2, 0), quarter);
        for (const [i, pixel] of picture.entries()) expect(whole[i]).toBeCloseTo(pixel, 6);
      }),
    );
  });

  it('keeps an even picture inside, and fills the corners', () => {
    const size = { channels: 1, width: 21, height: 21 };
    const turned = rotated(new Float32Array(441).fill(0.5), size, Math.PI / 4, -3);
    expect(turned[0]).toBe(-3);
    expect(turned[10 * 21 + 10]).toBeCloseTo(0.5, 6);
  });

  it('turns each picture by its own angle, up to the largest', () => {
    const size = { channels: 1, width: 9, height: 9 };
    const picture = uniform(81);
    const pictures = Float32Array.from({ length: 3 * 81 }, (_, i) => picture[i % 81] as number);
    rotate(pictures, size, { degrees: 30, fill: 0 }, streamOf);
    for (const row of [0, 1, 2]) {
      const angle = ((2 * streamOf(row).uniform() - 1) * Math.PI) / 6;
      expect(pictures.slice(81 * row, 81 * (row + 1))).toEqual(rotated(picture, size, angle, 0));
    }
    expect(pictures.slice(0, 81)).not.toEqual(pictures.slice(81, 162));
  });
});

describe('recolour', () => {
  it('by factors of 1 is the picture, bit for bit', () => {
    fc.assert(
      fc.property(sizes, (size) => {
        const picture = uniform(size.channels * size.width * size.height);
        const made = picture.slice();
        recolour(made, size, { brightness: 1, contrast: 1, saturation: 1 });
        expect(made).toEqual(picture);
      }),
    );
  });

  it('multiplies the mean by the brightness and the deviation by brightness and contrast; saturation keeps greys', () => {
    const size = { channels: 3, width: 5, height: 4 };
    const picture = uniform(60);
    const deviation = (data: Float32Array) => Math.sqrt(mean(data.map((x) => (x - mean(data)) ** 2)));
    const made = picture.slice();
    recolour(made, size, { brightness: 1.3, contrast: 0.6, saturation: 1 });
    expect(mean(made)).toBeCloseTo(1.3 * mean(picture), 5);
    expect(deviation(made)).toBeCloseTo(1.3 * 0.6 * deviation(picture), 5);
    const grey = (data: Float32Array, i: number) =>
      0.299 * Number(data[i]) + 0.587 * Number(data[i + 20]) + 0.114 * Number(data[i + 40]);
    const pale = picture.slice();
    recolour(pale, size, { brightness: 1, contrast: 1, saturation: 0 });
    for (let i = 0; i < 20; i++) {
      for (const at of [i, i + 20, i + 40]) expect(pale[at]).toBeCloseTo(grey(picture, i), 6);
    }
  });

  it('stays in the range of stored bytes, with draws that differ by picture', () => {
    const size = { channels: 1, width: 4, height: 4 };
    const pictures = Float32Array.from({ length: 64 }, (_, i) => uniform(16)[i % 16] as number);
    const free = pictures.slice();
    jitter(pictures, size, { amount: 1, range: { low: 0, high: 1 } }, streamOf);
    jitter(free, size, { amount: 1 }, streamOf);
    expect(Math.max(...free)).toBeGreaterThan(1);
    expect(pictures).toEqual(free.map((x) => Math.min(1, Math.max(0, x))));
    expect(free.slice(0, 16)).not.toEqual(free.slice(16, 32));
  });
});

describe('erase', () => {
  it('hides one rectangle of all channels, of 2 to 33 % of the area but for rounding, with the given probability', () => {
    const size = { channels: 2, width: 20, height: 30 };
    const [area, count] = [600, 400];
    const pictures = numbered(count * 2 * area);
    erase(pictures, size, { probability: 0.25, fill: 0 }, streamOf);
    let hidden = 0;
    const shares: number[] = [];
    for (let row = 0; row < count; row++) {
      const planes = [0, 1].map((channel) =>
        pictures.subarray((2 * row + channel) * area, (2 * row + channel + 1) * area),
      );
      const [first, second] = planes.map((plane) => [...plane.keys()].filter((i) => plane[i] === 0));
      expect(second).toEqual(first);
      if (!first?.length) continue;
      hidden++;
      const [xs, ys] = [first.map((i) => i % 20), first.map((i) => Math.floor(i / 20))];
      const box = (Math.max(...xs) - Math.min(...xs) + 1) * (Math.max(...ys) - Math.min(...ys) + 1);
      expect(first).toHaveLength(box);
      shares.push(box / area);
    }
    expect(Math.abs(hidden - count / 4)).toBeLessThan(30);
    expect(Math.min(...shares)).toBeGreaterThan(0.01);
    expect(Math.max(...shares)).toBeLessThan(0.37);
    expect(mean(shares)).toBeGreaterThan(0.13);
    expect(mean(shares)).toBeLessThan(0.22);
  });

  it('does nothing with probability 0', () => {
    const pictures = numbered(12);
    erase(pictures, { channels: 1, width: 3, height: 4 }, { probability: 0, fill: 0 }, streamOf);
    expect(pictures).toEqual(numbered(12));
  });
});

describe('addNoise', () => {
  it('has mean 0 and the deviation of each column', () => {
    const rows = new Float32Array(3 * 20_000);
    addNoise(rows, 3, [0, 1, 4], streamOf);
    for (const [column, deviation] of [0, 1, 4].entries()) {
      const values = rows.filter((_, i) => i % 3 === column);
      expect(Math.abs(mean(values))).toBeLessThan(0.03 * deviation + 1e-9);
      expect(Math.sqrt(mean(values.map((x) => x * x)))).toBeCloseTo(deviation, deviation === 4 ? 0 : 1);
    }
  });

  it('has one deviation for the pixels of a channel', () => {
    const rows = new Float32Array(2 * 8);
    addNoise(rows, 8, [0, 2], streamOf);
    for (const start of [0, 8]) {
      expect([...rows.slice(start, start + 4)]).toEqual([0, 0, 0, 0]);
      expect(rows.slice(start + 4, start + 8)).not.toContain(0);
    }
  });
});

describe('drawBeta', () => {
  it.each([0.05, 0.2, 1, 4])('has the moments of Beta(α, α), α = %d', (alpha) => {
    const stream = random(3, 'beta', alpha);
    const draws = Array.from({ length: 20_000 }, () => drawBeta(stream, alpha));
    expect(Math.min(...draws)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...draws)).toBeLessThanOrEqual(1);
    expect(mean(draws)).toBeCloseTo(0.5, 1.7);
    expect(mean(draws.map((x) => (x - 0.5) ** 2))).toBeCloseTo(1 / (4 * (2 * alpha + 1)), 1.9);
  });
});

describe('mixed', () => {
  const [rows, classes] = [6, 4];
  const picture = { channels: 2, height: 5, width: 4 };
  const labels = [0, 1, 1, 2, 3, 3];
  const batch = (weights?: readonly number[]): Batch => ({
    inputs: { dtype: 'float32', dims: [rows, 40], data: uniform(rows * 40) },
    target: { dtype: 'int64', dims: [rows], data: BigInt64Array.from(labels, BigInt) },
    ...(weights && { weights: { dtype: 'float32', dims: [rows], data: Float32Array.from(weights) } }),
  });
  const floats = (array: { readonly data: ArrayLike<number | bigint> } | undefined) =>
    Array.from(array?.data ?? [], Number);
  const kinds = fc.constantFrom({ mixup: 0.4, cutmix: 0 }, { mixup: 0, cutmix: 1 }, { mixup: 1, cutmix: 1 });
  const weighted = fc.option(fc.array(fc.constantFrom(0, 1, 1, 3), { minLength: rows, maxLength: rows }), {
    nil: undefined,
  });

  it('has targets of mass 1, and keeps in sum what each class counts', () => {
    fc.assert(
      fc.property(kinds, weighted, fc.nat(), (kind, weights, seed) => {
        const made = mixed(batch(weights), { ...kind, targets: { classes }, picture }, random(seed));
        expect(made.target.dims).toEqual([rows, classes]);
        const shares = floats(made.target);
        const counts = made.weights ? floats(made.weights) : labels.map(() => 1);
        expect(made.weights === undefined).toBe(weights === undefined);
        const sums = new Array<number>(classes).fill(0);
        for (let row = 0; row < rows; row++) {
          const of = shares.slice(row * classes, (row + 1) * classes);
          expect(of.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
          for (const [label, share] of of.entries()) sums[label] = Number(sums[label]) + share * Number(counts[row]);
          // A row without weight, such as the one that fills a batch, goes into no other.
          if (weights?.[row] === 0) expect(counts[row]).toBe(0);
        }
        const before = new Array<number>(classes).fill(0);
        for (const [row, label] of labels.entries()) before[label] = Number(before[label]) + (weights?.[row] ?? 1);
        for (const [label, sum] of sums.entries()) expect(sum).toBeCloseTo(Number(before[label]), 4);
      }),
    );
  });

  it('keeps the sum of the inputs', () => {
    fc.assert(
      fc.property(kinds, fc.nat(), (kind, seed) => {
        const made = mixed(batch(), { ...kind, targets: { classes }, picture }, random(seed));
        const [before, after] = [batch().inputs, made.inputs].map((array) => floats(array as never));
        for (let i = 0; i < 40; i++) {
          const column = (data: readonly number[] = []) => mean(data.filter((_, at) => at % 40 === i));
          expect(column(after)).toBeCloseTo(column(before), 5);
        }
      }),
    );
  });

  it('of cutmix has pixels of two pictures, in the shares of the targets', () => {
    const pure: Batch = {
      inputs: {
        dtype: 'float32',
        dims: [rows, 40],
        data: Float32Array.from({ length: 240 }, (_, i) => Math.floor(i / 40)),
      },
      target: { dtype: 'int64', dims: [rows], data: BigInt64Array.from([0n, 1n, 2n, 3n, 4n, 5n]) },
    };
    for (let seed = 0; seed < 20; seed++) {
      const made = mixed(pure, { mixup: 0, cutmix: 1, targets: { classes: 6 }, picture }, random(seed));
      const [pixels, shares] = [floats(made.inputs as never), floats(made.target)];
      for (let row = 0; row < rows; row++) {
        for (let label = 0; label < 6; label++) {
          const count = pixels.slice(row * 40, (row + 1) * 40).filter((pixel) => pixel === label).length;
          expect(shares[row * 6 + label]).toBeCloseTo(count / 40, 6);
        }
      }
    }
  });

  it('of numbers mixes them as the inputs', () => {
    const inputs = { dtype: 'float32', dims: [rows, 2], data: uniform(12) } as const;
    const target = { dtype: 'float32', dims: [rows, 1], data: inputs.data.filter((_, i) => i % 2 === 0) } as const;
    const made = mixed({ inputs, target }, { mixup: 0.3, cutmix: 0, targets: 'values', picture: undefined }, random(2));
    expect(floats(made.target)).toEqual(floats(made.inputs as never).filter((_, i) => i % 2 === 0));
    expect(floats(made.target)).not.toEqual(floats(target));
  });

  it('of probabilities keeps their mass', () => {
    const target = {
      dtype: 'float32',
      dims: [rows, 2],
      data: Float32Array.from({ length: 12 }, (_, i) => (i % 2 ? 0.75 : 0.25)),
    } as const;
    const given = { ...batch([1, 1, 2, 2, 3, 3]), target };
    const made = mixed(given, { mixup: 1, cutmix: 0, targets: 'probabilities', picture: undefined }, random(2));
    for (const [i, share] of floats(made.target).entries()) expect(share).toBeCloseTo(i % 2 ? 0.75 : 0.25, 6);
  });
});
