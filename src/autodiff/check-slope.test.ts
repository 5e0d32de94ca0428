// The check itself is checked: right slopes agree, wrong ones do not, in float32 and near kinks.
import { describe, expect, it } from 'vitest';
import { random } from '../random.js';
import { checkSlope, directionAlong } from './check-slope.js';

const precision = 2 ** -23;
const float32 = (f: (h: number) => number) => async (h: number) => Math.fround(f(h));

const functions: readonly (readonly [string, (h: number) => number, number])[] = [
  ['a parabola', (h) => 2.3 + 0.4 * h + 3 * h * h, 0.4],
  ['a steep wave', (h) => 1 + Math.sin(20 * h) / 20, 1],
  ['a kink near by', (h) => 2 + 0.3 * h + Math.max(0, h - 0.02), 0.3],
  ['a small slope', (h) => 2 + 1e-3 * h, 1e-3],
];

describe('checkSlope', () => {
  it.each(functions)('%s: the derivative agrees, and nothing 3 %% beside it', async (_, f, slope) => {
    expect((await checkSlope(float32(f), slope, 1, precision)).verdict).toBe('agrees');
    for (const wrong of [1.03 * slope, 0.97 * slope, -slope, 0]) {
      expect((await checkSlope(float32(f), wrong, 1, precision)).verdict).toBe('differs');
    }
  });

  it('calls flat what only rounds, and not what the gradient promises in vain', async () => {
    const noisy = async (h: number) => Math.fround(2 + 1e-7 * Math.sin(1e6 * h));
    expect((await checkSlope(noisy, 1e-8, 1, precision)).verdict).toBe('flat');
    expect((await checkSlope(noisy, 0, 1, precision)).verdict).toBe('flat');
    expect((await checkSlope(noisy, 0.01, 1, precision)).verdict).toBe('differs');
  });

  it('lets no loss pass that is not a number', async () => {
    const { verdict } = await checkSlope(async (h) => (h === 0 ? 1 : Number.NaN), 1, 1, precision);
    expect(verdict).toBe('differs');
  });
});

describe('directionAlong', () => {
  it('has norm 1 and the signs of the gradient, and goes anywhere where that is zero', () => {
    const gradient = Float32Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 0 : i % 3 === 0 ? 5 : -1e-9));
    const direction = directionAlong(gradient, random(1, 'direction'));
    expect(direction.reduce((sum, x) => sum + x * x, 0)).toBeCloseTo(1, 10);
    for (const [i, x] of direction.entries()) if (gradient[i]) expect(Math.sign(x)).toBe(Math.sign(gradient[i] ?? 0));
    const free = direction.filter((_, i) => gradient[i] === 0);
    expect(free.some((x) => x > 0) && free.some((x) => x < 0)).toBe(true);
  });
});
