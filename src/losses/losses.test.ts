// Each loss against its formula in plain TypeScript: values, derivatives by differences, and the Fisher information.
import { describe, expect, test } from 'vitest';
import { FedBuilder, normals } from '../../test/support/fed-builder.js';
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import { random } from '../random.js';
import { lossNames, lossOf } from './index.js';
import type { Loss } from './loss.js';

const sum = (numbers: readonly number[]): number => numbers.reduce((total, x) => total + x, 0);
const mean = (numbers: readonly number[]): number => sum(numbers) / numbers.length;
const get = (numbers: readonly number[], i: number): number => numbers[i] ?? Number.NaN;

/** `count` consecutive groups of equal size. */
const groups = (numbers: readonly number[], count: number): number[][] =>
  Array.from({ length: count }, (_, i) =>
    numbers.slice((i * numbers.length) / count, ((i + 1) * numbers.length) / count),
  );

type Name = 'softmax-cross-entropy' | 'sigmoid-cross-entropy' | 'mean-squared-error';

/** The negative log-likelihood of all cases together, and the value that is reported for it. */
const formulas: Record<Name, (z: readonly number[], y: readonly number[]) => { likelihood: number; value: number }> = {
  'softmax-cross-entropy': (z, y) => {
    const rows = groups(z, y.length).map((row, i) => Math.log(sum(row.map(Math.exp))) - get(row, get(y, i)));
    return { likelihood: sum(rows), value: mean(rows) };
  },
  'sigmoid-cross-entropy': (z, y) => {
    const terms = z.map((x, i) => {
      const p = 1 / (1 + Math.exp(-x));
      return -get(y, i) * Math.log(p) - (1 - get(y, i)) * Math.log(1 - p);
    });
    return { likelihood: sum(terms), value: mean(terms) };
  },
  'mean-squared-error': (z, y) => {
    const squares = z.map((x, i) => (x - get(y, i)) ** 2);
    return { likelihood: sum(squares) / 2, value: mean(squares) };
  },
};

interface Case {
  readonly name: Name;
  readonly dims: readonly number[];
  /** Shape of the targets. */
  readonly targets: readonly number[];
  /** Examples, or rows of logits: what the likelihood is a product over. */
  readonly cases: number;
}

const cases: readonly Case[] = [
  { name: 'softmax-cross-entropy', dims: [4, 3], targets: [4], cases: 4 },
  { name: 'softmax-cross-entropy', dims: [2, 3, 5], targets: [2, 3], cases: 6 },
  { name: 'sigmoid-cross-entropy', dims: [3, 4], targets: [3, 4], cases: 3 },
  { name: 'sigmoid-cross-entropy', dims: [2, 3, 2], targets: [2, 3, 2], cases: 2 },
  { name: 'mean-squared-error', dims: [3, 4], targets: [3, 4], cases: 3 },
  { name: 'mean-squared-error', dims: [2, 3, 2], targets: [2, 3, 2], cases: 2 },
];

function numbersOf({ name, dims, targets }: Case) {
  const source = random(1, name, dims.length);
  const z = normals(source, elementCount(dims));
  const classes = dims.at(-1) ?? 1;
  const draw = name === 'softmax-cross-entropy' ? () => source.integer(classes) : () => source.uniform();
  return { z, y: Array.from({ length: elementCount(targets) }, draw), v: normals(source, elementCount(dims)) };
}

/** Σ over four points around x with step h: the fifth-order central difference. */
const difference = (f: (offset: number) => number, h = 1e-3): number =>
  (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);

function parts(name: Name) {
  const loss = lossOf(name);
  if (!loss.likelihood) throw new Error('a loss with a likelihood');
  return { ...loss, ...loss.likelihood };
}

