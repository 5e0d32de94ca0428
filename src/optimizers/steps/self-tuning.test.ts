// Self-tuning steps minimize the quadratic model: rates, momentum and predictions against a model made by differences.
import { describe, expect, test } from 'vitest';
import { factoredOracle, meanEigenvalue } from '../../../test/support/damped-oracle.js';
import type { Numbers } from '../../../test/support/declared-step.js';
import {
  at,
  generate,
  type Matrix,
  matrixOf,
  minus,
  multiplied,
  plus,
  relativeError,
  rowsOf,
  scaled,
  solved,
  trace,
  transposed,
} from '../../../test/support/dense.js';
import {
  curvatureByHand,
  type DenseNetwork,
  denseNetwork,
  type Examples,
  examplesFor,
  forwardByHand,
  meanLikelihood,
  outputHessian,
} from '../../../test/support/dense-network.js';
import { type Snapshots, stepOnce } from '../../../test/support/optimizer-step.js';
import { manyExamples } from '../../../test/support/setting.js';
import { empirical } from '../../curvature/fisher.js';
import type { LossWord } from '../../losses/index.js';
import { random } from '../../random.js';
import { cgfac } from '../second-order/cgfac.js';
import { sketches } from '../second-order/factors.js';
import { levenbergMarquardt } from './levenberg-marquardt.js';
import { selfTuning } from './self-tuning.js';

type Step = readonly Matrix[];
const inner = (x: Step, y: Step): number =>
  x.reduce((sum, part, i) => sum + trace(multiplied(transposed(part), y[i] ?? part)), 0);
const combined = (x: Step, alpha: number, y: Step, beta: number): Step =>
  x.map((part, i) => plus(scaled(part, alpha), scaled(y[i] ?? part, beta)));

/** xᵀFy with F the whole Gauss–Newton matrix on some examples: the outputs' derivatives by central differences. */
function gaussNewtonProduct(network: DenseNetwork, loss: LossWord, inputs: Matrix, x: Step, y: Step): number {
  const h = 1e-4;
  const { output } = forwardByHand(network, inputs);
  const along = (step: Step): Matrix => {
    const moved = (offset: number) =>
      forwardByHand({ ...network, layers: combined(network.layers, 1, step, offset) }, inputs).output;
    const near = scaled(minus(moved(h), moved(-h)), 8);
    return scaled(minus(near, minus(moved(2 * h), moved(-2 * h))), 1 / (12 * h));
  };
  const [jx, jy] = [along(x), along(y)];
  let sum = 0;
  for (let i = 0; i < output.rows; i++) {
    const row = (z: Matrix) => rowsOf(z, i, i + 1);
    const hessian = outputHessian(loss, [...row(output).data]);
    sum += multiplied(row(jx), hessian, transposed(row(jy))).data[0] ?? Number.NaN;
  }
  return sum / output.rows;
}

const options = { fisher: empirical(), factors: sketches({ decay: 0, rank: 8 }), curvatureRows: 4 };
const outputs = 2;

/** The mean square of the outputs. */
const meanSquare = ({ data }: Matrix): number => data.reduce((sum, z) => sum + z ** 2, 0) / data.length;
const meanOf = (numbers: readonly number[]): number => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
/** Without the biases, the last row of each layer. */
const weightsOf = (step: Step): Step => step.map((layer) => rowsOf(layer, 0, layer.rows - 1));

