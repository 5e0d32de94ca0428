// The sentence over an experiment, computed from its curves: it says who won, by how much, and what it cost,
// and it says only what the data bear out.

import { formatMetric, formatNumber, formatSeconds, formatSteps, listed, words } from '../format.js';
import type { Experiment, RunRecord } from '../training/run-record.js';
import { hasDiverged, isSound, remarks, stepsDone } from '../training/verdict.js';
import { type CurvePoint, curveOf, firstReaching, smoothed } from './curves.js';
import { withDistinctNames } from './names.js';
import { type Goal, goalOf, onSet } from './target.js';
import { tradeOffs } from './trade-offs.js';

/** What an experiment came to: a headline, and sentences that tell the rest. */
export interface Findings {
  readonly headline: string;
  readonly details: readonly string[];
}

/** When the winner first was where another run got to, relative to that run's own cost. */
interface Overtaking {
  readonly rival: RunRecord;
  /** Winner's seconds over the rival's seconds, and the same of steps. */
  readonly time: number;
  readonly steps: number;
}

/** Who won, and how it is told. */
interface Race extends Findings {
  readonly winner: RunRecord;
}

/** A ratio of times above this could be the machine's noise: no headline. */
const clearlyFaster = 0.95;

/**
 * The findings of an experiment. Where a target was set, the winner is who reached it first; else, or where nobody did, who has the
 * best metric on the training set at the end. It is compared with the best of the others by the same measure. Losses along the way
 * are those of the batches, smoothed as they are drawn.
 */
export function findings(given: Experiment): Findings {
  const experiment = withDistinctNames(given);
  const { runs } = experiment;
  const goal = goalOf(experiment);
  const ranked = runs.filter(isSound).sort((a, b) => quality(a) - quality(b));
  const notes = runs.flatMap(remarks);
  const [best, ...others] = ranked;
  if (best === undefined) return { headline: withoutSuccess(runs), details: notes };
  if (others.length === 0) return alone(best, goal, notes);
  const race = (goal && raceToTarget(goal, ranked)) ?? raceToLoss(best, others, goal);
  const sentence = tradeOffs(
    race.winner,
    ranked.filter((run) => run !== race.winner),
    goal,
  );
  return { headline: race.headline, details: [...race.details, ...(sentence ? [sentence] : []), ...notes] };
}

function withoutSuccess(runs: readonly RunRecord[]): string {
  const [first] = runs;
  if (first === undefined) return 'No runs';
  const kept = runs.some((run) => !hasDiverged(run));
  if (runs.length === 1) return `${first.name} ${kept ? 'ends worse than it began' : 'diverged'}`;
  return kept ? 'No run ends better than it began' : 'No run kept a finite loss';
}

/** The findings on the only run that has results. */
function alone(run: RunRecord, goal: Goal | undefined, notes: readonly string[]): Findings {
  const cost = `${stepsDone(run)}, ${formatSeconds(run.seconds)}.`;
  const reached = run.toTarget
    ? `It reaches ${goal?.text} after ${formatSteps(run.toTarget.steps)} and ${formatSeconds(run.toTarget.seconds)}.`
    : `It does not reach ${goal?.text}.`;
  const { name } = run.metric;
  const show = (set: RunRecord['train']) => formatMetric(name, set[name] ?? Number.NaN);
  return {
    headline: `${run.name} reaches ${words(name)} ${show(run.train)} on the training set and ${show(run.test)} on the test set`,
    details: [cost, ...(goal && run.toTarget !== undefined ? [reached] : []), ...notes],
  };
}

/** Who reached the target first, and how much longer the others took; undefined where nobody did. */
function raceToTarget(goal: Goal, runs: readonly RunRecord[]): Race | undefined {
  const finishers = runs
    .flatMap((run) => (run.toTarget ? [{ run, ...run.toTarget }] : []))
    .sort((a, b) => a.seconds - b.seconds);
  const [winner, ...rest] = finishers;
  if (winner === undefined) return undefined;
  const overtakings = rest.map(({ run, seconds, steps }) => ({
    rival: run,
    time: winner.seconds / seconds,
    steps: winner.steps / steps,
  }));
  const [closest] = overtakings;
  const told = closest && closest.time < clearlyFaster ? closest : undefined;
  const late = runs.filter((run) => run.toTarget === null).map(({ name }) => name);
  const details = [
    `It takes ${formatSeconds(winner.seconds)} and ${formatSteps(winner.steps)}.`,
    compared('That is', overtakings, told),
    late.length > 0 && `${listed(late)} ${late.length > 1 ? 'do' : 'does'} not get there.`,
  ];
  const headline = told
    ? `${winner.run.name} reaches ${goal.text} in ${factor(told.time)} the time of ${told.rival.name}`
    : rest.length === 0
      ? `${winner.run.name} alone reaches ${goal.text}, after ${formatSeconds(winner.seconds)}`
      : `${winner.run.name} is first to ${goal.text}, after ${formatSeconds(winner.seconds)}`;
  return { winner: winner.run, headline, details: [details.filter(Boolean).join(' ')] };
}

