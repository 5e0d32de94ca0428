// Predictions that a person can read, one an example, streamed over any number of examples: classes by name with their
// probabilities, numbers by the name of their target.
import { alignedExamples, type Examples } from '../data/align.js';
import { gatherInputs } from '../data/batches.js';
import { dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { GraphError, OptionError } from '../errors.js';
import { listInputs } from '../graph/inputs.js';
import type { TensorData } from '../graph/tensor.js';
import { meaningOf } from '../model/meaning.js';
import { checkModel, type Model } from '../model/model.js';
import { checkedCount, checkKeys, described, isRecord, type OptionKeys } from '../options.js';
import { withModelInputs } from '../training/task/task.js';
import { openedEngine } from './default-engine.js';
import { Forward, SplitInputs, usualBatch, withAnyBatch } from './forward.js';
import { fittedInputs, type ModelInputs } from './given.js';
import { checkRows, type Prediction, readoutOf } from './readout.js';

/** Examples of a data set, or a model's inputs as `predict` takes them. */
export type PredictionInputs = Examples | ModelInputs;

export interface PredictionsOptions {
  /** Classes to give with their probabilities, the most probable ones; 3 by default. */
  readonly top?: number;
  /** Examples computed at once; by default as many as need 256 MiB for all intermediate values. */
  readonly batchSize?: number;
  /** The engine that computes; by default a new one, which is closed at the end: see `train`. */
  readonly engine?: Engine;
}

const keys: OptionKeys<PredictionsOptions> = { top: true, batchSize: true, engine: true };

/**
 * Return the predictions of a model, one an example, in the words of the data that it was trained on (`meaningOf`): for a
 * classifier the class with its probability, for other models numbers by name. Classes without names are numbers. They are
 * computed batch by batch as they are asked for, so that data need not fit memory.
 * @param data a data set, whose targets are not used and may be left out, or inputs; or an iterable of such parts, as an
 *   async generator makes them. Columns of tables are found by their names
 * @throws OptionError or GraphError if data do not fit the model; FileError if the model's metadata do not
 * @example
 * const { test } = await loadData('digits?train=200&test=50');
 * for await (const prediction of predictions(mlp({ seed: 1 }), test)) {
 *   if (prediction.kind === 'class') console.log(prediction.index, prediction.class, prediction.probability);
 * }
 */
export function predictions(
  model: Model,
  data: PredictionInputs | Iterable<PredictionInputs> | AsyncIterable<PredictionInputs>,
  options: PredictionsOptions = {},
): AsyncGenerator<Prediction, void, undefined> {
  checkModel('predictions', model);
  checkKeys('predictions', options, keys);
  const { top = 3, batchSize } = options;
  checkedCount('top of predictions', top);
  if (batchSize !== undefined) checkedCount('batchSize of predictions', batchSize);
  return streamed(model, isStream(data) ? data : [data], top, options);
}

/** Whether data are parts that follow each other: arrays are inputs. */
const isStream = (
  data: PredictionInputs | Iterable<PredictionInputs> | AsyncIterable<PredictionInputs>,
): data is Iterable<PredictionInputs> | AsyncIterable<PredictionInputs> =>
  isRecord(data) && (Symbol.asyncIterator in data || (Symbol.iterator in data && 'next' in data));

async function* streamed(
  model: Model,
  parts: Iterable<PredictionInputs> | AsyncIterable<PredictionInputs>,
  top: number,
  { batchSize, engine: shared }: PredictionsOptions,
): AsyncGenerator<Prediction, void, undefined> {
  const readout = readoutOf(model);
  const [first] = model.graph.outputs;
  if (!first) throw new GraphError(`model '${model.name}' has no output`);
  const names = [first.name];
  const engine = await openedEngine(shared);
  try {
    const forward = new Forward(engine, model, names, (b, outputs) => {
      const [output] = outputs.values();
      return output ? { expected: readout.expected(b, output) } : {};
    });
    const computed = async (feeds: FedBatch['feeds']) => {
      const { expected } = await forward.run(feeds);
      if (!expected) throw new Error('a program of predictions has the output expected');
      return expected;
    };
    let done = 0;
    for await (const part of parts) {
      for (const { feeds, rows } of batchesOf(model, part, batchSize, names)) {
        const expected = await computed(feeds);
        checkRows(model, expected, Object.values(feeds)[0]?.dims[0] ?? rows);
        yield* readout.read(expected, rows, done, top);
        done += rows;
      }
    }
  } finally {
    await engine.close();
  }
}

interface FedBatch {
  /** Inputs by name; those of a fixed batch are filled up. */
  readonly feeds: Readonly<Record<string, TensorData>>;
  /** Examples that count. */
  readonly rows: number;
}

function* batchesOf(
  model: Model,
  part: PredictionInputs,
  batchSize: number | undefined,
  names: readonly string[],
): Generator<FedBatch> {
  if (!isExamples(part)) {
    const inputs = new SplitInputs(model, fittedInputs(withAnyBatch(model), part));
    const size = inputs.fixed ?? batchSize ?? usualBatch(model, inputs, names);
    for (let start = 0; start < inputs.count; start += size) {
      const rows = Math.min(size, inputs.count - start);
      yield { feeds: inputs.slice(start, rows), rows };
    }
    return;
  }
  const set = fittedExamples(model, part);
  const gathered = (start: number, rows: number) => {
    const { inputs } = gatherInputs(
      set,
      Uint32Array.from({ length: rows }, (_, i) => start + i),
    );
    const named = listInputs(inputs).map(
      ([name = model.graph.inputs[0]?.name ?? '', column]) => [name, column] as const,
    );
    return new SplitInputs(model, new Map<string, TensorData>(named));
  };
  if (set.size === 0) return;
  const one = gathered(0, 1);
  const size = one.fixed ?? batchSize ?? usualBatch(model, one, names);
  for (let start = 0; start < set.size; start += size) {
    const rows = Math.min(size, set.size - start);
    yield { feeds: gathered(start, rows).slice(0, rows), rows };
  }
}

const isExamples = (part: PredictionInputs): part is Examples =>
  isRecord(part) && 'inputs' in part && typeof part.name === 'string' && typeof part.size === 'number';

/** The examples as the model takes them: columns by name, in its shapes. */
function fittedExamples(model: Model, part: Examples): Examples {
  const [first] = isRecord(part.inputs) ? listInputs(part.inputs) : [];
  if (!first)
    throw new OptionError(
      `the inputs of '${part.name}' are ${described(part.inputs)}; give a column, or several by name`,
    );
  // Any column stands in for the targets, which are not used.
  const checked = dataset({ ...part, targets: first[1] });
  const result = alignedExamples(meaningOf(model), checked);
  if ('misfit' in result) throw new OptionError(result.misfit);
  return withModelInputs(model, result.set);
}
