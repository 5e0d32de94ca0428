// The cost of a step: bars of time and of memory, in plain HTML so that they fit any width; for a single run, a sentence.

import { formatBytes, formatMeasured, formatNumber } from '../../format.js';
import type { RunRecord } from '../../training/run-record.js';
import { type Html, html } from './html.js';
import { chip, type Ink } from './palette.js';

type Inks = ReadonlyMap<string, Ink>;
/** Letters of a name that stays on one line. */
const longestLine = 22;

interface Bar {
  readonly name: string;
  readonly value: number;
  readonly text: string;
  readonly spread?: { readonly from: number; readonly to: number };
}

/** Return the median milliseconds of a step with the spread of the middle 80 %, and the bytes of optimizer state. */
export function costs(runs: readonly RunRecord[], inks: Inks): Html | undefined {
  const [first] = runs;
  if (first === undefined) return undefined;
  if (runs.length > 1) return html`<div class="charts">${costBars(runs, inks)}</div>`;
  const { median, p10, p90 } = first.stepMilliseconds;
  return html`<p>${formatMeasured(median)} ms for a step (the middle 80 % of steps: ${formatMeasured(p10)} to ${formatMeasured(p90)} ms), and ${formatBytes(first.stateBytes)} of optimizer state besides parameters and gradients.</p>`;
}

function costBars(runs: readonly RunRecord[], inks: Inks): Html[] {
  const times = runs.map(({ name, stepMilliseconds: { median, p10, p90 } }) => ({
    name,
    value: median,
    text: `${formatNumber(median)} ms`,
    spread: { from: p10, to: p90 },
  }));
  const memory = runs.map(({ name, stateBytes }) => ({ name, value: stateBytes, text: formatBytes(stateBytes) }));
  return [
    barChart('Time for a step', 'median, and the middle 80 % of steps', times, inks),
    barChart('Optimizer memory', 'state besides parameters and gradients', memory, inks),
  ];
}

function barChart(title: string, note: string, bars: readonly Bar[], inks: Inks): Html {
  const longest = bars.reduce((most, { value, spread }) => Math.max(most, value, spread?.to ?? 0), 0) || 1;
  const percent = (value: number) => `${Number(((100 * value) / longest).toFixed(2))}%`;
  const rows = bars.map(({ name, value, text, spread }) => {
    const width = spread ? percent(spread.to - spread.from) : '';
    const whisker = spread && html`<i class="whisker" style="left:${percent(spread.from)};width:${width}"></i>`;
    const colour = inks.get(name)?.colour ?? 'var(--quiet)';
    const bar = value > 0 && html`<b style="width:${percent(value)};background:${colour}"></b>`;
    return html`<tr><th scope="row"${name.length > longestLine && html` class="long"`}>${chip(inks.get(name))}${name}</th><td class="track"><div>${bar}${whisker}</div></td><td>${text}</td></tr>`;
  });
  return html`<figure class="chart"><figcaption>${title} <small>${note}</small></figcaption><table class="bars"><tbody>${rows}</tbody></table></figure>`;
}
