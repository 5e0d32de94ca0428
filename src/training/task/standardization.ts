// What is standardized inside a model before it is trained on a data set: its input, and the targets of a regression.
import type { DataSplits, Dataset } from '../../data/dataset.js';
import { checkFinite, lostDigits, measureNormalization, measureTargetNormalization } from '../../data/normalization.js';
import { isUnnamed } from '../../graph/inputs.js';
import type { LossWord } from '../../losses/index.js';
import type { Loss } from '../../losses/loss.js';
import { normalizationOf, withNormalization } from '../../model/edit/normalize.js';
import { endsInLayer, targetNormalizationOf, withTargetNormalization } from '../../model/edit/target-normalization.js';
import type { Model } from '../../model/model.js';
import type { Normalization } from '../../normalization.js';
import { type LearningTask, learningTask } from './task.js';

export interface StandardizationOptions {
  /**
   * Standardizes inside the model: its input becomes (x − mean) / deviation, and of a regression by squared or absolute error f learns
   * (y − mean) / deviation and the model predicts deviation · f(x) + mean; means and deviations are those of the training
   * set, per column of tables. It becomes part of the model that is returned, and of its file: whoever runs that gives it
   * values as the data have them and gets predictions in their units.
   *
   * True: the input, and the targets of a regression of a model that ends in a layer. By default the same, but for tables
   * only (one input of real numbers with one axis, no pictures), and neither for models that were loaded from a file or
   * trained before, whose weights belong to inputs as they are, nor for models that normalize already. False: nothing. A mean and a
   * deviation: the input, by these.
   */
  readonly normalize?: boolean | Normalization;
  /** By default what the model's end and the data suggest; see `learningTask`. */
  readonly loss?: Loss | LossWord;
}

/** A model to train, with its task and what was standardized in it. */
export interface StandardizedTask {
  readonly model: Model;
  readonly task: LearningTask;
  /** What the model takes out of its input. */
  readonly inputs?: Normalization;
  /** What it adds to its predictions. */
  readonly targets?: Normalization;
  /** What a person should know about the data. */
  readonly warnings: readonly string[];
}

/** @throws OptionError where the data do not fit the model or hold a number that is not finite, in either set, or cannot be normalized as was asked for */
export function standardizedTask(
  given: Model,
  data: DataSplits,
  { normalize, loss }: StandardizationOptions = {},
): StandardizedTask {
  const task = learningTask(given, data, loss);
  const { train } = data;
  // Of the test set too: a loss of NaN there would look like a model that diverged.
  for (const set of [train, data.test]) checkFinite(set);
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

/** Rows of real numbers, taken by a model as they are: not pixels, which have a scale of their own. */
function isTable({ graph }: Model, set: Dataset): boolean {
  if (!isUnnamed(set.inputs) || set.picture) return false;
  const { dtype, shape, ...column } = set.inputs;
  const [input, ...others] = graph.inputs;
  const [, columns, ...more] = input?.shape ?? [];
  const takesRows = others.length === 0 && more.length === 0 && columns === shape[0];
  return dtype === 'float32' && !('scale' in column) && shape.length === 1 && takesRows;
}

/** Whether a task is to predict numbers of any size. Pictures are reproduced as they are: their pixels have one scale. */
const isRegression = (model: Model, { kind, data: { train } }: LearningTask): boolean =>
  (kind === 'regression' || isTable(model, train)) && endsInLayer(model);
