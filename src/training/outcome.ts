// What a run keeps in the end: the average of its iterates, the last of them, or the model as it was given.
import type { Engine } from '../engine/engine.js';
import type { TensorData } from '../graph/tensor.js';
import type { Evaluation } from './run-record.js';

type Tensors = Readonly<Record<string, TensorData>>;

export interface Outcome {
  /** Of the parameters that the store holds now, on the training set. */
  readonly train: Evaluation;
  /** Of the parameters that the run began with; only where the final loss does not tell that it is lower. */
  readonly start?: Evaluation;
  /** Whether the run was taken back as a whole: the parameters are those that it began with. */
  readonly takenBack: boolean;
}

export interface Ending {
  readonly engine: Engine;
  /** Evaluates what the store holds on the whole training set. */
  readonly evaluate: () => Promise<Evaluation>;
  /** The parameters that the run began with, by the keys of what is evaluated. */
  readonly begun: Tensors;
  /** The last iterate by the same keys, where the run keeps an average. */
  readonly last: () => Promise<Tensors | undefined>;
  /** The loss of the first batch and its examples, where the set is so large that evaluating the start costs something. */
  readonly firstBatch?: { readonly loss: number; readonly size: number } | undefined;
  /** Whether a run that made the loss worse is taken back. */
  readonly mayTakeBack: boolean;
}

/**
 * A final loss below this share of the first batch's is progress: the start need not be evaluated to know. The mean of n
 * squared errors of normal numbers varies by √(2/n) of itself: the first batch may be so much above its training set
 * four times.
 */
const isProgress = (final: number, { loss, size }: { readonly loss: number; readonly size: number }): boolean =>
  final + Math.abs(final) * 4 * Math.sqrt(2 / size) < loss;

/**
 * Leave the parameters in the store that the whole training set speaks for: those that training ended with; if their loss is
 * no lower than that of what training began with, the last iterate; and if that is no lower either, what it began with. Of a large set it costs further evaluations only if the final loss
 * is near the first batch's, above, or not a number. It leaves the store untouched if it is not a number and no other choice is allowed.
 */
export async function settle(ending: Ending): Promise<Outcome> {
  const { engine, evaluate, begun, last, firstBatch, mayTakeBack } = ending;
  const ended = await evaluate();
  const needsNoStart = firstBatch !== undefined && isProgress(ended.loss, firstBatch);
  if (needsNoStart || (!mayTakeBack && !Number.isFinite(ended.loss))) return { train: ended, takenBack: false };
  const kept = await engine.read(Object.keys(begun));
  const of = async (parameters: Tensors) => {
    await engine.write(parameters);
    return { parameters, train: await evaluate() };
  };
  const start = await of(begun);
  if (ended.loss < start.train.loss || !mayTakeBack) {
    await engine.write(kept);
    return { train: ended, start: start.train, takenBack: false };
  }
  const iterate = await last();
  const trained = [{ parameters: kept, train: ended }, ...(iterate ? [await of({ ...kept, ...iterate })] : [])];
  const lowest = trained.reduce((x, y) => (y.train.loss < x.train.loss || !Number.isFinite(x.train.loss) ? y : x));
  // A loss that is no lower is no training.
  const isTraining = Number.isFinite(lowest.train.loss) && !(lowest.train.loss >= start.train.loss);
  const best = isTraining ? lowest : start;
  await engine.write(best.parameters);
  return { train: best.train, start: start.train, takenBack: best === start };
}
