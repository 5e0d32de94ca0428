// Transforms on given gradients: PyTorch's clipping, decay behind and before, signs, centralization, and what fuses.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type GivenParameter, transformed } from '../../../test/support/transform.js';
import { OptionError } from '../../errors.js';
import { int } from '../../graph/graph.js';
import { adam, scaleByAdam } from '../adam.js';
import { chain, namedChain } from '../chain.js';
import { isMatrix } from '../parameters.js';
import { cosine } from '../schedules.js';
import { sgd } from '../sgd.js';
import { centralizeGradients } from './centralize.js';
import { clipByBlockNorm, clipByGlobalNorm, clipByValue } from './clip.js';
import { addDecayedWeights } from './decay.js';
import { scaleByLearningRate } from './learning-rate.js';
import { scaleByMomentum } from './momentum.js';
import { cautious, scaleBySign } from './sign.js';
import type { Transform } from './updates.js';

/** Transforms one after the other, as in a chain. */
const inOrder =
  (...transforms: readonly Transform[]): Transform =>
  (context, updates) =>
    transforms.reduce((result, transform) => transform(context, result), updates);

const vector = (gradient: readonly number[], elements?: readonly number[]): GivenParameter => ({
  dims: [gradient.length],
  gradient,
  ...(elements && { elements }),
});

describe('clipping, as PyTorch', () => {
  interface Case {
    readonly function: string;
    readonly max_norm?: number;
    readonly norm_type?: string;
    readonly clip_value?: number;
    readonly norm: number | null;
    readonly clipped: readonly (readonly number[])[];
  }
  const file = new URL('../../../test/fixtures/optimizers/clip-gradients.json', import.meta.url);
  const recorded = JSON.parse(readFileSync(file, 'utf8')) as {
    gradients: readonly { shape: number[]; values: number[] }[];
    cases: readonly Case[];
  };
  const given = Object.fromEntries(
    recorded.gradients.map(({ shape, values }, i) => [`p${i}`, { dims: shape, gradient: values }]),
  );
  const cases = recorded.cases.filter(({ norm_type: type = '2.0' }) => type === '2.0');

  test.each(cases.map((each) => [each.function, each.max_norm ?? each.clip_value, each] as const))(
    '%s %s',
    async (_name, maximum = Number.NaN, { norm, clipped }) => {
      const transform = norm === null ? clipByValue(maximum) : clipByGlobalNorm(maximum);
      const { updates, reports } = await transformed(transform, given);
      for (const [i, expected] of clipped.entries()) {
        for (const [k, value] of expected.entries()) expect(updates[`p${i}`]?.[k]).toBeCloseTo(value, 14);
      }
      if (norm !== null) expect(reports.gradientNorm).toBeCloseTo(norm, 13);
    },
  );

  test('each parameter by its own norm', async () => {
    const { updates } = await transformed(clipByBlockNorm(1), { long: vector([3, 4]), short: vector([0.3, 0.4]) });
    expect(updates.long?.[1]).toBeCloseTo(0.8, 6);
    expect(updates.short).toEqual([0.3, 0.4]);
  });

  test('a bound may be a schedule', async () => {
    const { updates } = await transformed(clipByValue(cosine(2, 100)), { p: vector([3, -5, 1]) });
    expect(updates.p).toEqual([2, -2, 1]);
  });
});

describe('weight decay', () => {
  const p = vector([1, -2], [10, 20]);

  test('behind the rest it is decoupled, before it is L2', async () => {
    const rate = scaleByLearningRate(0.5);
    const decoupled = await transformed(inOrder(scaleBySign(), addDecayedWeights(0.1), rate), { p });
    expect(decoupled.parameters.p).toEqual([10 * 0.95 - 0.5, 20 * 0.95 + 0.5]);
    expect(decoupled.updates.p).toEqual([1, 0.5]);
    const coupled = await transformed(inOrder(addDecayedWeights(0.1), scaleBySign(), rate), { p });
    expect(coupled.updates.p).toEqual([0.5, 0]);
  });

  test('may be a schedule, may be twice, and is nothing if it is 0', async () => {
    const run = async (...transforms: Transform[]) => (await transformed(inOrder(...transforms), { p })).updates.p;
    expect(await run(addDecayedWeights(cosine(0.1, 10)))).toEqual([2, 0]);
    expect(await run(addDecayedWeights(0.1), addDecayedWeights(0.2))).toEqual([4, 4]);
    expect(await run(addDecayedWeights(0))).toEqual([1, -2]);
  });

  test('of some parameters: by glob, by predicate', async () => {
    const given = { weight: { dims: [2, 1], gradient: [0, 0] }, bias: vector([0, 0]) };
    for (const rule of ['w*', isMatrix]) {
      const { updates } = await transformed(addDecayedWeights(0.1, rule), given, (b, parameters) =>
        b.matmul(b.given([1, 2], [1, 1]), parameters.get('weight') ?? b.given([2, 1], [0, 0])),
      );
      expect(updates).toEqual({ weight: [0.1, 0.1], bias: [0, 0] });
    }
  });
});

