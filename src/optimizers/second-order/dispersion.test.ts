// The estimate of the variance against its definition in plain TypeScript, over several steps in float64.
import { describe, expect, test } from 'vitest';
import { declaredStep, type Numbers } from '../../../test/support/declared-step.js';
import { scaled } from '../../../test/support/dense.js';
import { denseNetwork, type Examples, examplesFor, float64Objective } from '../../../test/support/dense-network.js';
import { FedBuilder } from '../../../test/support/fed-builder.js';
import { manyExamples } from '../../../test/support/setting.js';
import type { Value } from '../../graph/graph.js';
import type { LossWord } from '../../losses/index.js';
import { random } from '../../random.js';
import { estimated } from './dispersion.js';

const given = denseNetwork([3, 2], { outputsFirst: false, hasBias: true, activation: 'linear', seed: 85 });
const count = 5;

interface Step {
  /** Factors on the network's weights and on the targets. */
  readonly size: number;
  readonly units: number;
}

/** The estimate at each of a number of steps, and what it is made of. */
async function estimates(loss: LossWord, steps: readonly Step[]) {
  const source = random(86, loss);
  let state: Numbers = {};
  const found = [];
  for (const [step, { size, units }] of steps.entries()) {
    const drawn = examplesFor(given, loss, count, source);
    const examples: Examples = { ...drawn, targets: drawn.targets.map((y) => units * y) };
    const network = { ...given, layers: given.layers.map((layer) => scaled(layer, size)) };
    const b = new FedBuilder();
    const { objective, forward } = float64Objective(b, network, loss, examples);
    const { declare, states: next } = declaredStep(b, { step, state });
    const context = {
      ...{ b, objective, forward, parameters: forward.parameters, gradients: new Map(), ...declare },
      setting: manyExamples(loss),
    };
    const { likelihood, dispersion } = estimated(context);
    const states = Object.fromEntries([...next].map(([name, value]) => [`next.${name}`, value]));
    const weight = likelihood.weight(forward.output);
    const { output, loss: mean } = forward;
    const all: Record<string, Value> = { ...states, weight, dispersion, output, mean };
    const numbers = await b.compute(all);
    state = Object.fromEntries([...next.keys()].map((name) => [name, numbers[`next.${name}`] ?? []]));
    const meanSquare = (elements: readonly number[] = []) =>
      elements.reduce((sum, x) => sum + x ** 2, 0) / elements.length;
    const one = (name: 'weight' | 'dispersion' | 'mean') => numbers[name]?.[0] ?? Number.NaN;
    found.push({
      ...{ weight: one('weight'), dispersion: one('dispersion'), loss: one('mean') },
      ...{ predictions: meanSquare(numbers.output), targets: meanSquare(examples.targets) },
    });
  }
  return found;
}

/** Averages over steps: all alike at first, then the weight of the past stays at its largest. */
const averagesOf = (values: readonly number[], largest: number): number[] => {
  let average = 0;
  return values.map((value, step) => {
    const keep = Math.min(step / (step + 1), largest);
    average = keep * average + (1 - keep) * value;
    return average;
  });
};

const repeated = (step: Step, times: number): Step[] => Array.from({ length: times }, () => step);

describe('a variance', () => {
  const variances = async (steps: readonly Step[]) => {
    const found = await estimates('mean-squared-error', steps);
    const losses = found.map(({ loss }) => loss);
    const [slow, quick] = [averagesOf(losses, 0.95), averagesOf(losses, 0.8)];
    const predictions = averagesOf(
      found.map((each) => each.predictions),
      0.95,
    );
    const at = (numbers: readonly number[], step: number) => numbers[step] ?? Number.NaN;
    return found.map(({ weight, dispersion, targets }, step) => {
      expect(dispersion).toBe(1);
      const error = Math.min(at(slow, step), 3 * at(quick, step));
      const least = Math.max(1e-12 * error, 1e-14 * targets, 1e-30);
      return {
        // The weight of the loss is D/2/σ² of two outputs.
        variance: 1 / weight,
        expected: Math.max(Math.min(error, 4 * at(predictions, step)), least),
        ...{ slow: at(slow, step), quick: at(quick, step), predictions: at(predictions, step), least },
      };
    });
  };

  test.each([
    ['the slow average of the loss', repeated({ size: 2, units: 1 }, 8), 'slow', 1],
    [
      'three times the quick one where the loss falls',
      [...repeated({ size: 9, units: 1 }, 3), ...repeated({ size: 1e-3, units: 1e-3 }, 25)],
      'quick',
      3,
    ],
    ['four times the mean square of the predictions at most', repeated({ size: 1, units: 1e3 }, 4), 'predictions', 4],
    ['a share of the error at least', repeated({ size: 0, units: 1 }, 2), 'least', 1],
  ] as const)('is %s', async (_what, steps, name, factor) => {
    const found = await variances(steps);
    for (const { variance, expected } of found) expect(variance / expected).toBeCloseTo(1, 10);
    const last = found.at(-1);
    expect((last?.variance ?? 0) / (factor * (last?.[name] ?? 0))).toBeCloseTo(1, 10);
  });

  test('is above 0 where all is 0', async () => {
    const [first] = await variances([{ size: 0, units: 0 }]);
    expect((first?.variance ?? 0) / 1e-30).toBeCloseTo(1, 6);
  });
});

test.each(['softmax-cross-entropy', 'sigmoid-cross-entropy'] as const)(
  '%s has none: its likelihood stays, and the dispersion is the average loss, at most 1',
  async (loss) => {
    const found = await estimates(loss, [{ size: 8, units: 1 }, ...repeated({ size: 0.1, units: 1 }, 30)]);
    const losses = found.map((each) => each.loss);
    const [slow, quick] = [averagesOf(losses, 0.95), averagesOf(losses, 0.8)];
    for (const [step, { weight, dispersion }] of found.entries()) {
      expect(weight).toBe(loss === 'softmax-cross-entropy' ? 1 : 2); // a row of logits; two outputs
      expect(dispersion).toBeCloseTo(Math.min(slow[step] ?? 0, 3 * (quick[step] ?? 0), 1), 12);
    }
    expect(found[0]?.dispersion).toBe(1);
    expect(found.at(-1)?.dispersion).toBeLessThan(1);
  },
);
