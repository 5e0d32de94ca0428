import { describe, expect, it } from 'vitest';
import { assignInks } from './report/palette.js';
import { linearScale, logScale } from './report/scales.js';
import { renderReport } from './report.js';
import type { Picture } from './run-record.js';
import { madeUpExperiment, madeUpReport, madeUpRun } from './testing/made-up.js';

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
      mistakes: [{ picture: picture(0.5), actual: 'zero', predicted: hostile }],
    },
  }),
]);
const data = madeUpReport([autoencoder, classifier], {
  title: hostile,
  command: `cgfac compare --out ${hostile}`,
  environment: { [hostile]: hostile },
});
const report = renderReport(data);

describe('renderReport', () => {
  it('escapes every name that a user may give', () => {
    for (const name of ['cgfac', 'adam', escaped]) expect(report).toContain(`</i>${name}</th>`);
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
    expect(ids.length).toBeGreaterThan(2);
    const charts = new Map<string, string>();
    for (const [svg] of report.matchAll(/<svg[\s\S]*?<\/svg>/g)) {
      const [, id] = svg.match(/\sid="(clip-\w+)-/) ?? [];
      const body = svg.replace(/<svg [^>]*>/, '');
      if (id !== undefined && charts.has(id)) expect(charts.get(id)).toBe(body); // equal drawings may share their clipping
      if (id !== undefined) charts.set(id, body);
      for (const [, use] of svg.matchAll(/url\(#([^)]*)\)/g)) expect(svg).toContain(`id="${use}"`);
    }
  });

  it('describes each chart, follows the scheme of the reader, and stays small with thousands of steps', () => {
    const drawings = [...report.matchAll(/<svg [^>]*>/g)].map(([tag]) => tag);
    expect(drawings.length).toBeGreaterThan(8);
    for (const tag of drawings) expect(tag).toMatch(/role="img" aria-label="[^"]+: [^"]*cgfac/);
    expect(report).toContain('prefers-color-scheme:dark');
    expect(report.match(/<svg[\s\S]*?<\/svg>/)?.[0]).not.toMatch(/(?:stroke|fill)="#(?!000")/);
    expect(report.length).toBeLessThan(300_000);
  });

  it('shows the headline, the target, pictures and confusions', () => {
    expect(report).toContain('target: squared error 5');
    expect(report).toContain('Reconstructions');
    expect(report.match(/<img /g)).toHaveLength(1 + 3 + 1); // the shared input, its reconstructions, the mistake
    expect(report).toMatch(/<td class="wrong"[^>]*>1<\/td>/);
    expect(report).toContain('Constant throughout: cgfac learning rate 0.1');
  });

  it('depends on its data only', () => expect(renderReport(data)).toBe(report));

  it('says something of no runs, of one step, and of a run that diverged', () => {
    expect(renderReport(madeUpReport([madeUpExperiment([])]))).toContain('No runs');
    const lost = madeUpRun('sgd', (step) => (step > 20 ? Number.NaN : 10 ** step));
    const single = madeUpRun('adam', () => 1, { count: 1 });
    expect(renderReport(madeUpReport([madeUpExperiment([lost, single])]))).toContain('sgd diverged');
  });
});

it('gives an optimizer one ink in all experiments, and no two the same while the palette lasts', () => {
  const names = ['mine', 'adam', 'cgfac', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const experiments = [names, [...names].reverse()].map((list) =>
    madeUpExperiment(list.map((name) => madeUpRun(name, () => 1))),
  );
  const inks = assignInks(experiments);
  expect(inks.size).toBe(names.length);
  expect(new Set(names.slice(0, 8).map((name) => inks.get(name)?.colour)).size).toBe(8);
  expect(new Set([...inks.values()].filter(({ dashed }) => !dashed).map(({ colour }) => colour)).size).toBe(8);
  const again = assignInks([madeUpExperiment([madeUpRun('cgfac', () => 1)])]);
  expect(again.get('cgfac')).toEqual(inks.get('cgfac'));
});

it('marks round numbers that lie within the scale', () => {
  expect(linearScale([3, 97], 5).ticks).toEqual([0, 20, 40, 60, 80, 100]);
  expect(logScale([0.04, 0.7], 6).ticks).toEqual([0.05, 0.1, 0.2, 0.3, 0.5]);
  expect(logScale([1e-8, 1], 5).ticks.length).toBeLessThanOrEqual(5);
  for (const values of [[1], [0], [-5, -5], [1e-300, 1e300], []]) {
    for (const scale of [linearScale(values, 5), logScale(values, 5)]) {
      expect(scale.min).toBeLessThan(scale.max);
      expect(scale.ticks.every((tick) => Number.isFinite(tick))).toBe(true);
    }
  }
});
