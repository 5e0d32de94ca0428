// The report and the pages of studies in a browser: axe-core finds nothing, light and dark, on a desktop and on a phone, and
// nothing is wider than the page.
import axe from 'axe-core';
import { describe, expect, it } from 'vitest';
import { layerReport } from '../../src/layer-report.js';
import { renderReport } from '../../src/reporting/report/index.js';
import { studyPage } from '../../src/study/page.js';
import type { Picture } from '../../src/training/run-record.js';
import { madeUpExperiment, madeUpReport, madeUpRun } from '../support/made-up.js';
import { findChromium, inBrowser } from './page.js';

const chromium = findChromium();
if (!chromium && process.env.CGFAC_REQUIRE_ALL === '1')
  throw new Error('no Chromium: install it or set CGFAC_CHROMIUM');
if (!chromium) console.warn('skipped: accessibility of the report (no Chromium; install it or set CGFAC_CHROMIUM)');

const picture = (value: number): Picture => ({
  ...{ width: 8, height: 8, channels: 1 },
  pixels: new Float32Array(64).fill(value),
});
const classes = ['zero', 'one'];
const names = [
  'cgfac',
  'adam:learning-rate=0.001',
  'adam:learning-rate=0.003',
  'kfac',
  'sgd',
  'mine',
  'other',
  'third',
];

const classifier = madeUpExperiment(
  names.map((name, index) => {
    const run = madeUpRun(name, (step) => (1 + index) / step + 0.01 * Math.sin(step), {
      count: 200,
      confusion: {
        classes,
        counts: [
          [90, 10],
          [3, 97],
        ],
        mistakes: [{ picture: picture(0.5), actual: 'zero', predicted: 'one', probability: 0.01 }],
      },
      roc: {
        classes: [{ name: 'one', area: 0.9 }],
        points: [
          [0, 0],
          [0.1, 0.8],
          [1, 1],
        ],
        examples: 200,
      },
      calibration: {
        error: 0.02,
        bins: [
          { count: 100, confidence: 0.7, accuracy: 0.72 },
          { count: 100, confidence: 0.95, accuracy: 0.9 },
        ],
      },
      baseline: { answer: 'commonest class', test: { squaredError: 900 } },
    });
    const steps = run.steps.map((record) => ({
      ...record,
      metrics: record.step % 20 ? record.metrics : { ...record.metrics, trainSquaredError: 1, testSquaredError: 2 },
      optimizer: { ...record.optimizer, [layerReport('damping', 'fc1.weight')]: record.step },
    }));
    return { ...run, steps };
  }),
  { target: { metric: 'squaredError', value: 5 } },
);
const worst = [{ example: 7, loss: 3, actual: [1], predicted: [4], inputs: [1, 2, 3] }];
const others = [
  madeUpExperiment([
    madeUpRun('cgfac', (step) => 1 / step, {
      reconstructions: [{ input: picture(1), output: picture(0.9) }],
      worst: [{ example: 3, loss: 9, picture: picture(1), output: picture(0) }],
    }),
  ]),
  madeUpExperiment([
    madeUpRun('kfac', (step) => step, {
      predictions: [
        [
          [1, 2],
          [3, 3],
        ],
      ],
      worst,
    }),
  ]),
];

const pages: Readonly<Record<string, string>> = {
  report: renderReport(madeUpReport([classifier, ...others])),
  study: studyPage(
    {
      headline: 'A headline',
      findings: ['A finding.'],
      sections: ['First', 'Second'].map((title) => ({
        title,
        notes: ['A note.'],
        tables: [
          {
            caption: `Table of ${title}`,
            columns: ['optimizer', 'steps'],
            rows: [0, 0.5, 1].map((strength) => [
              'cgfac',
              { text: '12', strength, mark: strength === 1 ? 'best' : 'warning' },
            ]),
          },
        ],
        charts: [],
      })),
    },
    { title: 'A study', command: 'cgfac study', environment: { node: 'v20' } },
  ),
};

/** The page as a reader with a dark scheme sees it. */
const dark = (page: string): string => page.replaceAll('(prefers-color-scheme:dark)', '(min-width:0)');

/** Everything unfolded, as a reader can. */
const unfolded = (page: string): string => page.replaceAll('<details', '<details open');

describe.skipIf(!chromium)('in a browser', () => {
  const views = Object.keys(pages).flatMap((page) =>
    ['light', 'dark'].flatMap((scheme) => [1200, 390].map((width) => [page, scheme, width] as const)),
  );

  it.each(views)('the %s, %s, %d pixels wide', async (name, scheme, width) => {
    const page = unfolded(scheme === 'dark' ? dark(pages[name] ?? '') : (pages[name] ?? ''));
    const script = `
      const frame = document.createElement('iframe');
      frame.style = 'width:${width}px;height:900px;border:0';
      frame.srcdoc = ${JSON.stringify(page).replaceAll('</script', '<\\/script')};
      const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
      document.body.append(frame);
      await loaded;
      const inside = frame.contentDocument;
      const code = inside.createElement('script');
      code.textContent = ${JSON.stringify(axe.source).replaceAll('</script', '<\\/script')};
      inside.head.append(code);
      const { violations } = await frame.contentWindow.axe.run(inside, { resultTypes: ['violations'] });
      const found = violations.flatMap(({ id, nodes }) =>
        nodes.map(({ html, any }) => id + ': ' + html.slice(0, 200) + ' ' + any.map(({ message }) => message).join(' ')));
      const { scrollWidth, clientWidth } = inside.documentElement;
      const wider = scrollWidth > clientWidth ? ['the page is ' + scrollWidth + ' wide'] : [];
      return [...found, ...wider];`;
    expect(await inBrowser(chromium ?? '', script)).toEqual([]);
  });
});
