import { describe, expect, it } from 'vitest';
import { chooseOptimizer } from '../cli/optimizers.js';
import { lossOf } from '../losses/index.js';
import { mlp } from '../nn/zoo.js';
import { buildStep, scalarFeeds } from '../training/step-program.js';
import { complexityPresentation, ratiosOf } from './complexity-page.js';
import {
  type ComplexityRow,
  complexityResult,
  period,
  rowsAlong,
  usualContenders,
  warmUp,
} from './complexity-result.js';
import { budgetCost, chainCost, kfacCost, primalCost, publishedCost, sgdCost, sketchCost } from './formulas.js';
import { studyPage } from './page.js';
import { DrawnTensors, settingOf } from './stepper.js';

const base = { width: 512, batch: 128, depth: 2 };

/** Rows whose time and state are exact powers of the width. */
function madeUpRows(optimizer: string, time: (width: number) => number, state: (width: number) => number) {
  return [256, 512, 1024].map(
    (width): ComplexityRow => ({
      ...base,
      optimizer,
      rank: null,
      width,
      meanMilliseconds: time(width),
      medianMilliseconds: time(width) / 2,
      iterations: null,
      steps: 20,
      stateBytes: state(width),
      peakBytes: 2 * state(width),
      formula: { flops: width ** 3, bytes: width ** 2 },
    }),
  );
}

// K-FAC as width³, CG-FAC as width²: they meet between 256 and 512.
const rows = [
  ...madeUpRows(
    'sgd',
    (w) => 1e-4 * w ** 2,
    (w) => 4 * w ** 2,
  ),
  ...madeUpRows(
    'kfac:inverse-interval=20',
    (w) => 1e-6 * w ** 3,
    (w) => 16 * w ** 2,
  ),
  ...madeUpRows(
    'cgfac',
    (w) => 3e-4 * w ** 2,
    (w) => 512 * w,
  ),
];
const plan = {
  base,
  values: { width: [256, 512, 1024], batch: [128], depth: [2, 4], rank: [32] },
  optimizers: ['sgd', 'kfac:inverse-interval=20', 'cgfac'],
};
const result = complexityResult(rows, plan);

describe('complexityResult', () => {
  it('fits exponents by optimizer, beside those of the formulas', () => {
    expect(result.exponents.cgfac?.time?.exponent).toBeCloseTo(2, 10);
    expect(result.exponents.cgfac?.bytes?.exponent).toBeCloseTo(1, 10);
    expect(result.exponents['kfac:inverse-interval=20']?.time).toMatchObject({ from: 256, to: 1024, points: 3 });
    expect(result.exponents['kfac:inverse-interval=20']?.time?.exponent).toBeCloseTo(3, 10);
    expect(result.exponents.sgd?.formulaFlops?.exponent).toBeCloseTo(3, 10);
    // One batch size only: nothing can be fitted.
    expect(result.exponentsAgainst.batch.sgd?.time).toBeNull();
  });

  it('takes the rows of an axis with the other values of the base', () => {
    const deeper: ComplexityRow = { ...(rows[0] as ComplexityRow), width: 512, depth: 4 };
    const ranked: ComplexityRow = { ...(rows[1] as ComplexityRow), optimizer: 'cgfac:rank=32', rank: 32 };
    const all = [...rows, deeper, ranked];
    expect(rowsAlong('width', all, plan)).toEqual(rows);
    expect(rowsAlong('depth', all, plan).map(({ depth }) => depth)).toEqual([2, 2, 2, 4]);
    // Measured along another axis, and not asked for here.
    expect(rowsAlong('width', all, { ...plan, values: { ...plan.values, width: [512] } })).toHaveLength(3);
    expect(rowsAlong('rank', all, plan)).toEqual([ranked]);
  });
});

describe('the findings', () => {
  it('say first where CG-FAC is not cheaper, with the factor', () => {
    const { findings, headline } = complexityPresentation(result);
    expect(findings[0]).toBe(
      'CG-FAC by default is not cheaper than K-FAC, inverse every 20 steps in time at width 256, batch 128, depth 2 (1.17 times as much); it costs less at the remaining 2 shapes, by a factor of 1.71 to 3.41.',
    );
    expect(findings).toContain('A step of CG-FAC by default takes 3 times as long as one of SGD with momentum.');
    expect(headline).toMatch(
      /^CG-FAC’s step is shorter than K-FAC’s in 2 of 3 comparisons: K-FAC’s takes 0\.85\d to 3\.41 times as long, 1\.7\d? times in the geometric mean$/,
    );
    expect(ratiosOf(rows, 'cgfac', 'kfac:inverse-interval=20', 'stateBytes').map(({ ratio }) => ratio)).toEqual([
      8, 16, 32,
    ]);
  });

  it('call equal what differs by less than noise, and name what failed', () => {
    const equal = [
      ...madeUpRows(
        'cgfac',
        (w) => w,
        (w) => w,
      ),
      ...madeUpRows(
        'kfac:inverse-interval=20',
        (w) => 1.03 * w,
        (w) => w,
      ),
    ];
    const failed: ComplexityRow = {
      ...(equal[0] as ComplexityRow),
      width: 1024,
      meanMilliseconds: null,
      stateBytes: null,
      peakBytes: null,
      failed: 'its process was ended by SIGKILL (the system may lack memory)',
    };
    const { findings, sections } = complexityPresentation(complexityResult([...equal, failed], plan));
    expect(findings[0]).toContain('could not be measured at width 1024, batch 128, depth 2: its process was ended');
    expect(findings[1]).toMatch(/not cheaper than .* in time at width 256, .*\(the same within 5 %\): at none/);
    const cells = sections.flatMap(({ tables }) => tables.flatMap(({ rows: lines }) => lines.flat()));
    expect(cells).toContainEqual({ text: 'failed', mark: 'warning' });
  });
});

