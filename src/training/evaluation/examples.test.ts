// Which examples an evaluation uses.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Dataset } from '../../data/dataset.js';
import { evaluatedExamples, sampledExamples, usualExamples } from './examples.js';

function windows(length: number, context: number, stride: number): Dataset {
  const column = { dtype: 'int64', shape: [context], stride, data: new Int32Array(length) } as const;
  return { name: 'text', size: Math.floor((length - context) / stride) + 1, inputs: column, targets: column };
}

const rows = (size: number): Dataset => ({
  name: 'rows',
  size,
  inputs: { dtype: 'float32', shape: [1], data: new Float32Array(size) },
  targets: { dtype: 'int64', shape: [], data: new Int32Array(size) },
});

describe('evaluatedExamples', () => {
  it('are all where nothing overlaps', () => {
    for (const size of [0, 1, 5, 3001]) {
      expect([...evaluatedExamples(rows(size))]).toEqual(Array.from({ length: size }, (_, i) => i));
    }
    expect(evaluatedExamples(windows(3000, 1, 1))).toHaveLength(3000);
    expect(evaluatedExamples(windows(40, 8, 8))).toHaveLength(5);
  });

  it('are windows that do not overlap, from the beginning to the end, and not more than can be afforded', () => {
    const size = fc.integer({ min: 1, max: 20 });
    fc.assert(
      fc.property(size, size, fc.integer({ min: 0, max: 60_000 }), (context, stride, more) => {
        fc.pre(stride < context);
        const set = windows(context + more, context, stride);
        const chosen = evaluatedExamples(set);
        for (const [i, example] of chosen.entries()) {
          expect(example).toBeLessThan(set.size);
          if (i > 0) expect((example - (chosen[i - 1] ?? 0)) * stride).toBeGreaterThanOrEqual(context);
        }
        expect(chosen[0]).toBe(0);
        expect(chosen.length).toBeLessThanOrEqual(2000);
        // The gaps are even: nothing larger than one window more than their mean is left out, also at the end.
        const overlap = Math.ceil(context / stride);
        expect(set.size - (chosen.at(-1) ?? 0)).toBeLessThanOrEqual(set.size / chosen.length + 2 * overlap);
      }),
    );
  });
});

describe('sampledExamples', () => {
  it('are a fixed part, each once', () => {
    const sample = sampledExamples(windows(20_000, 10, 1), 300);
    expect(sample).toEqual(sampledExamples(windows(20_000, 10, 1), 300));
    expect(new Set(sample).size).toBe(300);
    expect([...sample].every((example) => example % 10 === 0)).toBe(true);
    expect(Math.max(...sample)).toBeGreaterThan(15_000);
    expect(sampledExamples(rows(20), 300)).toHaveLength(20);
  });

  it('are fewer where an example is many predictions', () => {
    expect([usualExamples(rows(9)), usualExamples(windows(100, 4, 1))]).toEqual([5000, 500]);
  });
});
