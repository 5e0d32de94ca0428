import { describe, expect, test } from 'vitest';
import type { Numbers } from '../../test/support/declared-step.js';
import { identity, largestDifference, multiply } from '../../test/support/dense-solves.js';
import { normals } from '../../test/support/fed-builder.js';
import { type GivenParameter, type Transformed, transformed } from '../../test/support/transform.js';
import { OptionError } from '../errors.js';
import { random } from '../random.js';
import { scaleBySoap, soap } from './soap.js';
import type { Transform } from './transforms/updates.js';

type Gradients = Readonly<Record<string, GivenParameter>>;

/** The steps of a transform on gradients that do not depend on the parameters. */
async function stepped(transform: Transform, gradients: readonly Gradients[]): Promise<Transformed[]> {
  const outcomes: Transformed[] = [];
  let state: Numbers = {};
  for (const [step, given] of gradients.entries()) {
    const outcome = await transformed(transform, given, undefined, { step, state });
    outcomes.push(outcome);
    state = outcome.states;
  }
  return outcomes;
}

const order = 4;
const drawn = (seed: number, dims: readonly number[]): GivenParameter => ({
  dims,
  gradient: normals(
    random(seed),
    dims.reduce((x, y) => x * y, 1),
  ),
});

/** A product of rotations. */
const rotation = (angles: readonly number[]): Float64Array =>
  angles.reduce((product, angle, i) => {
    const [p, q] = [i % order, (i + 1) % order];
    const each = identity(order);
    each[p * order + p] = Math.cos(angle);
    each[q * order + q] = Math.cos(angle);
    each[p * order + q] = -Math.sin(angle);
    each[q * order + p] = Math.sin(angle);
    return multiply(product, each, order);
  }, identity(order));

describe('scaleBySoap', () => {
  test('turns with the gradients: the update of UGVᵀ is that of G, turned', async () => {
    const [u, v] = [rotation([0.3, 1, -0.7, 2]), rotation([1.1, 0.4, 0.2, -1])];
    const turned = (matrix: readonly number[]): number[] => [...multiply(multiply(u, matrix, order), v, order, true)];
    const gradients = [1, 2, 3, 4, 5, 6].map((seed) => drawn(seed, [order, order]));
    const outcomes = await stepped(
      scaleBySoap({ basisInterval: 2 }),
      gradients.map((plain) => ({ plain, turned: { ...plain, gradient: turned(plain.gradient) } })),
    );
    for (const [step, { updates }] of outcomes.entries()) {
      const size = Math.max(...(updates.plain ?? []).map(Math.abs));
      expect(size > 0.01).toBe(step > 0); // the first step is 0
      expect(largestDifference(turned([...(updates.plain ?? [])]), updates.turned ?? [])).toBeLessThan(1e-8);
    }
  });

  test('keeps orthogonal bases, and renews them when it should', async () => {
    const gradients = Array.from({ length: 8 }, (_, i) => ({ w: drawn(i, [5, 3]) }));
    const outcomes = await stepped(scaleBySoap({ basisInterval: 3 }), gradients);
    const bases = outcomes.map(({ states }) => [states['basis.0.w'] ?? [], states['basis.1.w'] ?? []] as const);
    for (const [left, right] of bases) {
      expect(largestDifference(multiply(left, left, 5, true), identity(5))).toBeLessThan(1e-12);
      expect(largestDifference(multiply(right, right, 3, true), identity(3))).toBeLessThan(1e-12);
    }
    const renewed = bases.flatMap((basis, step) =>
      JSON.stringify(basis) === JSON.stringify(bases[step - 1]) ? [] : [step],
    );
    expect(renewed).toEqual([0, 3, 6]);
  });

  test('is Adam for vectors, numbers and long sides, one step late', async () => {
    const { beta1, beta2, epsilon } = { beta1: 0.5, beta2: 0.9, epsilon: 1e-8 };
    const gradients = [1, 2, 3].map((seed) => ({
      vector: drawn(seed, [4]),
      long: drawn(seed, [4, 1]),
      number: drawn(seed, []),
    }));
    const outcomes = await stepped(scaleBySoap({ beta1, beta2, epsilon, largestSide: 3 }), gradients);
    for (const name of ['vector', 'long', 'number'] as const) {
      const seen = gradients.map((given) => given[name].gradient);
      const expected = (seen[0] ?? []).map((_, i) => {
        const [, second = 0, third = 0] = seen.map((gradient) => gradient[i] ?? Number.NaN);
        const mean = (beta1 * (1 - beta1) * second + (1 - beta1) * third) / (1 - beta1 ** 2);
        const square = beta2 * (1 - beta2) * second ** 2 + (1 - beta2) * third ** 2;
        return (mean * Math.sqrt(1 - beta2 ** 2)) / (Math.sqrt(square) + epsilon);
      });
      expect(largestDifference(outcomes[2]?.updates[name] ?? [], expected)).toBeLessThan(1e-12);
      expect(outcomes[0]?.updates[name]?.every((x) => x === 0)).toBe(true);
    }
  });

  test('takes 1×n matrices, kernels as matrices or with four modes, and gradients of 0', async () => {
    const kernel = drawn(1, [4, 2, 3, 3]);
    const given = (seed: number) => ({
      row: drawn(seed, [1, 5]),
      kernel,
      matrix: { ...kernel, dims: [4, 18] },
      zero: { dims: [3, 4], gradient: Array<number>(12).fill(0) },
    });
    const gradients = [1, 2, 3].map(given);
    const merged = await stepped(scaleBySoap({ basisInterval: 1 }), gradients);
    const apart = await stepped(scaleBySoap({ basisInterval: 1, mergeKernels: false }), gradients);
    const { updates = {}, states = {} } = merged[2] ?? {};
    expect(Object.values(updates).flat().every(Number.isFinite)).toBe(true);
    expect(updates.zero?.every((x) => x === 0)).toBe(true);
    expect(updates.kernel).toEqual(updates.matrix);
    expect(Math.max(...(updates.row ?? []).map(Math.abs))).toBeGreaterThan(0.1);
    expect(states['basis.1.kernel']).toHaveLength(18 ** 2);
    expect(apart[2]?.states['basis.3.kernel']).toHaveLength(3 ** 2);
    expect(apart[2]?.updates.kernel?.every(Number.isFinite)).toBe(true);
    expect(largestDifference(apart[2]?.updates.kernel ?? [], updates.kernel ?? [])).toBeGreaterThan(1e-3);
  });

  test('keeps a basis and a statistic a side, beside what Adam keeps', async () => {
    const { states } = await transformed(scaleBySoap(), { w: drawn(1, [5, 3]), v: drawn(2, [3]) });
    const kept = Object.values(states).reduce((sum, { length }) => sum + length, 0);
    expect(kept).toBe(2 * (25 + 9) + 2 * 15 + 2 * 3);
  });

  test.each<readonly [string, object]>([
    ['beta1 is 1; it must be a finite number, at least 0, less than 1', { beta1: 1 }],
    ['basisInterval is 0; it must be a whole number, at least 1', { basisInterval: 0 }],
    ['largestSide is -1; it must be a whole number, at least 1', { largestSide: -1 }],
    ['mergeKernels is 1; it must be true or false', { mergeKernels: 1 }],
    ["unknown option 'interval' of soap; it takes", { interval: 3 }],
  ])('%s', (message, options) => {
    expect(() => soap(options)).toThrow(OptionError);
    expect(() => soap(options)).toThrow(message);
  });
});
