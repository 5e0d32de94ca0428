// Standardization inside a model before it is trained on a data set: of its input, and of the targets of a regression.
import { checkSplits, type DataSplits, type Dataset } from '../../data/dataset.js';
import { checkFinite, lostDigits, measureNormalization, measureTargetNormalization } from '../../data/normalization.js';
import { isUnnamed } from '../../graph/inputs.js';
import type { LossWord } from '../../losses/index.js';
import type { Loss } from '../../losses/loss.js';
import { normalizationOf, withNormalization } from '../../model/edit/normalize.js';
import { endsInLayer, targetNormalizationOf, withTargetNormalization } from '../../model/edit/target-normalization.js';
import { meaningOf, withMeaning } from '../../model/meaning.js';
import { checkModel, type Model } from '../../model/model.js';
import type { Normalization } from '../../normalization.js';
import { alignedSplits, learnedMeaning } from './meaning.js';
import { type LearningTask, learningTask } from './task.js';

export interface StandardizationOptions {
  /**
   * Standardizes inside the model: its input becomes (x − mean) / deviation. In a regression by squared or absolute error f
   * learns (y − mean) / deviation, and the model predicts deviation · f(x) + mean. Means and deviations are those of the
   * training set, for each column of a table. They are part of the returned model and of its file, whose inputs and
   * predictions are in the units of the data.
   *
   * True: the input, and the targets of a regression of a model that ends in a layer. By default the same, but only for tables
   * (one input of real numbers with one axis, no pictures), and not for models that were loaded from a file or trained before,
   * whose weights fit inputs as they are, nor for models that normalize already. False: nothing. A mean and a deviation: the
   * input, by these.
   */
  readonly normalize?: boolean | Normalization;
  /** By default the loss that suits the model's end and the data; see `learningTask`. */
  readonly loss?: Loss | LossWord;
}

/** A model to train, with its task and its normalizations. */
export interface StandardizedTask {
  readonly model: Model;
  readonly task: LearningTask;
  /** The normalization of the input. */
  readonly inputs?: Normalization;
  /** The normalization of the targets. */
  readonly targets?: Normalization;
  /** Sentences that a user should read about the data. */
  readonly warnings: readonly string[];
}

/**
 * Return the model with its normalizations and with the meaning that its numbers get from the data, and its task.
 * @throws OptionError if the data do not fit the model, hold a number that is not finite, or cannot be normalized as requested
 */
export function standardizedTask(
  given: Model,
  splits: DataSplits,
  options: StandardizationOptions = {},
): StandardizedTask {
  checkModel('train', given);
  checkSplits(splits);
  const known = meaningOf(given);
  const { data, warnings } = alignedSplits(known, splits);
  const made = standardized(given, data, options);
  const model = withMeaning(made.model, learnedMeaning(known, made.task, data.train));
  return { ...made, model, warnings: [...warnings, ...made.warnings] };
}

function standardized(given: Model, data: DataSplits, { normalize, loss }: StandardizationOptions): StandardizedTask {
  const task = learningTask(given, data, loss);
  const { train } = data;
  // The test set, too: a loss of NaN there would look like a model that diverged.
  for (const set of [train, data.test, ...(data.validation ? [data.validation] : [])]) checkFinite(set);
  const usual = isTable(given, train) && !given.isPretrained && !normalizesAlready(given);
  const measures = normalize ?? usual;
  const warnings = [...task.warnings];
  if (measures === false) return { model: given, task, warnings };
  if (measures !== true) return { model: withNormalization(given, measures), task, inputs: measures, warnings };
  const inputs = measureNormalization(train);
  const model = withNormalization(given, inputs);
  warnings.push(...lostDigits(inputs, train.name, 'inputs'));
  if (!isRegression(given, task)) return { model, task, inputs, warnings };
  if (!task.loss.inUnits) {
    // Targets of a range of their own belong to the loss as they are.
    if (task.kind === 'regression' && !task.loss.targetRange) warnings.push(notStandardized(train, task.loss));
    return { model, task, inputs, warnings };
  }
  const targets = measureTargetNormalization(task.data.train);
  warnings.push(...lostDigits(targets, train.name, 'targets'));
  return { model: withTargetNormalization(model, targets), task, inputs, targets, warnings };
}

const notStandardized = ({ name }: Dataset, loss: Loss): string =>
  `The targets of '${name}' are learned as they are, not standardized as the inputs: the loss ${loss.name} has no inUnits. If they are far from the size of 1, scale them, or give the loss its formula for other units.`;

const normalizesAlready = (model: Model): boolean =>
  normalizationOf(model) !== undefined || targetNormalizationOf(model) !== undefined;

/** Whether the model takes the rows of real numbers as they are; not pixels, which have a common scale. */
function isTable({ graph }: Model, set: Dataset): boolean {
  if (!isUnnamed(set.inputs) || set.picture) return false;
  const { dtype, shape, ...column } = set.inputs;
  const [input, ...others] = graph.inputs;
  const [, columns, ...more] = input?.shape ?? [];
  const takesRows = others.length === 0 && more.length === 0 && columns === shape[0];
  return dtype === 'float32' && !('scale' in column) && shape.length === 1 && takesRows;
}

/** Whether a task is to predict numbers of any size: not the pixels of pictures, which have a common scale. */
const isRegression = (model: Model, { kind, data: { train } }: LearningTask): boolean =>
  (kind === 'regression' || isTable(model, train)) && endsInLayer(model);
