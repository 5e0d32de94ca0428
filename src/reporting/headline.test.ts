import { describe, expect, it } from 'vitest';
import { madeUpExperiment, madeUpRun } from '../../test/support/made-up.js';
import { findings } from './headline.js';

describe('findings', () => {
  it('says how much sooner the best run has the loss of Adam, from the curves', () => {
    // Adam ends at 2/50 = 0.04 after 5 s; cgfac's 1/s² is there at step 5, which it reaches after 1 s.
    const runs = [
      madeUpRun('adam', (step) => 2 / step),
      madeUpRun('cgfac', (step) => 1 / step ** 2, { secondsPerStep: 0.2 }),
    ];
    const { headline, details } = findings(madeUpExperiment(runs));
    expect(headline).toBe('cgfac reaches adam’s final training loss in 0.2× the time');
    expect(details[0]).toBe('That loss, 0.04 on its last batches, takes it 0.1× the steps.');
    expect(details[1]).toBe(
      'cgfac is best in training squared error (0.0400) and test squared error (0.0440), but loses to adam in time for a step (200 ms, not 100 ms).',
    );
    expect(details).toHaveLength(2);
  });

  it('claims no speed where the better run is the slower one', () => {
    const runs = [
      madeUpRun('adam', (step) => 2 / step),
      madeUpRun('cgfac', (step) => 1 / step ** 2, { secondsPerStep: 2 }),
    ];
    const { headline, details } = findings(madeUpExperiment(runs));
    expect(headline).toBe('cgfac ends with the best training squared error, ahead of adam');
    expect(details[0]).toBe('cgfac passes adam’s final training loss in 2× the time and 0.1× the steps.');
  });

  it('takes no side', () => {
    const runs = [madeUpRun('cgfac', (step) => 2 / step), madeUpRun('adam', (step) => 1 / step)];
    expect(findings(madeUpExperiment(runs)).headline).toBe('adam reaches cgfac’s final training loss in 0.5× the time');
  });

  it('compares with the best of the others, whatever its name', () => {
    const runs = [
      madeUpRun('adam', (step) => 20 / step),
      madeUpRun('kfac', (step) => 2 / step),
      madeUpRun('cgfac', (step) => 1 / step ** 2),
      madeUpRun('sgd', (step) => 40 / step),
    ];
    expect(findings(madeUpExperiment(runs)).headline).toBe('cgfac reaches kfac’s final training loss in 0.1× the time');
    // No faster than the best: that it beats a weaker one is no headline.
    const slow = runs.map((run) =>
      run.name === 'cgfac' ? madeUpRun('cgfac', (step) => 1 / step ** 2, { secondsPerStep: 2 }) : run,
    );
    expect(findings(madeUpExperiment(slow)).headline).toBe(
      'cgfac ends with the best training squared error, ahead of kfac',
    );
  });

  it('is about the target where one was set, and names the set on which it is judged', () => {
    const runs = [
      madeUpRun('kfac', (step) => 1 / step, { toTarget: { steps: 8, seconds: 20 } }),
      madeUpRun('adam', (step) => 3 / step, { toTarget: { steps: 50, seconds: 40 } }),
      madeUpRun('cgfac', (step) => 2 / step, { toTarget: { steps: 10, seconds: 5 } }),
      madeUpRun('sgd', (step) => 9 / step, { toTarget: null }),
    ];
    const target = { metric: 'squaredError', value: 12 };
    const { headline, details } = findings(madeUpExperiment(runs, { target }));
    expect(headline).toBe('cgfac reaches training squared error\u00a012 in 0.25× the time of kfac');
    expect(details[0]).toBe(
      'It takes 5.0 s and 10 steps. That is 0.13× the time and 0.2× the steps of adam. sgd does not get there.',
    );
    expect(details[1]).toBe(
      'cgfac loses to kfac in training squared error (4.00, not 2.00), test squared error (4.40, not 2.20) and steps to the target (10, not 8).',
    );
    const onTest = { target: { metric: 'testSquaredError', value: 12 } };
    expect(findings(madeUpExperiment(runs, onTest)).headline).toContain('reaches test squared error\u00a012 in');
    const only = runs.map((run) => (run.name === 'cgfac' ? run : { ...run, toTarget: null }));
    expect(findings(madeUpExperiment(only, { target })).headline).toBe(
      'cgfac alone reaches training squared error\u00a012, after 5.0 s',
    );
    const none = runs.map((run) => ({ ...run, toTarget: null }));
    expect(findings(madeUpExperiment(none, { target })).details[0]).toBe(
      'No run reaches training squared error\u00a012.',
    );
  });

  it('says in one sentence where the winner loses, and to whom', () => {
    const runs = [
      madeUpRun('cgfac', (step) => 1 / step ** 2, { secondsPerStep: 0.3, stateBytes: 9 * 2 ** 20 }),
      madeUpRun('adam', (step) => 2 / step, { test: { loss: 0, squaredError: 0.001 } }),
      madeUpRun('sgd', (step) => 3 / step, { stateBytes: 1024, secondsPerStep: 0.102 }),
    ];
    expect(findings(madeUpExperiment(runs)).details[1]).toBe(
      'cgfac is best in training squared error (0.0400), but loses to adam in test squared error (0.0440, not 0.00100) and time for a step (300 ms, not 100 ms); and to sgd in optimizer memory (9 MiB, not 1 KiB).',
    );
  });

  it('says of one run what it reached', () => {
    const target = { metric: 'squaredError', value: 12 };
    const run = madeUpRun('cgfac', (step) => 1 / step, { toTarget: { steps: 1, seconds: 0.1 } });
    const { headline, details } = findings(madeUpExperiment([run], { target }));
    expect(headline).toBe('cgfac reaches squared error 2.00 on the training set and 2.20 on the test set');
    expect(details).toEqual(['50 steps, 5.0 s.', 'It reaches training squared error\u00a012 after 1 step and 0.1 s.']);
  });

  it('takes a run that diverged or ended worse than it began for no success, and says so', () => {
    const lost = madeUpRun('sgd', (step) => (step > 20 ? Number.NaN : step), { count: 21, planned: 50 });
    const worse = madeUpRun('kfac', (step) => 1 + step, {
      secondsPerStep: 0.001,
      toTarget: { steps: 1, seconds: 0.001 },
    });
    const adam = madeUpRun('adam', (step) => 2 / step, { toTarget: { steps: 30, seconds: 3 } });
    const target = { metric: 'squaredError', value: 12 };
    const { headline, details } = findings(madeUpExperiment([lost, worse, adam], { target }));
    expect(headline).toMatch(/^adam reaches/);
    expect(details).toContain('sgd diverged at step 21 of 50: its loss stopped being finite.');
    expect(details).toContain('kfac ends worse than it began: its training loss is 51.0, and was 2.00 at the start.');
    const headlineOf = (...runs: (typeof lost)[]) => findings(madeUpExperiment(runs)).headline;
    expect(headlineOf(lost, lost)).toBe('No run kept a finite loss');
    expect(headlineOf(lost, worse)).toBe('No run ends better than it began');
    expect(headlineOf(worse)).toBe('kfac ends worse than it began');
    expect(headlineOf(lost)).toBe('sgd diverged');
    expect(findings(madeUpExperiment([])).headline).toBe('No runs');
  });

  it('warns neither of a loss that stayed the same nor of a step or two', () => {
    const same = madeUpRun('sgd', () => 0.3, { train: { loss: 0.3 + 1e-9, squaredError: 30 } });
    expect(findings(madeUpExperiment([same])).headline).toMatch(/^sgd reaches/);
    const short = madeUpRun('sgd', (step) => step, { count: 2 });
    expect(findings(madeUpExperiment([short])).headline).toMatch(/^sgd reaches/);
  });

  it('says how many steps were taken back, and where a run was stopped', () => {
    const steps = madeUpRun('cgfac', (step) => 1 / step, { count: 122 }).steps.map((record) => ({
      ...record,
      optimizer: { accepted: record.step % 50 === 0 ? 0 : 1 },
    }));
    const run = madeUpRun('cgfac', (step) => 1 / step, { count: 122, steps, planned: 400 });
    const { details } = findings(madeUpExperiment([run]));
    expect(details).toContain('cgfac was stopped after 122 of 400 steps.');
    expect(details).toContain('2 of 122 steps of cgfac were taken back.');
    const kept = steps.map((step) => ({ ...step, optimizer: { accepted: 1 } }));
    const whole = madeUpRun('cgfac', (step) => 1 / step, { count: 122, steps: kept, planned: 122 });
    expect(findings(madeUpExperiment([whole])).details).toEqual(['122 steps, 12.2 s.']);
  });

  it('takes a run that went on from a loss that was not finite for none that diverged', () => {
    const { steps, train } = madeUpRun('cgfac', (step) => 1 / step);
    const refused = steps.map((record) =>
      record.step % 10 === 0 ? { ...record, loss: Number.NaN, optimizer: { accepted: 0 } } : record,
    );
    const run = madeUpRun('cgfac', (step) => 1 / step, { steps: refused, train });
    const { headline, details } = findings(madeUpExperiment([run]));
    expect(headline).toMatch(/^cgfac reaches/);
    expect(details).toEqual(['50 steps, 5.0 s.', '5 of 50 steps of cgfac were taken back.']);
  });
});
