// The plan of a run, for `train`, `compare` and `demo`: a model, data and options, checked before anything is computed.
import { overlapOf } from '../data/dataset.js';
import { oversampled } from '../data/sampling.js';
import { loadData } from '../data/spec.js';
import { OptionError } from '../errors.js';
import { elementCount } from '../graph/tensor.js';
import { fineTuned } from '../model/edit/fine-tuning.js';
import { normalizedInput } from '../model/edit/normalize.js';
import type { Model } from '../model/model.js';
import { describeNormalization, type Normalization } from '../normalization.js';

import type { UnfreezingOptions } from '../optimizers/unfreezing.js';
import type { BatchOptions } from '../training/batch-options.js';

import { resolveTarget } from '../training/evaluation/schedule.js';
import { splitsOf } from '../training/evaluation/splits.js';
import { monitoredValue } from '../training/monitor.js';
import { type PlannedRun, plannedRun } from '../training/planned-run.js';
import type { Experiment, RunRecord } from '../training/run-record.js';
import { weightedByClass } from '../training/task/class-weights.js';
import { standardizedTask } from '../training/task/standardization.js';
import type { LearningTask } from '../training/task/task.js';
import { type RunOptions, runMetrics, settingOf } from '../training/trainer.js';
import type { RunFlags } from './flags.js';
import { modelTitle, openModel } from './models.js';
import { type ChosenOptimizer, chooseOptimizer, type SharedOptions } from './optimizers.js';
import { steered } from './steering-flags.js';
import { overfitSteps, steeredData, stoppingOptions } from './stopping-flags.js';
import { unfreezingOf, unfrozenLater } from './unfreezing.js';

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
  /** Examples of a step. */
  readonly batchSize: number;
  /** The same as the options of a run. */
  readonly batches: BatchOptions;
  /** Steps of each run. */
  readonly total: number;
  /** Notes to print before the first step, a line each. */
  readonly notes: readonly string[];
  readonly flags: RunFlags;
  /** What waits before it is trained. */
  readonly unfreezing?: UnfreezingOptions;
}

/** For data without overlap; in overlapping windows over a text, one pass shows each character several times. */
const defaultEpochs = 5;

const autoForOne =
  '--batch-size auto finds a size for one optimizer: use it with cgfac train, and give the number here';

/** Make a plan. @param load loads the data: another one, if several plans share them */
export async function makePlan(modelName: string, flags: RunFlags, load = loadData): Promise<Plan> {
  const { seed } = flags;
  if (flags.batchSize === 'auto') throw new OptionError(autoForOne);
  const create = await openModel(modelName);
  const splits = await load(flags.data, { seed, ...(create.inputs && { modelInputs: create.inputs }) });
  const { train, freeze, newHead, lora } = flags;
  const tuning = {
    ...(train && { train }),
    ...(freeze && { freeze }),
    ...(newHead !== undefined && { newHead }),
    ...(lora !== undefined && { lora }),
  };
  const { unfreezeAfter } = flags;
  const whole = create(seed, splits.train);
  const later = unfreezeAfter === undefined ? undefined : unfrozenLater(whole, { ...tuning, seed });
  const tuned = later?.model ?? fineTuned(whole, { ...tuning, seed });
  const standardized = standardizedTask(tuned, steeredData(splits, flags, seed), flags);
  const { model, inputs, targets, warnings } = standardized;
  const task = weightedByClass(standardized.task, flags.classWeights);
  const metrics = runMetrics(task, flags);
  if (flags.target) resolveTarget(flags.target, metrics, splitsOf(task.data));
  monitoredValue(task, metrics, stoppingOptions(flags));
  const wanted = flags.batchSize ?? (task.kind === 'autoencoding' ? 500 : 128);
  const epochs = flags.epochs ?? defaultEpochs / overlapOf(splits.train);
  const steps = flags.steps ?? (flags.overfit !== undefined && flags.epochs === undefined ? overfitSteps : undefined);
  const length = steps === undefined ? { epochs } : { steps };
  const { accumulate = 1 } = flags;
  const variation = { batchSize: wanted, accumulate, seed, ...variationOf(flags) };
  const planned = plannedRun(task, { ...variation, ...length });
  const { steps: total, batchSize } = planned;
  const batches = { batchSize: batchSize / accumulate, accumulate };
  const isSmaller = batchSize < accumulate * wanted && flags.overfit === undefined;
  const notes = isSmaller ? [smallerBatches(planned, { batchSize: wanted, accumulate })] : [];
  const title = modelTitle(modelName);
  const unfreezing =
    later && unfreezingOf(later.waiting, plannedRun(task, { ...variation, epochs: unfreezeAfter ?? 0 }).steps, total);
  return {
    ...{ title, dataSpec: flags.data, model, task, batches, batchSize, total, flags, warnings, notes },
    ...(inputs && { normalization: inputs }),
    ...(targets && { targetNormalization: targets }),
    ...(unfreezing && { unfreezing }),
  };
}

