import { describe, expect, it } from 'vitest';
import { OptionError } from '../../errors.js';
import type { Dataset } from '../dataset.js';
import { onlyInput } from '../dataset.js';
import { drawnDigits } from './digits.js';

const { train, test } = drawnDigits({ trainSize: 3000, testSize: 600, seed: 0 });

function pixels(set: Dataset): Float64Array {
  return Float64Array.from(onlyInput(set).data as Uint8Array, (byte) => byte / 255);
}

/** Softmax regression by stochastic gradient descent; returns test accuracy. */
function linearAccuracy(epochs: number): number {
  const [inputs, held] = [pixels(train), pixels(test)];
  const weights = new Float64Array(10 * 785);
  const scores = (from: Float64Array, row: number): number[] =>
    Array.from({ length: 10 }, (_, digit) => {
      let sum = weights[digit * 785 + 784] ?? 0;
      for (let pixel = 0; pixel < 784; pixel++)
        sum += (weights[digit * 785 + pixel] ?? 0) * (from[row * 784 + pixel] ?? 0);
      return sum;
    });
  for (let epoch = 0; epoch < epochs; epoch++) {
    const rate = 0.05 / (1 + epoch);
    for (let step = 0; step < train.size; step++) {
      const row = (step * 1009) % train.size;
      const logits = scores(inputs, row);
      const most = Math.max(...logits);
      const exponentials = logits.map((logit) => Math.exp(logit - most));
      const total = exponentials.reduce((sum, value) => sum + value, 0);
      for (let digit = 0; digit < 10; digit++) {
        const slope = rate * ((exponentials[digit] ?? 0) / total - (train.targets.data[row] === digit ? 1 : 0));
        for (let pixel = 0; pixel < 784; pixel++) {
          const at = digit * 785 + pixel;
          weights[at] = (weights[at] ?? 0) - slope * (inputs[row * 784 + pixel] ?? 0);
        }
        weights[digit * 785 + 784] = (weights[digit * 785 + 784] ?? 0) - slope;
      }
    }
  }
  let right = 0;
  for (let row = 0; row < test.size; row++) {
    const logits = scores(held, row);
    if (logits.indexOf(Math.max(...logits)) === test.targets.data[row]) right++;
  }
  return right / test.size;
}

/** Accuracy of taking the label of the nearest training picture, on the first `count` test pictures. */
function nearestAccuracy(count: number): number {
  const [inputs, held] = [pixels(train), pixels(test)];
  let right = 0;
  for (let row = 0; row < count; row++) {
    let [best, label] = [Number.POSITIVE_INFINITY, -1];
    for (let other = 0; other < train.size; other++) {
      let distance = 0;
      for (let pixel = 0; pixel < 784 && distance < best; pixel++) {
        distance += ((held[row * 784 + pixel] ?? 0) - (inputs[other * 784 + pixel] ?? 0)) ** 2;
      }
      if (distance < best) [best, label] = [distance, train.targets.data[other] as number];
    }
    if (label === test.targets.data[row]) right++;
  }
  return right / count;
}

describe('drawnDigits', () => {
  it('is neither trivial nor hopeless: a linear classifier gets most but not all', () => {
    const accuracy = linearAccuracy(4);
    expect(accuracy).toBeGreaterThan(0.7);
    expect(accuracy).toBeLessThan(0.95);
  });

  it('has classes that overlap little: the nearest of few neighbours is mostly right', () => {
    expect(nearestAccuracy(200)).toBeGreaterThan(0.9);
  });

  it('is a pure function of its seed, and small sets begin large ones', () => {
    const small = drawnDigits({ trainSize: 20, testSize: 10 });
    expect(onlyInput(small.train).data).toEqual(onlyInput(train).data.subarray(0, 20 * 784));
    const other = drawnDigits({ trainSize: 20, testSize: 20, seed: 1 });
    expect(onlyInput(other.train).data).not.toEqual(onlyInput(small.train).data);
    expect(onlyInput(other.train).data).not.toEqual(onlyInput(other.test).data);
  });

  it('is inked: blank paper, dark strokes, nothing cut off at the border', () => {
    const bytes = onlyInput(train).data as Uint8Array;
    for (let row = 0; row < 500; row++) {
      const picture = bytes.subarray(row * 784, (row + 1) * 784);
      const inked = picture.filter((byte) => byte > 127).length;
      expect(inked).toBeGreaterThan(10);
      expect(inked).toBeLessThan(300);
      expect(picture.filter((byte) => byte === 0).length).toBeGreaterThan(300);
    }
    const border = Array.from({ length: 500 }, (_, row) =>
      bytes.subarray(row * 784, row * 784 + 28).some((byte) => byte > 127),
    );
    expect(border.filter(Boolean).length).toBeLessThan(5);
  });

  it('has ten equally frequent classes', () => {
    const counts = new Array<number>(10).fill(0);
    for (const label of train.targets.data) counts[Number(label)] = (counts[Number(label)] ?? 0) + 1;
    expect(counts).toEqual(new Array(10).fill(300));
    expect(() => drawnDigits({ trainSize: 0 })).toThrow(OptionError);
  });
});
