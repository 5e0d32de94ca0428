// Lengths of time, early stopping, and what a run says of its end.
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { madeUpRun } from '../../test/support/made-up.js';
import { secondsOf } from './duration.js';
import { endingLines, stoppingFlags, stoppingOptions } from './stopping-flags.js';

function parsed(...words: readonly string[]) {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  for (const flag of stoppingFlags()) command.addOption(flag);
  command.parse(words, { from: 'user' });
  return command.opts();
}

it.each([
  ['90s', 90],
  ['30m', 1800],
  ['1h30m', 5400],
  ['0.5h', 1800],
  ['1h0m5s', 3605],
])('%s are %d seconds', (text, seconds) => expect(secondsOf(text)).toBe(seconds));

it.each(['', '5', '3x', 'm', '5m1h', '-1s', '1e3s'])("'%s' is no length of time", (text) => {
  expect(secondsOf(text)).toBeUndefined();
});

describe('flags', () => {
  it('become options of training', () => {
    expect(stoppingOptions(parsed('--early-stop', '5:0.01', '--monitor', 'val.accuracy', '--max-time', '2m'))).toEqual({
      earlyStopping: { patience: 5, minDelta: 0.01 },
      monitor: 'val.accuracy',
      maxTime: 120,
    });
    expect(stoppingOptions(parsed('--early-stop', '5'))).toEqual({ earlyStopping: { patience: 5 } });
    expect(stoppingOptions(parsed())).toEqual({});
  });

  it.each([
    [['--early-stop', '0'], 'the patience of --early-stop is 0; it must be a whole number, at least 1'],
    [['--early-stop', '2:x'], "the smallest difference of --early-stop is 'x', which is not a number"],
    [['--early-stop', '2:1:1'], "--early-stop is '2:1:1'; write PATIENCE or PATIENCE:MIN_DELTA"],
    [['--validation', '1'], '--validation is 1; it must be a finite number, greater than 0, less than 1'],
    [['--max-time', '0s'], "--max-time is '0s'; write a length of time"],
    [['--overfit', '0'], '--overfit is 0'],
  ])('refuse %j', (words, message) => expect(() => parsed(...words)).toThrow(message));
});

describe('the end of a run', () => {
  const run = madeUpRun('adam', (step) => 1 / step, { count: 30, planned: 50 });

  it('says why it came early, and which parameters are kept', () => {
    const best = { step: 20, metric: 'validationLoss', value: 0.05 };
    expect(endingLines({ ...run, stopped: 'early stopping', best }, {})).toEqual([
      'It was stopped after 30 of 50 steps, since it no longer improved.',
      'The model has the parameters of step 20, which had the best validation loss (0.0500).',
    ]);
    expect(endingLines({ ...run, stopped: 'time' }, {})).toEqual([
      'It was stopped after 30 of 50 steps: its time was up.',
    ]);
    expect(endingLines({ ...run, planned: 30 }, {})).toEqual([]);
  });

  it('says whether a few examples were learned by heart', () => {
    expect(endingLines({ ...run, planned: 30 }, { overfit: 5 })[0]).toMatch(
      /^On the 5 examples the loss went from 1\.00 to 0\.0333: the model and the optimizer can learn them\.$/,
    );
    const stuck = { ...run, planned: 30, train: { loss: 0.8 } };
    expect(endingLines(stuck, { overfit: 1 })[0]).toMatch(/^On the one example .* should be learned by heart: look at/);
  });
});