describe.each(cases)('$name of $dims', (one) => {
  const loss = parts(one.name);
  const { z, y, v } = numbersOf(one);
  const start = () => {
    const b = new FedBuilder();
    const output = b.given(one.dims, z);
    const type = loss.targetType(output);
    expect(type.shape).toEqual(one.targets);
    return { b, output, targets: b.given(one.targets, y, type.dtype) };
  };

  test('value, and its scale', async () => {
    const { b, output, targets } = start();
    const { value } = await b.compute({ value: loss.value(b, output, targets) });
    const formula = formulas[one.name](z, y);
    expect(get(value, 0)).toBeCloseTo(formula.value, 12);
    expect(loss.cases(output)).toBe(one.cases);
    // The mean negative log-likelihood of a case is scale · value.
    expect(loss.scale(output) * get(value, 0)).toBeCloseTo(formula.likelihood / one.cases, 12);
  });

  test('cotangent: the derivative of the negative log-likelihood of all cases', async () => {
    const { b, output, targets } = start();
    const { cotangent } = await b.compute({ cotangent: loss.cotangent(b, output, targets) });
    for (const i of z.keys()) {
      const moved = (offset: number) => z.map((x, k) => (k === i ? x + offset : x));
      expect(get(cotangent, i)).toBeCloseTo(
        difference((offset) => formulas[one.name](moved(offset), y).likelihood),
        9,
      );
    }
  });

  test('hessianProduct: the derivative of the cotangent along a vector', async () => {
    const { b, output, targets } = start();
    const vector = b.given(one.dims, v);
    const h = 1e-3;
    const at = (offset: number) => loss.cotangent(b, b.add(output, b.mul(vector, offset)), targets);
    const { product, ...around } = await b.compute({
      product: loss.hessianProduct(b, output, vector),
      up: at(h),
      down: at(-h),
      farUp: at(2 * h),
      farDown: at(-2 * h),
    });
    for (const i of z.keys()) {
      const near = get(around.up, i) - get(around.down, i);
      const far = get(around.farUp, i) - get(around.farDown, i);
      expect(get(product, i)).toBeCloseTo((8 * near - far) / (12 * h), 9);
    }
  });

  test('hessianRoot: its columns make the Hessian of each case', async () => {
    const { b, output } = start();
    const width = z.length / one.cases;
    const outputs: Record<string, Value> = {};
    for (const [k, column] of loss.hessianRoot(b, output).entries()) {
      expect(column.dims).toEqual(one.dims);
      outputs[`root${k}`] = column;
    }
    const roots = Object.keys(outputs);
    for (let k = 0; k < width; k++) {
      const unit = b.given(
        one.dims,
        z.map((_, i) => Number(i % width === k)),
      );
      outputs[`column${k}`] = loss.hessianProduct(b, output, unit);
    }
    const results = await b.compute(outputs);
    const largest = Math.max(...Array.from({ length: width }, (_, k) => Math.abs(get(results[`column${k}`] ?? [], k))));
    expect(largest).toBeGreaterThan(0.05);
    for (const i of z.keys()) {
      const first = i - (i % width);
      for (let k = 0; k < width; k++) {
        const products = roots.map((name) => get(results[name] ?? [], i) * get(results[name] ?? [], first + k));
        expect(sum(products)).toBeCloseTo(get(results[`column${k}`] ?? [], i), 12);
      }
    }
  });

  test('sampledCotangent: mean zero, covariance the Hessian', async () => {
    const draws = 20_000;
    const b = new FedBuilder();
    const [, ...example] = one.dims;
    const perExample = elementCount(example);
    const dims = [draws, ...example];
    const logits = z.slice(0, perExample);
    const output = b.given(dims, Array.from({ length: draws }, () => logits).flat());
    const shape = loss.noise.shape(output);
    const noise = new Float32Array(elementCount(shape));
    const source = random(2, one.name, one.dims.length);
    if (loss.noise.distribution === 'uniform') source.fillUniform(noise);
    else source.fillNormal(noise);
    const columns: Record<string, Value> = {};
    for (let k = 0; k < perExample; k++) {
      const unit = b.given(
        [1, ...example],
        logits.map((_, i) => Number(i === k)),
      );
      columns[`column${k}`] = loss.hessianProduct(b, b.given([1, ...example], logits), unit);
    }
    const results: Record<string, number[]> = await b.compute({
      sample: loss.sampledCotangent(b, output, b.given(shape, noise)),
      ...columns,
    });
    const samples = groups(results.sample ?? [], draws);
    for (let i = 0; i < perExample; i++) {
      const variance = get(results[`column${i}`] ?? [], i);
      // Five standard errors; the products have at most the standard deviation √2 (of squared normal numbers).
      expect(Math.abs(mean(samples.map((row) => get(row, i))))).toBeLessThan(5 * Math.sqrt(variance / draws));
      for (let k = 0; k < perExample; k++) {
        const covariance = mean(samples.map((row) => get(row, i) * get(row, k)));
        const expected = get(results[`column${k}`] ?? [], i);
        expect(Math.abs(covariance - expected)).toBeLessThan(5 * Math.sqrt(2 / draws) * Math.max(variance, 0.2));
      }
    }
  });
});

