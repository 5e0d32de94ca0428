// The learning task of a model on a data set, decided by shapes: classify, reproduce its inputs, or predict numbers.
import type { Examples } from '../../data/align.js';
import {
  checkSplits,
  type DataSplits,
  type Dataset,
  type ExampleArray,
  exampleStride,
  mapSplits,
  onlyInput,
  pictureInputs,
} from '../../data/dataset.js';
import { withParts, withTargetShape } from '../../data/views.js';
import { GraphError, OptionError } from '../../errors.js';
import { formatType, type Value } from '../../graph/graph.js';
import { inputNamed, inputNames, isUnnamed, listInputs, mapInputs } from '../../graph/inputs.js';
import { elementCount, isFloatingPoint } from '../../graph/tensor.js';
import { checkedLoss } from '../../losses/checked-loss.js';
import { type LossWord, lossOf } from '../../losses/index.js';
import { labelError, probabilitiesError, wrongLabel, wrongProbabilities } from '../../losses/labels.js';
import { areClassesSecond, beforeSigmoid } from '../../losses/logits.js';
import type { Loss } from '../../losses/loss.js';
import { firstOutside, rangeInWords } from '../../losses/target-range.js';
import { applyModel, takesChannelsLast, takesNumbersOf } from '../../model/apply.js';
import { checkModel, type Model } from '../../model/model.js';
import { Builder } from '../../ops/builder.js';

/** A loss, and the data in the shapes that the model and the loss take. */
export interface LearningTask {
  readonly kind: 'classification' | 'autoencoding' | 'regression';
  readonly loss: Loss;
  readonly data: DataSplits;
  /** Shape of an example's output. */
  readonly output: readonly number[];
  /** What a person should know of what is learned: labels that are left aside. */
  readonly warnings: readonly string[];
}

/**
 * Return the task of a model on data. Inputs (several by the names of the model's inputs) are reshaped if only their axes
 * differ, pictures are transposed for models with the channels last, and targets are the data's, or the inputs if the data
 * have labels and the model returns as many numbers as it takes. A warning says that the labels are left aside so, unless no
 * loss is given and the model ends in a sigmoid, as autoencoders do and classifiers of labels do not.
 * @param given the loss; by default softmax cross-entropy for labels, sigmoid cross-entropy for models that end in a sigmoid, else
 *   mean squared error
 * @throws OptionError that has both shapes, or both lists of names, if the data do not fit the model; for targets outside
 *   the range of the loss, and for training labels that the loss ignores, all of them
 * @example
 * const { kind, loss } = learningTask(mlp({ seed: 1 }), await loadData('digits'));
 * console.log(kind, loss.name);
 */
export function learningTask(model: Model, data: DataSplits, given?: Loss | LossWord): LearningTask {
  checkModel('learningTask', model);
  checkSplits(data);
  const loss = typeof given === 'object' ? checkedLoss(lossOf(given)) : given && lossOf(given);
  const fitted = mapSplits(data, (set) => withModelInputs(model, set));
  const output = outputOf(model, fitted.train);
  const kind = kindOf(model, fitted.train, output.shape, loss);
  const chosen = loss ?? (kind === 'classification' ? lossOf('softmax-cross-entropy') : output.loss);
  const targets = (set: Dataset): Dataset => {
    if (kind === 'classification') return withKnownLabels(set, output.shape, chosen);
    const { classes: _, ...rest } = set;
    const learned = kind === 'autoencoding' ? { ...rest, targets: onlyInput(set) } : set;
    const wanted = numbersFor(chosen, output.shape);
    const asGiven = takesChannelsLast(['batch', ...wanted], ['batch', ...learned.targets.shape]);
    return withTargetsInRange(asGiven ? learned : withTargetShape(learned, wanted), kind, chosen);
  };
  const isMeant = loss === undefined && output.endsInSigmoid;
  const warnings =
    kind === 'autoencoding' && fitted.train.targets.dtype === 'int64' && !isMeant
      ? [labelsLeftAside(fitted.train, chosen)]
      : [];
  const learned = mapSplits(data, (set) => withParts(set, (each) => targets(withModelInputs(model, each))));
  checkSomeCount(learned.train, chosen);
  return { kind, loss: chosen, data: learned, output: output.shape, warnings };
}

