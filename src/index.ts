// `cgfac`: models, optimizers, losses, data and training, wherever there is an engine (`cgfac/node`, `cgfac/web`).

export {
  type GradientRequest,
  type LoadModelOptions,
  loadModel,
  saveModel,
  type ValueAndGradients,
  valueAndGradients,
} from './api/model.js';
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
export { type DigitsOptions, drawnDigits } from './data/digits/digits.js';
export { measureNormalization, measureTargetNormalization } from './data/normalization.js';
export { dataKinds, type LoadOptions, loadData } from './data/spec.js';
export type { Engine, Program, ProgramOptions } from './engine/engine.js';
export { CgfacError, FileError, GraphError, OptionError, TrainingError, UnsupportedError } from './errors.js';
export type { TensorData } from './graph/tensor.js';
export { lossNames } from './losses/index.js';
export type { LossName } from './losses/loss.js';
export { type FineTuningOptions, fineTuned } from './model/edit/fine-tuning.js';
export { replaceHead } from './model/edit/head.js';
export { addLora, type LoraOptions } from './model/edit/lora.js';
export { normalized } from './model/edit/normalize.js';
export { type Selection, selectParameters } from './model/edit/select.js';
export { withTargetNormalization } from './model/edit/target-normalization.js';
export type { FileModel } from './model/file-model.js';
export type { Model } from './model/model.js';
export { type CharTransformerOptions, charTransformer } from './nn/char-transformer.js';
export { type LenetOptions, lenet } from './nn/lenet.js';
export { type ResnetOptions, resnet20 } from './nn/resnet.js';
export { type AutoencoderOptions, autoencoder, type MlpOptions, mlp } from './nn/zoo.js';
export type { Normalization } from './normalization.js';
export type { SaveOptions } from './onnx/file.js';
export { composedOperator } from './ops/composed.js';
export {
  type Expansion,
  type ExpansionContext,
  type GradientContext,
  type GradientRule,
  noGradient,
  type OpDefinition,
  type OperatorTraits,
} from './ops/definition.js';
export { type AdamOptions, adam, adamw } from './optimizers/adam.js';
export type { Optimizer } from './optimizers/optimizer.js';
export type { Schedule } from './optimizers/options.js';
export { type CgfacOptions, cgfac } from './optimizers/second-order/cgfac.js';
export { type KfacOptions, kfac } from './optimizers/second-order/kfac.js';
export { type SgdOptions, sgd } from './optimizers/sgd.js';
export type { Target } from './training/evaluation/schedule.js';
export { DivergedError } from './training/run.js';
export type { Evaluation, Experiment, Picture, ReportData, RunRecord, StepRecord } from './training/run-record.js';
export { type LearningTask, learningTask } from './training/task/task.js';
export { type RunOptions, type TrainingResult, type TrainOptions, train } from './training/trainer.js';
