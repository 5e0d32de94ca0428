import { describe, expect, test } from 'vitest';
import type { Numbers } from '../../test/support/declared-step.js';
import { type DenseNetwork, denseNetwork, examplesFor } from '../../test/support/dense-network.js';
import { largestDifference, multiply } from '../../test/support/dense-solves.js';
import { layouts } from '../../test/support/layer-tensors.js';
import { stepOnce } from '../../test/support/optimizer-step.js';
import { transformed } from '../../test/support/transform.js';
import { OptionError } from '../errors.js';
import { random } from '../random.js';
import { adam } from './adam.js';
import { type ShampooOptions, scaleByShampoo, shampoo } from './shampoo.js';
import { grafted } from './transforms/grafting.js';
import { scaleByMomentum } from './transforms/momentum.js';

/** Without averages and nearly without a ridge: at the first step a matrix becomes the orthogonal one nearest to it. */
const plain = { beta1: 0, beta2: 1, epsilon: 1e-14, rootInterval: 1 } as const;

const matrix = [3, 1, 0, 1, 2, -1, 0, 1, 4];
const norm = (x: readonly number[]): number => Math.hypot(...x);

describe('scaleByShampoo', () => {
  test('makes the first gradient orthogonal: (GGᵀ)^(−¼)·G·(GᵀG)^(−¼) = UVᵀ', async () => {
    const { updates, reports } = await transformed(scaleByShampoo(plain), { w: { dims: [3, 3], gradient: matrix } });
    const { w = [] } = updates;
    expect(largestDifference(multiply(w, w, 3, true), [1, 0, 0, 0, 1, 0, 0, 0, 1])).toBeLessThan(1e-9);
    expect(w[0]).toBeGreaterThan(0.9);
    expect(reports.rootResidual).toBeLessThan(1e-10);
  });

  test('averages without bias are as sums at the first step', async () => {
    const { updates } = await transformed(scaleByShampoo({ ...plain, beta1: 0.9, beta2: 0.999 }), {
      w: { dims: [3, 3], gradient: matrix },
    });
    const { w = [] } = updates;
    expect(largestDifference(multiply(w, w, 3, true), [1, 0, 0, 0, 1, 0, 0, 0, 1])).toBeLessThan(1e-9);
  });

  test.each([
    ['vectors', [4]],
    ['1×n matrices', [1, 4]],
    ['n×1 matrices', [4, 1]],
    ['kernels of one weight a channel', [4, 1, 1, 1]],
  ])('%s become unit vectors', async (_, dims) => {
    const gradient = [3, 0, -4, 12];
    const { updates } = await transformed(scaleByShampoo(plain), { p: { dims, gradient } });
    expect(largestDifference(updates.p ?? [], [3 / 13, 0, -4 / 13, 12 / 13])).toBeLessThan(1e-6);
  });

  test('a kernel is the matrix of its outputs and all else', async () => {
    const gradient = Array.from({ length: 36 }, (_, i) => Math.sin(3 * i));
    const { updates } = await transformed(scaleByShampoo({ ...plain, epsilon: 1e-6 }), {
      kernel: { dims: [4, 1, 3, 3], gradient },
      weight: { dims: [4, 9], gradient },
    });
    expect(updates.kernel).toEqual(updates.weight);
  });

  test('blocks are preconditioned one by one', async () => {
    const block = (values: readonly number[]) => ({ dims: [2, 2], gradient: values });
    const { updates } = await transformed(scaleByShampoo({ ...plain, blockSize: 2 }), {
      whole: { dims: [2, 4], gradient: [2, 1, 5, 0, 0, 3, 1, 1] },
      left: block([2, 1, 0, 3]),
      right: block([5, 0, 1, 1]),
    });
    const { whole = [], left = [], right = [] } = updates;
    expect(
      largestDifference(whole, [...left.slice(0, 2), ...right.slice(0, 2), ...left.slice(2), ...right.slice(2)]),
    ).toBeLessThan(1e-12);
  });

  test('gradients of 0 stay 0', async () => {
    const zeros = (dims: readonly number[], length: number) => ({ dims, gradient: Array<number>(length).fill(0) });
    for (const transform of [scaleByShampoo(), grafted(scaleByMomentum(), scaleByShampoo())]) {
      const { updates } = await transformed(transform, { w: zeros([3, 4], 12), v: zeros([3], 3), s: zeros([], 1) });
      expect(
        Object.values(updates)
          .flat()
          .every((x) => x === 0),
      ).toBe(true);
    }
  });
});

