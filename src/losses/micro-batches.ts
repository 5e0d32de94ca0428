// The evaluation of a batch in micro-batches, one after the other in the body of a Scan: the runtime frees the activations of
// one before it begins the next. Whatever a step needs of the whole batch is a sum over the micro-batches, or put together.
import { vectorJacobianProduct } from '../autodiff/gradients.js';
import { OptionError, UnsupportedError } from '../errors.js';
import { formatType, type Value } from '../graph/graph.js';
import type { Rewrite } from '../graph/inline.js';
import { type Inputs, listInputs, mapInputs } from '../graph/inputs.js';
import { tensorFrom } from '../graph/tensor.js';
import type { Moments, TrainingMode } from '../model/training-mode.js';
import { Builder } from '../ops/builder.js';
import type { Loss } from './loss.js';
import type { Forward } from './objective.js';
import { quotient } from './reduction.js';

/** A batch as values of a graph. */
export interface BatchValues {
  /** The model's one input, or its inputs by name. */
  readonly inputs: Inputs<Value>;
  readonly targets: Value;
  /** Weights of the examples, `[batch]`. */
  readonly weights?: Value | undefined;
}

/** How the whole batch is evaluated. */
export interface Accumulated {
  /** Number of micro-batches, at least 2. */
  readonly count: number;
  readonly training: TrainingMode;
  /** Called for each evaluation with the number of examples that it computes at once. */
  evaluates?(examples: number): void;
}

export interface MicroBatchEvaluation {
  /** The parameters to differentiate the loss by, by name; none by default. */
  readonly trained?: ReadonlyMap<string, Value>;
  /** Return sums over the examples of a micro-batch, to be added up. */
  readonly sums?: (b: Builder, forward: Forward) => Readonly<Record<string, Value>>;
  /** Evaluate a batch. */
  readonly evaluate: (b: Builder, batch: BatchValues, rewrite: Rewrite) => Forward;
}

/** What the micro-batches make together. */
interface MicroBatchResult {
  /** Of the whole batch: computed only if the step reads them. */
  readonly outputs: Pick<Forward, 'prediction' | 'output'>;
  readonly loss: Value;
  readonly reported: Value;
  /** The output of one micro-batch, in the body of the Scan. */
  readonly network: Value;
  readonly gradients: ReadonlyMap<string, Value>;
  readonly sums: Readonly<Record<string, Value>>;
}

/**
 * Evaluate a batch in micro-batches of equal size, in the order of the examples. The mean loss is Σ m·l/Σ m with the mass m of
 * each micro-batch, and so are its gradients: they equal those of the whole batch in one piece, up to rounding, if each example
 * is evaluated by itself. Batch normalization normalizes by the micro-batch.
 * @throws OptionError if the batch has no micro-batches of equal size
 * @throws UnsupportedError if the outputs of micro-batches are not those of the whole batch in parts
 */
