import { expect, it } from 'vitest';
import { madeUpRun } from '../reporting/testing/made-up.js';
import { warningsOf } from './warnings.js';

it('warns of a run that ended above its first loss, beyond the noise of a batch', () => {
  expect(
    warningsOf(
      madeUpRun('sgd', (step) => 1 + 0.01 * step),
      'Lower the learning rate',
    ),
  ).toEqual([
    'The training loss is 1.5 after 50 steps, above the 1.01 of the first batch before training: the model has become no ' +
      'better. Lower the learning rate, or look at the data (cgfac data).',
  ]);
  expect(
    warningsOf(
      madeUpRun('sgd', (step) => 10 ** step, { count: 2 }),
      undefined,
    )[0],
  ).toMatch(/ Take shorter steps, or look at the data/);
  for (const loss of [(step: number) => 1 / step, (step: number) => 1 + 0.001 * step]) {
    expect(warningsOf(madeUpRun('sgd', loss), 'Lower the learning rate')).toEqual([]);
  }
});
