// Logs of a run beside metrics.jsonl: a table for spreadsheets, and events for TensorBoard. They are extras: one that cannot be written
// any more is warned about once, and the run goes on.
import { join } from 'node:path';
import { Option } from 'commander';
import { CgfacError, messageOf } from '../errors.js';
import { MetricsCsv } from '../reporting/metrics-csv.js';
import { stepsUntil } from '../reporting/metrics-file.js';
import type { HyperParameter } from '../reporting/tensorboard/events.js';
import type { Callbacks, RunControl, StartEvent } from '../training/callbacks.js';
import { eventsFolder, fileNames } from './run-folder.js';

/** The values of the flags for logs. */
export interface LogFlags {
  readonly csv?: boolean;
  readonly tensorboard?: boolean;
  readonly tensorboardGradients?: boolean;
}

/** The flags for logs, in the order of the help. */
export const logFlags = (): Option[] => [
  new Option('--csv', `also write ${fileNames.csv}: the steps as a table for spreadsheets`),
  new Option(
    '--tensorboard',
    'also write events for TensorBoard (tensorboard --logdir DIR): scalars, histograms of parameters, pictures, the graph, hyper-parameters',
  ),
  new Option('--tensorboard-gradients', 'like --tensorboard, with histograms of gradients, computed at evaluations'),
];

export interface LogPlace {
  /** Write a file of the run, as `RunFolder.write` does. */
  readonly write: (name: string, write: (path: string) => Promise<void>) => Promise<void>;
  /** The folder of the run. */
  readonly path: string;
  /** Whether the run has written something: only then there is a run to log. */
  readonly isBegun: () => boolean;
  readonly warn: (line: string) => void;
}

/** Return callbacks that write the logs that the flags ask for. */
export function logsOf(
  flags: LogFlags,
  { write, path, isBegun, warn }: LogPlace,
  hyperParameters: Readonly<Record<string, HyperParameter>>,
): Callbacks[] {
  const logs: Callbacks[] = [];
  const add = (what: string, open: () => Promise<Callbacks>) => logs.push(new LastingLog(what, open, isBegun, warn));
  if (flags.csv) add(fileNames.csv, async () => csvLog(write, path));
  if (flags.tensorboard || flags.tensorboardGradients) {
    add('the events for TensorBoard', async () => {
      const { tensorboard } = await import('../reporting/tensorboard/callback.js');
      return tensorboard({
        dir: join(path, eventsFolder),
        hyperParameters,
        ...(flags.tensorboardGradients && { gradients: true }),
      });
    });
  }
  return logs;
}

/** @param folder of metrics.jsonl, which has the steps before those of a run that goes on */
function csvLog(write: LogPlace['write'], folder: string): Callbacks {
  let file: MetricsCsv | undefined;
  return {
    onStart: ({ resumedAt }) =>
      write(fileNames.csv, async (path) => {
        file = await MetricsCsv.open(path, resumedAt > 0 ? stepsUntil(join(folder, fileNames.metrics), resumedAt) : []);
      }),
    onStep: (record) => file?.append(record),
    onStop: () => file?.close(),
  };
}

/** Callbacks that begin with the first step that is kept, and end with their first error, in a warning. */
class LastingLog implements Callbacks {
  readonly #what: string;
  readonly #open: () => Promise<Callbacks>;
  readonly #isBegun: () => boolean;
  readonly #warn: (line: string) => void;
  #start: StartEvent | undefined;
  #inner: Callbacks | undefined;
  #hasFailed = false;

  constructor(what: string, open: () => Promise<Callbacks>, isBegun: () => boolean, warn: (line: string) => void) {
    this.#what = what;
    this.#open = open;
    this.#isBegun = isBegun;
    this.#warn = warn;
  }

  onStart(event: StartEvent): void {
    this.#start = event;
  }

  async onStep(...given: Parameters<NonNullable<Callbacks['onStep']>>): Promise<void> {
    if (!this.#inner && this.#isBegun()) await this.#tell((inner) => this.#begin(inner, given[1]));
    await this.#tell((inner) => inner.onStep?.(...given));
  }

  onEvaluation(...given: Parameters<NonNullable<Callbacks['onEvaluation']>>): Promise<void> {
    return this.#tell((inner) => inner.onEvaluation?.(...given));
  }

  onStop(...given: Parameters<NonNullable<Callbacks['onStop']>>): Promise<void> {
    return this.#tell((inner) => inner.onStop?.(...given));
  }

  async #begin(inner: Callbacks, run: RunControl): Promise<void> {
    if (this.#start) await inner.onStart?.(this.#start, run);
  }

  async #tell(call: (inner: Callbacks) => void | Promise<void>): Promise<void> {
    if (this.#hasFailed || !this.#isBegun()) return;
    try {
      this.#inner ??= await this.#open();
      await call(this.#inner);
    } catch (error) {
      if (!(error instanceof CgfacError)) throw error;
      this.#hasFailed = true;
      this.#warn(`Warning: ${this.#what} end here, and the run goes on: ${messageOf(error)}`);
    }
  }
}