describe('signs and means', () => {
  test('a cautious update moves where it agrees with the gradient, as much as all would', async () => {
    const opposed: Transform = ({ b }, updates) => updates.map((update) => b.sub(update, 2));
    const { updates } = await transformed(inOrder(opposed, cautious()), { p: vector([1, 3, -1, 0]) });
    expect(updates.p).toEqual([-0, 2, -6, -0]);
  });

  test('gradients of each output have mean 0 over its inputs, however a weight is stored', async () => {
    const gradient = [1, 2, 3, 5, 5, 8];
    const given = {
      first: { dims: [2, 3], gradient },
      transposed: { dims: [2, 3], gradient },
      kernel: { dims: [2, 3, 1, 1], gradient },
      bias: vector([1, 2]),
    };
    const { updates } = await transformed(centralizeGradients(), given, (b, parameters) => {
      const value = (name: string) => parameters.get(name) ?? b.scalar(0, 'float64');
      const dense = b.matmul(b.given([1, 2], [1, 1]), value('first'));
      const other = b.op('Gemm', [dense, value('transposed')], { transB: int(1) });
      return b.add(b.sum(other), b.sum(b.op('Conv', [b.given([1, 3, 2, 2], new Float64Array(12)), value('kernel')])));
    });
    expect(updates.first).toEqual([-2, -1.5, -2.5, 2, 1.5, 2.5]);
    expect(updates.transposed).toEqual([-1, 0, 1, -1, -1, 2]);
    expect(updates.kernel).toEqual([-1, 0, 1, -1, -1, 2]);
    expect(updates.bias).toEqual([1, 2]);
  });
});

describe('what fuses', () => {
  test('scalars that are known before the step cost no pass over the update', async () => {
    const p = vector([1, -2], [10, 20]);
    const rates = await transformed(inOrder(scaleByLearningRate(0.5)), { p });
    expect(rates.nodes).toBe(2); // the product and the difference
    const adamOnly = await transformed(inOrder(...adam().transforms), { p });
    const unscaled = await transformed(scaleByAdam(), { p });
    expect(adamOnly.nodes).toBe(unscaled.nodes); // the bias correction and the rate are one product
    const half = (_: number, kept: number) => 0.5 / (kept + 1);
    const twice: Transform = (_, updates) => updates.times({ name: 'half', at: half }).over({ name: 'two', at: 2 });
    const { nodes, updates } = await transformed(inOrder(scaleByLearningRate(0.5), twice), { p });
    expect(nodes).toBe(2);
    expect(updates.p).toEqual([0.125, -0.25]);
  });

  test('momentum of 0 is no state', async () => {
    const { nodes } = await transformed(scaleByMomentum({ momentum: 0 }), { p: vector([1]) });
    expect(nodes).toBe(1);
  });
});

describe('chains', () => {
  test('of chains, in a row', () => {
    const optimizer = chain(clipByGlobalNorm(1), sgd());
    expect(optimizer.name).toBe('chain');
    expect(optimizer.transforms).toHaveLength(1 + sgd().transforms.length);
    expect(namedChain('mine', optimizer).name).toBe('mine');
  });

  test('refuse what is no part, and two numbers of one name', async () => {
    const wrong = [undefined, 'adam', { name: 'x' }, sgd.name];
    for (const part of wrong) expect(() => chain(part as unknown as Transform)).toThrow(OptionError);
    expect(() => chain({ name: 'x' } as unknown as Transform)).toThrow(
      'a part of a chain is an object with name; give transforms such as clipByGlobalNorm(1), or optimizers that are chains',
    );
    const twice = inOrder(scaleByLearningRate(0.1), scaleByLearningRate(0.2));
    await expect(transformed(twice, { p: vector([1]) })).rejects.toThrow(
      "two numbers of a chain are called 'learningRate': give each its own name",
    );
  });

  test('numbers out of range', () => {
    const wrong: readonly (readonly [string, () => unknown])[] = [
      ['maximum is 0; it must be a finite number, greater than 0', () => clipByGlobalNorm(0)],
      ['maximum is -1; it must be a finite number, greater than 0', () => clipByValue(-1)],
      ['weightDecay is -1; it must be a finite number, at least 0', () => addDecayedWeights(-1)],
      ['learningRate is 0; it must be a finite number, greater than 0', () => scaleByLearningRate(0)],
      ['momentum is 1; it must be a finite number, at least 0, less than 1', () => scaleByMomentum({ momentum: 1 })],
    ];
    for (const [message, make] of wrong) {
      expect(make).toThrow(OptionError);
      expect(make).toThrow(message);
    }
  });
});
