import { describe, expect, test } from 'vitest';
import type { Numbers } from '../../test/support/declared-step.js';
import { largestDifference } from '../../test/support/dense-solves.js';
import { normals } from '../../test/support/fed-builder.js';
import { signs } from '../../test/support/optimizer-step.js';
import { type GivenParameter, type Transformed, transformed } from '../../test/support/transform.js';
import { OptionError } from '../errors.js';
import { elementCount } from '../graph/tensor.js';
import { random } from '../random.js';
import { type KroneckerWhiteningOptions, psgdKron, scaleByKroneckerWhitening } from './psgd-kron.js';

type Gradients = Readonly<Record<string, GivenParameter>>;

const drawn = (seed: number, dims: readonly number[]): GivenParameter => ({
  dims,
  gradient: normals(random(seed), elementCount(dims)),
});

/** I, as the factors begin: tests feed zeros for what they do not give. */
const identities = (sides: Readonly<Record<string, number>>): Numbers =>
  Object.fromEntries(
    Object.entries(sides).map(([name, order]) => [
      name,
      Array.from({ length: order ** 2 }, (_, i) => Number(i % (order + 1) === 0)),
    ]),
  );
const ones = (length: number): number[] => Array(length).fill(1);

/** The steps of the transform on gradients that do not depend on the parameters, from factors that are given. */
async function stepped(options: KroneckerWhiteningOptions, initial: Numbers, gradients: readonly Gradients[]) {
  const outcomes: Transformed[] = [];
  let state = initial;
  for (const [step, given] of gradients.entries()) {
    const moment = { step, state, noise: signs(step) };
    const outcome = await transformed(scaleByKroneckerWhitening(options), given, undefined, moment);
    outcomes.push(outcome);
    state = outcome.states;
  }
  return outcomes;
}

describe('scaleByKroneckerWhitening', () => {
  test('brings elements of any scale to a size of 1', async () => {
    const gradients = Array.from({ length: 25 }, () => ({ v: { dims: [3], gradient: [2, -1, 0.5] } }));
    const outcomes = await stepped({ beta1: 0, factorRate: 0.8 }, { 'factor.0.v': ones(3) }, gradients);
    expect(largestDifference(outcomes.at(-1)?.updates.v ?? [], [1, -1, 1])).toBeLessThan(0.05);
  });

  test('clips a step to a root mean square of 1.1', async () => {
    const [outcome] = await stepped({}, { 'factor.0.v': ones(3) }, [{ v: { dims: [3], gradient: [1e3, 2e3, -1e3] } }]);
    const { v = [] } = outcome?.updates ?? {};
    expect(Math.sqrt(v.reduce((sum, x) => sum + x * x, 0) / 3)).toBeCloseTo(1.1, 12);
  });

  test('factors stay triangular, and equal in size', async () => {
    const gradients = [1, 2, 3].map((seed) => ({ w: drawn(seed, [4, 3]) }));
    const outcomes = await stepped({}, identities({ 'factor.0.w': 4, 'factor.1.w': 3 }), gradients);
    for (const { states } of outcomes) {
      const [first, second] = [states['factor.0.w'] ?? [], states['factor.1.w'] ?? []];
      expect(first.every((x, i) => i % 4 >= Math.floor(i / 4) || x === 0)).toBe(true);
      expect(second.every((x, i) => i % 3 >= Math.floor(i / 3) || x === 0)).toBe(true);
      expect(Math.max(...first.map(Math.abs)) / Math.max(...second.map(Math.abs))).toBeCloseTo(1, 12);
    }
  });

  test('takes kernels, 1×n matrices, numbers, long sides and gradients of 0', async () => {
    const kernel = drawn(1, [2, 1, 3, 3]);
    const gradients = [1, 2].map((seed) => ({
      kernel,
      matrix: { ...kernel, dims: [6, 3] },
      row: drawn(seed, [1, 3]),
      long: drawn(seed, [7, 2]),
      number: drawn(seed, []),
      zero: { dims: [3, 2], gradient: Array<number>(6).fill(0) },
    }));
    const outcomes = await stepped(
      { largestSide: 6 },
      {
        ...identities({ 'factor.0.kernel': 6, 'factor.1.kernel': 3, 'factor.0.matrix': 6, 'factor.1.matrix': 3 }),
        ...identities({ 'factor.0.row': 1, 'factor.1.row': 3, 'factor.1.long': 2, 'factor.0.number': 1 }),
        ...identities({ 'factor.0.zero': 3, 'factor.1.zero': 2 }),
        'factor.0.long': ones(7),
      },
      gradients,
    );
    const { updates = {}, states = {} } = outcomes[1] ?? {};
    expect(Object.values(updates).flat().every(Number.isFinite)).toBe(true);
    for (const name of ['kernel', 'row', 'long', 'number']) {
      expect(Math.max(...(updates[name] ?? []).map(Math.abs))).toBeGreaterThan(0.01);
    }
    expect(updates.zero?.every((x) => x === 0)).toBe(true);
    expect(states['factor.0.zero']).toEqual(identities({ q: 3 }).q); // it does not grow
    expect(states['factor.0.kernel']).toHaveLength(36);
    expect(states['factor.0.long']).toHaveLength(7);
  });

  test('changes its factors with the probability that it is given, in the same steps of every run', async () => {
    const gradients = Array.from({ length: 12 }, (_, seed) => ({ v: drawn(seed, [3]) }));
    const outcomes = await stepped({ updateProbability: 0.4 }, { 'factor.0.v': ones(3) }, gradients);
    const factors = [ones(3), ...outcomes.map(({ states }) => states['factor.0.v'] ?? [])].map((x) =>
      JSON.stringify(x),
    );
    const changed = gradients.flatMap((_, step) => (factors[step] === factors[step + 1] ? [] : [step]));
    const expected = gradients.flatMap((_, step) => (random(step, 'psgd-kron').uniform() < 0.4 ? [step] : []));
    expect(changed).toEqual(expected);
    expect(changed.length).toBeGreaterThan(1);
    expect(changed.length).toBeLessThan(11);
  });

  test.each<readonly [string, object]>([
    ['factorRate is 0; it must be a finite number, greater than 0, at most 1', { factorRate: 0 }],
    ['updateProbability is 2; it must be a finite number, greater than 0, at most 1', { updateProbability: 2 }],
    ['largestSide is 0; it must be a whole number, at least 1', { largestSide: 0 }],
    ["unknown option 'beta2' of psgdKron (did you mean 'beta1'?)", { beta2: 0.9 }],
  ])('%s', (message, options) => {
    expect(() => psgdKron(options)).toThrow(OptionError);
    expect(() => psgdKron(options)).toThrow(message);
  });
});
