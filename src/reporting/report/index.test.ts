import { describe, expect, it } from 'vitest';
import { madeUpExperiment, madeUpReport, madeUpRun } from '../../../test/support/made-up.js';
import type { Experiment, Picture, RunRecord } from '../../training/run-record.js';
import { renderReport } from './index.js';
import { assignInks, markerPath } from './palette.js';

const picture = (value: number): Picture => ({
  width: 2,
  height: 2,
  channels: 1,
  pixels: new Float32Array(4).fill(value),
});
const hostile = `<script>alert("x")</script>&'`;
const escaped = '&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;';

const autoencoder = madeUpExperiment(
  ['cgfac', 'adam', hostile].map((name, index) =>
    madeUpRun(name, (step) => (index + 1) / step, {
      count: 3000,
      reconstructions: [{ input: picture(1), output: picture(index / 3) }],
      toTarget: { steps: 1, seconds: 1 },
    }),
  ),
  { model: hostile, data: hostile, target: { metric: 'squaredError', value: 5 } },
);
const classifier = madeUpExperiment([
  madeUpRun('cgfac', (step) => 1 / step, {
    confusion: {
      classes: ['zero', hostile],
      counts: [
        [9, 1],
        [0, 10],
      ],
      mistakes: [{ picture: picture(0.5), actual: 'zero', predicted: hostile, probability: 0.0004 }],
    },
    roc: {
      classes: [{ name: hostile, area: 0.875 }],
      points: [
        [0, 0],
        [0.25, 1],
        [1, 1],
      ],
      examples: 20,
    },
    calibration: { error: 0.05, bins: [{ count: 20, confidence: 0.9, accuracy: 0.95 }] },
    worst: [{ example: 1234, loss: 7, actual: 'zero', predicted: hostile, probability: 0.001, inputs: [0.5, 2] }],
    baseline: { answer: 'commonest class', test: { squaredError: 500 } },
  }),
]);
const regression = madeUpExperiment([
  madeUpRun('cgfac', (step) => 1 / step, {
    predictions: [
      [
        [1, 2],
        [3, Number.NaN],
      ],
    ],
    worst: [{ example: 3, loss: 2.5, actual: [1], predicted: [3.5], inputs: [9] }],
  }),
]);
const data = madeUpReport([autoencoder, classifier, regression], {
  title: hostile,
  command: `cgfac compare --out ${hostile}`,
  environment: { [hostile]: hostile },
});
const report = renderReport(data);

