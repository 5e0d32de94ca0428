// Progress of training on stderr: one line that is redrawn on a terminal, a plain line now and then elsewhere, and a summary
// line that stays for each finished run.

import { formatCount, formatMetric, formatNumber, formatSeconds, words } from '../format.js';
import { layerReportParts } from '../layer-report.js';
import type { RunRecord, StepRecord } from '../training/run-record.js';
import { lowerFirstLoss, stepsDone } from '../training/verdict.js';
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
  /** Steps that were taken back so far; 0 by default. */
  readonly takenBack?: number;
}

/** What the reporter writes to: `process.stderr`, or a test's stream. */
interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Shows one run after another. */
export interface Progress {
  /** Begin a run of so many steps. `metric`: the name of the metric to show. */
  begin(name: string, steps: number, metric?: string): void;
  /** Show a step that was logged. */
  update(record: StepRecord): void;
  /** Print a line that stays, above the bar if there is one. */
  print(line: string): void;
  /** End the run: a line that stays replaces its bar; the last state without a record, for a run that was interrupted. */
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
/** Time constant of the average that the rate is. */
const rateSeconds = 3;
const clearLine = '\r\u001b[2K';
/** Widths that the bar may have, the widest that fits is taken. */
const barWidths = [24, 16, 10, 6];

/** The diagnostics that say most while one waits; others follow in the order in which the optimizer gives them. */
const firstDiagnostics = ['damping', 'iterations', 'learningRate', 'momentum'];
const shortNames: Readonly<Record<string, string>> = { learningRate: 'lr', iterations: 'CG', damping: 'λ' };

/**
 * Return a progress reporter; one for a process, used by one run at a time.
 * @example
 * const progress = createProgress();
 * progress.begin('Adam', 100, 'accuracy');
 * const { record } = await train(model, { data, optimizer: adam(), steps: 100, callbacks: { onStep: progress.update } });
 * progress.finish(record);
 */
export function createProgress(options: ProgressOptions = {}): Progress {
  const { stream = process.stderr, environment = process.env, now = () => performance.now() } = options;
  const redraws = stream.isTTY === true && environment.TERM !== 'dumb';
  const colour = wantsColour(stream, environment);
  const pause = redraws ? redrawMilliseconds : plainLineMilliseconds;

  let state: ProgressState | undefined;
  let metricName: string | undefined;
  let updatedAt = 0;
  let drawnAt = 0;
  let drawnStep = -1;

  const draw = (): void => {
    if (state === undefined) return;
    const width = (stream.columns ?? 80) - 1; // a full last column would wrap on some terminals
    stream.write(redraws ? clearLine + renderProgress(state, width, colour) : `${renderPlain(state)}\n`);
    drawnAt = now();
    drawnStep = state.step;
  };

  return {
    begin(name, steps, metric) {
      state = { name, step: 0, steps, optimizer: {} };
      metricName = metric;
      updatedAt = drawnAt = now();
      drawnStep = -1;
      if (redraws) draw();
    },
    update({ step, loss, metrics, optimizer }) {
      if (state === undefined) return;
      const milliseconds = now();
      const rate = newRate(state.rate, step - state.step, (milliseconds - updatedAt) / 1000);
      updatedAt = milliseconds;
      const value = metricName === undefined ? undefined : metrics[metricName];
      state = {
        ...state,
        ...{ step, loss, optimizer },
        takenBack: (state.takenBack ?? 0) + (optimizer.accepted === 0 ? 1 : 0),
        ...(rate !== undefined && { rate }),
        ...(metricName !== undefined && value !== undefined && { metric: { name: metricName, value } }),
      };
      if (milliseconds - drawnAt >= pause) draw();
    },
    print(line) {
      stream.write(`${redraws && state ? clearLine : ''}${line}\n`);
      if (redraws) draw();
    },
    finish(run) {
      if (state === undefined) return;
      // A run that failed before its first step gets no line: its error says it all.
      const hasStep = state.loss !== undefined;
      if (!redraws && hasStep && state.step !== drawnStep) draw();
      if (redraws) stream.write(clearLine);
      if (run) stream.write(`${renderFinished(run, colour)}\n`);
      else if (redraws && hasStep) stream.write(`${renderPlain(state)}\n`);
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
 * Return one line of at most `width` columns, such as
 * `cgfac ━━━━━━━━──────── 1,200/3,000  loss 0.0812  squared error 5.41  24 steps/s  1 min 15 s left  λ 0.31`.
 * What does not fit is left out, the least important first: diagnostics, metric, rate, time left, bar; then the line is cut.
 */
export function renderProgress(state: ProgressState, width: number, colour = false): string {
  const { bold, dim, accent } = paint(colour);
  const { name, step, steps } = state;
  const count = `${formatCount(step)}/${formatCount(steps)}`;
  let fields = progressFields(state);
  const room = () => width - fields.reduce((sum, { text }) => sum + 2 + text.length, name.length + 1 + count.length);
  const widestBar = () => barWidths.find((bar) => bar + 1 <= room()) ?? 0;
  while (widestBar() === 0 && fields.length > 1) {
    const least = Math.min(...fields.map(({ importance }) => importance));
    fields = fields.filter(({ importance }) => importance !== least);
  }
  if (room() < 0) return `${name} ${count}`.slice(0, Math.max(0, width));
  const bar = widestBar();
  const filled = Math.round(bar * Math.min(1, steps > 0 ? step / steps : 0));
  const drawn = bar > 0 ? ` ${accent('━'.repeat(filled))}${dim('─'.repeat(bar - filled))}` : '';
  const rest = fields.map(({ text, quiet }) => `  ${quiet ? dim(text) : text}`);
  return `${bold(name)}${drawn} ${count}${rest.join('')}`;
}

interface Field {
  readonly text: string;
  /** The higher, the longer it stays if the terminal is narrow; no two are equal. */
  readonly importance: number;
  readonly quiet?: boolean;
}

/** The fields after the count, in the order of the line. */
function progressFields({ step, steps, loss, metric, rate, takenBack, optimizer }: ProgressState): Field[] {
  const names = Object.keys(optimizer).filter(
    (name) => name !== 'accepted' && !layerReportParts(name) && Number.isFinite(optimizer[name]),
  );
  const ordered = new Set([...firstDiagnostics.filter((name) => names.includes(name)), ...names]);
  const diagnostics = [...ordered].map((name, index): Field => {
    const value = formatNumber(optimizer[name] ?? Number.NaN);
    return { text: `${shortNames[name] ?? words(name)} ${value}`, importance: -index, quiet: true };
  });
  const fields: Field[] = [];
  if (loss !== undefined) fields.push({ text: `loss ${formatNumber(loss)}`, importance: 10 });
  if (metric) fields.push({ text: metricText(metric.name, metric.value), importance: 7 });
  if (rate !== undefined) {
    const left = formatSeconds(Math.max(0, steps - step) / rate);
    fields.push({ text: rateText(rate), importance: 8, quiet: true });
    fields.push({ text: `${left} left`, importance: 9, quiet: true });
  }
  if (takenBack) fields.push({ text: `${formatCount(takenBack)} taken back`, importance: 6, quiet: true });
  return [...fields, ...diagnostics];
}

const metricText = (name: string, value: number): string => `${words(name)} ${formatMetric(name, value)}`;

const rateText = (rate: number): string =>
  rate >= 1 || rate === 0 ? `${formatNumber(rate)} steps/s` : `${formatSeconds(1 / rate)}/step`;

/** The line for logs: everything, no bar, no colour. */
function renderPlain(state: ProgressState): string {
  const count = `step ${formatCount(state.step)}/${formatCount(state.steps)}`;
  return [`${state.name}: ${count}`, ...progressFields(state).map(({ text }) => text)].join('  ');
}

/** The line that stays when a run is finished. */
function renderFinished(run: RunRecord, colour: boolean): string {
  const { bold, dim } = paint(colour);
  const { name } = run.metric;
  const result = (set: RunRecord['train']) => metricText(name, set[name] ?? Number.NaN);
  const first = lowerFirstLoss(run);
  const warning = first === undefined ? '' : ` (no success: ${formatNumber(first)} at the start)`;
  const train = `loss ${formatNumber(run.train.loss)}${warning}${name === 'loss' ? '' : `  ${result(run.train)}`}`;
  const takenBack = run.rejected;
  const validation = run.validation ? `  validation ${result(run.validation)}` : '';
  const cost = `${stepsDone(run)} in ${formatSeconds(run.seconds)}${takenBack ? `, ${formatCount(takenBack)} taken back` : ''}`;
  return `${bold(run.name)}  ${train}${validation}  test ${result(run.test)}  ${dim(cost)}`;
}