describe.each(['softmax-cross-entropy', 'sigmoid-cross-entropy', 'mean-squared-error'] as const)('%s', (loss) => {
  const hasVariance = loss === 'mean-squared-error';
  /** 1/variance of the prior on weights of m inputs. */
  const precision = (inputs: number): number => inputs / (loss === 'softmax-cross-entropy' ? 4 : 2);
  const scaledByInputs = (weights: Step): Step => weights.map((part) => scaled(part, precision(part.rows)));

  test.each([
    ['no prior', 1e6],
    ['a prior', 50],
  ])('learning rate and momentum minimize the model; predicted and actual change: %s', async (_prior, count) => {
    const optimizer = cgfac({ ...options, step: selfTuning({ damping: 0.3, dampingInterval: 2 }) });
    const about = { ...manyExamples(loss), examples: count };
    const source = random(71, loss);
    let network = denseNetwork([4, 3, outputs], { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 70 });
    let state: Numbers = {};
    let snapshots: Snapshots = [];
    let last: Step = network.layers.map(({ rows, columns }) => generate(rows, columns, () => 0));
    const [losses, squares]: [number[], number[]] = [[], []];
    for (let step = 0; step < 4; step++) {
      const examples = examplesFor(network, loss, 6, source);
      const lambda: number = snapshots[0]?.damping ?? 0.3;
      const outcome = await stepOnce({ network, loss, examples, optimizer, about, step, state, snapshots });
      // In the first steps the averages of the loss and of the predictions are plain means.
      losses.push(outcome.loss);
      squares.push(meanSquare(forwardByHand(network, examples.inputs).output));
      const variance = hasVariance ? Math.min(meanOf(losses), 4 * meanOf(squares)) : 1;
      const dispersion = hasVariance ? 1 : Math.min(meanOf(losses), 1);
      const strength = count > 1000 ? 0 : dispersion / count;
      const likelihood = (at: DenseNetwork) =>
        meanLikelihood(loss, forwardByHand(at, examples.inputs).output, examples.targets) / variance;
      // The step's model begins at this network, which it holds in float32: its prior is around half of that.
      const mean = network.layers.map((layer) =>
        generate(layer.rows, layer.columns, (r, c) => Math.fround(at(layer, r, c)) / 2),
      );
      const prior = ({ layers }: DenseNetwork) => {
        const distance = weightsOf(layers.map((layer, i) => minus(layer, mean[i] ?? layer)));
        return (strength / 2) * inner(scaledByInputs(distance), distance);
      };
      // Of the likelihood by the reported mean: D/2/σ², D, 1.
      const scale = loss === 'softmax-cross-entropy' ? 1 : hasVariance ? outputs / 2 / variance : outputs;
      const gradient = outcome.gradients.map((part, i) => {
        const distance = minus(network.layers[i] ?? part, mean[i] ?? part);
        return generate(
          part.rows,
          part.columns,
          (r, c) =>
            scale * at(part, r, c) + (r < part.rows - 1 ? strength * precision(part.rows - 1) * at(distance, r, c) : 0),
        );
      });
      const sample = { ...examples, inputs: rowsOf(examples.inputs, 0, options.curvatureRows) };
      const product = (x: Step, y: Step) =>
        gaussNewtonProduct(network, loss, sample.inputs, x, y) / variance +
        lambda * inner(x, y) +
        strength * inner(scaledByInputs(weightsOf(x)), weightsOf(y));
      const descent = naturalGradient(network, loss, sample, variance, lambda, gradient).map((x) => scaled(x, -1));
      const [q11, q12, q22] = [product(descent, descent), product(descent, last), product(last, last)];
      const right = matrixOf(2, 1, [-inner(gradient, descent), -inner(gradient, last)]);
      const [rate = 0, momentum = 0] =
        step === 0 ? [(right.data[0] ?? 0) / q11, 0] : solved(matrixOf(2, 2, [q11, q12, q12, q22]), right).data;
      const taken = combined(descent, rate, last, momentum);
      for (const [i, layer] of outcome.network.layers.entries()) {
        expect(relativeError(minus(layer, network.layers[i] ?? layer), taken[i] ?? layer)).toBeLessThan(1e-6);
      }
      const { diagnostics } = outcome;
      expect(diagnostics.damping).toBeCloseTo(lambda, 12);
      expect(diagnostics.learningRate).toBeCloseTo(rate, 6);
      expect(diagnostics.momentum).toBeCloseTo(momentum, 6);
      if (step > 0) expect(Math.abs(momentum)).toBeGreaterThan(5e-4);
      expect(diagnostics.predictedChange).toBeCloseTo(product(taken, taken) / 2 + inner(gradient, taken), 7);
      const changes = [likelihood, prior].map((of) => of(outcome.network) - of(network));
      expect(diagnostics.actualChange).toBeCloseTo((changes[0] ?? 0) + (changes[1] ?? 0), 10);
      expect(Math.abs(changes[0] ?? 0)).toBeGreaterThan(1e-4);
      expect(Math.abs(changes[1] ?? 0) > 1e-5).toBe(strength > 0);
      ({ network, state, snapshots } = outcome);
      last = taken;
    }
  });
});