/** How soon the best run had the losses that the others ended with; the headline is about the best of them. */
function raceToLoss(best: RunRecord, others: readonly RunRecord[], goal: Goal | undefined): Race {
  const overtakings = others.flatMap((rival) => overtaking(best, rival) ?? []);
  const rival = others[0];
  const told = overtakings.find((entry) => entry.rival === rival && entry.time < clearlyFaster);
  const missed = goal ? [`No run reaches ${goal.text}.`] : [];
  if (told === undefined) {
    const sentence = passed(best.name, overtakings);
    return {
      winner: best,
      headline: `${best.name} ends with the best ${onSet('train', best.metric.name)}${rival ? `, ahead of ${rival.name}` : ''}`,
      details: [...missed, ...(sentence ? [sentence] : [])],
    };
  }
  const loss = formatNumber(lossCurve(told.rival).at(-1)?.value ?? Number.NaN);
  const rest = passed('It', overtakings, told);
  return {
    winner: best,
    headline: `${best.name} reaches ${possessive(told.rival.name)} final training loss in ${factor(told.time)} the time`,
    details: [
      ...missed,
      `That loss, ${loss} on its last batches, takes it ${factor(told.steps)} the steps.${rest ? ` ${rest}` : ''}`,
    ],
  };
}

/** `It passes kfac’s final loss in 1.1× the time and 0.7× the steps and sgd’s in …`; without the one told already. */
function passed(who: string, overtakings: readonly Overtaking[], told?: Overtaking): string | undefined {
  const rest = overtakings.filter((entry) => entry !== told);
  if (rest.length === 0) return undefined;
  const parts = rest.map(
    ({ rival, time, steps }, index) =>
      `${possessive(rival.name)}${index === 0 ? ' final training loss' : ''} in ${factor(time)} the time and ${factor(steps)} the steps`,
  );
  return `${who} passes ${listed(parts, ';')}.`;
}

/** `That is 1.1× the time and 0.7× the steps of kfac; 0.2× the time and …`; without the one told already. */
function compared(start: string, overtakings: readonly Overtaking[], told?: Overtaking): string | undefined {
  const rest = overtakings.filter((entry) => entry !== told);
  if (rest.length === 0) return undefined;
  const parts = rest.map(
    ({ rival, time, steps }) => `${factor(time)} the time and ${factor(steps)} the steps of ${rival.name}`,
  );
  return `${start} ${listed(parts, ';')}.`;
}

/** A run's loss as it is drawn: of the batches, smoothed. */
export function lossCurve(run: RunRecord): CurvePoint[] {
  return smoothed(curveOf(run, ({ loss }) => loss));
}

/** How good a run is on the training set at the end by its metric, lower is better. */
function quality({ train, metric }: RunRecord): number {
  const value = train[metric.name] ?? Number.NaN;
  if (!Number.isFinite(value)) return Number.POSITIVE_INFINITY;
  return metric.lowerIsBetter ? value : -value;
}

function overtaking(winner: RunRecord, rival: RunRecord): Overtaking | undefined {
  const rivalEnd = lossCurve(rival).at(-1);
  if (rivalEnd === undefined || rivalEnd.seconds <= 0) return undefined;
  const point = firstReaching(lossCurve(winner), rivalEnd.value, true);
  return point && { rival, time: point.seconds / rivalEnd.seconds, steps: point.step / rivalEnd.step };
}

/** Two digits are what such timings can bear. */
function factor(ratio: number): string {
  return `${Number(ratio.toPrecision(2))}×`;
}

function possessive(name: string): string {
  return name.endsWith('s') ? `${name}’` : `${name}’s`;
}