export function inMicroBatches(
  b: Builder,
  loss: Loss,
  batch: BatchValues,
  parameters: ReadonlyMap<string, Value>,
  { count, training, evaluates }: Accumulated,
  { trained = new Map(), sums = () => ({}), evaluate }: MicroBatchEvaluation,
): MicroBatchResult {
  const examples = batch.targets.dims[0] ?? 1;
  if (examples % count !== 0) {
    throw new OptionError(`a batch of ${examples} examples has no ${count} micro-batches of equal size`);
  }
  evaluates?.(examples / count);
  // Built to be dropped: it declares the masks of the whole batch in the order in which one piece does, and has its types.
  const whole = evaluate(new Builder(b), batch, training.declareMasks);
  const parts = (value: Value): Value => b.reshape(value, [count, examples / count, ...value.dims.slice(1)]);
  const { weights } = batch;
  const sequences = {
    index: b.constant(
      tensorFrom(
        'int64',
        [count],
        Array.from({ length: count }, (_, i) => i),
      ),
    ),
    targets: parts(batch.targets),
    ...(weights && { weights: parts(weights) }),
    ...Object.fromEntries(listInputs(batch.inputs).map(([name, input]) => [inputKey(name), parts(input)])),
  };
  const names = [...trained.keys()];
  const zeros = Object.fromEntries([...trained].map(([name, value]) => [name, b.zerosLike(value)]));
  let found: { readonly own: Forward; readonly moments: readonly Moments[]; readonly isWeighted: boolean } | undefined;
  const { carried, given } = b.scan(zeros, sequences, (inner, before, slices: Readonly<Record<string, Value>>) => {
    const slice = (name: string): Value => slices[name] as Value; // one for each sequence
    const mode = training.microBatch((mask, dims) => partOf(b, inner, mask, dims, count, slice('index')));
    const own = evaluate(
      inner,
      {
        inputs: mapInputs(batch.inputs, (_, name) => slice(inputKey(name))),
        ...{ targets: slice('targets'), weights: weights && slice('weights') },
      },
      mode.rewrite,
    );
    const mass = loss.mass?.(inner, own.output, own.targets, own.weights) ?? (own.weights && inner.sum(own.weights));
    const share = (value: Value): Value =>
      mass ? inner.cast(mass, value.dtype) : inner.scalar(1 / count, value.dtype);
    const seed = { value: own.loss, cotangent: share(own.loss) };
    const pulled = vectorJacobianProduct(inner, [seed], [...trained.values()]);
    found = { own, moments: mode.moments, isWeighted: mass !== undefined };
    return {
      carried: Object.fromEntries(names.map((name, i) => [name, inner.add(before[name] as Value, pulled[i] as Value)])),
      given: {
        loss: inner.mul(own.loss, share(own.loss)),
        reported: inner.mul(own.reported, share(own.reported)),
        ...(mass && { mass }),
        ...{ prediction: own.prediction, output: own.output },
        ...Object.fromEntries(mode.moments.map(({ mean }, i) => [`mean.${i}`, mean])),
        ...Object.fromEntries(mode.moments.map(({ variance }, i) => [`variance.${i}`, variance])),
        ...Object.fromEntries(Object.entries(sums(inner, own)).map(([name, value]) => [`sum.${name}`, value])),
      } as Readonly<Record<string, Value>>,
    };
  });
  if (!found) throw new Error('the body was not built');
  const { own, moments, isWeighted } = found;
  const all = (name: string): Value => given[name] as Value; // what the body gave
  const mass = isWeighted ? b.sum(all('mass')) : undefined;
  const mean = (sum: Value): Value => (mass ? quotient(b, sum, mass) : sum);
  training.moveAverages(
    b,
    moments.map((each, i) => ({ ...each, mean: all(`mean.${i}`), variance: all(`variance.${i}`) })),
    parameters,
  );
  return {
    outputs: {
      prediction: joined(b, all('prediction'), own.prediction, whole.prediction),
      output: joined(b, all('output'), own.output, whole.output),
    },
    loss: mean(b.sum(all('loss'))),
    reported: mean(b.sum(all('reported'))),
    network: own.output,
    gradients: new Map(names.map((name) => [name, mean(carried[name] as Value)])),
    sums: Object.fromEntries(
      Object.entries(given).flatMap(([name, value]) =>
        name.startsWith('sum.') ? [[name.slice('sum.'.length), b.sum(value, [0])]] : [],
      ),
    ),
  };
}

const inputKey = (name: string | undefined): string => `input.${name ?? ''}`;

/**
 * The part of random numbers of the whole batch that a micro-batch takes: along the axis of the examples, or all if they do not
 * depend on the batch.
 */
function partOf(b: Builder, inner: Builder, whole: Value, dims: readonly number[], count: number, index: Value): Value {
  const differing = whole.dims.flatMap((size, axis) => (size === dims[axis] ? [] : [axis]));
  if (whole.rank === dims.length && differing.length === 0) return whole;
  const [axis = 0] = differing;
  const own = dims[axis] ?? 1;
  if (whole.rank !== dims.length || differing.length > 1 || whole.dims[axis] !== count * own) {
    throw new UnsupportedError(
      `dropout is given ${formatType(whole.type)} by the whole batch and [${dims.join(', ')}] by one of ${count} micro-batches: ` +
        'its examples lie along no axis, and cannot be evaluated in parts',
    );
  }
  const split = b.reshape(whole, [...whole.dims.slice(0, axis), count, own, ...whole.dims.slice(axis + 1)]);
  const rest = split.dims.flatMap((_, i) => (i === axis ? [] : [i]));
  return inner.gather(b.transpose(split, [axis, ...rest]), index);
}

/** The outputs of all micro-batches as one. */
function joined(b: Builder, all: Value, own: Value, whole: Value): Value {
  const [count = 1, size = 1, ...rest] = all.dims;
  if ([count * size, ...rest].join() === whole.dims.join()) return b.reshape(all, whole.dims);
  throw new UnsupportedError(
    `the network makes ${formatType(whole.type)} of the whole batch and ${formatType(own.type)} of one of ${count} micro-batches: ` +
      'its first axis must be that of the examples',
  );
}
