import { describe, expect, it } from 'vitest';
import { findings } from './headline.js';
import { madeUpExperiment, madeUpRun } from './testing/made-up.js';

describe('findings', () => {
  it('says how much sooner the best run has the loss of Adam, from the curves', () => {
    // Adam ends at 2/50 = 0.04 after 5 s; cgfac's 1/s² is there at step 5, which it reaches after 1 s.
    const runs = [
      madeUpRun('adam', (step) => 2 / step),
      madeUpRun('cgfac', (step) => 1 / step ** 2, { secondsPerStep: 0.2 }),
    ];
    const { headline, details } = findings(madeUpExperiment(runs));
    expect(headline).toBe('cgfac reaches adam’s final training loss in 0.2× the time');
    expect(details[0]).toBe('That loss, 0.04, takes it 0.1× the steps.');
    expect(details[1]).toMatch(/^cgfac ends best: squared error 0.0400 on the training set .* 50 steps, 10.0 s\.$/);
  });

  it('claims no speed where the better run is the slower one', () => {
    const runs = [
      madeUpRun('adam', (step) => 2 / step),
      madeUpRun('cgfac', (step) => 1 / step ** 2, { secondsPerStep: 2 }),
    ];
    const { headline, details } = findings(madeUpExperiment(runs));
    expect(headline).toBe('cgfac ends with the best squared error, ahead of adam');
    expect(details[0]).toBe('cgfac passes adam’s final training loss in 2× the time and 0.1× the steps.');
  });

  it('takes no side', () => {
    const runs = [madeUpRun('cgfac', (step) => 2 / step), madeUpRun('adam', (step) => 1 / step)];
    expect(findings(madeUpExperiment(runs)).headline).toBe('adam reaches cgfac’s final training loss in 0.5× the time');
  });

  it('is about the target where one was set', () => {
    const runs = [
      madeUpRun('kfac', (step) => 1 / step, { toTarget: { steps: 8, seconds: 20 } }),
      madeUpRun('cgfac', (step) => 2 / step, { toTarget: { steps: 10, seconds: 5 } }),
      madeUpRun('sgd', (step) => 9 / step, { toTarget: null }),
    ];
    const target = { metric: 'squaredError', value: 12 };
    const { headline, details } = findings(madeUpExperiment(runs, { target }));
    expect(headline).toBe('cgfac reaches squared error\u00a012 in 0.25× the time of kfac');
    expect(details[0]).toBe('It takes 5.0 s and 10 steps. sgd does not get there.');
    expect(details[1]).toMatch(/^kfac ends best/);
  });

  it('names what diverged, and whom the test set prefers', () => {
    const runs = [
      madeUpRun('adam', (step) => 2 / step, { test: { loss: 0, squaredError: 0.001 } }),
      madeUpRun('cgfac', (step) => 1 / step),
      madeUpRun('sgd', () => Number.NaN),
    ];
    const { details } = findings(madeUpExperiment(runs));
    expect(details.at(-2)).toMatch(/^On the test set adam is best: squared error .* and 0\.00100 on the test set\.$/);
    expect(details.at(-1)).toBe('sgd diverged: its loss stopped being finite.');
    expect(findings(madeUpExperiment(runs.slice(2))).headline).toBe('No run kept a finite loss');
    expect(findings(madeUpExperiment([])).headline).toBe('No runs');
  });
});
