// Progress of training on stderr: one line that is redrawn on a terminal, a plain line now and then elsewhere,
// and a summary line that stays for each run that is finished.

import { formatCount, formatMetric, formatNumber, formatSeconds, words } from '../format.js';
import type { RunRecord, StepRecord } from '../training/run-record.js';
import { lowerFirstLoss, stepsDone, stepsTakenBack } from '../training/verdict.js';
import { paint, wantsColour } from './colour.js';

/** What a progress line shows. */
export interface ProgressState {
  /** The run's name: its optimizer. */
  readonly name: string;
  /** Steps taken and steps to take. */
  readonly step: number;
  readonly steps: number;
  readonly loss?: number;
  readonly metric?: { readonly name: string; readonly value: number };
  /** Steps per second, lately; undefined until it is known. */
  readonly rate?: number;
  /** The optimizer's own numbers; those that are not finite were not measured at this step. */
  readonly optimizer: Readonly<Record<string, number>>;
  /** Steps that were taken back so far; 0 if left out. */
  readonly takenBack?: number;
}

/** What the reporter writes to: `process.stderr`, or a test's. */
interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Shows one run after another. */
export interface Progress {
  /** A run begins. `startStep`: the steps taken already when it is resumed. `metric`: the name of the one to show. */
  begin(name: string, steps: number, metric?: string, startStep?: number): void;
  /** A step was logged. */
  update(record: StepRecord): void;
  /** Prints a line that stays, above the bar where there is one. */
  print(line: string): void;
  /** The run has ended: its bar gives way to a line that stays. Without a record (it was interrupted) the last state stays. */
  finish(run?: RunRecord): void;
}

/** Options of a reporter; the defaults are the real stream, environment and clock. */
export interface ProgressOptions {
  readonly stream?: ProgressStream;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds, monotonic. */
  readonly now?: () => number;
}

const redrawMilliseconds = 100;
const plainLineMilliseconds = 5000;
/** The rate is an average that forgets with this time constant. */
const rateSeconds = 3;
const clearLine = '\r\u001b[2K';

/** Diagnostics by how much they tell while one waits; others follow in the order in which the optimizer gives them. */
const firstDiagnostics = ['damping', 'iterations', 'learningRate', 'momentum'];
const shortNames: Readonly<Record<string, string>> = { learningRate: 'lr', iterations: 'CG', damping: 'λ' };

/**
 * A progress reporter; one for a process, used by one run at a time.
 * @example
 * const progress = createProgress();
 * progress.begin('Adam', 100, 'accuracy');
 * const { record } = await train(model, { data, optimizer: adam(), steps: 100, onStep: (step) => progress.update(step) });
 * progress.finish(record);
 */
export function createProgress(options: ProgressOptions = {}): Progress {
  const stream = options.stream ?? process.stderr;
  const environment = options.environment ?? process.env;
  const now = options.now ?? (() => performance.now());
  const redraws = stream.isTTY === true && environment.TERM !== 'dumb';
  const colour = wantsColour(stream, environment);
  const pause = redraws ? redrawMilliseconds : plainLineMilliseconds;

  let state: ProgressState | undefined;
  let metricName: string | undefined;
  let drawnAt = 0;
  let drawnStep = -1;
  let last = { milliseconds: 0, step: 0 };

  const draw = (): void => {
    if (state === undefined) return;
    const width = (stream.columns ?? 80) - 1; // a full last column would wrap on some terminals
    stream.write(redraws ? clearLine + renderProgress(state, width, colour) : `${renderPlain(state)}\n`);
    drawnAt = now();
    drawnStep = state.step;
  };

  return {
    begin(name, steps, metric, startStep = 0) {
      state = { name, step: startStep, steps, optimizer: {} };
      metricName = metric;
      last = { milliseconds: now(), step: startStep };
      drawnStep = -1;
      drawnAt = now();
      if (redraws) draw();
    },
    update(record) {
      if (state === undefined) return;
      const milliseconds = now();
      const rate = newRate(state.rate, record.step - last.step, (milliseconds - last.milliseconds) / 1000);
      last = { milliseconds, step: record.step };
      const value = metricName === undefined ? undefined : record.metrics[metricName];
      const metric = metricName !== undefined && value !== undefined ? { name: metricName, value } : state.metric;
      const { name, steps } = state;
      const { step, loss, optimizer } = record;
      const takenBack = (state.takenBack ?? 0) + (optimizer.accepted === 0 ? 1 : 0);
      state = { name, steps, step, loss, optimizer, takenBack, ...(rate && { rate }), ...(metric && { metric }) };
      if (milliseconds - drawnAt >= pause) draw();
    },
    print(line) {
      stream.write(`${redraws && state ? clearLine : ''}${line}\n`);
      if (redraws) draw();
    },
    finish(run) {
      if (state === undefined) return;
      // Nothing is said of a run that failed before its first step: its error says it all.
      const logged = state.loss !== undefined;
      if (!redraws && logged && state.step !== drawnStep) draw();
      const line = run ? renderFinished(run, colour) : redraws && logged ? renderPlain(state) : undefined;
      if (redraws) stream.write(clearLine);
      if (line !== undefined) stream.write(`${line}\n`);
      state = undefined;
    },
  };
}

