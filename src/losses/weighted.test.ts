// Likelihoods of losses with options and weights: cotangents, Hessian and samples by differences of the value itself.
import { describe, expect, test } from 'vitest';
import { FedBuilder, normals } from '../../test/support/fed-builder.js';
import { gradients } from '../autodiff/gradients.js';
import type { Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import { random } from '../random.js';
import { binaryCrossEntropy } from './binary-cross-entropy.js';
import { crossEntropy } from './cross-entropy.js';
import { huber } from './huber.js';
import { type Cases, casesOf, caseWeightsOf, unitLikelihood } from './likelihood.js';
import type { Loss } from './loss.js';
import { meanSquaredError } from './mean-squared-error.js';
import { poisson } from './poisson.js';

const get = (numbers: readonly number[] | undefined, i: number): number => numbers?.[i] ?? Number.NaN;

interface Case {
  readonly what: string;
  readonly loss: Loss;
  readonly dims: readonly number[];
  readonly targets: readonly number[];
  readonly y: readonly number[];
  readonly weights?: readonly number[];
}

const source = random(7, 'weighted');
const probabilities = [0.2, 0.5, 0.3, 0.7, 0.1, 0.2, 0, 1, 0, 0.3, 0.3, 0.4];
const classWeights = [0.5, 2, 1];
const weights = [1, 0.25, 3, 0];
const labels = [2, 0, 1, 1];
const units = Array.from({ length: 8 }, () => source.uniform());
const counts = [0, 3, 1, 2, 5, 1, 0, 4];

const cases: readonly Case[] = [
  { what: 'smoothing', loss: crossEntropy({ labelSmoothing: 0.2 }), dims: [4, 3], targets: [4], y: labels },
  { what: 'class weights', loss: crossEntropy({ classWeights }), dims: [4, 3], targets: [4], y: labels },
  {
    what: 'class weights, smoothing, ignored rows, weights',
    loss: crossEntropy({ classWeights, labelSmoothing: 0.1, ignoreIndex: -100 }),
    dims: [4, 3],
    targets: [4],
    y: [2, -100, 1, 0],
    weights,
  },
  {
    what: 'ignored positions of weighted sequences',
    loss: crossEntropy({ ignoreIndex: 0 }),
    dims: [2, 3, 3],
    targets: [2, 3],
    y: [2, 0, 1, 1, 0, 2],
    weights: [1, 3],
  },
  { what: 'soft targets', loss: crossEntropy(), dims: [4, 3], targets: [4, 3], y: probabilities },
  {
    what: 'soft targets with class weights',
    loss: crossEntropy({ classWeights }),
    dims: [4, 3],
    targets: [4, 3],
    y: probabilities,
    weights,
  },
  { what: 'weights of labels', loss: crossEntropy(), dims: [4, 3], targets: [4], y: labels, weights },
  {
    what: 'positive weights',
    loss: binaryCrossEntropy({ positiveWeight: [3, 0.5] }),
    dims: [4, 2],
    targets: [4, 2],
    y: units,
    weights,
  },
  { what: 'weights of numbers', loss: meanSquaredError(), dims: [4, 2], targets: [4, 2], y: units, weights },
  { what: 'counts', loss: poisson(), dims: [4, 2], targets: [4, 2], y: counts },
  { what: 'weighted counts', loss: poisson(), dims: [4, 2], targets: [4, 2], y: counts, weights },
];

function started({ loss, dims, targets, y, weights: given }: Case, z: readonly number[]) {
  const b = new FedBuilder();
  const isLabels = loss.targets === 'labels' && targets.length < dims.length;
  const at = {
    output: b.given(dims, z),
    targets: b.given(targets, y, isLabels ? 'int64' : 'float64'),
    weights: given && b.given([given.length], given),
  };
  return { b, at, likelihood: unitLikelihood(b, loss) };
}

/** Derivative of the negative log-likelihood of all cases by the output: cases · weight · ∂value/∂output. */
function slopeOf(b: FedBuilder, loss: Loss, { output, targets, weights: given }: Cases, factor: Value): Value {
  const [slope = output] = gradients(b, loss.value(b, output, targets, given), [output]);
  return b.mul(slope, b.mul(factor, casesOf(loss, output)));
}

describe.each(cases)('$what', (one) => {
  const { loss, dims } = one;
  const z = normals(random(8, one.what), elementCount(dims));
  const v = normals(random(9, one.what), elementCount(dims));

  test('cotangents are derivatives of the value, by the root of each weight', async () => {
    const { b, at, likelihood } = started(one, z);
    const each = loss.likelihood?.caseWeights
      ? loss.likelihood.caseWeights(b, at.output, at.targets, at.weights)
      : caseWeightsOf(b, at.output, at.weights);
    const cotangent = likelihood.cotangent(b, at);
    const results = await b.compute({
      cotangent: each ? b.mul(cotangent, b.sqrt(each)) : cotangent,
      slope: slopeOf(b, loss, at, likelihood.weight(at.output)),
    });
    for (const i of z.keys()) expect(get(results.cotangent, i)).toBeCloseTo(get(results.slope, i), 11);
  });

  test('the Hessian is that of the value, by differences', async () => {
    const { b, at, likelihood } = started(one, z);
    const h = 1e-3;
    const vector = b.given(dims, v);
    const moved = (offset: number) => ({ ...at, output: b.add(at.output, b.mul(vector, offset)) });
    const slope = (offset: number) => slopeOf(b, loss, moved(offset), likelihood.weight(at.output));
    const { product, ...around } = await b.compute({
      product: likelihood.hessianProduct(b, at, vector),
      up: slope(h),
      down: slope(-h),
      farUp: slope(2 * h),
      farDown: slope(-2 * h),
    });
    for (const i of z.keys()) {
      const near = get(around.up, i) - get(around.down, i);
      const far = get(around.farUp, i) - get(around.farDown, i);
      expect(get(product, i)).toBeCloseTo((8 * near - far) / (12 * h), 8);
    }
  });

  test('the columns of its root make it', async () => {
    const { b, at, likelihood } = started(one, z);
    const vector = b.given(dims, v);
    const caseAxes = dims.map((_, axis) => axis).slice(loss.targets === 'labels' ? dims.length - 1 : 1);
    const columns = likelihood.hessianRoot?.(b, at) ?? [];
    const [first, ...others] = columns.map((s) => b.mul(s, b.sum(b.mul(s, vector), caseAxes, true)));
    if (!first) throw new Error('a root');
    const results = await b.compute({
      product: likelihood.hessianProduct(b, at, vector),
      fromRoot: others.reduce((x, y) => b.add(x, y), first),
    });
    for (const i of z.keys()) expect(get(results.fromRoot, i)).toBeCloseTo(get(results.product, i), 11);
  });

  test('sampled cotangents have the mean 0 and the Hessian as their covariance', async () => {
    // Each case many times: the weights of cases are relative to their mean, which stays what it is.
    const draws = 4000;
    const repeat = <Row>(rows: readonly Row[]): Row[] => Array.from({ length: draws }, () => rows).flat();
    const many = (shape: readonly number[]): number[] => [draws * get(shape, 0), ...shape.slice(1)];
    const repeated: Case = {
      ...one,
      dims: many(dims),
      targets: many(one.targets),
      y: repeat(one.y),
      ...(one.weights && { weights: repeat(one.weights) }),
    };
    const { b, at, likelihood } = started(repeated, repeat(z));
    const single = started(one, z);
    const { noise, sampledCotangent } = likelihood;
    if (!noise || !sampledCotangent) throw new Error('a likelihood that is sampled');
    const shape = noise.shape(at.output);
    const [numbers, stream] = [new Float32Array(elementCount(shape)), random(10, one.what)];
    if (noise.distribution === 'uniform') stream.fillUniform(numbers);
    else stream.fillNormal(numbers);
    const vector = b.given([1, ...dims], v);
    const caseAxes = dims.map((_, axis) => axis + 1).slice(loss.targets === 'labels' ? dims.length - 1 : 1);
    const sample = b.reshape(sampledCotangent(b, at, b.given(shape, numbers)), [draws, ...dims]);
    const along = b.mul(sample, b.sum(b.mul(sample, vector), caseAxes, true));
    const results = await b.compute({
      mean: b.mean(sample, [0]),
      square: b.mean(b.square(sample), [0]),
      along: b.mean(along, [0]),
      spread: b.mean(b.square(along), [0]),
    });
    const { product } = await single.b.compute({
      product: single.likelihood.hessianProduct(single.b, single.at, single.b.given(dims, v)),
    });
    for (const i of z.keys()) {
      // Five standard errors.
      const allowed = (square: number) => 5 * Math.sqrt(square / draws) + 1e-12;
      expect(Math.abs(get(results.mean, i))).toBeLessThan(allowed(get(results.square, i)));
      expect(Math.abs(get(results.along, i) - get(product, i))).toBeLessThan(allowed(get(results.spread, i)));
    }
  });
});

test('a loss without a likelihood has the second moments of its derivatives', async () => {
  const [y, z, v] = [11, 12, 13].map((seed) => normals(random(seed), 6)) as [number[], number[], number[]];
  const one: Case = { what: '', loss: huber(), dims: [3, 2], targets: [3, 2], y, weights: [1, 2, 3] };
  const { b, at, likelihood } = started(one, z);
  expect(likelihood.sampledCotangent).toBeUndefined();
  expect(likelihood.hessianRoot).toBeUndefined();
  const results = await b.compute({
    cotangent: likelihood.cotangent(b, at),
    product: likelihood.hessianProduct(b, at, b.given([3, 2], v)),
  });
  for (const i of z.keys()) {
    // Of the mean over two elements, weighted with mean 1, by the root of the weight.
    const slope = Math.max(-1, Math.min(1, get(z, i) - get(y, i))) / 2;
    const weight = (Math.floor(i / 2) + 1) / 2;
    expect(get(results.cotangent, i)).toBeCloseTo(slope * Math.sqrt(weight), 12);
    const row = i - (i % 2);
    const along = get(results.cotangent, row) * get(v, row) + get(results.cotangent, row + 1) * get(v, row + 1);
    expect(get(results.product, i)).toBeCloseTo(get(results.cotangent, i) * along, 12);
  }
});
