// What a report shows of single layers: the last values in a table, and shades over layers and steps.
import { expect, it } from 'vitest';
import { madeUpExperiment, madeUpReport, madeUpRun } from '../../../test/support/made-up.js';
import { layerReport, layerReportParts } from '../../layer-report.js';
import { renderReport } from './index.js';
import { layerMaps } from './layer-maps.js';

const layer = 'block.0/fc[1].weight';

/** Cosines that rise from 0.1 to 0.4; ranks that are measured at every second step, the first and the third. */
function reported() {
  const run = madeUpRun('cgfac', (step) => 1 / step, { count: 4 });
  const steps = run.steps.map((record) => ({
    ...record,
    optimizer: {
      damping: 0.1 * record.step,
      [layerReport('cosine', 'fc0.weight')]: 0.1 * record.step,
      [layerReport('cosine', layer)]: 0.4,
      ...(record.step % 2 === 1 && { [layerReport('effectiveRank.A', 'fc0.weight')]: 10 ** record.step }),
    },
  }));
  return { ...run, steps };
}

it('names tell the measure and the layer, whatever the layer is called', () => {
  expect(layerReportParts(layerReport('effectiveRank.A', layer))).toEqual({ measure: 'effectiveRank.A', layer });
  expect(layerReportParts('rest.learningRate')).toBeUndefined();
});

it('shows the last values that were measured, and shades of all', () => {
  const [{ html } = { html: '' }, ...others] = layerMaps([madeUpRun('adam', (step) => 1 / step), reported()]);
  expect(others).toEqual([]);
  expect(html).toContain('<th scope="col">Layer</th><th scope="col">Cosine</th><th scope="col">Effective rank A</th>');
  expect(html).toContain('<tr><th scope="row">fc0.weight</th><td>0.4</td><td>1,000</td></tr>');
  expect(html).toContain(`<tr><th scope="row">${layer}</th><td>0.4</td><td></td></tr>`);
  const figures = html
    .split('<figure')
    .slice(1)
    .map((figure) => figure.split('</figure>')[0] ?? '');
  expect(figures.map((figure) => /<figcaption>(.*?) </.exec(figure)?.[1])).toEqual(['Effective rank A', 'Cosine']);
  /** Start, width and opacity of the cells of each layer's row. */
  const rows = figures.map((figure) =>
    figure
      .split('<tr><th')
      .slice(1)
      .map((row) =>
        [...row.matchAll(/M(\d+) 0h(\d+)v1h-\d+z" fill-opacity="([\d.]+)"/g)].map(([, ...cell]) => cell.map(Number)),
      ),
  );
  expect(rows).toEqual([
    [
      [
        [0, 1, 0.08],
        [2, 1, 1],
      ],
    ],
    [
      [
        [0, 1, 0.08],
        [1, 1, 0.37],
        [2, 1, 0.71],
        [3, 1, 1],
      ],
      [[0, 4, 1]],
    ],
  ]);
  expect(figures[0]).toContain('<small>log scale</small>');
  expect(figures[0]).toContain('aria-label="fc0.weight: 10 → 1,000"');
  expect(figures[1]).toContain('<td>0.1 → 0.4</td>');
});

it('a long run has the means of spans of steps', () => {
  const run = madeUpRun('cgfac', (step) => 1 / step, { count: 128 });
  const steps = run.steps.map((record) => ({
    ...record,
    optimizer: { [layerReport('cosine', 'w')]: record.step % 2 },
  }));
  const [{ html } = { html: '' }] = layerMaps([{ ...run, steps }]);
  expect(html).toContain('viewBox="0 0 64 1"');
  expect(html).toContain('M0 0h64v1h-64z'); // the mean of each span is 0.5
});

it('is a part of the report, and no layer has a chart of its own', () => {
  const page = renderReport(madeUpReport([madeUpExperiment([reported(), madeUpRun('adam', (step) => 2 / step)])]));
  expect(page).toContain('<h3>cgfac, layer by layer</h3>');
  expect(page).not.toContain('adam, layer by layer');
  expect(page.match(/<figcaption>Damping/g)).toHaveLength(1);
  expect(page.match(/<figcaption>Cosine/g)).toHaveLength(1);
  expect(page).not.toContain('cosine[');
  const plain = renderReport(madeUpReport([madeUpExperiment([madeUpRun('adam', (step) => 2 / step)])]));
  expect(plain).not.toContain('layer by layer');
});
