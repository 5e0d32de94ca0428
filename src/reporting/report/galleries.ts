// Pictures of what a trained model does: reconstructions below their inputs, confusion matrices, mistaken pictures.

import { formatCount, formatMetric } from '../../format.js';
import type { Experiment, Picture, RunRecord } from '../../training/run-record.js';
import { pictureUrl } from '../png.js';
import { type Html, html } from './html.js';
import { chip, type Ink } from './palette.js';

type Inks = ReadonlyMap<string, Ink>;

/** The values of pictures in one row of a gallery: they keep a report of large photographs under a megabyte. */
const mostRowValues = 30_000;
const mostPictures = 12;
/** Nobody reads a matrix of more classes: its largest confusions are listed. */
const mostClasses = 24;

/** Return a row of inputs, and below it a row of reconstructions by each run. */
export function reconstructionGallery(experiment: Experiment, inks: Inks): Html | undefined {
  const runs = experiment.runs.flatMap(({ name, reconstructions }) =>
    reconstructions ? [{ name, pairs: reconstructions }] : [],
  );
  const [first] = runs;
  if (first === undefined || first.pairs.length === 0) return undefined;
  const shared = runs.every(({ pairs }) =>
    pairs.every(({ input }, index) => samePicture(input, first.pairs[index]?.input)),
  );
  const rows = runs.flatMap(({ name, pairs }, index) => {
    const some = pairs.slice(0, rowLength(pairs[0]?.input));
    const [inputs, outputs] = [some.map(({ input }) => input), some.map(({ output }) => output)];
    const inputRow = shared && index > 0 ? [] : [pictureRow('input', 'var(--quiet)', inputs)];
    return [...inputRow, pictureRow(name, inks.get(name)?.colour ?? 'var(--ink)', outputs)];
  });
  const worst = experiment.runs.flatMap((run) => worstReconstructions(run, inks));
  return html`<h3>Reconstructions</h3><p class="note">Pictures of the test set above, their reconstructions by each trained model below.</p><div class="gallery">${rows}</div>${worst.length > 0 && html`<details><summary>The worst of the test set</summary>${worst}</details>`}`;
}

/** The pictures with the largest errors above their reconstructions. */
function worstReconstructions({ name, worst = [] }: RunRecord, inks: Inks): Html[] {
  const pairs = worst.flatMap(({ picture, output }) => (picture && output ? [{ picture, output }] : []));
  const some = pairs.slice(0, rowLength(pairs[0]?.picture));
  if (some.length === 0) return [];
  const inputs = some.map(({ picture }) => picture);
  const outputs = some.map(({ output }) => output);
  const colour = inks.get(name)?.colour ?? 'var(--ink)';
  return [
    html`<div class="gallery worst">${pictureRow('input', 'var(--quiet)', inputs)}${pictureRow(name, colour, outputs)}</div>`,
  ];
}

function pictureRow(label: string, colour: string, pictures: readonly Picture[]): Html {
  const images = pictures.map((picture, index) => image(picture, `${label} ${index + 1}`));
  return html`<div class="row"><span style="color:${colour}">${label}</span><div style="--pictures:${pictures.length}">${images}</div></div>`;
}

/** Return a matrix and some mistakes for each run that has them; the first is open, the others unfold. */
export function confusionGallery(experiment: Experiment, inks: Inks): Html | undefined {
  const runs = experiment.runs.flatMap((run) => (run.confusion ? [{ run, confusion: run.confusion }] : []));
  if (runs.length === 0) return undefined;
  const sections = runs.map(({ run, confusion }, index) => {
    const { name, metric } = run;
    const value = run.test[metric.name];
    const result = value === undefined ? '' : `, ${formatMetric(metric.name, value)} on the test set`;
    const colour = inks.get(name)?.colour ?? 'var(--ink)';
    const body = html`<div class="confusion">${matrix(confusion)}${mistakes(confusion)}</div>`;
    const summary = html`<summary>${chip(inks.get(name))}<strong style="color:${colour}">${name}</strong>${result}</summary>`;
    return index === 0 ? html`<details open>${summary}${body}</details>` : html`<details>${summary}${body}</details>`;
  });
  return html`<h3>Right and wrong</h3>${sections}`;
}

