/**
 * `cgfac`: models, optimizers, losses, data and training. Where a function computes and is given no engine, it makes one:
 * ONNX Runtime's native one in Node (package onnxruntime-node), its WebAssembly elsewhere (package onnxruntime-web).
 * `cgfac/node` and `cgfac/web` have the same names and add their engines.
 * @module
 */

export { type EvaluateOptions, evaluate } from './api/evaluate.js';
export type { ArrayLike, ModelInputs, NestedArray } from './api/given.js';
export { type JvpRequest, type JvpResult, jvp } from './api/jvp.js';
export { loadModel, saveModel } from './api/load-save.js';
export { type PredictOptions, predict, toNestedArray } from './api/predict.js';
export { type TrainOptions, train } from './api/train.js';
export { type GradientRequest, type ValueAndGradients, valueAndGradients } from './api/value-and-gradients.js';
export { type VjpRequest, type VjpResult, vjp } from './api/vjp.js';
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
export { measureNormalization, measureTargetNormalization, type Normalization } from './data/normalization.js';
export { dataKinds, type LoadOptions, loadData } from './data/spec.js';
export type { Engine, Program, ProgramOptions } from './engine/engine.js';
export { EngineError } from './engine/host/host.js';
export { CgfacError, FileError, GraphError, OptionError, TrainingError, UnsupportedError } from './errors.js';
export type { NodeOptions } from './graph/builder.js';
export {
  type Attribute,
  type Attributes,
  attribute,
  type Dimension,
  type Graph,
  type Node,
  type Shape,
  type TensorType,
  Value,
} from './graph/graph.js';
export type { DataType, TensorData, TypedArray } from './graph/tensor.js';
export type { RuntimeTensor, TensorLike } from './graph/tensor-like.js';
export { type BinaryCrossEntropyOptions, binaryCrossEntropy } from './losses/binary-cross-entropy.js';
export { type CrossEntropyOptions, crossEntropy } from './losses/cross-entropy.js';
export { type BinaryFocalOptions, binaryFocal, type FocalOptions, focal } from './losses/focal.js';
export { type HingeOptions, hinge } from './losses/hinge.js';
export { type HuberOptions, huber } from './losses/huber.js';
export { type LossWord, lossNames, lossOf } from './losses/index.js';
export type { Loss, LossLikelihood } from './losses/loss.js';
export { meanAbsoluteError } from './losses/mean-absolute-error.js';
export { meanSquaredError } from './losses/mean-squared-error.js';
export { type PoissonOptions, poisson } from './losses/poisson.js';
export { weightedMean } from './losses/reduction.js';
export { accuracy } from './metrics/accuracy.js';
export { type CalibrationOptions, calibrationError } from './metrics/calibration-error.js';
export { confusionMatrix } from './metrics/confusion-matrix.js';
export { type MetricWord, metricNames } from './metrics/index.js';
export { logLoss, perplexity } from './metrics/log-loss.js';
export { mae } from './metrics/mae.js';
export type { Judged, Metric, Numbers } from './metrics/metric.js';
export { mse, rmse } from './metrics/mse.js';
export { type AverageOptions, balancedAccuracy, f1, precision, recall } from './metrics/precision-recall.js';
export { r2 } from './metrics/r2.js';
export { averagePrecision, type RankingOptions, rocAuc } from './metrics/ranking.js';
export { squaredError } from './metrics/squared-error.js';
export { topK } from './metrics/top-k.js';
export { type FineTuningOptions, fineTuned } from './model/edit/fine-tuning.js';
export { replaceHead } from './model/edit/head.js';
export { addLora, type LoraOptions } from './model/edit/lora.js';
export { normalized } from './model/edit/normalize.js';
export { type Selection, selectParameters } from './model/edit/select.js';
export { withTargetNormalization } from './model/edit/target-normalization.js';
export type { FileModel } from './model/file-model.js';
export type { Model } from './model/model.js';
export { type Activation, type ActivationName, activations } from './nn/activations.js';
export type { AttentionOptions } from './nn/attention.js';
export { type CharTransformerOptions, charTransformer } from './nn/char-transformer.js';
export { type Initialization, initializations, type WeightInitialization } from './nn/initialization.js';
export { type LenetOptions, lenet } from './nn/lenet.js';
export {
  type BatchNormalizationOptions,
  type ConvolutionOptions,
  type DenseLayerOptions,
  Network,
  type NetworkOptions,
  type NormalizationOptions,
  type PoolingOptions,
  type TransposedConvolutionOptions,
} from './nn/network.js';
export { type ResnetOptions, resnet20 } from './nn/resnet.js';
export { type AutoencoderOptions, autoencoder, type MlpOptions, mlp } from './nn/zoo.js';
export type { SaveOptions } from './onnx/file.js';
export { Builder } from './ops/builder.js';
export { type AdamOptions, adam, adamw } from './optimizers/adam.js';
export type { Controller, Optimizer, Setting, StepContext } from './optimizers/optimizer.js';
export type { Schedule } from './optimizers/options.js';
export { type CgfacOptions, cgfac } from './optimizers/second-order/cgfac.js';
export { type KfacOptions, kfac } from './optimizers/second-order/kfac.js';
export { type SgdOptions, sgd } from './optimizers/sgd.js';
export type { Target } from './training/evaluation/schedule.js';
export { DivergedError } from './training/run.js';
export type { Evaluation, Experiment, Picture, ReportData, RunRecord, StepRecord } from './training/run-record.js';
export { type LearningTask, learningTask } from './training/task/task.js';
export type { TrainingResult } from './training/trainer.js';
