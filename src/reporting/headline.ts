// The sentence above an experiment, computed from its curves: who won, by how much, and at what cost. It claims only what the
// data bear out.

import { formatMetric, formatNumber, formatSeconds, formatSteps, listed } from '../format.js';
import type { Experiment, RunRecord } from '../training/run-record.js';
import { hasDiverged, isSound, remarks, stepsDone } from '../training/verdict.js';
import { againstBaseline } from './baseline.js';
import { type CurvePoint, lossCurve } from './curves.js';
import { renamed, shortNames, withDistinctNames } from './names.js';
import { type Goal, goalOf, onSet, type SplitName } from './target.js';
import { tradeOffs } from './trade-offs.js';

/** The result of an experiment: a headline, and sentences with the rest. */
export interface Findings {
  readonly headline: string;
  readonly details: readonly string[];
}

interface Race extends Findings {
  readonly winner: RunRecord;
}

type Pair = readonly [RunRecord, RunRecord, ...RunRecord[]];

/** A ratio of times above this could be the machine's noise: no headline. */
const clearlyFaster = 0.95;

/**
 * Return the findings of an experiment, with the shortest names of its runs. If a target is set and reached, the winner is who
 * reached it first; else it is who has the best metric on the training set at the end. It is compared with the best of all
 * others by the same measure, and one sentence says where it loses.
 */
