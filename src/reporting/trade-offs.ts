// One sentence on a run beside all others: in what it is the best of them, and in what it loses to which.

import { formatBytes, formatCount, formatMeasured, formatMetric, isShare, listed } from '../format.js';
import type { RunRecord } from '../training/run-record.js';
import { type Goal, onSet, type SplitName } from './target.js';

/** Something that runs are compared in. */
interface Criterion {
  readonly name: string;
  readonly value: (run: RunRecord) => number | undefined;
  readonly format: (value: number) => string;
  readonly lowerIsBetter: boolean;
  /** A part by which values may differ by chance: nothing is claimed below. */
  readonly noise: number;
}

/** A criterion in which another run is better. */
interface Loss {
  readonly rival: RunRecord;
  readonly text: string;
}

/** The sentence, or undefined where nothing sets the runs apart. */
export function tradeOffs(run: RunRecord, rivals: readonly RunRecord[], goal: Goal | undefined): string | undefined {
  const wins: string[] = [];
  const losses: Loss[] = [];
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
  const evaluated = (set: SplitName, name: string, lowerIsBetter: boolean): Criterion => ({
    name: onSet(set, name),
    value: (run) => run[set][name],
    format: (value) => formatMetric(name, value),
    lowerIsBetter,
    noise: 0,
  });
  // Where squared errors rank the runs the loss does too; accuracies leave out how sure a wrong answer was.
  const byLoss = isShare(metric.name) ? [evaluated('test', 'loss', true)] : [];
  const steps: Criterion = {
    name: 'steps to the target',
    value: ({ toTarget }) => toTarget?.steps,
    format: formatCount,
    lowerIsBetter: true,
    noise: 0,
  };
  return [
    evaluated('train', metric.name, metric.lowerIsBetter),
    evaluated('test', metric.name, metric.lowerIsBetter),
    ...byLoss,
    ...(goal ? [steps] : []),
    {
      name: 'time for a step',
      value: ({ stepMilliseconds }) => stepMilliseconds.median,
      format: (value) => `${formatMeasured(value)} ms`,
      lowerIsBetter: true,
      noise: 0.05,
    },
    {
      name: 'optimizer memory',
      value: ({ stateBytes }) => stateBytes,
      format: formatBytes,
      lowerIsBetter: true,
      noise: 0,
    },
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
  // What reads alike is no difference that a sentence could show.
  return less < more - noise * Math.abs(more) && format(a) !== format(b);
}

/** `loses to sgd in A and B, and to kfac in C` */
function lossesText(losses: readonly Loss[]): string {
  const rivals = [...new Set(losses.map(({ rival }) => rival))];
  const parts = rivals.map((rival) => {
    const texts = losses.filter((loss) => loss.rival === rival).map(({ text }) => text);
    return `to ${rival.name} in ${listed(texts)}`;
  });
  return `loses ${listed(parts, parts.length > 1 ? ';' : ',')}`;
}