test('softmax draws exactly one class, at both ends of the noise too', async () => {
  const classes = 1000;
  const b = new FedBuilder();
  const source = random(3);
  // The largest uniform number, many times: some rows of probabilities sum to less, rounded.
  const ends = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 0 : 1 - 2 ** -24));
  const noise = [...ends, ...Array.from({ length: 30 }, () => source.uniform())];
  const output = b.given([noise.length, classes], normals(source, noise.length * classes), 'float32');
  const cotangent = parts('softmax-cross-entropy').sampledCotangent(
    b,
    output,
    b.given([noise.length, 1], noise, 'float32'),
  );
  const { drawn } = await b.compute({ drawn: b.sub(b.softmax(output), cotangent) });
  for (const row of groups(drawn, noise.length)) {
    const chosen = row.filter((x) => Math.abs(x) > 0.5);
    expect(chosen).toHaveLength(1);
    expect(get(chosen, 0)).toBeCloseTo(1, 5);
  }
});

test.each(['softmax-cross-entropy', 'sigmoid-cross-entropy'] as const)('%s does not overflow', async (name) => {
  const b = new FedBuilder();
  const output = b.given([1, 2], [800, -800]);
  const loss = parts(name);
  const targets = name === 'softmax-cross-entropy' ? b.given([1], [1], 'int64') : b.given([1, 2], [0, 1]);
  const results = await b.compute({
    value: loss.value(b, output, targets),
    cotangent: loss.cotangent(b, output, targets),
  });
  expect(results.value).toEqual([name === 'softmax-cross-entropy' ? 1600 : 800]);
  expect(results.cotangent).toEqual([1, -1]);
});

test('losses have names', () => {
  expect(lossNames.map((name) => lossOf(name).name)).toEqual(lossNames);
  expect(() => lossOf('hubber')).toThrow(OptionError);
  expect(() => lossOf('hubber')).toThrow(
    "unknown loss 'hubber' (did you mean 'huber'?); choose one of softmax-cross-entropy",
  );
  expect(() => lossOf('toString')).toThrow(OptionError);
});

describe('a loss of a user', () => {
  const whole = lossOf('mean-squared-error');

  test('is taken as it is', () => {
    expect(lossOf(whole)).toBe(whole);
    const { likelihood: _, inUnits: __, ...least } = whole;
    expect(lossOf(least)).toBe(least);
  });

  test.each<[string, Readonly<Record<string, unknown>>, string]>([
    ['no name', { name: '' }, "the loss '' lacks a name: a text"],
    ['no targets', { targets: 'numbers' }, "lacks targets: 'labels' of classes or 'values'"],
    ['no target type', { targetType: undefined }, 'lacks targetType(output)'],
    ['no value', { value: 3 }, 'lacks value(b, output, targets, weights): the mean loss, a scalar'],
    ['no step', { step: 'scheduled' }, "lacks step: 'normalized' or 'self-tuning'"],
    ['a metric by name', { metric: 'accuracy' }, 'lacks a metric'],
    [
      'half a likelihood',
      { likelihood: { ...whole.likelihood, hessianRoot: undefined } },
      'lacks likelihood.hessianRoot',
    ],
    ['no noise', { likelihood: { ...whole.likelihood, noise: undefined } }, 'lacks likelihood.noise'],
    ['a mass that is a number', { mass: 1 }, 'lacks mass as a function'],
  ])('is refused at the door: %s', (_, change, message) => {
    const broken = { ...whole, ...change } as Loss;
    expect(() => lossOf(broken)).toThrow(OptionError);
    expect(() => lossOf(broken)).toThrow(message);
  });

  test('that is no object is told so', () => {
    const crossEntropy = () => whole;
    expect(() => lossOf(crossEntropy as unknown as Loss)).toThrow('call it: crossEntropy()');
    expect(() => lossOf(undefined as unknown as Loss)).toThrow(
      'loss is undefined; give one as crossEntropy() makes it',
    );
  });
});
