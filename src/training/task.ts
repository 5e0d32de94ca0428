// What a model is to learn from a data set: classify, reproduce its inputs, or predict numbers; decided by shapes.
import {
  type DataSplits,
  type Dataset,
  elementCount,
  pictureOf,
  withInputShape,
  withTargetShape,
} from '../data/dataset.js';
import { GraphError, OptionError } from '../errors.js';
import { formatType, type Value } from '../graph/graph.js';
import type { Model } from '../graph/model.js';
import { takesChannelsLast } from '../losses/channels.js';
import { lossNamed } from '../losses/index.js';
import type { LossName } from '../losses/loss.js';
import { applyModel, areClassesSecond, takesNumbersOf } from '../losses/objective.js';
import { Builder } from '../ops/builder.js';

/** A loss, and the data in the shapes that the model and the loss take. */
export interface LearningTask {
  readonly kind: 'classification' | 'autoencoding' | 'regression';
  readonly loss: LossName;
  readonly data: DataSplits;
}

/**
 * Fits data to a model: inputs are reshaped where only their arrangement differs, pictures are transposed for models that
 * have their channels last, and targets are the data's own, or the
 * inputs where the data have labels and the model gives back as many numbers as it takes.
 * @param loss by default softmax cross-entropy for labels, sigmoid cross-entropy for models that end in a sigmoid, else
 *   mean squared error
 * @throws OptionError naming both shapes where the data do not fit the model
 */
export function learningTask(model: Model, data: DataSplits, loss?: LossName): LearningTask {
  if (loss !== undefined) lossNamed(loss);
  const fitted = { train: withModelInput(model, data.train), test: withModelInput(model, data.test) };
  const output = outputOf(model, fitted.train);
  const kind = kindOf(model, fitted.train, output.shape, loss);
  const chosen = kind === 'classification' ? 'softmax-cross-entropy' : (loss ?? output.loss);
  const targets = (set: Dataset): Dataset => {
    if (kind === 'classification') return set;
    const { classes: _, ...rest } = set;
    const learned = kind === 'autoencoding' ? { ...rest, targets: set.inputs } : set;
    const asGiven = takesChannelsLast(['batch', ...output.shape], ['batch', ...learned.targets.shape]);
    return asGiven ? learned : withTargetShape(learned, output.shape);
  };
  return { kind, loss: chosen, data: { train: targets(fitted.train), test: targets(fitted.test) } };
}

/** The data in the shape of the model's one input; pictures for channels last stay as they are (see `losses/channels`). */
function withModelInput(model: Model, set: Dataset): Dataset {
  const [input, ...others] = model.graph.inputs;
  if (!input || others.length > 0) {
    const names = model.graph.inputs.map(({ name }) => `'${name}'`).join(', ');
    throw new OptionError(`model '${model.name}' has the inputs ${names || '(none)'}; training takes models with one`);
  }
  const { dtype, shape } = set.inputs;
  const wanted = input.shape.slice(1);
  const misfit = () =>
    new OptionError(
      `the data '${set.name}' do not fit the model '${model.name}': its input '${input.name}' is ${formatType(input.type)}, ` +
        `and an example is ${formatType({ dtype, shape })}; choose data or a model with equally many elements`,
    );
  if (!takesNumbersOf(input.dtype, dtype)) throw misfit();
  if (wanted.length === shape.length && wanted.every((size, i) => typeof size === 'string' || size === shape[i])) {
    return set;
  }
  const picture = pictureOf(set);
  const planes = picture && [picture.channels, picture.height, picture.width];
  if (planes && takesChannelsLast(['batch', ...wanted], ['batch', ...planes])) return withInputShape(set, planes);
  const sizes = wanted.filter((size) => typeof size === 'number');
  if (sizes.length < wanted.length || elementCount(sizes) !== elementCount(shape)) throw misfit();
  if (planes && picture.channels > 1 && !joinsAxes(planes, sizes)) {
    throw new OptionError(
      `the pictures of '${set.name}' do not fit the model '${model.name}': its input '${input.name}' is ${formatType(input.type)}, and a ` +
        `picture is [channels, height, width] = [${planes.join(', ')}], whose pixels would be mixed up in that shape; export the ` +
        'model with its channels first or last, or flattened in the order of the data',
    );
  }
  return withInputShape(set, sizes);
}

/** Whether a shape has axes of another joined, so that elements keep their neighbours: [3, 32, 32] as [3, 1024] or [3072]. */
function joinsAxes(axes: readonly number[], joined: readonly number[]): boolean {
  const starts = (shape: readonly number[]) => shape.map((_, i) => elementCount(shape.slice(0, i + 1)));
  const known = new Set([1, ...starts(axes)]);
  return starts(joined).every((start) => known.has(start));
}

/** Shape of one example's output, and the loss that the network's end suggests for real-valued targets. */
function outputOf(model: Model, set: Dataset): { readonly shape: readonly number[]; readonly loss: LossName } {
  const b = new Builder();
  const input = b.input('input', set.inputs.dtype, [2, ...set.inputs.shape]);
  const prediction = applied(model, () => applyModel(b, model, new Map(), input));
  const loss = prediction.producer?.op === 'Sigmoid' ? 'sigmoid-cross-entropy' : 'mean-squared-error';
  return { shape: prediction.dims.slice(1), loss };
}

/** A model whose shapes were computed for one batch size when it was exported does not fit another. */
function applied(model: Model, apply: () => Value): Value {
  try {
    return apply();
  } catch (error) {
    const [input] = model.graph.inputs;
    const batch = input?.shape[0];
    if (!(error instanceof GraphError) || typeof batch !== 'number') throw error;
    throw new OptionError(
      `model '${model.name}' was exported for batches of ${batch} and takes no others; export it with a symbolic batch ` +
        `(dynamic_axes={'${input?.name}': {0: 'batch'}}, or dynamic_shapes). ${error.message}`,
      { cause: error },
    );
  }
}

function kindOf(model: Model, set: Dataset, output: readonly number[], loss?: LossName): LearningTask['kind'] {
  const { inputs, targets } = set;
  const labels = targets.dtype === 'int64';
  const second = areClassesSecond(['batch', ...output], ['batch', ...targets.shape]);
  const classes = (second ? output[0] : output.at(-1)) ?? 0;
  const softmax = loss === undefined || loss === 'softmax-cross-entropy';
  if (labels && softmax && (second || String(output.slice(0, -1)) === String(targets.shape))) {
    const known = set.classes?.length;
    if (known === undefined || classes === known) return 'classification';
    // More logits than classes is only meant where it is said; fewer cannot be.
    if (loss !== undefined && classes > known) return 'classification';
  }
  if (loss !== 'softmax-cross-entropy') {
    const wanted = elementCount(output);
    if (!labels && wanted === elementCount(targets.shape)) return targets === inputs ? 'autoencoding' : 'regression';
    if (labels && inputs.dtype === 'float32' && wanted === elementCount(inputs.shape)) return 'autoencoding';
  }
  const meaning = labels ? `labels of ${set.classes?.length ?? 'some'} classes` : 'numbers';
  throw new OptionError(
    `the output of model '${model.name}' has the shape [batch, ${output.join(', ')}]${loss ? ` (loss ${loss})` : ''}, which fits ` +
      `neither the targets of '${set.name}' (${formatType({ dtype: targets.dtype, shape: targets.shape })} an example, ${meaning}) ` +
      `nor its inputs (${formatType({ dtype: inputs.dtype, shape: inputs.shape })}); choose a model with one logit for each class, ` +
      'or one that gives back as many numbers as it takes',
  );
}
