// One sentence that compares a run with all others: where it is the best, and where it loses to which.

import { formatBytes, formatCount, formatMeasured, formatMetric, isShare, listed } from '../format.js';
import type { RunRecord } from '../training/run-record.js';
import { type Goal, onSet, type SplitName } from './target.js';

/** A number by which runs are compared. */
interface Criterion {
  readonly name: string;
  readonly value: (run: RunRecord) => number | undefined;
  readonly format: (value: number) => string;
  readonly lowerIsBetter: boolean;
  /** Values that differ by a smaller part than this may do so by chance: nothing is claimed of them. */
  readonly noise: number;
}

/** A criterion in which another run is better. */
interface Weakness {
  readonly rival: RunRecord;
  readonly text: string;
}

/** Return the sentence, or undefined if the run is neither better nor worse in anything. */
export function tradeOffs(run: RunRecord, rivals: readonly RunRecord[], goal: Goal | undefined): string | undefined {
  const wins: string[] = [];
  const losses: Weakness[] = [];
  for (const criterion of criteria(run, goal)) {
    const { name, format } = criterion;
    const own = criterion.value(run);
    const [rival, theirs] = bestOf(rivals, criterion);
    if (own === undefined || rival === undefined || theirs === undefined) continue;
    if (better(own, theirs, criterion)) wins.push(`${name} (${format(own)})`);
    else if (better(theirs, own, criterion))
      losses.push({ rival, text: `${name} (${format(own)}, not ${format(theirs)})` });
  }
  if (wins.length === 0 && losses.length === 0) return undefined;
  const parts = [
    ...(wins.length > 0 ? [`is best in ${listed(wins)}`] : []),
    ...(losses.length > 0 ? [lossesText(losses)] : []),
  ];
  return `${run.name} ${parts.join(', but ')}${losses.length === 0 ? ', and worse in nothing that was measured' : ''}.`;
}

function criteria({ metric }: RunRecord, goal: Goal | undefined): Criterion[] {
  const exact = { lowerIsBetter: true, noise: 0 };
  const evaluated = (set: SplitName, name: string, lowerIsBetter: boolean): Criterion => ({
    name: onSet(set, name),
    value: (run) => run[set][name],
    format: (value) => formatMetric(name, value),
    lowerIsBetter,
    noise: 0,
  });
  return [
    evaluated('train', metric.name, metric.lowerIsBetter),
    evaluated('test', metric.name, metric.lowerIsBetter),
    // Squared errors rank the runs as the loss does; accuracies leave out how sure a wrong answer was.
    ...(isShare(metric.name) ? [evaluated('test', 'loss', true)] : []),
    ...(goal
      ? [{ ...exact, name: 'steps to the target', value: (run: RunRecord) => run.toTarget?.steps, format: formatCount }]
      : []),
    {
      name: 'time for a step',
      value: ({ stepMilliseconds }) => stepMilliseconds.median,
      format: (value) => `${formatMeasured(value)} ms`,
      lowerIsBetter: true,
      noise: 0.05,
    },
    { ...exact, name: 'optimizer memory', value: ({ stateBytes }) => stateBytes, format: formatBytes },
  ];
}

function bestOf(runs: readonly RunRecord[], criterion: Criterion): [RunRecord, number] | [] {
  let best: [RunRecord, number] | [] = [];
  for (const run of runs) {
    const value = criterion.value(run);
    if (value === undefined || !Number.isFinite(value)) continue;
    if (best[1] === undefined || better(value, best[1], { ...criterion, noise: 0 })) best = [run, value];
  }
  return best;
}

function better(a: number, b: number, { lowerIsBetter, noise, format }: Criterion): boolean {
  const [less, more] = lowerIsBetter ? [a, b] : [b, a];
  // Equal texts are not a difference that a sentence can show.
  return less < more - noise * Math.abs(more) && format(a) !== format(b);
}

/** `loses to sgd in A and B, and to kfac in C` */
function lossesText(losses: readonly Weakness[]): string {
  const rivals = [...new Set(losses.map(({ rival }) => rival))];
  const parts = rivals.map((rival) => {
    const texts = losses.filter((loss) => loss.rival === rival).map(({ text }) => text);
    return `to ${rival.name} in ${listed(texts)}`;
  });
  return `loses ${listed(parts, parts.length > 1 ? ';' : ',')}`;
}