it('shows every measured number in the page', () => {
  const page = studyPage(complexityPresentation(JSON.parse(JSON.stringify(result))), {
    title: 'Costs',
    command: 'cgfac study complexity --quick',
    environment: { threads: '1' },
  });
  for (const text of ['67.1', '1,074', '19.7', '78.6', '128 KiB', '512 KiB', '2.00', '3.00', '0.134 G'])
    expect(page).toContain(text);
  expect(page).toContain('<svg');
  expect(page).not.toMatch(/NaN|undefined|Infinity|<script/);
});

it('formulas are those of the mathematics, summed over layers', () => {
  // One layer with 2 inputs and a bias: m = 3, n = 4; N = 5.
  const cost = (formula: typeof sgdCost) => chainCost(formula, [2, 4], 5);
  expect(cost(sgdCost)).toEqual({ flops: 6 * 5 * 12 + 4 * 12, bytes: 4 * 12 });
  expect(cost(kfacCost(10)).flops).toBeCloseTo(360 + 240 + 2 * 5 * 25 + (27 + 64) / 10 + 2 * 12 * 7, 10);
  expect(cost(kfacCost(10)).bytes).toBe(4 * 2 * 25);
  expect(cost(publishedCost(10)).flops).toBe(360 + 240 + 10 * (4 * 5 * 12 + 4 * 25 * 4));
  expect(cost(publishedCost(10)).bytes).toBe(4 * (5 * 7 + 25 + 36));
  // Both sides are smaller than the 5 rows, so both are matrices.
  expect(cost(primalCost(10)).flops).toBe(360 + 240 + 2 * 5 * 25 + 10 * 2 * 12 * 7);
  expect(cost(primalCost(10)).bytes).toBe(4 * (5 * 7 + 9 + 16 + 6 * 12));
  // R = 2 is below both sides.
  expect(cost(sketchCost(2)).flops).toBeCloseTo(360 + 8 * 2 * 12 + (240 + 2 * 4 * 7 + 2 * 8) / 5, 10);
  expect(cost(sketchCost(2)).bytes).toBe(4 * (2 * 7 + 4));
  // R = 3 keeps the matrix of the inputs: 3 × 3.
  expect(cost(sketchCost(3)).bytes).toBe(4 * (2 * 9 + 3 * 4 + 9 / 2));
  // Wide layers, 32 rows of 128: 8rmn + 2r²(m+3n) + 4kr³.
  const [r, m, n] = [32, 1001, 1000];
  const wide = (formula: typeof sgdCost) => chainCost(formula, [m - 1, n], 128);
  const gradient = 6 * 128 * m * n;
  expect(wide(primalCost(10)).flops - gradient).toBe(8 * r * m * n + 2 * r ** 2 * (m + 3 * n) + 10 * 4 * r ** 3);
  expect(wide(primalCost(10)).bytes).toBe(4 * (r * (m + n) + 8 * r ** 2));
  expect(wide(budgetCost)).toEqual(wide(sketchCost(32)));
});

it.each(usualContenders)('the timed steps of %s are of its steady state: each period does the same work', (word) => {
  const draws = new DrawnTensors(1);
  const loss = lossOf('softmax-cross-entropy');
  const [input, target] = [draws.uniform([8, 12]), draws.integers([8], 4)];
  const setting = settingOf({ model: mlp({ sizes: [12, 10, 4], seed: 1 }), loss, input, target });
  const { optimizer } = chooseOptimizer(word, {}, setting);
  const step = buildStep({
    ...{ model: mlp({ sizes: [12, 10, 4], seed: 1 }), loss, metric: loss.metric, optimizer, setting },
    inputs: { dtype: input.dtype, shape: input.dims },
    targets: { dtype: target.dtype, shape: target.dims },
  });
  // What steers the branches of the step: 1 at the steps that measure or invert.
  const work = Array.from({ length: warmUp + 2 * period }, (_, k) => {
    const feeds = Object.entries(scalarFeeds(step, k, k)).filter(([name]) => /measureCurvature|refresh/.test(name));
    for (const steering of step.steering) steering.observe(k, { accepted: 1 });
    return feeds.map(([, { data }]) => Number(data[0])).join();
  });
  const ofPeriod = (i: number) => work.slice(warmUp + i * period, warmUp + (i + 1) * period);
  expect(ofPeriod(1)).toEqual(ofPeriod(0));
  const due = ofPeriod(0).filter((each) => each === '1').length;
  expect(due).toBe(dueInPeriod.get(word) ?? 0);
});

/** Steps of a period that run a branch. */
const dueInPeriod = new Map([
  ['cgfac', 4],
  ['cgfac:rank=auto', 4],
  ['kfac:inverse-interval=1', 20],
  ['kfac:inverse-interval=20', 1],
]);