/** What the flags say of the examples that a step sees. */
const variationOf = ({ augment, oversample }: RunFlags): Pick<RunOptions, 'augment' | 'sampling'> => ({
  ...(augment && { augment }),
  ...(oversample && { sampling: oversampled() }),
});

/** What training takes of a plan, but for its engine and its optimizer. */
export const runOptionsOf = ({ batches, total, flags }: Plan): Omit<RunOptions, 'engine' | 'optimizer'> => ({
  ...batches,
  steps: total,
  seed: flags.seed,
  ...variationOf(flags),
  ...(flags.average && { average: flags.average }),
  ...(flags.metrics && { metrics: flags.metrics }),
  ...(flags.target && { target: flags.target }),
  ...stoppingOptions(flags),
  ...(flags.evaluateEvery !== undefined && { evaluateEvery: flags.evaluateEvery }),
  ...(flags.evaluationExamples !== undefined && { evaluationExamples: flags.evaluationExamples }),
});

function smallerBatches(
  { batchSize: rows, stepsPerEpoch, examples }: PlannedRun,
  { batchSize, accumulate }: Required<BatchOptions>,
): string {
  const wanted = `${accumulate > 1 ? `${accumulate} batches` : 'a batch'} of ${batchSize}`;
  return stepsPerEpoch === 1
    ? `Each step takes all ${examples} training examples: there are fewer than ${wanted}.`
    : `An epoch is ${stepsPerEpoch} steps of at most ${rows} examples, not ${wanted}, so that all steps have about as many.`;
}

/** @param isOneOfSeveral whether a schedule that has no effect on this optimizer may concern others */
export function optimizerFor(plan: Plan, spec: string, shared: SharedOptions, isOneOfSeveral = false): ChosenOptimizer {
  const setting = settingOf(plan.model, plan.task, plan.batchSize);
  const { label, optimizer } = chooseOptimizer(spec, shared, setting);
  return { label, optimizer: steered(optimizer, spec, { ...plan, setting }, isOneOfSeveral) };
}

/** Return what distinguishes a run from others: the words of the command line. @param label the optimizer with its options */
export function hyperParametersOf(
  { title, dataSpec, batchSize, total, flags }: Plan,
  label: string,
): Record<string, string | number> {
  const [optimizer = label, ...options] = label.split(':');
  const own = options.flatMap((option): [string, string | number][] => {
    const [, name = '', text = ''] = /^([^=]+)=(.*)$/.exec(option) ?? [];
    return name === '' ? [] : [[name, Number.isFinite(Number(text)) && text !== '' ? Number(text) : text]];
  });
  return {
    ...{ model: title, data: dataSpec, optimizer, 'batch-size': batchSize, steps: total, seed: flags.seed },
    ...(typeof flags.learningRate === 'number' && { 'learning-rate': flags.learningRate }),
    ...(typeof flags.damping === 'number' && { damping: flags.damping }),
    ...(flags.rank !== undefined && { rank: flags.rank }),
    ...Object.fromEntries(own),
  };
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
