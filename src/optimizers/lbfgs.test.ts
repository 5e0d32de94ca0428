// L-BFGS beyond its traces: a convex problem to the end, what follows a search without a result, and what it refuses.
import { expect, test } from 'vitest';
import { norm } from '../../test/support/dense.js';
import { denseNetwork, examplesFor } from '../../test/support/dense-network.js';
import { type StepOutcome, stepOnce } from '../../test/support/optimizer-step.js';
import { manyExamples } from '../../test/support/setting.js';
import { OptionError } from '../errors.js';
import { random } from '../random.js';
import { chain } from './chain.js';
import { lbfgs } from './lbfgs.js';
import { clipByGlobalNorm } from './transforms/clip.js';

const loss = 'mean-squared-error';
const network = denseNetwork([3, 2], { outputsFirst: true, hasBias: true, activation: 'linear', seed: 5 });
const examples = examplesFor(network, loss, 12, random(6));
const about = { ...manyExamples(loss), examples: 12, batchSize: 12 };

test('solves least squares, then stays where it is and forgets its pairs', async () => {
  const optimizer = lbfgs();
  const step = (before: Pick<StepOutcome, 'network' | 'state'>, k: number) =>
    stepOnce({ network: before.network, loss, examples, optimizer, about, step: k, state: before.state });
  let last: StepOutcome | undefined;
  const losses: number[] = [];
  for (let k = 0; k < 40; k++) {
    const next: StepOutcome = await step(last ?? { network, state: {} }, k);
    losses.push(next.loss);
    if (next.diagnostics.stepLength === 0) {
      expect(next.network.layers).toEqual(last?.network.layers);
      expect(next.state.weights).toEqual(Array(10).fill(0));
      expect(next.state.scale).toEqual([0]);
      expect(
        norm(next.gradients[0] ?? network.layers[0] ?? { rows: 0, columns: 0, data: new Float64Array() }),
      ).toBeLessThan(1e-7);
      break;
    }
    expect(next.diagnostics.evaluations).toBeGreaterThanOrEqual(1);
    last = next;
  }
  expect(losses.length).toBeLessThan(40);
  for (const [k, each] of losses.slice(1).entries()) expect(each).toBeLessThanOrEqual(losses[k] ?? 0);
});

test('a step of a part of the training set is refused', async () => {
  const run = stepOnce({ network, loss, examples, optimizer: lbfgs(), about: manyExamples(loss), step: 0 });
  await expect(run).rejects.toThrow(OptionError);
  await expect(run).rejects.toThrow(/each must be of the whole training set: batchSize is 1000; set it to 1000000/);
});

test('takes no transformed gradients', async () => {
  const clipped = chain(clipByGlobalNorm(1), lbfgs());
  const run = stepOnce({
    network,
    loss,
    examples,
    optimizer: clipped,
    about: { ...manyExamples(loss), examples: 8, batchSize: 8 },
    step: 0,
  });
  await expect(run).rejects.toThrow(
    /lbfgs searches along lines by the gradients of the loss itself: leave out clipping/,
  );
});

test('is only the last part of a chain', () => {
  expect(() => chain(lbfgs() as never, clipByGlobalNorm(1))).toThrow(
    /a part of a chain is an object with name, build.*; another optimizer can only be the last part/,
  );
});
