import { describe, expect, it } from 'vitest';
import { batchSizePresentation } from './batch-size-page.js';
import { type BatchPlan, type BatchRow, batchSizeResult } from './batch-size-result.js';
import { studyPage } from './page.js';

const rates = [0.01, 0.1, 1];
const plan: BatchPlan = {
  problem: 'mlp',
  title: 'MLP on digits',
  target: { metric: 'testAccuracy', value: 0.9 },
  examples: 1000,
  epochs: 20,
  seeds: 1,
  batches: [50, 100, 200],
  sweeps: [
    { optimizer: 'sgd', rates, dampings: null },
    { optimizer: 'cgfac', rates, dampings: [0.1, 1] },
  ],
};

const row = (
  optimizer: string,
  batch: number,
  rate: number,
  damping: number | null,
  steps: number | null,
): BatchRow => ({
  optimizer,
  batch,
  rate,
  damping,
  seed: 0,
  reached: steps === null ? null : { steps, seconds: steps / 10 },
  diverged: rate === 1 && steps === null,
  steps: steps ?? 400,
  planned: 400,
  seconds: (steps ?? 400) / 10,
});

// SGD: 40 steps whatever the batch, best at the middle rate; it diverges at the highest.
const sgd = plan.batches.flatMap((batch) => [
  row('sgd', batch, 0.01, null, batch === 200 ? null : 90),
  row('sgd', batch, 0.1, null, 40),
  row('sgd', batch, 1, null, null),
]);
// cgfac: halves its steps up to 100, then stays; best at the highest damping.
const needed: Readonly<Record<number, number>> = { 50: 40, 100: 20, 200: 20 };
const cgfac = plan.batches.flatMap((batch) =>
  rates.flatMap((rate) => [
    row('cgfac', batch, rate, 0.1, 3 * (needed[batch] ?? 0)),
    row('cgfac', batch, rate, 1, (rate === 0.1 ? 1 : 2) * (needed[batch] ?? 0)),
  ]),
);
const result = batchSizeResult([...sgd, ...cgfac], plan);

describe('batchSizeResult', () => {
  it('finds the best of each grid, its share of ideal scaling, and the edges', () => {
    const best = result.best.filter(({ optimizer }) => optimizer === 'cgfac').map((each) => each.best);
    expect(best).toEqual([
      expect.objectContaining({
        steps: 40,
        rate: 0.1,
        damping: 1,
        rateEdge: null,
        dampingEdge: 'highest',
        efficiency: 1,
      }),
      expect.objectContaining({ steps: 20, idealSteps: 20, efficiency: 1 }),
      expect.objectContaining({ steps: 20, idealSteps: 10, efficiency: 0.5 }),
    ]);
    const [small, , large] = result.best.filter(({ optimizer }) => optimizer === 'sgd');
    expect(small?.best).toMatchObject({ rate: 0.1, damping: null, rateEdge: null, dampingEdge: null });
    expect([small?.reachingShare, small?.nearShare]).toEqual([2 / 3, 1 / 3]);
    expect(large?.best?.efficiency).toBe(0.25);
  });

  it('keeps what never reaches the target as such', () => {
    const never = batchSizeResult(
      sgd.map((each) => ({ ...each, reached: null })),
      plan,
    );
    expect(never.best.find(({ optimizer }) => optimizer === 'sgd')).toMatchObject({ best: null, reachingShare: 0 });
    const shown = batchSizePresentation(never);
    expect(shown.headline).toBe('No optimizer reaches validation accuracy 90 % within 20 epochs');
    expect(shown.findings[0]).toBe(
      'sgd never reaches the target with batches of 50, 100 and 200, at no point of its grid.',
    );
  });

  it('takes medians over seeds, in which a run that fails is the longest', () => {
    const three = [30, 50, null].map((steps, seed) => ({ ...row('sgd', 50, 0.1, null, steps), seed }));
    const { cells } = batchSizeResult(three, { ...plan, seeds: 3 });
    expect(cells).toEqual([
      { optimizer: 'sgd', batch: 50, rate: 0.1, damping: null, steps: 50, seconds: 5, reached: 2, diverged: 0 },
    ]);
    expect(batchSizeResult(three.slice(1).concat(three.slice(2)), plan).cells[0]?.steps).toBeNull();
  });
});

it('shows steps, ideal scaling, sensitivity, and the best at an edge', () => {
  const shown = batchSizePresentation(JSON.parse(JSON.stringify(result)));
  expect(shown.headline).toBe(
    'cgfac needs the fewest steps (20) and seconds (2.00) to validation accuracy 90 % with batches of 200',
  );
  expect(shown.findings).toContain(
    'cgfac: 4 times the batch (50 to 200) divides its steps by 2, 50 % of ideal scaling; its seconds go from 4.00 to 2.00.',
  );
  expect(shown.findings.at(-1)).toMatch(/best of cgfac lies at the edge of its grid with batches of 50, 100 and 200/);
  const heat = shown.sections[1]?.tables[0];
  expect(heat?.rows.map((line) => line.map((cell) => (typeof cell === 'string' ? cell : cell.text)))).toEqual([
    ['50', '90', '40', 'diverged'],
    ['100', '90', '40', 'diverged'],
    ['200', 'never', '40', 'diverged'],
  ]);
  expect(heat?.rows[0]?.[2]).toEqual({ text: '40', strength: 1, mark: 'best' });
  const page = studyPage(shown, { title: 'Batches', command: 'cgfac study batch-size', environment: {} });
  expect(page).toContain('sgd if it scaled ideally');
  expect(page).toContain('stroke-dasharray="2 4"');
  expect(page).not.toMatch(/NaN|undefined|Infinity|<script/);
});
