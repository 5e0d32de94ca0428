import { stripVTControlCharacters } from 'node:util';
import { expect, it } from 'vitest';
import { madeUpExperiment, madeUpRun } from '../../test/support/made-up.js';
import { renderMarkdownTable, renderTable } from './table.js';

const runs = [
  madeUpRun('cgfac', (step) => 1 / step, {
    secondsPerStep: 0.2,
    stateBytes: 3 * 2 ** 20,
    toTarget: { steps: 10, seconds: 2 },
  }),
  madeUpRun('a|dam', (step) => 2 / step, { toTarget: null }),
];
const experiment = madeUpExperiment(runs, { target: { metric: 'squaredError', value: 10 } });

it('aligns numbers and marks the best of each column', () => {
  const lines = renderTable(experiment, { width: 200 }).split('\n');
  expect(lines[0]).toMatch(
    /^optimizer +train loss +test loss +train squared error .* steps to 10 +time to 10 +optimizer memory$/,
  );
  expect(lines[2]).toMatch(/^cgfac +0.0200\* +0.0220\* +2.00\* +2.20\* +50 +10.0 s +200 +10\* +2.0 s\* +3 MiB$/);
  expect(lines[3]).toMatch(
    /^a\|dam +0.0400 +0.0440 +4.00 +4.40 +50 +5.0 s\* +100\* +not reached +not reached +2 KiB\*$/,
  );
  // Numbers end in the same column, marked or not.
  expect(lines[2]?.indexOf('0.0200*')).toBe(lines[3]?.indexOf('0.0400'));
});

it('turns runs into columns where the terminal is narrow', () => {
  const lines = renderTable(experiment, { width: 60 }).split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
  expect(lines[0]).toMatch(/^optimizer +cgfac +a\|dam$/);
  expect(lines[2]).toMatch(/^train loss +0.0200\* +0.0400$/);
});

it('is the same text in colour', () => {
  const coloured = renderTable(experiment, { width: 200, colour: true });
  expect(coloured).toContain('\u001b[1m');
  const trimmed = (text: string) => text.replace(/ +$/gm, '');
  expect(trimmed(stripVTControlCharacters(coloured))).toBe(renderTable(experiment, { width: 200 }));
});

it('marks nothing where there is nothing to compare, and no run that diverged', () => {
  expect(renderTable(madeUpExperiment(runs.slice(0, 1)), { width: 200 })).not.toContain('*');
  const lost = madeUpRun('sgd', () => Number.NaN, { secondsPerStep: 0.001 });
  const row = renderTable(madeUpExperiment([...runs, lost]), { width: 200 })
    .split('\n')
    .at(-1);
  expect(row).toMatch(/^sgd +NaN/);
  expect(row).not.toContain('*');
});

it('warns of a loss that rose, of steps taken back, and of steps that were not taken', () => {
  const steps = madeUpRun('cgfac', (step) => step).steps.map((record) => ({
    ...record,
    optimizer: { accepted: record.step < 4 ? 0 : 1 },
  }));
  const worse = madeUpRun('cgfac', (step) => step, { steps, planned: 80, secondsPerStep: 0.001 });
  const both = madeUpExperiment([worse, ...runs.slice(1)]);
  const lines = renderTable(both, { width: 200 }).split('\n');
  expect(lines[0]).toMatch(/ steps +taken back +time /);
  expect(lines[2]).toMatch(/^cgfac +50.0! +55.0 +5,000 +5,500 +50 of 80 +3 of 50 /);
  expect(lines[2]).not.toContain('*');
  expect(lines[3]).toMatch(/ 50 +– +5.0 s\*/);
  expect(lines[4]).toBe('! No success: higher than the loss at the start, 1.00 (cgfac).');
  const markdown = renderMarkdownTable(both);
  expect(markdown).toContain('| 50.0 ! |');
  expect(markdown.split('\n').at(-1)).toMatch(/^! No success/);
  expect(renderTable(experiment, { width: 200 })).not.toContain('taken back');
});

it('tells runs of one name apart', () => {
  const twice = madeUpExperiment([madeUpRun('adam', () => 1), madeUpRun('adam', () => 1)]);
  expect(renderTable(twice)).toMatch(/adam .*adam \(2\)/);
  expect(renderMarkdownTable(twice)).toContain('| adam (2) |');
});

it('writes Markdown that renders as a table whatever the names', () => {
  const lines = renderMarkdownTable(experiment).split('\n');
  expect(lines).toHaveLength(4);
  const cells = lines.map((line) => line.split(/(?<!\\)\|/).length);
  expect(new Set(cells).size).toBe(1);
  expect(lines[2]).toContain('**0.0200**');
  expect(lines[3]).toContain('a\\|dam');
});
