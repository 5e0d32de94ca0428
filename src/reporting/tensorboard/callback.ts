// `tensorboard({ dir })`: callbacks that write what a run does to a folder that TensorBoard watches.
import { OptionError } from '../../errors.js';
import type { TensorData } from '../../graph/tensor.js';
import { layerReportParts } from '../../layer-report.js';
import { checkedFlag, checkKeys, described, isRecord, type OptionKeys } from '../../options.js';
import type { Callbacks, RunControl, StartEvent, StopEvent } from '../../training/callbacks.js';
import type { StepRecord } from '../../training/run-record.js';
import { EventFile } from './event-file.js';
import {
  graphEvent,
  type HyperParameter,
  histogram,
  image,
  scalar,
  sessionEndInfo,
  sessionStartInfo,
  summaryEvent,
  type Tagged,
} from './events.js';
import { encodeGraphDef } from './graph-def.js';
import { histogramOf } from './histogram.js';

export interface TensorboardOptions {
  /**
   * The folder of the run's event files, which is made if need be. `tensorboard --logdir` takes this folder, or one above it to
   * show several runs.
   */
  readonly dir: string;
  /** Whether evaluations also write histograms of the gradients, which are computed for that; false by default. */
  readonly gradients?: boolean;
  /** What distinguishes the run from others: a table of TensorBoard compares runs by it. */
  readonly hyperParameters?: Readonly<Record<string, HyperParameter>>;
}

const keys: OptionKeys<TensorboardOptions> = { dir: true, gradients: true, hyperParameters: true };

/**
 * Return callbacks that write a run for TensorBoard: at each step its loss, metrics and the optimizer's reports; at evaluations
 * histograms of the parameters that would be kept, and reconstructions of pictures; at the start the graph of the model, and at
 * the end pictures with a wrong prediction. A run that is resumed goes on in the folder, and no step is there twice.
 * @throws OptionError for options that are unknown or of the wrong kind. The run throws FileError if the folder cannot be written,
 *   and OptionError if it is new and the folder has events of another run
 * @example
 * const board = tensorboard({ dir: 'runs/board', hyperParameters: { optimizer: 'cgfac', batchSize: 100 } });
 * const data = 'digits?train=200&test=50';
 * await train(mlp({ seed: 1 }), { data, optimizer: cgfac(), batchSize: 100, steps: 20, callbacks: board });
 */
export function tensorboard(options: TensorboardOptions): Callbacks {
  checkKeys('tensorboard', options, keys);
  const { dir, gradients, hyperParameters = {} } = options;
  if (typeof dir !== 'string' || dir === '') {
    throw new OptionError(`dir of tensorboard is ${described(dir)}; give the path of a folder`);
  }
  checkedFlag('gradients of tensorboard', gradients);
  if (!isRecord(hyperParameters)) {
    throw new OptionError(
      `hyperParameters of tensorboard are ${described(hyperParameters)}; give an object such as { batchSize: 100 }`,
    );
  }
  for (const [name, value] of Object.entries(hyperParameters)) {
    if (['number', 'string', 'boolean'].includes(typeof value)) continue;
    throw new OptionError(`the hyper-parameter '${name}' is ${described(value)}; give a number, a text, true or false`);
  }
  return new Board(dir, gradients === true, hyperParameters);
}

class Board implements Callbacks {
  readonly #dir: string;
  readonly #gradients: boolean;
  readonly #hyperParameters: Readonly<Record<string, HyperParameter>>;
  #file: EventFile | undefined;

  constructor(dir: string, gradients: boolean, hyperParameters: Readonly<Record<string, HyperParameter>>) {
    this.#dir = dir;
    this.#gradients = gradients;
    this.#hyperParameters = hyperParameters;
  }

  async onStart({ resumedAt }: StartEvent, { model }: RunControl): Promise<void> {
    this.#file = await EventFile.open(this.#dir, resumedAt);
    if (resumedAt > 0) return;
    const names = new Map([...model.parameters, ...model.statistics].map(([name, value]) => [value, name] as const));
    this.#file.append(graphEvent(now(), encodeGraphDef(model.graph, names)));
    this.#write(0, [sessionStartInfo(now(), this.#hyperParameters)]);
  }

  onStep(record: StepRecord): void {
    this.#write(record.step, scalarsOf(record));
  }

  async onEvaluation({ step }: { readonly step: number }, run: RunControl): Promise<void> {
    this.#write(step, histograms('parameters', await run.parameters()));
    if (this.#gradients) this.#write(step, histograms('gradients', await run.gradients()));
    const pairs = (await run.reconstructions()) ?? [];
    const pictures = pairs.flatMap(({ input, output }, i) => [
      image(`reconstructions/${i + 1}/input`, input),
      image(`reconstructions/${i + 1}/output`, output),
    ]);
    if (pictures.length > 0) this.#write(step, pictures);
  }

  async onStop({ step, reason }: StopEvent, run: RunControl): Promise<void> {
    const isFailure = reason === 'error';
    const mistakes = isFailure ? [] : ((await run.examine()).confusion?.mistakes ?? []);
    const pictures = mistakes.map(({ picture, actual, predicted }, i) =>
      image(`mistakes/${i + 1}: ${actual}, taken for ${predicted}`, picture),
    );
    this.#write(step, [...pictures, sessionEndInfo(now(), isFailure ? 'failure' : 'success')]);
    this.#file?.close();
    this.#file = undefined;
  }

  #write(step: number, values: readonly Tagged[]): void {
    this.#file?.append(summaryEvent(now(), step, values));
  }
}

const now = (): number => Date.now() / 1000;

/** The numbers of a step; TensorBoard shows tags of one prefix together: the loss of the batch and of each set, for instance. */
function scalarsOf({ loss, epoch, metrics, optimizer }: StepRecord): Tagged[] {
  return [
    scalar('loss/batch', loss),
    scalar('run/epoch', epoch),
    ...Object.entries(metrics).map(([name, value]) => scalar(metricTag(name), value)),
    ...Object.entries(optimizer).map(([name, value]) => scalar(reportTag(name), value)),
  ];
}

/** `testAccuracy` is `accuracy/test`, and `accuracy` is that of the batch. */
function metricTag(name: string): string {
  const [, set, first, rest] = /^(train|validation|test)([A-Z])(.*)$/.exec(name) ?? [];
  return set === undefined ? `${name}/batch` : `${first?.toLowerCase()}${rest}/${set}`;
}

/** `cosine[fc1.weight]` is `cosine/fc1.weight`. */
function reportTag(name: string): string {
  const parts = layerReportParts(name);
  return parts ? `${parts.measure}/${parts.layer}` : `optimizer/${name}`;
}

const histograms = (prefix: string, tensors: ReadonlyMap<string, TensorData>): Tagged[] =>
  [...tensors].flatMap(([name, { data }]) => {
    const made = histogramOf(data);
    return made ? [histogram(`${prefix}/${name}`, made)] : [];
  });
