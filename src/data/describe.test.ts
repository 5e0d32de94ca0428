import { describe, expect, it } from 'vitest';
import { dataset } from './dataset.js';
import { describeData, describeDataset } from './describe.js';

describe('describeData', () => {
  it('tells counts, shapes, ranges and classes', async () => {
    const lines = await describeData('digits?train=1000&test=20');
    expect(lines[0]).toBe('data     digits?train=1000&test=20');
    expect(lines).toContain('train    1,000 examples');
    expect(lines.join('\n')).toMatch(/inputs {3}float32 from bytes \[784\], 0 to 1, mean 0\.\d+, deviation 0\.\d+/);
    expect(lines).toContain('  targets  int64 scalar, 0 to 9');
    expect(lines).toContain('  picture  28 × 28, grey');
    expect(lines).toContain(`    "7"        100  ${'█'.repeat(24)}`);
  });

  it('says when the targets are the inputs', async () => {
    const lines = await describeData('digits?train=10&test=10', { task: 'autoencoding' });
    expect(lines).toContain('  targets  the inputs themselves (autoencoding)');
  });

  it('warns of numbers that are not finite, and lists only the extremes of many classes', () => {
    const set = dataset({
      name: 'odd',
      size: 30,
      inputs: {
        dtype: 'float32',
        shape: [1],
        data: Float32Array.from({ length: 30 }, (_, row) => (row === 3 ? Number.NaN : row)),
      },
      targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: 30 }, (_, row) => Math.max(0, row - 5)) },
      classes: Array.from({ length: 25 }, (_, label) => `c${label}`),
    });
    const lines = describeDataset('train', set);
    expect(lines[1]).toBe('  inputs   float32 [1], 0 to 29, mean 14.9, deviation 8.531, 1 NOT FINITE');
    expect(lines.at(-2)).toMatch(/^ {4}most frequent {3}"c0" 6, "c1" 1/);
    expect(lines).toHaveLength(6);
  });
});