/** @throws OptionError if the loss ignores all labels of a set: there is nothing to learn */
function checkSomeCount({ name, size, targets }: Dataset, { name: loss, ignoredLabel }: Loss): void {
  if (ignoredLabel === undefined || size === 0 || !targets.data.every((label) => label === ignoredLabel)) return;
  throw new OptionError(
    `all labels of '${name}' are ${ignoredLabel}, which the loss ${loss} ignores: there is nothing to learn or to measure`,
  );
}

function labelsLeftAside({ name, classes }: Dataset, { name: loss }: Loss): string {
  const count = classes?.length;
  const advice = count === undefined ? 'with a logit for each class' : `of ${count} classes`;
  return (
    `The labels of '${name}' are left aside: the model gives back as many numbers as it takes, and learns to reproduce its inputs ` +
    `(loss ${loss}). To classify, give it a last layer ${advice} and a loss of labels.`
  );
}

/** @throws OptionError if a target is outside the range that the loss takes */
function withTargetsInRange(set: Dataset, kind: LearningTask['kind'], { name: loss, targetRange }: Loss): Dataset {
  if (!targetRange) return set;
  const { targets, size, name } = set;
  const scale = 'scale' in targets ? targets.scale : 1;
  const used = targets.data.subarray(
    0,
    size === 0 ? 0 : (size - 1) * exampleStride(targets) + elementCount(targets.shape),
  );
  const at = firstOutside(scale === 1 ? used : Float64Array.from(used, (x) => x * scale), targetRange);
  if (at < 0) return set;
  const what = kind === 'autoencoding' ? 'inputs' : 'targets';
  throw new OptionError(
    `the ${what} of '${name}' hold ${Number(used[at]) * scale} (element ${at}), and the loss ${loss} takes ${what} that are ` +
      `${rangeInWords(targetRange)}: give another loss, such as mean-squared-error, or scale the data`,
  );
}

/**
 * Return the data with each input in the shape that the model declares.
 * @throws OptionError that has both shapes, or both lists of names, if they do not fit
 */
export function withModelInputs<Set extends Examples>(model: Model, set: Set): Set {
  const declared = new Map(model.graph.inputs.map((input) => [input.name, input]));
  const [only] = declared.values();
  if (isUnnamed(set.inputs) ? declared.size !== 1 : !sameNames([...declared.keys()], Object.keys(set.inputs))) {
    throw wrongNames(model, set);
  }
  const sizes = new Map<string, { readonly size: number; readonly name: string }>();
  const inputs = mapInputs(set.inputs, (column, name) => {
    const input = (name === undefined ? only : declared.get(name)) as Value; // the names are the same
    const fitted = fittedColumn(model, set, column, input);
    for (const [axis, symbol] of input.shape.slice(1).entries()) {
      const size = fitted.shape[axis];
      if (typeof symbol !== 'string' || size === undefined) continue;
      const other = sizes.get(symbol);
      if (other && other.size !== size) {
        throw new OptionError(
          `the data '${set.name}' do not fit the model '${model.name}': '${symbol}' is ${other.size} in the input '${other.name}' and ${size} in '${input.name}'; give all of them one length`,
        );
      }
      sizes.set(symbol, { size, name: input.name });
    }
    return fitted;
  });
  const isSame = listInputs(set.inputs).every(([name, column]) => inputNamed(inputs, name) === column);
  return isSame ? set : { ...set, inputs };
}

const sameNames = (some: readonly string[], others: readonly string[]): boolean =>
  some.length === others.length && some.every((name) => others.includes(name));

function wrongNames(model: Model, set: Examples): OptionError {
  const declared = model.graph.inputs.map((input) => `'${input.name}' (${formatType(input.type)})`).join(', ');
  const taken = model.graph.inputs.map(({ name }) => name);
  const given = isUnnamed(set.inputs) ? taken : Object.keys(set.inputs);
  const lists = [
    ['missing', taken.filter((name) => !given.includes(name))],
    ['unknown', given.filter((name) => !taken.includes(name))],
  ] as const;
  const different = lists.flatMap(([what, names]) => (names.length > 0 ? [`; ${what}: ${names.join(', ')}`] : []));
  return new OptionError(
    `model '${model.name}' takes the inputs ${declared || '(none)'}, and the data '${set.name}' have ${inputNames(set.inputs)}${different.join('')}. ` +
      'Give the data a column for each input, named as the model names it (of NumPy arrays: ?inputs=NAME,NAME)',
  );
}