type Confusion = NonNullable<RunRecord['confusion']>;

function matrix({ classes, counts }: Confusion): Html {
  if (classes.length > mostClasses) return commonest(classes, counts);
  const head = classes.map((name) => html`<th scope="col">${name}</th>`);
  const rows = classes.map((name, actual) => {
    const row = counts[actual] ?? [];
    const total = row.reduce((sum, count) => sum + count, 0) || 1;
    const cells = classes.map((_, predicted) => {
      const count = row[predicted] ?? 0;
      const share = count / total;
      if (count === 0) return html`<td></td>`;
      // The square root makes one mistake in a hundred visible.
      const strength = Math.round(100 * (actual === predicted ? 0.3 * share : Math.min(1, 1.6 * Math.sqrt(share))));
      return html`<td class="${actual === predicted ? 'right' : 'wrong'}" style="--strength:${strength}%">${formatCount(count)}</td>`;
    });
    return html`<tr><th scope="row">${name}</th>${cells}</tr>`;
  });
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Confusion matrix"><table class="matrix"><caption>Rows: true class. Columns: predicted.</caption><thead><tr><td></td>${head}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

/** The commonest confusions, as a list. */
function commonest(classes: readonly string[], counts: Confusion['counts']): Html {
  const wrong = counts
    .flatMap((row, actual) => row.map((count, predicted) => ({ actual, predicted, count })))
    .filter(({ actual, predicted, count }) => actual !== predicted && count > 0)
    .sort((a, b) => b.count - a.count)
    .slice(0, 20);
  const rows = wrong.map(
    ({ actual, predicted, count }) =>
      html`<tr><td>${classes[actual]}</td><td>${classes[predicted]}</td><td>${formatCount(count)}</td></tr>`,
  );
  return html`<div class="scroll" tabindex="0" role="group" aria-label="The commonest mistakes"><table class="list"><caption>The commonest of the mistakes among ${classes.length} classes</caption><thead><tr><th>true</th><th>predicted</th><th>times</th></tr></thead><tbody>${rows}</tbody></table></div>`;
}

function mistakes({ mistakes: all }: Confusion): Html | undefined {
  const some = all.slice(0, rowLength(all[0]?.picture));
  if (some.length === 0) return undefined;
  const figures = some.map(
    ({ picture, actual, predicted, probability }) =>
      html`<figure>${image(picture, `${actual}, taken for ${predicted}`)}<figcaption>${actual} <span>→ ${predicted}</span>${probability !== undefined && html` <small>${percent(probability)}</small>`}</figcaption></figure>`,
  );
  const share = some.some(({ probability }) => probability !== undefined) && ', and the probability of what it is';
  return html`<div class="mistakes"><p class="note">The worst mistakes: what it is → what the model said${share}</p><div>${figures}</div></div>`;
}

/** `0.3 %`, `< 0.1 %` */
const percent = (share: number): string => (share < 0.001 ? '< 0.1 %' : `${(100 * share).toFixed(1)} %`);

function image(picture: Picture, description: string): Html {
  return html`<img src="${pictureUrl(picture)}" width="${picture.width}" height="${picture.height}" alt="${description}">`;
}

/** The number of pictures of this size in a row. */
function rowLength(picture: Picture | undefined): number {
  return Math.max(1, Math.min(mostPictures, Math.floor(mostRowValues / (picture?.pixels.length ?? mostRowValues))));
}

function samePicture(a: Picture, b: Picture | undefined): boolean {
  return (
    b !== undefined &&
    a.pixels.length === b.pixels.length &&
    a.pixels.every((value, index) => value === b.pixels[index])
  );
}