describe('renderReport', () => {
  it('escapes every name that a user may give', () => {
    for (const name of ['cgfac', 'adam', escaped]) expect(report).toContain(`</svg>${name}</th>`);
    expect(report).toContain(`<title>${escaped}</title>`);
    expect(report).toContain(`<dd>${escaped}</dd>`);
    expect(report).not.toContain('alert("x")');
    expect(report).not.toContain("&'");
  });

  it('runs no script and asks nothing of the network', () => {
    expect(report).not.toMatch(/<script|<link|<iframe|<object|@import|javascript:|\son\w+=/i);
    expect(report).not.toMatch(/https?:|url\((?!#)/i);
    for (const [, source] of report.matchAll(/\ssrc="([^"]*)"/g)) expect(source).toMatch(/^data:image\/png;base64,/);
    for (const [, target] of report.matchAll(/\shref="([^"]*)"/g)) expect(target).toMatch(/^#experiment-\d$/);
  });

  it('is well formed: every element is closed where it was opened, every id is unique', () => {
    const open: string[] = [];
    for (const [, end, name = '', rest = ''] of report.matchAll(/<(\/?)([a-zA-Z][\w-]*)((?:[^<>"]|"[^"]*")*)>/g)) {
      if (['meta', 'img'].includes(name) || rest.endsWith('/')) continue;
      if (end) expect(open.pop()).toBe(name);
      else open.push(name);
    }
    expect(open).toEqual([]);
    const ids = [...report.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id);
    expect(ids).toEqual(['experiment-1', 'experiment-2', 'experiment-3']);
    expect(report).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('describes each chart, follows the scheme of the reader, and stays small with thousands of steps', () => {
    const drawings = [...report.matchAll(/<svg class="(?!chip)[^>]*>/g)].map(([tag]) => tag);
    expect(drawings.length).toBeGreaterThan(8);
    for (const tag of drawings) expect(tag).toMatch(/role="img" aria-label="[^":]*\w: [^"]*cgfac/);
    expect(report).toContain('prefers-color-scheme:dark');
    for (const [svg] of report.matchAll(/<svg[\s\S]*?<\/svg>/g)) expect(svg).not.toMatch(/(?:stroke|fill)="#/);
    expect(report.length).toBeLessThan(300_000);
  });

  it('shows the headline, the target, pictures and confusions', () => {
    expect(report).toContain('target: training squared error\u00a05');
    expect(report).toContain('Reconstructions');
    expect(report.match(/<img /g)).toHaveLength(1 + 3 + 1); // the shared input, its reconstructions, the mistake
    expect(report).toMatch(/<td class="wrong"[^>]*>1<\/td>/);
    expect(report).toContain('Constant throughout: cgfac learning rate 0.1');
  });

  it('draws no share above 100 %, also of a classifier that is always right', () => {
    const perfect = madeUpExperiment([
      madeUpRun('cgfac', (step) => 1 / step, {
        roc: {
          classes: [{ name: 'zero', area: 1 }],
          points: [
            [0, 1],
            [1, 1],
          ],
          examples: 20,
        },
      }),
    ]);
    const page = renderReport(madeUpReport([perfect]));
    const shares = [...page.slice(page.indexOf('<h3>How sure')).matchAll(/>([\d.]+)\s%</g)].map(([, share]) =>
      Number(share),
    );
    expect(shares).toContain(99.6);
    expect(Math.max(...shares)).toBe(100);
  });

  it('shows what a classifier and a regression do on single examples', () => {
    expect(report).toContain('ROC curve <small>of the class &lt;script&gt;');
    expect(report).toMatch(/<th scope="row">&lt;script&gt;[^<]*<\/th><td>0\.8750<\/td>/);
    expect(report).toContain('mean gap between confidence and accuracy: 5 %');
    expect(report).toContain('<small>&lt; 0.1 %</small>');
    expect(report).toContain('<th scope="row">1,234</th><td>zero</td>');
    expect(report).toContain('<th scope="row">3</th><td>1</td><td>3.5</td><td>2.50</td><td>9</td>');
    expect(report).toContain('Always answering the commonest class: test squared error 500.');
    const [, dots = ''] = /class="dots"[^>]* d="([^"]*)"/.exec(report) ?? [];
    expect(dots.match(/M/g)).toHaveLength(1); // what is not finite has no place
  });

  it('depends on its data only', () => expect(renderReport(data)).toBe(report));

  it('says something of no runs, of one step, and of a run that diverged', () => {
    expect(renderReport(madeUpReport([madeUpExperiment([])]))).toContain('No runs');
    const lost = madeUpRun('sgd', (step) => (step > 20 ? Number.NaN : 10 ** step));
    const single = madeUpRun('adam', () => 1, { count: 1 });
    expect(renderReport(madeUpReport([madeUpExperiment([lost, single])]))).toContain(
      'sgd diverged at step 50: its loss stopped being finite.',
    );
  });
});

/** The drawings of a report: title, key, wide SVG, and its end labels with their places. */
function charts(experiment: Experiment) {
  const page = renderReport(madeUpReport([experiment]));
  return [
    ...page.matchAll(
      /<figure class="chart"><figcaption>(.*?) <small>(.*?)<\/small>(.*?)<\/figcaption>(<svg[\s\S]*?<\/svg>)/g,
    ),
  ].map(([, title = '', note = '', key = '', svg = '']) => ({
    title,
    note,
    key: key
      .replace(/<span class="names".*$/, '')
      .replace(/<[^>]*>/g, ' ')
      .trim(),
    svg,
    labels: [...svg.matchAll(/<text class="end"[^>]* y="([\d.]+)"[^>]*>(.*?)<\/text>/g)].map(([, y, text]) => ({
      y: Number(y),
      text,
    })),
    ticks: [...svg.matchAll(/text-anchor="end">(.*?)<\/text>/g)].map(([, text]) => text),
    lines: [...svg.matchAll(/<path stroke="var\(--(?:ink-\d|quiet)\)"[^>]* d="([^"]*)"/g)].map(([tag, path = '']) => ({
      tag,
      points: [...path.matchAll(/[ML]([\d.]+),([\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]),
    })),
  }));
}

/** A run that was evaluated every ten steps, by sample; the test set's error stays at 10 while the training set's falls. */
const overfitting = (name: string, rest: Partial<RunRecord> = {}) => {
  const run = madeUpRun(name, (step) => 1 / step);
  const steps = run.steps.map((record) =>
    record.step % 10
      ? record
      : {
          ...record,
          metrics: { ...record.metrics, trainSquaredError: 100 / record.step, testSquaredError: 10, testLoss: 0.1 },
        },
  );
  return { ...run, steps, train: { loss: 0.02, squaredError: 2 }, test: { loss: 0.1, squaredError: 40 }, ...rest };
};

describe('charts', () => {
  const dashed = (charts: { lines: { tag: string }[] }, dashes: string) =>
    charts.lines.filter(({ tag }) => tag.includes(`stroke-dasharray="${dashes}"`)).length;

  it('have training and test curve of one metric together', () => {
    const shown = charts(madeUpExperiment([overfitting('cgfac'), overfitting('adam')]));
    expect(shown.slice(0, 4).map(({ title, note, key }) => [title, note, key.split(/ {2,}/)])).toEqual([
      ['Loss', 'by steps, log scale', ['training batches', 'test set']],
      ['Loss', 'by time, log scale', ['training batches', 'test set']],
      ['Squared error', 'by steps, log scale', ['training set', 'test set']],
      ['Squared error', 'by time, log scale', ['training set', 'test set']],
    ]);
    for (const chart of shown.slice(0, 4)) {
      expect(dashed(chart, '4 3')).toBe(2);
      expect(chart.labels.map(({ text }) => text)).toEqual(['cgfac', 'adam']);
    }
    const [alone] = charts(madeUpExperiment([overfitting('cgfac')]));
    expect(alone?.labels.map(({ text }) => text)).toEqual(['training', 'test']);
  });

  it('end where the table does, though the way there was judged by a sample', () => {
    const run = overfitting('cgfac', { sampled: { train: 1000 } });
    const page = renderReport(madeUpReport([madeUpExperiment([run])]));
    expect(page).toContain('Evaluated along the way on 1,000 examples of the training set; ');
    const chart = charts(madeUpExperiment([run])).find(({ title }) => title === 'Squared error');
    // The test error was 10 at all evaluations and is 40 in the table: 40 is as far above 10 as 10 above 2.5.
    const test = chart?.lines.find(({ tag }) => tag.includes('4 3'))?.points ?? [];
    expect(new Set(test.slice(0, -1).map(([, y]) => y)).size).toBe(1);
    expect(test.at(-1)?.[1]).toBeLessThan((test[0]?.[1] ?? 0) - 30);
  });

  it.each([
    ['squaredError', { 'Squared error': 'training target' }],
    ['testSquaredError', { 'Squared error': 'test target' }],
    ['loss', { Loss: 'training target' }],
    ['testLoss', { Loss: 'test target' }],
  ])('have the line of the target %s where that is drawn', (metric, expected) => {
    const shown = charts(madeUpExperiment([overfitting('cgfac')], { target: { metric, value: 0.05 } }));
    const found = shown.flatMap(({ title, labels }) =>
      labels.flatMap(({ text }): [string, string][] => (text?.includes('target') ? [[title, text]] : [])),
    );
    expect(found).toHaveLength(2); // by steps and by time
    expect(Object.fromEntries(found)).toEqual(expected);
    for (const chart of shown) expect(dashed(chart, '2 4')).toBe(chart.title in expected ? 1 : 0);
  });

  it('draw the target of an accuracy as an error rate', () => {
    const run = overfitting('cgfac');
    const accuracy = (value: number) => ({ loss: 0.1, accuracy: value });
    const steps = run.steps.map((record) => ({
      ...record,
      metrics: { trainAccuracy: 1 - 1 / record.step, testAccuracy: record.step > 40 ? 1 - 1e-16 : 0.9 },
    }));
    const metric = { name: 'accuracy', lowerIsBetter: false };
    const record = { ...run, steps, metric, train: accuracy(0.98), test: accuracy(1) };
    const target = { metric: 'accuracy', value: 0.9 };
    const [chart] = charts(madeUpExperiment([record], { target })).filter(({ title }) => title === 'Error rate');
    expect(chart?.ticks.every((tick) => tick?.endsWith(' %'))).toBe(true);
    // No error at all is drawn below the least that there was, not at the rounding of a sum.
    expect(Math.min(...(chart?.ticks ?? []).map((tick) => Number.parseFloat(tick ?? '')))).toBeGreaterThan(0.5);
    const guide = chart?.lines.find(({ tag }) => tag.includes('2 4'))?.points[0]?.[1] ?? Number.NaN;
    const train = chart?.lines.find(({ tag }) => !tag.includes('dasharray'))?.points ?? [];
    expect(train.some(([, y]) => Math.abs((y ?? 0) - guide) < 0.2)).toBe(true); // step 10: 90 %
  });

  it('have numbers on every axis, all different', () => {
    for (const values of [
      [2.7, 3.3],
      [1.0001, 1.0002],
      [5e-9, 6e-9],
      [12_345_678, 12_345_679],
    ]) {
      const run = madeUpRun('sgd', (step) => values[step % 2] ?? 0);
      for (const { ticks } of charts(madeUpExperiment([run]))) {
        expect(ticks.length).toBeGreaterThan(1);
        expect(new Set(ticks).size).toBe(ticks.length);
      }
    }
  });

  it('keep their labels apart, above the axis and within the drawing', () => {
    const runs = Array.from({ length: 9 }, (_, index) =>
      madeUpRun(`adam:learning-rate=0.00${index}`, (step) => 1 / step),
    );
    for (const { svg, labels } of charts(madeUpExperiment(runs)).filter(({ labels }) => labels.length > 1)) {
      const height = Number(svg.match(/viewBox="0 0 \d+ (\d+)"/)?.[1]);
      const places = labels.map(({ y }) => y).sort((a, b) => a - b);
      for (const [index, y] of places.slice(1).entries()) expect(y - (places[index] ?? 0)).toBeGreaterThan(12);
      expect(places[0]).toBeGreaterThanOrEqual(10);
      expect(places.at(-1)).toBeLessThan(height - 46);
      expect(new Set(labels.map(({ text }) => text)).size).toBe(9);
    }
  });

  it('show an explosion to its end, and the runs beside it', () => {
    const lost = madeUpRun('sgd', (step) => (step > 20 ? Number.NaN : 10 ** step), { count: 21, planned: 50 });
    const adam = madeUpRun('adam', (step) => 1 / step);
    const [chart] = charts(madeUpExperiment([lost, adam]));
    expect(chart?.note).toMatch(/^by steps, log scale, denser above /);
    expect(chart?.key).toContain('× diverged');
    expect(chart?.svg.match(/class="lost"/g)).toHaveLength(1);
    const [sgd, other] = ['--ink-5', '--ink-2'].map(
      (ink) => chart?.lines.find(({ tag }) => tag.includes(ink))?.points ?? [],
    );
    const heights = (sgd ?? []).map(([, y]) => y ?? 0);
    expect(heights).toHaveLength(20);
    for (const [index, y] of heights.slice(1).entries()) expect(y).toBeLessThan(heights[index] ?? 0);
    expect(heights.at(-1)).toBeGreaterThanOrEqual(12);
    const extent = (other ?? []).map(([, y]) => y ?? 0);
    expect(Math.max(...extent) - Math.min(...extent)).toBeGreaterThan(80);
  });

  it('leave out what was not measured, and tell in words what was taken back', () => {
    const run = madeUpRun('cgfac', (step) => 1 / step);
    const steps = run.steps.map((record) => ({
      ...record,
      optimizer: {
        accepted: record.step === 7 ? 0 : 1,
        actualChange: record.step % 5 ? Number.NaN : -1 / record.step,
        residual: Number.NaN,
        momentum: 0,
        damping: 0.1,
      },
    }));
    const seen = madeUpRun('cgfac', (step) => 1 / step, { steps });
    const experiment = madeUpExperiment([seen, madeUpRun('adam', (step) => 2 / step)]);
    const page = renderReport(madeUpReport([experiment]));
    expect(page).toContain('1 of 50\u00a0steps of cgfac was taken back.');
    expect(page).toContain('<td>1 of 50</td>');
    expect(page).toMatch(/Constant throughout: cgfac damping 0.1, adam learning rate 0.1\./);
    const change = charts(experiment).find(({ title }) => title === 'Actual change');
    expect(change?.lines[0]?.points).toHaveLength(10);
    expect(charts(experiment).map(({ title }) => title)).not.toContain('Accepted');
    expect(charts(experiment).map(({ title }) => title)).not.toContain('CG residual');
  });
});

it('compares the costs of several runs in bars, and tells those of one', () => {
  const [one, two] = [1, 2].map((count) =>
    renderReport(
      madeUpReport([
        madeUpExperiment(['cgfac', 'adam'].slice(0, count).map((name) => madeUpRun(name, (step) => 1 / step))),
      ]),
    ),
  );
  expect(two).toContain('<table class="bars">');
  expect(one).not.toContain('<table class="bars">');
  expect(one).toContain('100 ms for a step (the middle 80 % of steps: 90.0 to 120 ms), and 2 KiB of optimizer state');
});

it('marks what is no success', () => {
  const runs = [madeUpRun('kfac', (step) => step), madeUpRun('adam', (step) => 2 / step)];
  const page = renderReport(madeUpReport([madeUpExperiment(runs)]));
  expect(page).toContain('<td class="warning">50.0 !</td>');
  expect(page).toContain('! No success: higher than the loss at the start, 1.00 (kfac).');
  expect(page).toContain('kfac ends worse than it began');
});

it('tells runs of one name apart', () => {
  const runs = [madeUpRun('adam', (step) => 2 / step), madeUpRun('adam', (step) => 1 / step)];
  const experiment = madeUpExperiment(runs);
  expect(charts(experiment)[0]?.labels.map(({ text }) => text)).toEqual(['adam', 'adam (2)']);
  expect(new Set(charts(experiment)[0]?.lines.map(({ tag }) => /--ink-\d/.exec(tag)?.[0])).size).toBe(2);
});

it('gives an optimizer one ink in all experiments, and no two runs the same', () => {
  const names = ['mine', 'adam', 'cgfac', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const inks = assignInks([...names, ...[...names].reverse()]);
  expect(inks.size).toBe(names.length);
  expect(new Set(names.slice(0, 8).map((name) => inks.get(name)?.colour)).size).toBe(8);
  expect(new Set([...inks.values()].map((ink) => ink.colour + markerPath(ink))).size).toBe(names.length);
  const again = assignInks(['cgfac:rank=64']);
  expect(again.get('cgfac:rank=64')).toEqual(inks.get('cgfac'));
});
