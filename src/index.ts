/**
 * `cgfac`: models, optimizers, losses, data and training. A function that computes without a given engine makes one: ONNX
 * Runtime's native one in Node (package onnxruntime-node), its WebAssembly elsewhere (package onnxruntime-web).
 * `cgfac/node` and `cgfac/web` have the same names and add their engines.
 * @module
 */

export type { CheckpointOptions, ResumeOptions } from './api/checkpointing.js';
export { type EvaluatedModel, type EvaluateOptions, evaluate } from './api/evaluate.js';
export { type FindLearningRateOptions, findLearningRate } from './api/find-learning-rate.js';
export { type GenerateOptions, generateText } from './api/generate.js';
export type { ArrayLike, ModelInputs, NestedArray } from './api/given.js';
export { type JvpRequest, type JvpResult, jvp } from './api/jvp.js';
export { type LoadModelOptions, loadModel, saveModel } from './api/load-save.js';
export { type PredictOptions, predict, rowsOf, toNestedArray } from './api/predict.js';
export { type PredictionInputs, type PredictionsOptions, predictions } from './api/predictions.js';
export type {
  ClassPrediction,
  ClassShare,
  NumbersPrediction,
  PositionsPrediction,
  Prediction,
} from './api/readout.js';
export { type TrainOptions, train } from './api/train.js';
export { type GradientRequest, type ValueAndGradients, valueAndGradients } from './api/value-and-gradients.js';
export { type VjpRequest, type VjpResult, vjp } from './api/vjp.js';
export {
  denseInputSide,
  denseOutputSide,
  diagonalInputSide,
  type InputSide,
  identityOutputSide,
  inputRowsSide,
  type OutputSide,
  outputRowsSide,
} from './curvature/factors/sides.js';
export {
  curvaturePropagation,
  empirical,
  exact,
  type Fisher,
  type FisherInput,
  inputOnly,
  type SampledOptions,
  sampled,
} from './curvature/fisher.js';
export type { FisherSample } from './curvature/fisher-sample.js';
export type { KroneckerBlock } from './curvature/kronecker-block.js';
export { type KroneckerBlockOptions, type KroneckerBlocks, kroneckerBlocks } from './curvature/kronecker-blocks.js';
export {
  type Application,
  axisRows,
  type BiasPart,
  type LayerKind,
  type LayerUse,
  layerKinds,
  type Reading,
} from './curvature/layers/index.js';
export type { Examples } from './data/align.js';
export type { Augmentation } from './data/augment.js';
export { type Batch, type BatchArray, batchOf, type ExampleTensors } from './data/batches.js';
export type { ClassWeights } from './data/class-weights.js';
export {
  type DataSplits,
  type Dataset,
  dataset,
  type ExampleArray,
  onlyInput,
  type Parts,
  type Task,
} from './data/dataset.js';
export { type DigitsOptions, drawnDigits } from './data/digits/digits.js';
export { measureNormalization, measureTargetNormalization } from './data/normalization.js';
export { type ExampleOrder, oversampled, type Sampling } from './data/sampling.js';
export { dataKinds, type LoadOptions, loadData } from './data/spec.js';
export { type ValidationOptions, withValidation } from './data/split.js';
export { type ExampleSource, type StreamOptions, streamed } from './data/stream.js';
export { autoencoding, withInputShape } from './data/views.js';
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
export { gaussian } from './losses/gaussian.js';
export { type HingeOptions, hinge } from './losses/hinge.js';
export { type HuberOptions, huber } from './losses/huber.js';
export { type LossWord, lossNames, lossOf } from './losses/index.js';
export type { Loss, LossLikelihood, TargetRange } from './losses/loss.js';
export { meanAbsoluteError } from './losses/mean-absolute-error.js';
export { meanSquaredError } from './losses/mean-squared-error.js';
export { type PoissonOptions, poisson } from './losses/poisson.js';
export { weightedMean } from './losses/reduction.js';
export type { HeldOut, Meaning, NamedColumn, PictureMeaning } from './meaning.js';
export { accuracy } from './metrics/accuracy.js';
export { type CalibrationOptions, calibrationError } from './metrics/calibration-error.js';
export { confusionMatrix } from './metrics/confusion-matrix.js';
export { type MetricWord, metricNames } from './metrics/index.js';
export { logLoss, perplexity } from './metrics/log-loss.js';
export { mae } from './metrics/mae.js';
export type { EvaluatedBatch, Metric, Numbers } from './metrics/metric.js';
export { mse, rmse } from './metrics/mse.js';
export { type AverageOptions, balancedAccuracy, f1, precision, recall } from './metrics/precision-recall.js';
export { r2 } from './metrics/r2.js';
export { averagePrecision, type RankingOptions, rocAuc } from './metrics/ranking.js';
export { squaredError } from './metrics/squared-error.js';
export { ratio, sumOver, type WeightedSum } from './metrics/sums.js';
export { topK } from './metrics/top-k.js';
export { type FineTuningOptions, fineTuned } from './model/edit/fine-tuning.js';
export { replaceHead } from './model/edit/head.js';
export { addLora, type LoraOptions } from './model/edit/lora.js';
export { withNormalization } from './model/edit/normalize.js';
export { type Selection, selectParameters } from './model/edit/select.js';
export { withTargetNormalization } from './model/edit/target-normalization.js';
export type { FileModel } from './model/file-model.js';
export { meaningOf, withMeaning } from './model/meaning.js';
export type { Model } from './model/model.js';
export { type Activation, type ActivationName, activations } from './nn/activations.js';
export type { AttentionOptions } from './nn/attention.js';
export { type CharTransformerOptions, charTransformer } from './nn/char-transformer.js';
export type { ConvolutionOptions, PoolingOptions, TransposedConvolutionOptions } from './nn/convolution.js';
export { type Initialization, initializations, type WeightInitialization } from './nn/initialization.js';
export { type LenetOptions, lenet } from './nn/lenet.js';
export {
  type BatchNormalizationOptions,
  type DenseLayerOptions,
  Network,
  type NetworkOptions,
  type NormalizationOptions,
} from './nn/network.js';
export type { Recurrence, RecurrentOptions } from './nn/recurrent.js';
export { type ResnetOptions, resnet20 } from './nn/resnet.js';
export { type AutoencoderOptions, autoencoder, type MlpOptions, mlp } from './nn/zoo.js';
export type { Normalization } from './normalization.js';
export type { SaveOptions } from './onnx/file.js';
export { Builder } from './ops/builder.js';
export { composedOperator } from './ops/composed.js';
export {
  type Expansion,
  type ExpansionContext,
  type GradientContext,
  type GradientRule,
  noGradient,
  type OpDefinition,
  type OperatorTraits,
  type PullBack,
} from './ops/definition.js';
export { type AdadeltaOptions, adadelta, type DeltaOptions, scaleByAdadelta } from './optimizers/adadelta.js';
export { type AdagradOptions, adagrad, type SquareSumOptions, scaleByAdagrad } from './optimizers/adagrad.js';
export { type AdahessianOptions, adahessian, type HessianOptions, scaleByHessian } from './optimizers/adahessian.js';
export { type AdamOptions, adam, adamw, scaleByAdam } from './optimizers/adam.js';
export { adamax, scaleByAdamax } from './optimizers/adamax.js';
export { type AdanMoments, type AdanOptions, adan, scaleByAdan } from './optimizers/adan.js';
export { adopt, scaleByAdopt } from './optimizers/adopt.js';
export { type Chain, chain, namedChain } from './optimizers/chain.js';
export { type Group, type GroupOptions, type OwnNumber, parameterGroups } from './optimizers/groups.js';
export { type LambOptions, lamb } from './optimizers/lamb.js';
export { type LarsOptions, type LayerRateOptions, lars, scaleByLars } from './optimizers/lars.js';
export { layerwiseDecay } from './optimizers/layer-decay.js';
export { type LbfgsOptions, lbfgs } from './optimizers/lbfgs.js';
export { type LionBetas, type LionOptions, lion, scaleByLion } from './optimizers/lion.js';
export { type MuonOptions, muon, type OrthogonalMomentumOptions, scaleByMuon } from './optimizers/muon.js';
export { type NadamOptions, nadam, scaleByNadam } from './optimizers/nadam.js';
export {
  type HeldState,
  initialParameter,
  type Optimizer,
  restricted,
  type ScalarSource,
  type Setting,
  type Steering,
  type StepContext,
  type StepResult,
  scoped,
  states,
} from './optimizers/optimizer.js';
export {
  isEmbedding,
  isKernel,
  isMatrix,
  isVector,
  type ParameterInfo,
  type ParameterRule,
  parametersOf,
} from './optimizers/parameters.js';
export { partition } from './optimizers/partition.js';
export { type PlateauOptions, reduceOnPlateau } from './optimizers/plateau.js';
export { type ProdigyOptions, prodigy } from './optimizers/prodigy.js';
export {
  type KroneckerWhiteningOptions,
  type PsgdKronOptions,
  psgdKron,
  scaleByKroneckerWhitening,
} from './optimizers/psgd-kron.js';
export { radam, scaleByRadam } from './optimizers/radam.js';
export { type RmsOptions, type RmspropOptions, rmsprop, scaleByRms } from './optimizers/rmsprop.js';
export {
  type AveragingOptions,
  type ScheduleFreeAdamwOptions,
  type ScheduleFreeOptions,
  type ScheduleFreeSgdOptions,
  scheduleFree,
  scheduleFreeAdamw,
  scheduleFreeSgd,
} from './optimizers/schedule-free.js';
export {
  constant,
  cosine,
  cosineWithRestarts,
  exponential,
  inverseRoot,
  linear,
  multiStep,
  type NamedSchedule,
  type OneCycleOptions,
  oneCycle,
  piecewise,
  polynomial,
  type Schedule,
  step,
  warmUp,
} from './optimizers/schedules.js';
export type { AcrossLayers, AcrossLayersOption, CorrectionInput } from './optimizers/second-order/across-layers.js';
export type { BlockDirection, BlockGradient, MeasuredBlock } from './optimizers/second-order/block.js';
export type { BlockRule } from './optimizers/second-order/block-choice.js';
export {
  type BlockForm,
  type BlockFormInput,
  kronecker,
  type MeasuredForm,
  none,
  type ProductForm,
  reduced,
} from './optimizers/second-order/block-form.js';
export { type CgfacOptions, cgfac } from './optimizers/second-order/cgfac.js';
export {
  type BasisInput,
  type CoarseBasis,
  gradientBasis,
  type KrylovBasisOptions,
  krylovBasis,
  naturalGradientBasis,
  onesBasis,
} from './optimizers/second-order/coarse-basis.js';
export type { BlockSolve, SolveOptions } from './optimizers/second-order/convergence.js';
export {
  type BlockDamping,
  type BlockScales,
  type Damping,
  type DampingInput,
  type FactorDamping,
  type ProductDamping,
  type RowDamping,
  rootDampingOf,
  type WholeDamping,
} from './optimizers/second-order/damping.js';
export {
  type BlockOutcome,
  type Diagnostics,
  layerDiagnostics,
  type MeasuredFactors,
} from './optimizers/second-order/diagnostics.js';
export {
  type EigenCorrectedOptions,
  type EigenOptions,
  eigenCorrected,
  eigenvalues,
} from './optimizers/second-order/eigen-damping.js';
export type { BasisOptions, SideEigen } from './optimizers/second-order/eigenbases.js';
export { type FactoredOptions, factored } from './optimizers/second-order/factored.js';
export {
  type DenseFactorsOptions,
  dense,
  type Factors,
  type FreshFactors,
  type KeptInverses,
  type OperatorOf,
  type SketchesOptions,
  sketches,
  type WholeFactors,
} from './optimizers/second-order/factors.js';
export { type HessianFreeOptions, hessianFree } from './optimizers/second-order/hessian-free.js';
export { type InverseFreeOptions, inverseFree } from './optimizers/second-order/inverse-free.js';
export { type KfacOptions, kfac } from './optimizers/second-order/kfac.js';
export { type Coupling, eachLayer, wholeNetwork } from './optimizers/second-order/khatri-rao.js';
export { KroneckerOperator, type PerSide } from './optimizers/second-order/kronecker-operator.js';
export {
  diagonal,
  full,
  type MeasuredFormOptions,
  scaledIdentity,
} from './optimizers/second-order/measured-forms.js';
export { exampleMoments, gradientMoments, type Moments } from './optimizers/second-order/moments.js';
export { type NaturalGradientOptions, naturalGradient } from './optimizers/second-order/natural-gradient.js';
export { type PrimalOptions, primal } from './optimizers/second-order/primal.js';
export { type BudgetOptions, byBudget, type LayerSize, type RankRule } from './optimizers/second-order/rank.js';
export type { Measure, Refreshed } from './optimizers/second-order/refresh.js';
export type { SecondOrderOptions } from './optimizers/second-order/second-order.js';
export { type TikhonovOptions, tikhonov } from './optimizers/second-order/tikhonov.js';
export {
  additiveCorrection,
  balancingCorrection,
  type CoarseCorrection,
  type CoarseNumbers,
  type TwoLevelOptions,
  twoLevel,
} from './optimizers/second-order/two-level.js';
export { type SgdOptions, sgd } from './optimizers/sgd.js';
export {
  type ShampooOptions,
  type ShampooPreconditionerOptions,
  scaleByShampoo,
  shampoo,
} from './optimizers/shampoo.js';
export { type RotatedAdamOptions, type SoapOptions, scaleBySoap, soap } from './optimizers/soap.js';
export { type SophiaOptions, sophiaG } from './optimizers/sophia.js';
export { type NormalizedOptions, normalized } from './optimizers/steps/normalized.js';
export {
  type BegunStep,
  type BlockStep,
  type StepRule,
  type StepRuleInput,
  type StepRuleResult,
  steppedParameters,
  type Watch,
} from './optimizers/steps/rule.js';
export { type ScheduledOptions, scheduled } from './optimizers/steps/scheduled.js';
export { type SelfTuningOptions, selfTuning } from './optimizers/steps/self-tuning.js';
export { centralizeGradients } from './optimizers/transforms/centralize.js';
export { clipByBlockNorm, clipByGlobalNorm, clipByValue } from './optimizers/transforms/clip.js';
export { addDecayedWeights } from './optimizers/transforms/decay.js';
export { grafted } from './optimizers/transforms/grafting.js';
export { scaleByLearningRate } from './optimizers/transforms/learning-rate.js';
export type { MomentsOptions } from './optimizers/transforms/moments.js';
export { type MomentumOptions, scaleByMomentum } from './optimizers/transforms/momentum.js';
export { cautious, scaleBySign } from './optimizers/transforms/sign.js';
export { scaleByTrustRatio, type TrustRatioOptions } from './optimizers/transforms/trust-ratio.js';
export type { Mapped, Placed, StepNumber, Transform, Updates } from './optimizers/transforms/updates.js';
export {
  type DecayGroup,
  type Tuning,
  tunedDecays,
  tunedRate,
  tunedShare,
  withLearningRate,
} from './optimizers/tuning.js';
export { type UnfreezingOptions, unfreezing } from './optimizers/unfreezing.js';
export { type Random, random } from './random.js';
export {
  byProgress,
  byResidual,
  type ProgressOptions,
  type ResidualOptions,
  type SolveProgress,
  type SolveStart,
  type Stopping,
  type StoppingState,
} from './solvers/stopping.js';
export type { Every } from './training/cadence.js';
export type {
  Callbacks,
  CheckpointEvent,
  EpochEvent,
  EvaluationEvent,
  RunControl,
  StartEvent,
  StopEvent,
  StopReason,
} from './training/callbacks.js';
export { DivergedError } from './training/diverged-error.js';
export type { Target } from './training/evaluation/schedule.js';
export type { EarlyStopping } from './training/monitor.js';
export type { RatePoint, RateSearch, RateSweep } from './training/rate-search.js';
export type { Evaluation, Experiment, Picture, ReportData, RunRecord, StepRecord } from './training/run-record.js';
export type { StartingPoint } from './training/starting-point.js';
export { type LearningTask, learningTask } from './training/task/task.js';
export type { TrainingResult } from './training/trainer.js';
export {
  type AverageRule,
  exponentialAverage,
  iterateAverage,
  lastIterate,
  type WeightAverage,
} from './training/weight-average.js';