/** A column in the shape of the model's input. */
function fittedColumn(model: Model, set: Examples, column: ExampleArray, input: Value): ExampleArray {
  const { dtype, shape } = column;
  const wanted = input.shape.slice(1);
  const misfit = (advice: string) =>
    new OptionError(
      `the data '${set.name}' do not fit the model '${model.name}': its input '${input.name}' is ${formatType(input.type)}, ` +
        `and an example is ${formatType({ dtype, shape })}; ${advice}`,
    );
  if (!takesNumbersOf(input.dtype, dtype)) {
    throw misfit(
      'scale' in column && !isFloatingPoint(input.dtype)
        ? 'unsigned bytes are read as pixels: save whole numbers as int32 or int64'
        : `choose data or a model of one element type, or save the data as ${input.dtype}`,
    );
  }
  if (input.shape.length === 0)
    throw misfit('an input without axes has no place for a batch: export the model without it');
  if (wanted.length === shape.length && wanted.every((size, i) => typeof size === 'string' || size === shape[i])) {
    return column;
  }
  const picture = pictureInputs(set).find((each) => each.column === column)?.picture;
  const planes = picture && [picture.channels, picture.height, picture.width];
  if (planes && takesChannelsLast(['batch', ...wanted], ['batch', ...planes])) {
    return { ...column, shape: planes };
  }
  const sizes = wanted.filter((size) => typeof size === 'number');
  if (sizes.length < wanted.length || elementCount(sizes) !== elementCount(shape)) {
    throw misfit('choose data or a model with equally many elements');
  }
  if (planes && picture.channels > 1 && !joinsAxes(planes, sizes)) {
    throw new OptionError(
      `the pictures of '${set.name}' do not fit the model '${model.name}': its input '${input.name}' is ${formatType(input.type)}, and a ` +
        `picture is [channels, height, width] = [${planes.join(', ')}], whose pixels would be mixed up in that shape; export the ` +
        'model with its channels first or last, or flattened in the order of the data',
    );
  }
  return { ...column, shape: sizes };
}

/** Whether a shape only merges adjacent axes of another, so that elements keep their order: [3, 32, 32] as [3, 1024] or [3072]. */
function joinsAxes(axes: readonly number[], joined: readonly number[]): boolean {
  const starts = (shape: readonly number[]) => shape.map((_, i) => elementCount(shape.slice(0, i + 1)));
  const known = new Set([1, ...starts(axes)]);
  return starts(joined).every((start) => known.has(start));
}

/** The number of classes of an example's logits: on the last axis, or on the first if labels fit only so. */
const classCount = (logits: readonly number[], labels: readonly number[]): number =>
  (areClassesSecond(['batch', ...logits], ['batch', ...labels]) ? logits[0] : logits.at(-1)) ?? 0;

/** @throws OptionError for targets that are no probabilities of the classes, which are the last axis */
function withKnownProbabilities(set: Dataset): Dataset {
  const { targets, size, name } = set;
  const classes = targets.shape.at(-1) ?? 1;
  const scale = 'scale' in targets ? targets.scale : 1;
  const shares = targets.data.subarray(0, size * elementCount(targets.shape));
  const row = wrongProbabilities(scale === 1 ? shares : Float64Array.from(shares, (share) => share * scale), classes);
  if (row < 0) return set;
  throw new OptionError(`the targets of '${name}' in row ${row} ${probabilitiesError(classes)}`);
}

/** @throws OptionError for a label outside the classes */
function withKnownLabels(set: Dataset, output: readonly number[], loss: Loss): Dataset {
  if (set.targets.dtype !== 'int64') return withKnownProbabilities(withTargetShape(set, output));
  const classes = classCount(output, set.targets.shape);
  const { data } = set.targets;
  const wrong = wrongLabel(data, classes, loss);
  if (wrong < 0) return set;
  throw new OptionError(
    `the targets of '${set.name}' hold the label ${data[wrong]} (element ${wrong}), ${labelError(classes)}`,
  );
}

