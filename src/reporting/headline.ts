// The sentence above an experiment, computed from its curves: who won, by how much, and at what cost. It claims only what the
// data bear out.

import { formatMetric, formatNumber, formatSeconds, formatSteps, listed, words } from '../format.js';
import type { Experiment, RunRecord } from '../training/run-record.js';
import { hasDiverged, isSound, remarks, stepsDone } from '../training/verdict.js';
import { lossCurve } from './curves.js';
import { withDistinctNames } from './names.js';
import { type Goal, goalOf, onSet, type SplitName } from './target.js';
import { tradeOffs } from './trade-offs.js';

/** The result of an experiment: a headline, and sentences with the rest. */
export interface Findings {
  readonly headline: string;
  readonly details: readonly string[];
}

/** What the winner took to get where a rival got, as parts of the rival's seconds and steps. */
interface Comparison {
  readonly rival: RunRecord;
  readonly time: number;
  readonly steps: number;
}

interface Race extends Findings {
  readonly winner: RunRecord;
}

/** A ratio of times above this could be the machine's noise: no headline. */
const clearlyFaster = 0.95;

/**
 * Return the findings of an experiment. If a target is set and reached, the winner is who reached it first; else it is who has
 * the best metric on the training set at the end. It is compared with the best of the others by the same measure. Losses along
 * the way are those of the batches, smoothed as they are drawn.
 */
export function findings(given: Experiment): Findings {
  const experiment = withDistinctNames(given);
  const { runs } = experiment;
  const goal = goalOf(experiment);
  const ranked = runs.filter(isSound).sort((a, b) => quality(a) - quality(b));
  const notes = runs.flatMap(remarks);
  const [best, rival, ...others] = ranked;
  if (best === undefined) return { headline: withoutSuccess(runs), details: notes };
  if (rival === undefined) return alone(best, goal, notes);
  const { winner, headline, details } =
    (goal && raceToTarget(goal, ranked)) ?? raceToLoss(best, [rival, ...others], goal);
  const losers = ranked.filter((run) => run !== winner);
  return { headline, details: [...details, ...texts(tradeOffs(winner, losers, goal)), ...notes] };
}

function withoutSuccess(runs: readonly RunRecord[]): string {
  const [first] = runs;
  if (first === undefined) return 'No runs';
  const hasFinite = runs.some((run) => !hasDiverged(run));
  if (runs.length === 1) return `${first.name} ${hasFinite ? 'ends worse than it began' : 'diverged'}`;
  return hasFinite ? 'No run ends better than it began' : 'No run kept a finite loss';
}

/** The findings on the only run that has results. */
function alone(run: RunRecord, goal: Goal | undefined, notes: readonly string[]): Findings {
  const { toTarget, metric } = run;
  const result = (set: SplitName) => formatMetric(metric.name, run[set][metric.name] ?? Number.NaN);
  const reached = toTarget
    ? `It reaches ${goal?.text} after ${formatSteps(toTarget.steps)} and ${formatSeconds(toTarget.seconds)}.`
    : `It does not reach ${goal?.text}.`;
  return {
    headline: `${run.name} reaches ${words(metric.name)} ${result('train')} on the training set and ${result('test')} on the test set`,
    details: [
      `${stepsDone(run)}, ${formatSeconds(run.seconds)}.`,
      ...texts(goal && toTarget !== undefined && reached),
      ...notes,
    ],
  };
}

