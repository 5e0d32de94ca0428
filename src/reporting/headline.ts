// The sentence over an experiment, computed from its curves: it says who won, by how much, and what it cost,
// and it says only what the data bear out.

import { type CurvePoint, curveOf, firstReaching, smoothed } from './curves.js';
import { formatCount, formatMetric, formatNumber, formatSeconds, formatTarget, words } from './format.js';
import type { Experiment, RunRecord } from './run-record.js';

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

/** A ratio of times above this could be the machine's noise: no headline. */
const CLEARLY_FASTER = 0.95;

/**
 * The findings of an experiment. Where a target was set, the winner is who reached it first; else, or where nobody did, who has the
 * best metric on the training set at the end. Losses along the way are those of the batches, smoothed as they are drawn.
 */
export function findings(experiment: Experiment): Findings {
  const { runs } = experiment;
  const diverged = runs.filter((run) => !Number.isFinite(run.train.loss));
  const ranked = runs
    .filter((run) => !diverged.includes(run))
    .sort((a, b) => quality(a, 'train') - quality(b, 'train'));
  const notes = diverged.map((run) => `${run.name} diverged: its loss stopped being finite.`);
  const [best, ...others] = ranked;
  if (best === undefined) {
    return { headline: runs.length === 0 ? 'No runs' : 'No run kept a finite loss', details: notes };
  }
  const cost = `${formatCount(best.steps.at(-1)?.step ?? 0)} steps, ${formatSeconds(best.seconds)}`;
  if (others.length === 0)
    return { headline: `${best.name} reaches ${outcome(best)}`, details: [`${cost}.`, ...notes] };

  const final = `${best.name} ends best: ${outcome(best)} after ${cost}.`;
  const generalizing = ranked.reduce(
    (first, run) => (quality(run, 'test') < quality(first, 'test') ? run : first),
    best,
  );
  if (generalizing !== best) notes.unshift(`On the test set ${generalizing.name} is best: ${outcome(generalizing)}.`);
  const race = raceToTarget(experiment, ranked) ?? raceToLoss(best, others);
  return { headline: race.headline, details: [...race.details, final, ...notes] };
}

/** Who reached the target first, and how much longer the others took; undefined where there was none or nobody did. */
function raceToTarget({ target }: Experiment, runs: readonly RunRecord[]): Findings | undefined {
  if (target === undefined) return undefined;
  const finishers = runs
    .flatMap((run) => (run.toTarget ? [{ run, ...run.toTarget }] : []))
    .sort((a, b) => a.seconds - b.seconds);
  const [winner, ...rest] = finishers;
  if (winner === undefined) return undefined;
  const goal = `${words(target.metric)}\u00a0${formatTarget(target.metric, target.value)}`;
  const overtakings = rest.map(({ run, seconds, steps }) => ({
    rival: run,
    time: winner.seconds / seconds,
    steps: winner.steps / steps,
  }));
  const told = toldRival(overtakings);
  const late = runs.filter((run) => run.toTarget === null).map(({ name }) => name);
  const details = [
    `It takes ${formatSeconds(winner.seconds)} and ${formatCount(winner.steps)} steps.`,
    compared('That is', overtakings, told),
    late.length > 0 && `${listed(late)} ${late.length > 1 ? 'do' : 'does'} not get there.`,
  ];
  const headline = told
    ? `${winner.run.name} reaches ${goal} in ${factor(told.time)} the time of ${told.rival.name}`
    : `${winner.run.name} is first to ${goal}, after ${formatSeconds(winner.seconds)}`;
  return { headline, details: [details.filter(Boolean).join(' ')] };
}

/** How soon the best run had the losses that the others ended with. */
function raceToLoss(best: RunRecord, others: readonly RunRecord[]): Findings {
  const overtakings = others.flatMap((rival) => overtaking(best, rival) ?? []);
  const told = toldRival(overtakings);
  const runnerUp = others[0] ? `, ahead of ${others[0].name}` : '';
  if (told === undefined) {
    const sentence = passed(best.name, overtakings);
    return {
      headline: `${best.name} ends with the best ${words(best.metric.name)}${runnerUp}`,
      details: sentence ? [sentence] : [],
    };
  }
  const loss = formatNumber(lossCurve(told.rival).at(-1)?.value ?? Number.NaN);
  const rest = passed('It', overtakings, told);
  return {
    headline: `${best.name} reaches ${possessive(told.rival.name)} final training loss in ${factor(told.time)} the time`,
    details: [`That loss, ${loss}, takes it ${factor(told.steps)} the steps.${rest ? ` ${rest}` : ''}`],
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

/** Adam is what most people would use: comparing with it says the most. Without it, the hardest rival. */
function toldRival(overtakings: readonly Overtaking[]): Overtaking | undefined {
  const faster = overtakings.filter(({ time }) => time < CLEARLY_FASTER);
  return faster.find(({ rival }) => rival.name.toLowerCase() === 'adam') ?? faster[0];
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

/** How good a run is at the end by its metric, lower is better. */
function quality(run: RunRecord, set: 'train' | 'test'): number {
  const value = run[set][run.metric.name] ?? Number.NaN;
  if (!Number.isFinite(value)) return Number.POSITIVE_INFINITY;
  return run.metric.lowerIsBetter ? value : -value;
}

function overtaking(winner: RunRecord, rival: RunRecord): Overtaking | undefined {
  const rivalEnd = lossCurve(rival).at(-1);
  if (rivalEnd === undefined || rivalEnd.seconds <= 0) return undefined;
  const point = firstReaching(lossCurve(winner), rivalEnd.value, true);
  return point && { rival, time: point.seconds / rivalEnd.seconds, steps: point.step / rivalEnd.step };
}

/** `squared error 5.41 on the training set and 5.93 on the test set`. */
function outcome(run: RunRecord): string {
  const { name } = run.metric;
  const show = (set: RunRecord['train']) => formatMetric(name, set[name] ?? Number.NaN);
  return `${words(name)} ${show(run.train)} on the training set and ${show(run.test)} on the test set`;
}

/** Two digits are what such timings can bear. */
function factor(ratio: number): string {
  return `${Number(ratio.toPrecision(2))}×`;
}

function possessive(name: string): string {
  return name.endsWith('s') ? `${name}’` : `${name}’s`;
}

function listed(parts: readonly string[], comma = ','): string {
  if (parts.length < 2) return parts.join('');
  return `${parts.slice(0, -1).join(`${comma} `)}${comma === ',' ? '' : comma} and ${parts.at(-1)}`;
}
