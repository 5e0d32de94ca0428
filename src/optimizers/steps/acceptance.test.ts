// Whether steps are kept: the change of the batch's loss against the network by hand, and which steps are measured.
import { describe, expect, it, test } from 'vitest';
import { declaredStep } from '../../../test/support/declared-step.js';
import { type Matrix, matrixOf, scaled } from '../../../test/support/dense.js';
import {
  denseNetwork,
  examplesFor,
  float64Objective,
  forwardByHand,
  meanLikelihood,
} from '../../../test/support/dense-network.js';
import { FedBuilder } from '../../../test/support/fed-builder.js';
import { manyExamples } from '../../../test/support/setting.js';
import { random } from '../../random.js';
import { acceptanceOf, isFiniteScalar, StepWatch } from './acceptance.js';
import type { Watch } from './rule.js';

describe('a step', () => {
  const loss = 'softmax-cross-entropy';
  const network = denseNetwork([3, 4, 2], { outputsFirst: false, hasBias: false, activation: 'tanh', seed: 80 });
  const examples = examplesFor(network, loss, 6, random(81));
  const lossOf = (layers: readonly Matrix[]) =>
    meanLikelihood(loss, forwardByHand({ ...network, layers }, examples.inputs).output, examples.targets);
  const [first, last] = network.layers as [Matrix, Matrix];
  const before = lossOf(network.layers);

  /** Returns whether a step that replaces the last layer is kept, and its change. */
  async function acceptance(next: Matrix, watch: Watch, squaredLength = 1) {
    const b = new FedBuilder();
    const { objective, forward } = float64Objective(b, network, loss, examples);
    const { declare } = declaredStep(b, { step: 0 });
    const context = {
      ...{ b, objective, forward, parameters: forward.parameters, gradients: new Map(), ...declare },
      setting: manyExamples(loss),
    };
    const { accept, change } = acceptanceOf(
      context,
      watch,
      new Map([['layer1.weight', b.matrix(next)]]),
      isFiniteScalar(b, b.given([], [squaredLength])),
    );
    const { accepted, measured } = await b.compute({ accepted: b.cast(accept, 'float64'), measured: change });
    return { accepted: accepted[0] === 1, change: measured[0] };
  }

  const measured = { measures: () => true, allowedRise: 0 };
  /** Ever larger multiples of the last layer: the loss rises by a little, then by much. */
  const steps = [0.5, 1.1, -1, -4, 30].map((factor) => scaled(last, factor));
  const rises = steps.map((next) => lossOf([first, next]) - before);

  test('is kept unless its batch says that the loss rose by more than a tenth, or by more than is allowed', async () => {
    expect(rises.some((rise) => rise < 0)).toBe(true);
    expect(rises.some((rise) => rise > 0.1 * before)).toBe(true);
    for (const [i, next] of steps.entries()) {
      const rise = rises[i] ?? Number.NaN;
      for (const allowedRise of [0, 0.99 * rise, 1.01 * rise]) {
        const { accepted, change } = await acceptance(next, { ...measured, allowedRise });
        expect(change).toBeCloseTo(rise, 12);
        expect(accepted).toBe(rise <= Math.max(allowedRise, 0.1 * before));
      }
    }
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 1e300])(
    'is not kept where a measured loss is not finite: weights of %d',
    async (weight) => {
      const { accepted, change } = await acceptance(
        scaled(matrixOf(last.rows, last.columns, [1, -1, 1, -1, 1, -1, 1, -1]), weight * 1e8),
        { ...measured, allowedRise: 1e300 },
      );
      expect(Number.isFinite(change)).toBe(false);
      expect(accepted).toBe(false);
    },
  );

  test('is kept unmeasured, whatever its batch says of it, if it is finite', async () => {
    const worst = steps[rises.indexOf(Math.max(...rises))] ?? last;
    const unmeasured = { measures: () => false, allowedRise: 0 };
    expect((await acceptance(worst, measured)).accepted).toBe(false);
    expect(await acceptance(worst, unmeasured)).toEqual({ accepted: true, change: Number.NaN });
    for (const squaredLength of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect((await acceptance(worst, unmeasured, squaredLength)).accepted).toBe(false);
      expect((await acceptance(last, measured, squaredLength)).accepted).toBe(false);
    }
  });
});

describe('StepWatch', () => {
  const measuredOf = (watch: StepWatch, count: number) =>
    Array.from({ length: count }, (_, step) => step).filter((step) => watch.measures(step));

  it('measures ten steps, then the last of each interval', () => {
    expect(measuredOf(new StepWatch(4), 21)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 19]);
  });

  it('measures the ten steps after one that was taken back', () => {
    const watch = new StepWatch(1000);
    watch.observe(19, Number.NaN, false);
    expect(measuredOf(watch, 1000)).toEqual([...Array.from({ length: 30 }, (_, step) => step), 999]);
  });

  it('allows twice the root mean square of the rises, falls counted as none, averaged and then forgotten', () => {
    const watch = new StepWatch(5);
    const losses = [3, 3.5, Number.NaN, 3.1, 2.9, ...Array.from({ length: 20 }, (_, k) => 2 + 0.1 * Math.sin(k))];
    const seen = losses.filter(Number.isFinite);
    let squares = 0;
    for (const [step, loss] of losses.entries()) {
      watch.observe(step, loss, true);
      const count = losses.slice(0, step + 1).filter(Number.isFinite).length - 1; // of differences so far
      if (Number.isFinite(loss) && count > 0) {
        const keep = Math.min(1 - 1 / count, 0.9);
        squares = keep * squares + (1 - keep) * Math.max(0, (seen[count] ?? 0) - (seen[count - 1] ?? 0)) ** 2;
      }
      expect(watch.allowedRise).toBeCloseTo(2 * Math.sqrt(squares), 12);
    }
    expect(squares).toBeGreaterThan(0);
  });

  it('goes on from a snapshot, also from that of a run without a loss', () => {
    const watch = new StepWatch(7);
    const restored = (from: StepWatch) => {
      const other = new StepWatch(7);
      other.restore(JSON.parse(JSON.stringify(from.snapshot())));
      return other;
    };
    for (const [step, loss] of [2, 1.5, 1.7].entries()) {
      const copy = restored(watch);
      watch.observe(step, loss, step !== 1);
      copy.observe(step, loss, step !== 1);
      expect(copy.snapshot()).toEqual(watch.snapshot());
      expect(copy.allowedRise).toBe(watch.allowedRise);
      expect(measuredOf(copy, 40)).toEqual(measuredOf(watch, 40));
    }
  });
});