/** Who reached the target first, and how much longer the others took; undefined if nobody did. */
function raceToTarget(goal: Goal, runs: readonly RunRecord[]): Race | undefined {
  const [first, ...rest] = runs
    .flatMap((run) => (run.toTarget ? [{ run, ...run.toTarget }] : []))
    .sort((a, b) => a.seconds - b.seconds);
  if (first === undefined) return undefined;
  const { name } = first.run;
  const comparisons = rest.map(
    ({ run, seconds, steps }): Comparison => ({
      rival: run,
      time: first.seconds / seconds,
      steps: first.steps / steps,
    }),
  );
  const inHeadline = comparisons.slice(0, 1).find(({ time }) => time < clearlyFaster);
  const late = runs.filter(({ toTarget }) => toTarget === null).map((run) => run.name);
  const details = texts(
    `It takes ${formatSeconds(first.seconds)} and ${formatSteps(first.steps)}.`,
    sentence('That is', comparisons, inHeadline, (each) => `${ratios(each)} of ${each.rival.name}`),
    late.length > 0 && `${listed(late)} ${late.length > 1 ? 'do' : 'does'} not get there.`,
  );
  const headline = inHeadline
    ? `${name} reaches ${goal.text} in ${factor(inHeadline.time)} the time of ${inHeadline.rival.name}`
    : `${name} ${rest.length === 0 ? 'alone reaches' : 'is first to'} ${goal.text}, after ${formatSeconds(first.seconds)}`;
  return { winner: first.run, headline, details: [details.join(' ')] };
}

/** How soon the best run had the losses that the others ended with; the headline is about the best of them. */
function raceToLoss(best: RunRecord, others: readonly [RunRecord, ...RunRecord[]], goal: Goal | undefined): Race {
  const [rival] = others;
  const comparisons = others.flatMap((other) => overtaking(best, other) ?? []);
  const inHeadline = comparisons.find((each) => each.rival === rival && each.time < clearlyFaster);
  const passes = sentence(`${inHeadline ? 'It' : best.name} passes`, comparisons, inHeadline, (each, index) => {
    const loss = index === 0 ? ' final training loss' : '';
    return `${possessive(each.rival.name)}${loss} in ${ratios(each)}`;
  });
  const missed = goal && `No run reaches ${goal.text}.`;
  if (inHeadline === undefined) {
    const headline = `${best.name} ends with the best ${onSet('train', best.metric.name)}, ahead of ${rival.name}`;
    return { winner: best, headline, details: texts(missed, passes) };
  }
  const end = formatNumber(lossCurve(rival).at(-1)?.value ?? Number.NaN);
  const headline = `${best.name} reaches ${possessive(rival.name)} final training loss in ${factor(inHeadline.time)} the time`;
  const cost = `That loss, ${end} on its last batches, takes it ${factor(inHeadline.steps)} the steps.`;
  return { winner: best, headline, details: texts(missed, texts(cost, passes).join(' ')) };
}

/** `That is …; …; and ….`, a phrase for each comparison that is not in the headline; undefined if there is no other. */
function sentence(
  start: string,
  comparisons: readonly Comparison[],
  inHeadline: Comparison | undefined,
  phrase: (comparison: Comparison, index: number) => string,
): string | undefined {
  const rest = comparisons.filter((each) => each !== inHeadline);
  return rest.length === 0 ? undefined : `${start} ${listed(rest.map(phrase), ';')}.`;
}

const ratios = ({ time, steps }: Comparison): string => `${factor(time)} the time and ${factor(steps)} the steps`;

/** The sentences that there are. */
const texts = (...sentences: readonly (string | false | undefined)[]): string[] =>
  sentences.filter((text) => typeof text === 'string');

/** How good a run is on the training set at the end by its metric, lower is better. */
function quality({ train, metric }: RunRecord): number {
  const value = train[metric.name] ?? Number.NaN;
  if (!Number.isFinite(value)) return Number.POSITIVE_INFINITY;
  return metric.lowerIsBetter ? value : -value;
}

function overtaking(winner: RunRecord, rival: RunRecord): Comparison | undefined {
  const end = lossCurve(rival).at(-1);
  if (end === undefined || end.seconds <= 0) return undefined;
  const point = lossCurve(winner).find(({ value }) => value <= end.value);
  return point && { rival, time: point.seconds / end.seconds, steps: point.step / end.step };
}

/** Two digits are what such timings can bear. */
const factor = (ratio: number): string => `${Number(ratio.toPrecision(2))}×`;

const possessive = (name: string): string => (name.endsWith('s') ? `${name}’` : `${name}’s`);
