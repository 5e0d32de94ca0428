import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { madeUpRun } from '../../test/support/made-up.js';
import type { StepRecord } from '../training/run-record.js';
import { createProgress, type ProgressState, renderProgress } from './progress.js';

const escapeCode = '\u001b';
const state: ProgressState = {
  name: 'cgfac',
  step: 1200,
  steps: 3000,
  loss: 0.08123,
  metric: { name: 'squaredError', value: 5.412 },
  rate: 24,
  optimizer: { momentum: 0.9, damping: 0.31 },
};

describe('renderProgress', () => {
  it('shows everything where there is room', () => {
    expect(renderProgress(state, 130)).toBe(
      'cgfac ━━━━━━━━━━────────────── 1,200/3,000  loss 0.0812  squared error 5.41  24 steps/s  1 min 15 s left  λ 0.31  momentum 0.9',
    );
  });

  it.each([
    [100, 'cgfac ━━────  1,200/3,000  loss 0.0812  squared error 5.41  24 steps/s  1 min 15 s left  λ 0.31'],
    [60, 'cgfac ━━──── 1,200/3,000  loss 0.0812  1 min 15 s left'],
    [40, 'cgfac ━━──── 1,200/3,000  loss 0.0812'],
    [20, 'cgfac 1,200/3,000'],
    [8, 'cgfac 1,'],
    [0, ''],
  ])('leaves out the least important at %i columns', (width, line) => {
    const fields = (text: string) =>
      text
        .split(/\s{2,}|[━─]+/)
        .map((part) => part.trim())
        .filter(Boolean);
    expect(fields(renderProgress(state, width))).toEqual(fields(line));
  });

  it('leaves out what was not measured and what is of single layers, and counts the steps that were taken back', () => {
    const ofLayer = { 'cosine[fc1.weight]': 0.5 };
    const optimizer = { damping: 0.31, accepted: 1, actualChange: Number.NaN, predictedChange: -0.5, ...ofLayer };
    const line = renderProgress({ ...state, optimizer, takenBack: 3 }, 200);
    expect(line).toMatch(/ 1 min 15 s left {2}3 taken back {2}λ 0.31 {2}predicted change -0.5$/);
  });

  it('never is wider than the terminal, in colour or not', () => {
    const number = fc.double({ noDefaultInfinity: false });
    fc.assert(
      fc.property(
        fc.nat(160),
        fc.nat(5000),
        fc.nat(5000),
        number,
        fc.dictionary(fc.string(), number),
        (width, step, steps, loss, optimizer) => {
          const line = renderProgress({ name: 'kfac', step, steps, loss, optimizer }, width, false);
          expect(line.length).toBeLessThanOrEqual(width);
        },
      ),
    );
    for (let width = 0; width < 140; width += 1) {
      expect(stripVTControlCharacters(renderProgress(state, width, true))).toBe(renderProgress(state, width));
    }
  });
});

/** A stream and a clock for a reporter. */
function setup(isTTY: boolean, environment: NodeJS.ProcessEnv = {}) {
  let text = '';
  let time = 0;
  const stream = { isTTY, columns: 80, write: (part: string) => (text += part) };
  const progress = createProgress({ stream, environment, now: () => time });
  const wait = (milliseconds: number): void => {
    time += milliseconds;
  };
  return { progress, text: () => text, wait };
}

const record = (step: number): StepRecord => ({
  step,
  epoch: 0,
  loss: 1 / step,
  metrics: { squaredError: 2 / step },
  seconds: step,
  optimizer: {},
});

describe('createProgress on a terminal', () => {
  it('redraws one line at most ten times a second, and leaves a summary', () => {
    const { progress, text, wait } = setup(true);
    progress.begin('cgfac', 1000, 'squaredError');
    for (let step = 1; step <= 1000; step += 1) {
      wait(1);
      progress.update(record(step));
    }
    expect(text().split('\r').length - 1).toBe(11); // the empty bar and ten more in this second
    expect(text()).not.toContain('\n');
    progress.finish(madeUpRun('cgfac', () => 0.05, { count: 1000, secondsPerStep: 0.001 }));
    const lines = stripVTControlCharacters(text()).split('\r').at(-1);
    expect(lines).toBe('cgfac  loss 0.05  squared error 5.00  test squared error 5.50  1,000 steps in 1.0 s\n');
  });

  it('counts steps that were taken back, and says in the end what is no success', () => {
    const { progress, text, wait } = setup(true, { NO_COLOR: '1' });
    progress.begin('cgfac', 200);
    const records = Array.from({ length: 50 }, (_, index) => ({
      ...record(index + 1),
      optimizer: { accepted: index % 25 === 0 ? 0 : 1 },
    }));
    for (const entry of records) {
      wait(500);
      progress.update(entry);
    }
    expect(text()).toMatch(/2 taken back$/);
    progress.finish(madeUpRun('cgfac', (step) => step, { steps: records, planned: 200, train: { loss: 7 } }));
    expect(text()).toMatch(/loss 7 \(no success: 1 at the start\) .* 50 of 200 steps in 5.0 s, 2 taken back\n$/);
  });

  it('estimates the rate and the time left', () => {
    const { progress, text, wait } = setup(true, { NO_COLOR: '1' });
    progress.begin('adam', 100);
    for (let step = 1; step <= 50; step += 1) {
      wait(500);
      progress.update(record(step));
    }
    expect(text()).toMatch(/50\/100 {2}loss 0.02 {2}2 steps\/s {2}25.0 s left$/);
  });

  it('keeps printed lines above the bar', () => {
    const { progress, text } = setup(true, { NO_COLOR: '1' });
    progress.begin('adam', 100);
    progress.print('saved');
    expect(
      text()
        .split('\n')
        .map((line) => line.replaceAll(`\r${escapeCode}[2K`, '|')),
    ).toEqual([expect.stringMatching(/^\|adam .*0\/100\|saved$/), expect.stringMatching(/^\|adam .*0\/100$/)]);
  });

  it('has colour only where it is wanted', () => {
    const coloured = (environment: NodeJS.ProcessEnv) => {
      const { progress, text } = setup(true, environment);
      progress.begin('adam', 100);
      return text().includes(`${escapeCode}[1m`);
    };
    expect(coloured({})).toBe(true);
    expect(coloured({ NO_COLOR: '1' })).toBe(false);
    expect(coloured({ NO_COLOR: '' })).toBe(true);
    expect(coloured({ TERM: 'dumb' })).toBe(false);
  });
});

it('writes plain lines, some seconds apart, and the last, where there is no terminal', () => {
  const { progress, text, wait } = setup(false);
  for (const name of ['adam', 'cgfac']) {
    progress.begin(name, 120, 'squaredError');
    for (let step = 1; step <= 120; step += 1) {
      wait(100);
      progress.update(record(step));
    }
    progress.finish(madeUpRun(name, () => 0.1, { count: 120 }));
  }
  expect(text()).not.toContain(escapeCode);
  expect(text()).not.toContain('\r');
  const counts = text().match(/^\w+: step \d+\/120|^\w+ {2}loss 0.1 .*$/gm);
  const lines = (name: string) => [
    `${name}: step 50/120`,
    `${name}: step 100/120`,
    `${name}: step 120/120`,
    `${name}  loss 0.1  squared error 10.0  test squared error 11.0  120 steps in 12.0 s`,
  ];
  expect(counts).toEqual([...lines('adam'), ...lines('cgfac')]);
});