/** Shape of one example's output, and the loss that suits the network's end for real-valued targets. */
function outputOf(
  model: Model,
  set: Dataset,
): { readonly shape: readonly number[]; readonly loss: Loss; readonly endsInSigmoid: boolean } {
  const b = new Builder();
  const inputs = mapInputs(set.inputs, ({ dtype, shape }, name = 'input') => b.input(name, dtype, [2, ...shape]));
  const prediction = applied(model, () => applyModel(b, model, new Map(), inputs));
  const endsInSigmoid = beforeSigmoid(b, prediction) !== undefined;
  const loss = lossOf(endsInSigmoid ? 'sigmoid-cross-entropy' : 'mean-squared-error');
  return { shape: prediction.dims.slice(1), loss, endsInSigmoid };
}

/** @throws OptionError for a model that was exported for one batch size and does not fit another */
function applied(model: Model, apply: () => Value): Value {
  try {
    return apply();
  } catch (error) {
    const fixed = model.graph.inputs.filter(({ shape: [batch] }) => typeof batch === 'number');
    const batch = fixed[0]?.shape[0];
    if (!(error instanceof GraphError) || batch === undefined) throw error;
    const axes = fixed.map(({ name }) => `'${name}': {0: 'batch'}`).join(', ');
    throw new OptionError(
      `model '${model.name}' was exported for batches of ${batch} and takes no others; export it with a symbolic batch ` +
        `(dynamic_axes={${axes}}, or dynamic_shapes). ${error.message}`,
      { cause: error },
    );
  }
}

/** Shape of an example's targets for an output: the output's, unless the loss takes another. */
const numbersFor = (loss: Loss | undefined, output: readonly number[]): readonly number[] =>
  loss
    ?.targetType({ dtype: 'float32', shape: ['batch', ...output] })
    .shape.slice(1)
    .map(Number) ?? output;

function kindOf(model: Model, set: Dataset, output: readonly number[], loss?: Loss): LearningTask['kind'] {
  const { targets } = set;
  // Only a single input can be reproduced.
  const input = isUnnamed(set.inputs) ? set.inputs : undefined;
  const labels = targets.dtype === 'int64';
  const second = areClassesSecond(['batch', ...output], ['batch', ...targets.shape]);
  const classes = classCount(output, targets.shape);
  const takesLabels = loss === undefined || loss.targets === 'labels';
  if (labels && takesLabels && (second || String(output.slice(0, -1)) === String(targets.shape))) {
    const known = set.classes?.length;
    if (known === undefined || classes === known) return 'classification';
    // More logits than classes are allowed only with an explicit loss; fewer never are.
    if (loss !== undefined && classes > known) return 'classification';
  }
  if (!labels && loss?.softTargets && elementCount(output) === elementCount(targets.shape)) return 'classification';
  if (labels && loss?.targetRange?.only) {
    // They stand for classes: no such loss reproduces inputs.
    throw new OptionError(
      `the loss ${loss.name} takes targets that are ${rangeInWords(loss.targetRange)}, one for each output, and the data '${set.name}' have labels; ` +
        'give a loss of labels, such as softmax-cross-entropy, or give the targets as numbers',
    );
  }
  if (loss?.targets !== 'labels') {
    const wanted = elementCount(numbersFor(loss, output));
    if (!labels && wanted === elementCount(targets.shape)) return targets === input ? 'autoencoding' : 'regression';
    if (labels && input?.dtype === 'float32' && wanted === elementCount(input.shape)) return 'autoencoding';
  }
  const meaning = labels ? `labels of ${set.classes?.length ?? 'some'} classes` : 'numbers';
  const given = listInputs(set.inputs).map(([name, { dtype, shape }]) => {
    return `${name === undefined ? '' : `${name} `}${formatType({ dtype, shape })}`;
  });
  const known = set.classes?.length;
  const advice =
    labels && known !== undefined && takesLabels && classes !== known
      ? `give the model a last layer of ${known} classes: replaceHead(model, ${known}, seed), on the command line --new-head ${known}`
      : 'choose a model with one logit for each class, or one that gives back as many numbers as it takes';
  throw new OptionError(
    `the output of model '${model.name}' has the shape [batch, ${output.join(', ')}]${loss ? ` (loss ${loss.name})` : ''}, which fits ` +
      `neither the targets of '${set.name}' (${formatType({ dtype: targets.dtype, shape: targets.shape })} an example, ${meaning}) ` +
      `nor its inputs (${given.join(', ')}); ${advice}`,
  );
}
