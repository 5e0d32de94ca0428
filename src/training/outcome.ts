// The parameters that a run keeps: the average of its iterates, the last iterate, or the initial parameters.
import type { Engine } from '../engine/engine.js';
import type { TensorData } from '../graph/tensor.js';
import type { Evaluation } from './run-record.js';

type Tensors = Readonly<Record<string, TensorData>>;

export interface Outcome {
  /** Evaluation of the kept parameters on the training set. */
  readonly train: Evaluation;
  /** Evaluation of the initial parameters; only if the final loss is not clearly lower. */
  readonly start?: Evaluation;
  /** Whether the whole run was taken back: the kept parameters are the initial ones. */
  readonly takenBack: boolean;
}

export interface Ending {
  readonly engine: Engine;
  /** Evaluates the parameters in the store on the whole training set. */
  readonly evaluate: () => Promise<Evaluation>;
  /** The initial parameters, by the keys of those that are evaluated. */
  readonly begun: Tensors;
  /** The last iterate by the same keys, if the run keeps an average. */
  readonly last: () => Promise<Tensors | undefined>;
  /** The loss and the size of the first batch; only for a set so large that the start is evaluated only if it must be. */
  readonly firstBatch?: { readonly loss: number; readonly size: number } | undefined;
  /** Whether a run that made the loss worse is taken back. */
  readonly mayTakeBack: boolean;
}

/**
 * Whether the final loss is so far below the first batch's that the start need not be evaluated. The mean of n squared normal
 * errors has the relative deviation √(2/n): the first batch may be four deviations above the training set.
 */
const isProgress = (final: number, { loss, size }: { readonly loss: number; readonly size: number }): boolean =>
  final + Math.abs(final) * 4 * Math.sqrt(2 / size) < loss;

/**
 * Choose the parameters with the lowest loss on the whole training set, and leave them in the store: the final ones; if their
 * loss is no lower than that of the initial parameters, the last iterate; and if that is no lower either, the initial ones.
 * For a large set this costs further evaluations only if the final loss is near that of the first batch, above it, or NaN.
 * The store does not change if the final loss is not finite and a run must not be taken back.
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
  // Training must lower the loss.
  const isTraining = Number.isFinite(lowest.train.loss) && !(lowest.train.loss >= start.train.loss);
  const best = isTraining ? lowest : start;
  await engine.write(best.parameters);
  return { train: best.train, start: start.train, takenBack: best === start };
}