/** An exponential average over the last few seconds; steps that took no measurable time change nothing. */
function newRate(rate: number | undefined, steps: number, seconds: number): number | undefined {
  if (seconds <= 0 || steps <= 0) return rate;
  const kept = rate === undefined ? 0 : Math.exp(-seconds / rateSeconds);
  return kept * (rate ?? 0) + (1 - kept) * (steps / seconds);
}

/**
 * One line of at most `width` columns, such as
 * `cgfac ━━━━━━━━──────── 1,200/3,000  loss 0.0812  squared error 5.41  24 steps/s  1 min 15 s left  λ 0.31`.
 * What does not fit is left out, the least important first: diagnostics, metric, rate, time left, bar; then the line is cut.
 */
export function renderProgress(state: ProgressState, width: number, colour = false): string {
  const { bold, dim, accent } = paint(colour);
  const count = `${formatCount(state.step)}/${formatCount(state.steps)}`;
  const fields = progressFields(state);
  const barWidths = [24, 16, 10, 6];
  // Drop fields from the least important on until name, bar, count and the rest fit.
  const kept = [...fields];
  const total = (bar: number) =>
    state.name.length +
    (bar > 0 ? bar + 1 : 0) +
    1 +
    count.length +
    kept.reduce((sum, { text }) => sum + 2 + text.length, 0);
  let bar = barWidths.find((candidate) => total(candidate) <= width) ?? 0;
  while (bar === 0 && kept.length > 1) {
    kept.splice(kept.indexOf(leastImportant(kept)), 1);
    bar = barWidths.find((candidate) => total(candidate) <= width) ?? 0;
  }
  if (bar === 0 && total(0) > width) {
    const plain = `${state.name} ${count}`;
    return plain.length <= width ? plain : plain.slice(0, Math.max(0, width));
  }
  const filled = Math.round(bar * Math.min(1, state.steps > 0 ? state.step / state.steps : 0));
  const drawn = bar > 0 ? ` ${accent('━'.repeat(filled))}${dim('─'.repeat(bar - filled))}` : '';
  const rest = kept.map(({ text, quiet }) => `  ${quiet ? dim(text) : text}`).join('');
  return `${bold(state.name)}${drawn} ${count}${rest}`;
}

interface Field {
  readonly text: string;
  /** The higher, the longer it stays when the terminal is narrow. */
  readonly importance: number;
  readonly quiet?: boolean;
}

function leastImportant(fields: readonly Field[]): Field {
  return fields.reduce((least, field) => (field.importance < least.importance ? field : least));
}

/** The fields after the count, in the order of the line. */
function progressFields(state: ProgressState): Field[] {
  const fields: Field[] = [];
  if (state.loss !== undefined) fields.push({ text: `loss ${formatNumber(state.loss)}`, importance: 10 });
  if (state.metric) fields.push({ text: metricText(state.metric.name, state.metric.value), importance: 7 });
  if (state.rate !== undefined) {
    fields.push({ text: rateText(state.rate), importance: 8, quiet: true });
    const left = formatSeconds(Math.max(0, state.steps - state.step) / state.rate);
    fields.push({ text: `${left} left`, importance: 9, quiet: true });
  }
  if (state.takenBack) fields.push({ text: `${formatCount(state.takenBack)} taken back`, importance: 6, quiet: true });
  const names = Object.keys(state.optimizer).filter((name) => name !== 'accepted');
  const telling = [
    ...firstDiagnostics.filter((name) => names.includes(name)),
    ...names.filter((name) => !firstDiagnostics.includes(name)),
  ];
  telling.forEach((name, index) => {
    const value = state.optimizer[name];
    if (value === undefined || !Number.isFinite(value)) return;
    fields.push({
      text: `${shortNames[name] ?? words(name)} ${formatNumber(value)}`,
      importance: -index,
      quiet: true,
    });
  });
  return fields;
}

function metricText(name: string, value: number): string {
  return `${words(name)} ${formatMetric(name, value)}`;
}

function rateText(rate: number): string {
  return rate >= 1 || rate === 0 ? `${formatNumber(rate)} steps/s` : `${formatSeconds(1 / rate)}/step`;
}

/** The line for logs: everything, no bar, no colour. */
function renderPlain(state: ProgressState): string {
  const count = `step ${formatCount(state.step)}/${formatCount(state.steps)}`;
  return [`${state.name}: ${count}`, ...progressFields(state).map(({ text }) => text)].join('  ');
}

/** The line that stays when a run is finished. */
function renderFinished(run: RunRecord, colour: boolean): string {
  const { bold, dim } = paint(colour);
  const name = run.metric.name;
  const show = (set: RunRecord['train']) => metricText(name, set[name] ?? Number.NaN);
  const first = lowerFirstLoss(run);
  const warning = first === undefined ? '' : ` (no success: ${formatNumber(first)} at the start)`;
  const results = `loss ${formatNumber(run.train.loss)}${warning}${name === 'loss' ? '' : `  ${show(run.train)}`}  test ${show(run.test)}`;
  const takenBack = stepsTakenBack(run);
  const cost = `${stepsDone(run)} in ${formatSeconds(run.seconds)}${takenBack ? `, ${formatCount(takenBack)} taken back` : ''}`;
  return `${bold(run.name)}  ${results}  ${dim(cost)}`;
}