/**
 * (F + λI)⁻¹∇ with factored damping. F is the empirical Fisher matrix of a Gaussian of the given variance: its gradients
 * are (z − y)/σ², and G holds their squares.
 */
function naturalGradient(
  network: DenseNetwork,
  loss: LossWord,
  sample: Examples,
  variance: number,
  lambda: number,
  gradient: Step,
): Step {
  return curvatureByHand(network, loss, sample).map(({ a, g: ofUnitVariance }, i) => {
    const g = scaled(ofUnitVariance, 1 / variance ** 2);
    const delta = Math.sqrt(lambda / (meanEigenvalue(a) * meanEigenvalue(g)));
    return scaled(factoredOracle({ a, g, v: gradient[i] ?? a, delta }).direction, 1 / lambda);
  });
}

test('a step promises at most the whole loss, where the curvature of one example hides that of the others', async () => {
  const loss = 'softmax-cross-entropy';
  const network = denseNetwork([4, 3, 2], { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 72 });
  const examples = examplesFor(network, loss, 6, random(73));
  const optimizer = cgfac({
    ...options,
    step: selfTuning({ damping: 1e-3, minimumDamping: 1e-4 }),
    curvatureRows: 1,
  });
  const { diagnostics } = await stepOnce({
    network,
    loss,
    examples,
    optimizer,
    step: 0,
  });
  const likelihood = meanLikelihood(loss, forwardByHand(network, examples.inputs).output, examples.targets);
  expect(diagnostics.predictedChange).toBeCloseTo(-likelihood, 10);
});