describe('shampoo', () => {
  async function steps(options: ShampooOptions, count: number) {
    const layout = layouts[1] ?? { outputsFirst: false, hasBias: true };
    let network: DenseNetwork = denseNetwork([3, 4, 2], { ...layout, activation: 'tanh', seed: 30 });
    const source = random(31);
    const examples = examplesFor(network, 'softmax-cross-entropy', 5, source);
    let state: Numbers = {};
    const outcomes = [];
    for (let step = 0; step < count; step++) {
      const outcome = await stepOnce({
        network,
        loss: 'softmax-cross-entropy',
        examples,
        optimizer: shampoo(options),
        step,
        state,
      });
      outcomes.push(outcome);
      ({ network, state } = outcome);
    }
    return outcomes;
  }

  test('computes roots every T steps, and at first when the steps have doubled', async () => {
    const outcomes = await steps({ learningRate: 0.05, rootInterval: 6 }, 14);
    const root = (outcome: (typeof outcomes)[number] | undefined): string =>
      JSON.stringify(Object.entries(outcome?.state ?? {}).filter(([name]) => name.startsWith('root.')));
    const refreshed = outcomes.flatMap((outcome, step) => (root(outcome) === root(outcomes[step - 1]) ? [] : [step]));
    expect(refreshed).toEqual([0, 1, 3, 6, 7, 12]);
    const measured = outcomes.flatMap(({ diagnostics }, step) =>
      Number.isNaN(diagnostics.rootResidual) ? [] : [step],
    );
    expect(measured).toEqual(refreshed);
    expect(outcomes.at(-1)?.loss).toBeLessThan(0.5 * (outcomes[0]?.loss ?? 0)); // and it trains
  });

  test('keeps two statistics and two roots a matrix, beside an average and what Adam keeps', async () => {
    const [outcome] = await steps({}, 1);
    const weights = (outcome?.network.layers ?? []).flatMap(({ rows, columns }) => [rows * columns]);
    const elements = weights.reduce((x, y) => x + y, 0); // with biases
    const sizes = [[3, 4], [4], [4, 2], [2]].flatMap((dims) => dims.map((n) => 2 * n * n));
    const kept = Object.values(outcome?.state ?? {}).reduce((sum, { length }) => sum + length, 0);
    expect(kept).toBe(3 * elements + sizes.reduce((x, y) => x + y, 0));
  });

  test('a step has the length of the one that it is grafted to', async () => {
    const gradient = Array.from({ length: 12 }, (_, i) => Math.cos(i));
    const { updates } = await transformed(grafted(scaleByMomentum({ momentum: 0 }), scaleByShampoo()), {
      w: { dims: [3, 4], gradient },
    });
    expect(norm(updates.w ?? [])).toBeCloseTo(norm(gradient), 12);
  });

  test.each<readonly [string, object]>([
    ['beta2 is 1.1; it must be a finite number, at least 0, at most 1', { beta2: 1.1 }],
    ['rootInterval is 0; it must be a whole number, at least 1', { rootInterval: 0 }],
    ['blockSize is 0.5; it must be a whole number, at least 1', { blockSize: 0.5 }],
    ['mergeKernels is 1; it must be true or false', { mergeKernels: 1 }],
    ["graft is 'adam'; give a transform such as scaleByAdam()", { graft: 'adam' }],
    ['graft is an object with name, transforms, build, remedy; give a transform', { graft: adam() }],
  ])('%s', (message, options) => {
    expect(() => shampoo(options)).toThrow(OptionError);
    expect(() => shampoo(options)).toThrow(message);
  });
});
