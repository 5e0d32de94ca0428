// The plan of a run, for `train`, `compare` and `demo`: a model, data and options, checked before anything is computed.
import { type DataSplits, overlapOf } from '../data/dataset.js';
import { loadData } from '../data/spec.js';
import { elementCount } from '../graph/tensor.js';
import { fineTuned } from '../model/edit/fine-tuning.js';
import { normalizedInput } from '../model/edit/normalize.js';
import type { Model } from '../model/model.js';
import { describeNormalization, type Normalization } from '../normalization.js';
import { resolveTarget } from '../training/evaluation/schedule.js';
import { splitsOf } from '../training/evaluation/splits.js';
import type { Experiment, RunRecord } from '../training/run-record.js';
import { standardizedTask } from '../training/task/standardization.js';
import type { LearningTask } from '../training/task/task.js';
import { monitoredValue, plannedSteps, runMetrics, settingOf } from '../training/trainer.js';
import type { RunFlags } from './flags.js';
import { modelTitle, openModel } from './models.js';
import { type ChosenOptimizer, chooseOptimizer, type SharedOptions } from './optimizers.js';
import { overfitSteps, steeredData, stoppingOptions } from './stopping-flags.js';

/** A model, a task, and what is decided before the first step. */
export interface Plan {
  readonly title: string;
  readonly dataSpec: string;
  readonly model: Model;
  /** The normalization of the model's input. */
  readonly normalization?: Normalization;
  /** The normalization of its targets. */
  readonly targetNormalization?: Normalization;
  /** Warnings about the data, a sentence each. */
  readonly warnings: readonly string[];
  readonly task: LearningTask;
  readonly batchSize: number;
  /** Steps of each run. */
  readonly total: number;
  /** Notes to print before the first step, a line each. */
  readonly notes: readonly string[];
  readonly flags: RunFlags;
}

/** For data without overlap; in overlapping windows over a text, one pass shows each character several times. */
const defaultEpochs = 5;

/** Make a plan. @param data loaded already, if several plans share it */
export async function makePlan(modelName: string, flags: RunFlags, data?: DataSplits): Promise<Plan> {
  const { seed } = flags;
  const create = await openModel(modelName);
  const splits = data ?? (await loadData(flags.data, { seed, ...(create.inputs && { modelInputs: create.inputs }) }));
  const { train, freeze, newHead, lora } = flags;
  const tuning = {
    ...(train && { train }),
    ...(freeze && { freeze }),
    ...(newHead !== undefined && { newHead }),
    ...(lora !== undefined && { lora }),
  };
  const tuned = fineTuned(create(seed, splits.train), { ...tuning, seed });
  const { model, task, inputs, targets, warnings } = standardizedTask(tuned, steeredData(splits, flags, seed), flags);
  const metrics = runMetrics(task, flags);
  if (flags.target) resolveTarget(flags.target, metrics, splitsOf(task.data));
  monitoredValue(task, metrics, stoppingOptions(flags));
  const wanted = flags.batchSize ?? (task.kind === 'autoencoding' ? 500 : 128);
  const { size } = task.data.train;
  const batchSize = Math.min(wanted, size);
  const notes =
    batchSize < wanted && flags.overfit === undefined
      ? [`Each step takes all ${size} training examples: there are fewer than a batch of ${wanted}.`]
      : [];
  const epochs = flags.epochs ?? defaultEpochs / overlapOf(splits.train);
  const steps = flags.steps ?? (flags.overfit !== undefined && flags.epochs === undefined ? overfitSteps : undefined);
  const length = steps === undefined ? { epochs } : { steps };
  const augment = flags.augment && { augment: flags.augment };
  const total = plannedSteps(task, { batchSize, seed, ...augment, ...length });
  const title = modelTitle(modelName);
  return {
    ...{ title, dataSpec: flags.data, model, task, batchSize, total, flags, warnings, notes },
    ...(inputs && { normalization: inputs }),
    ...(targets && { targetNormalization: targets }),
  };
}

export function optimizerFor({ model, task, batchSize }: Plan, spec: string, shared: SharedOptions): ChosenOptimizer {
  return chooseOptimizer(spec, shared, settingOf(model, task, batchSize));
}

/** Return sentences about the normalizations in the model and their numbers. */
export function standardizationLines({ model, normalization, targetNormalization }: Plan): string[] {
  const input = model.graph.inputs.length > 1 ? `its input '${normalizedInput(model)}'` : 'its input';
  const lines: string[] = [];
  if (normalization) {
    const by = describeNormalization(normalization);
    lines.push(`The model normalizes ${input} itself (${by}): give it values in the units of the data.`);
  }
  if (targetNormalization) {
    const by = describeNormalization(targetNormalization);
    lines.push(`It learned standardized targets (${by}) and predicts in the units of the data.`);
  }
  return lines;
}

/** Return the plan and its runs as reports take them. */
export function experimentOf(
  { title, dataSpec, model, batchSize, flags, normalization, targetNormalization }: Plan,
  runs: readonly RunRecord[],
): Experiment {
  const parameters = [...model.parameters.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);
  const { target } = flags;
  const standardized = [
    ...(normalization ? [`inputs (${describeNormalization(normalization)})`] : []),
    ...(targetNormalization ? [`targets (${describeNormalization(targetNormalization)})`] : []),
  ];
  return {
    ...{ model: title, data: dataSpec, parameters, batchSize, runs },
    ...(standardized.length > 0 && { standardized }),
    ...(target && { target }),
  };
}