export function findings(given: Experiment): Findings {
  const distinct = withDistinctNames(given);
  const experiment = renamed(distinct, shortNames(distinct.runs.map(({ name }) => name)));
  const { runs } = experiment;
  const goal = goalOf(experiment);
  const ranked = runs.filter(isSound).sort(byQuality('train'));
  const notes = runs.flatMap(remarks);
  const [best, rival, ...others] = ranked;
  if (best === undefined) return { headline: withoutSuccess(runs), details: notes };
  if (rival === undefined) return alone(best, goal, notes);
  const all: Pair = [best, rival, ...others];
  const { winner, headline, details } = (goal && raceToTarget(goal, all)) ?? raceToLoss(all, goal);
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

/** The findings on the only run that has results: what it came to, beside what takes no learning. */
function alone(run: RunRecord, goal: Goal | undefined, notes: readonly string[]): Findings {
  const { toTarget, metric } = run;
  const value = result(run, 'test');
  const baseline = againstBaseline(run);
  const verdict = baseline && (baseline.isBeaten ? `; ${baseline.text}` : `, no better than ${baseline.bare}`);
  const reached = toTarget
    ? `It reaches ${goal?.text} after ${formatSteps(toTarget.steps)} and ${formatSeconds(toTarget.seconds)}.`
    : `It does not reach ${goal?.text}.`;
  return {
    headline: `${run.name} ends with ${onSet('test', metric.name)} ${value}${verdict ?? ''}`,
    details: [
      `${stepsDone(run)} in ${formatSeconds(run.seconds)}; ${onSet('train', metric.name)} ${result(run, 'train')}.`,
      ...texts(goal && toTarget !== undefined && reached),
      ...notes,
    ],
  };
}

const result = (run: RunRecord, set: SplitName): string =>
  formatMetric(run.metric.name, run[set][run.metric.name] ?? Number.NaN);

/** Who reached the target first, and how long the next one took; undefined if nobody reached it. */
function raceToTarget(goal: Goal, runs: Pair): Race | undefined {
  const [first, rival] = runs
    .flatMap((run) => (run.toTarget ? [{ run, ...run.toTarget }] : []))
    .sort((a, b) => a.seconds - b.seconds);
  if (first === undefined) return undefined;
  const { name } = first.run;
  const late = runs.filter(({ toTarget }) => toTarget === null).map((run) => run.name);
  const isFaster = rival !== undefined && first.seconds / rival.seconds < clearlyFaster;
  const theirs = rival && `; ${rival.run.name} takes ${formatSeconds(rival.seconds)} and ${formatSteps(rival.steps)}`;
  const details = texts(
    `It takes ${formatSeconds(first.seconds)} and ${formatSteps(first.steps)}${theirs ?? ''}.`,
    late.length > 0 && `${listed(late)} ${late.length > 1 ? 'do' : 'does'} not get there.`,
  );
  const headline = isFaster
    ? `${name} reaches ${goal.text} in ${factor(first.seconds / rival.seconds)} the time of ${rival.run.name}`
    : `${name} ${rival ? 'is first to reach' : 'alone reaches'} ${goal.text}, after ${formatSeconds(first.seconds)}`;
  return { winner: first.run, headline, details: [details.join(' ')] };
}

/**
 * How soon the best run had the loss that the best of the others ended with. No claim of speed if yet another run was there
 * sooner, nor if another run is the best on the test set: the headline then says so.
 */
function raceToLoss([best, rival, ...others]: Pair, goal: Goal | undefined): Race {
  const missed = goal && `No run reaches ${goal.text}.`;
  const { name } = best.metric;
  const [onTest] = [best, rival, ...others].sort(byQuality('test'));
  if (onTest !== undefined && byQuality('test')(onTest, best) < 0 && result(onTest, 'test') !== result(best, 'test')) {
    const headline = `${best.name} ends with the best ${onSet('train', name)}, ${result(best, 'train')}; ${onTest.name} with the best ${onSet('test', name)}, ${result(onTest, 'test')}`;
    return { winner: best, headline, details: texts(missed) };
  }
  const passing = overtaking(best, rival);
  const isFaster =
    passing !== undefined &&
    passing.time < clearlyFaster &&
    others.every((other) => (firstAt(other, passing.loss)?.seconds ?? Number.POSITIVE_INFINITY) >= passing.at.seconds);
  if (!isFaster) {
    const headline = `${best.name} ends with the best ${onSet('train', name)}, ${result(best, 'train')}; the next is ${rival.name} with ${result(rival, 'train')}`;
    const cost = passing && `It passes ${possessive(rival.name)} final training loss in ${ratios(passing)}.`;
    return { winner: best, headline, details: texts(missed, cost) };
  }
  const headline = `${best.name} reaches ${possessive(rival.name)} final training loss in ${factor(passing.time)} the time`;
  const cost = `That loss, ${formatNumber(passing.loss)} on its last batches, takes it ${formatSeconds(passing.at.seconds)} and ${factor(passing.steps)} the steps.`;
  return { winner: best, headline, details: texts(missed, cost) };
}

/** Where a run passed the final loss of another, and what it took, as parts of the other's seconds and steps. */
interface Passing {
  readonly loss: number;
  readonly at: CurvePoint;
  readonly time: number;
  readonly steps: number;
}

/** The rival is timed where it first had its final loss, which may be long before its end. */
function overtaking(winner: RunRecord, rival: RunRecord): Passing | undefined {
  const end = lossCurve(rival).at(-1);
  const theirs = end && firstAt(rival, end.value);
  const at = end && firstAt(winner, end.value);
  if (!theirs || !at || theirs.seconds <= 0) return undefined;
  return { loss: end.value, at, time: at.seconds / theirs.seconds, steps: at.step / theirs.step };
}

const firstAt = (run: RunRecord, loss: number): CurvePoint | undefined =>
  lossCurve(run).find(({ value }) => value <= loss);

const ratios = ({ time, steps }: Passing): string => `${factor(time)} the time and ${factor(steps)} the steps`;

/** The sentences that there are. */
const texts = (...sentences: readonly (string | false | undefined)[]): string[] =>
  sentences.filter((text) => typeof text === 'string');

/** The better run on a set at the end first, by its metric; of equal ones that with the lower loss. */
const byQuality =
  (set: SplitName) =>
  (a: RunRecord, b: RunRecord): number =>
    quality(a, set) - quality(b, set) || a[set].loss - b[set].loss || 0;

/** How good a run is on a set at the end by its metric, lower is better. */
function quality(run: RunRecord, set: SplitName): number {
  const value = run[set][run.metric.name] ?? Number.NaN;
  if (!Number.isFinite(value)) return Number.MAX_VALUE;
  return run.metric.lowerIsBetter ? value : -value;
}

/** Two digits are what such timings can bear. */
const factor = (ratio: number): string => `${Number(ratio.toPrecision(2))}×`;

const possessive = (name: string): string => (name.endsWith('s') ? `${name}’` : `${name}’s`);