describe('Levenberg–Marquardt', () => {
  const quiet = { batchSize: 1000 };
  /** λ after one interval whose last step had this reduction ratio. */
  const dampingAfter = (ratio: number, initial = 2, minimumDamping = 1e-4): number | undefined => {
    const tuned = levenbergMarquardt(
      { damping: initial, dampingInterval: 3, dampingDecay: 0.9, minimumDamping },
      quiet,
    );
    for (let step = 0; step < 3; step++) {
      // Only the last step of an interval counts.
      tuned.observe(step, { predictedChange: -2, actualChange: step === 2 ? -2 * ratio : 0 });
    }
    return tuned.damping;
  };

  test.each([
    [1, 2 * 0.9 ** 3],
    [0.76, 2 * 0.9 ** 3],
    [0.75, 2],
    [0.5, 2],
    [0.25, 2],
    [0.24, 2 / 0.9 ** 3],
    [-1, 2 / 0.9 ** 3],
    [Number.NaN, 2 / 0.9 ** 3],
    [Number.NEGATIVE_INFINITY, 2 / 0.9 ** 3],
  ])('a ratio of %d', (ratio, damping) => {
    expect(dampingAfter(ratio)).toBeCloseTo(damping, 12);
  });

  test('λ stays above its minimum', () => {
    expect(dampingAfter(1, 0.11, 0.1)).toBe(0.1);
  });

  test('λ stays finite in float32, however many predictions are bad', () => {
    const tuned = levenbergMarquardt({ damping: 2, dampingInterval: 1, dampingDecay: 0.01 }, quiet);
    for (let step = 0; step < 30; step++) tuned.observe(step, { predictedChange: 0, actualChange: 0 });
    expect(tuned.damping).toBe(1e30);
  });

  test('it asks for the change at the first ten steps, and at the last of each interval', () => {
    const tuned = levenbergMarquardt({ dampingInterval: 3 }, quiet);
    const measured = Array.from({ length: 16 }, (_, step) => Number(tuned.watch.measures(step)));
    expect(measured).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 1, 0]);
  });

  test('a step that was taken back raises λ, and the ten after it are measured', () => {
    const tuned = levenbergMarquardt({ damping: 0.5, dampingInterval: 50 }, quiet);
    tuned.observe(20, { predictedChange: -1, actualChange: 5, loss: 3, accepted: 0 });
    expect(tuned.damping).toBe(2);
    expect([21, 30, 31].map((step) => tuned.watch.measures(step))).toEqual([true, true, false]);
  });

  describe('the search for the first λ', () => {
    /** λ after each step of given reduction ratios; NaN stands for a step that was taken back. */
    const searched = (ratios: readonly number[], calibrationSteps = 6, minimumDamping = 1e-4) => {
      const tuned = levenbergMarquardt({ damping: 1, calibrationSteps, minimumDamping, dampingInterval: 100 }, quiet);
      return ratios.map((ratio, step) => {
        const accepted = Number(!Number.isNaN(ratio));
        tuned.observe(step, { predictedChange: -2, actualChange: -2 * ratio, accepted });
        return tuned.damping;
      });
    };

    test.each<readonly [string, readonly number[], readonly number[]]>([
      ['falls while predictions are good', [1, 1, 0.9], [1 / 4, 1 / 16, 1 / 64]],
      ['ends with a fair one', [1, 0.5, 1, 1], [1 / 4, 1 / 4, 1 / 4, 1 / 4]],
      ['takes its last step back if it went too far', [1, 1, 0.1, 1], [1 / 4, 1 / 16, 1 / 4, 1 / 4]],
      ['grows while they are bad, and ends with a good one', [0.1, -1, 1, 1], [4, 16, 16, 16]],
      ['grows after a step that was taken back, and does not fall again', [Number.NaN, 1, 1], [4, 4, 4]],
      ['ends after its steps', [1, 1, 1, 1, 1, 1, 1, 1], [1, 2, 3, 4, 5, 6, 6, 6].map((k) => 4 ** -k)],
    ])('%s', (_, ratios, dampings) => {
      expect(searched(ratios)).toEqual(dampings);
    });

    test('keeps to the lower bound, and goes on from a snapshot', () => {
      expect(searched([1, 1, 1], 6, 0.1)).toEqual([0.25, 0.1, 0.1]);
      const options = { damping: 1, calibrationSteps: 5, minimumDamping: 1e-4 };
      const [first, second] = [levenbergMarquardt(options, quiet), levenbergMarquardt(options, quiet)];
      first.observe(0, { predictedChange: -1, actualChange: -1 });
      second.restore(JSON.parse(JSON.stringify(first.snapshot())));
      for (const tuned of [first, second]) tuned.observe(1, { predictedChange: -1, actualChange: 0 });
      expect([first.damping, second.damping]).toEqual([1, 1]);
      expect(second.snapshot()).toEqual(first.snapshot());
    });
  });

  test('small batches keep λ higher, unless it is given', () => {
    const dampings = (batchSize: number, damping?: number) =>
      levenbergMarquardt(damping === undefined ? {} : { damping }, { batchSize }).damping;
    expect([dampings(1000), dampings(700), dampings(70), dampings(7)]).toEqual([0.03, 0.03, 0.1, 1]);
    expect(dampings(5, 1e-3)).toBe(1e-3);
  });

  test('a snapshot restores it', () => {
    const [first, second] = [levenbergMarquardt({ damping: 2 }, quiet), levenbergMarquardt({ damping: 2 }, quiet)];
    first.observe(4, { predictedChange: -1, actualChange: -1 });
    expect(first.damping).not.toBe(2);
    second.restore(JSON.parse(JSON.stringify(first.snapshot())));
    expect(second.damping).toBe(first.damping);
    expect(second.snapshot()).toEqual(first.snapshot());
  });

  test.each([
    ['dampingInterval is 0; it must be a whole number, at least 1', { dampingInterval: 0 }],
    ['dampingDecay is 1; it must be a finite number, greater than 0, less than 1', { dampingDecay: 1 }],
    ['calibrationSteps is 11; it must be a whole number, at least 0, at most 10', { calibrationSteps: 11 }],
    ['minimumDamping is NaN; it must be a finite number, greater than 0', { minimumDamping: Number.NaN }],
  ])('%s', (message, wrong) => {
    expect(() => levenbergMarquardt(wrong, quiet)).toThrow(message);
  });
});
