import { expect, it } from 'vitest';
import { madeUpRun } from '../../test/support/made-up.js';
import { notFinite, warningsOf } from './warnings.js';

const remedy = 'Lower the learning rate';

it('warns of a run that ended above where it began', () => {
  const rising = (step: number) => 1 + 0.01 * step;
  expect(warningsOf(madeUpRun('sgd', rising), remedy)).toEqual([
    'The run ends worse than it began: its training loss is 1.50, and was 1.01 at the start. Lower the learning rate, or ' +
      'look at the data (cgfac data).',
  ]);
  // What the whole training set had at the start counts, not the first batch.
  const { train } = madeUpRun('sgd', rising);
  expect(warningsOf(madeUpRun('sgd', rising, { start: { loss: 2 } }), remedy)).toEqual([]);
  expect(
    warningsOf(
      madeUpRun('sgd', () => 1, { train, start: { loss: 0.5 } }),
      undefined,
    ),
  ).toEqual([
    'The run ends worse than it began: its training loss is 1.50, and was 0.500 at the start. Take shorter steps, or look ' +
      'at the data (cgfac data).',
  ]);
  expect(warningsOf(madeUpRun('sgd', rising, { count: 9 }), remedy)[0]).toMatch(/at the start\. Take more steps\.$/);
});

it('says nothing of losses that fall or stay, nor of a step or two', () => {
  for (const loss of [(step: number) => 1 / step, () => 1]) {
    expect(warningsOf(madeUpRun('sgd', loss), remedy)).toEqual([]);
  }
  expect(
    warningsOf(
      madeUpRun('sgd', (step) => 10 ** step, { count: 2 }),
      remedy,
    ),
  ).toEqual([]);
});

it('says of a run that was taken back as a whole that the model is the given one', () => {
  const run = { ...madeUpRun('cgfac', () => 1, { start: { loss: 1 } }), takenBack: true } as const;
  const sentence = (advice: string) =>
    `The run did not lower the loss on the training set: the model is kept as it was given. ${advice}, or look at the data ` +
    '(cgfac data): they may hold nothing that this model can learn.';
  expect(warningsOf(run, 'Take larger batches')).toEqual([sentence('Take larger batches')]);
  expect(warningsOf(run, undefined)).toEqual([sentence('Take shorter steps')]);
});

it('says which numbers of a set are not finite', () => {
  expect(notFinite({ loss: 1, accuracy: 0.5 }, 'the test set')).toEqual([]);
  expect(notFinite({ loss: Number.NaN, accuracy: 0.5, f1: Number.POSITIVE_INFINITY }, "the set 'few'")[0]).toMatch(
    /^On the set 'few' no finite number comes out for: loss, f1\./,
  );
  const run = madeUpRun('sgd', () => 1, { test: { loss: Number.NaN } });
  expect(warningsOf(run, remedy)).toEqual([
    expect.stringMatching(/^On the test set no finite number comes out for: loss\./),
  ]);
});
