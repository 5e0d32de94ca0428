// Training with checkpoints: what a run is made of, and warnings at once about checkpoints that cannot be written or read.
import { availableParallelism } from 'node:os';
import { describeRuntime } from '../engine/node-runtime.js';
import type { Model } from '../model/model.js';
import { checkTrainOptions } from '../training/train-options.js';
import { type TrainingResult, type TrainOptions, train } from '../training/trainer.js';
import { type CheckpointedOptions, type Origin, withCheckpoints } from './checkpointing.js';
import { dataFingerprint, modelFingerprint, optionWords } from './fingerprints.js';
import { packageVersion } from './package-version.js';

/** Options that may differ if a run goes on: they say how long it is, where it computes and who watches. */
const free: ReadonlySet<string> = new Set(['steps', 'epochs', 'maxTime', 'signal', 'callbacks', 'engine', 'data']);

/**
 * @param threads of an engine that was made for this training
 * @throws what `train` and `withCheckpoints` throw
 */
export async function trainWithCheckpoints(
  model: Model,
  options: TrainOptions,
  { threads, ...persistence }: CheckpointedOptions & { readonly threads: number | undefined },
): Promise<TrainingResult> {
  checkTrainOptions(model, options);
  const warnings: string[] = [];
  const warn = (line: string) => {
    warnings.push(line);
    process.emitWarning(line, 'CheckpointWarning');
  };
  const origin = async (): Promise<Origin> => ({
    versions: { cgfac: await packageVersion(), ...(await runtimeVersion()) },
    engine: options.engine.name,
    threads: threads ?? availableParallelism(),
    data: dataFingerprint(options.data),
    model: modelFingerprint(model),
    options: optionWords(options, free),
  });
  const result = await withCheckpoints(persistence, origin, warn, (persisted) => train(model, options, persisted));
  return { ...result, warnings: [...result.warnings, ...warnings] };
}

/** The version of the native runtime; empty if another one computes and it is not installed. */
async function runtimeVersion(): Promise<{ readonly onnxruntime?: string }> {
  try {
    return { onnxruntime: (await describeRuntime()).version };
  } catch {
    return {};
  }
}
