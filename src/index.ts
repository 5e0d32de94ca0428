// `cgfac`: models, optimizers, losses, data and training, wherever there is an engine (`cgfac/node`, `cgfac/web`).
export { type KroneckerBlocks, kroneckerBlocks } from './curvature/kronecker-blocks.js';
export type { Augmentation } from './data/augment.js';
export {
  autoencoding,
  type DataSplits,
  type Dataset,
  dataset,
  type ExampleArray,
  onlyInput,
  type Task,
  withInputShape,
} from './data/dataset.js';
export { type DigitsOptions, drawnDigits } from './data/digits.js';
export { measureNormalization, measureTargetNormalization, type Normalization } from './data/normalization.js';
export { dataKinds, type LoadOptions, loadData } from './data/spec.js';
export type { Engine, Program, ProgramOptions } from './engine/engine.js';
export { CgfacError, FileError, GraphError, OptionError, TrainingError, UnsupportedError } from './errors.js';
export { type FineTuningOptions, fineTuned } from './finetune/fine-tuning.js';
export { replaceHead } from './finetune/head.js';
export { addLora, type LoraOptions } from './finetune/lora.js';
export { normalized } from './finetune/normalized.js';
export { type Selection, selectParameters } from './finetune/select.js';
export { withTargetNormalization } from './finetune/target-normalization.js';
export type { FileModel } from './graph/file-model.js';
export type { Model } from './graph/model.js';
export type { SaveOptions } from './graph/onnx-file.js';
export type { TensorData } from './graph/tensor.js';
export { lossNames } from './losses/index.js';
export type { LossName } from './losses/loss.js';
export { type GradientRequest, loadModel, saveModel, type ValueAndGradients, valueAndGradients } from './model.js';
export { type CharTransformerOptions, charTransformer } from './nn/char-transformer.js';
export { type LenetOptions, lenet } from './nn/lenet.js';
export { type ResnetOptions, resnet20 } from './nn/resnet.js';
export { type AutoencoderOptions, autoencoder, type MlpOptions, mlp } from './nn/zoo.js';
export { type AdamOptions, adam, adamw } from './optimizers/adam.js';
export { type CgfacOptions, cgfac } from './optimizers/cgfac.js';
export { type KfacOptions, kfac } from './optimizers/kfac.js';
export type { Optimizer } from './optimizers/optimizer.js';
export type { Schedule } from './optimizers/options.js';
export { type SgdOptions, sgd } from './optimizers/sgd.js';
export type { Evaluation, Experiment, Picture, ReportData, RunRecord, StepRecord } from './reporting/run-record.js';
export type { Target } from './training/judging.js';
export { DivergedError } from './training/run.js';
export { type LearningTask, learningTask } from './training/task.js';
export { type RunOptions, type TrainingResult, type TrainOptions, train } from './training/trainer.js';
