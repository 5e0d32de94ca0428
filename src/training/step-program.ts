// One training step as one graph: forward pass, loss, gradients, curvature and update.
import type { Batch } from '../data/batches.js';
import { OptionError, UnsupportedError } from '../errors.js';
import { formatType, type Graph, type TensorType, type Value } from '../graph/graph.js';
import { type Inputs, listInputs, mapInputs } from '../graph/inputs.js';
import { allocate, elementCount, type TensorData, tensor } from '../graph/tensor.js';
import { withoutUnreadSlices } from '../graph/unread-slices.js';
import { type Distribution, distributions, type Loss } from '../losses/loss.js';
import { type Forward, lossGradients, Objective } from '../losses/objective.js';
import { type MetricParts, metricParts } from '../metrics/accumulate.js';
import type { Metric } from '../metrics/metric.js';
import type { Model } from '../model/model.js';
import { TrainingMode } from '../model/training-mode.js';
import { Builder } from '../ops/builder.js';
import {
  type Optimizer,
  type ScalarSource,
  type Setting,
  type Steering,
  type StepContext,
  stateBy,
  stepResult,
} from '../optimizers/optimizer.js';
import { isFiniteScalar } from '../optimizers/steps/acceptance.js';
import { checkedWord, described } from '../options.js';

/** Random numbers that the program gets in each step. */
export interface NoiseInput {
  readonly name: string;
  readonly dims: readonly number[];
  readonly distribution: Distribution;
}

export interface StepProgram {
  readonly graph: Graph;
  /** Outputs that replace tensors of the engine's store. */
  readonly updates: ReadonlyMap<string, string>;
  /** The optimizer's tensors before the first step, by their names in the store. */
  readonly initialState: Readonly<Record<string, TensorData>>;
  /** Keys in the store of parameters, by name. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Keys in the store of what is evaluated and kept instead of parameters, by their names. */
  readonly evaluated: ReadonlyMap<string, string>;
  /** Keys in the store of the running averages of batch normalization, by name. */
  readonly statistics: ReadonlyMap<string, string>;
  /** The optimizer's scalars, by name. */
  readonly scalars: ReadonlyMap<string, ScalarSource>;
  /** The objects that adapt the optimizer's scalars by its reports. */
  readonly steering: readonly Steering[];
  readonly noise: readonly NoiseInput[];
  /** The metric's parts of the program; undefined if they are not scalars. */
  readonly metric: MetricParts | undefined;
  /** Most examples that the step evaluates at once. */
  readonly atOnce: number;
  /** Names of the scalar outputs beside `loss` and those of the metric. */
  readonly diagnostics: readonly string[];
  /** Bytes of optimizer state and of what is evaluated instead of parameters; parameters and gradients excluded. */
  readonly stateBytes: number;
}

export interface StepOptions {
  readonly model: Model;
  readonly loss: Loss;
  readonly metric: Metric;
  readonly optimizer: Optimizer;
  readonly setting: Setting;
  /** Types of a whole batch. */
  readonly inputs: Inputs<TensorType>;
  readonly targets: TensorType;
  /** Type of the examples' weights, if there are any. */
  readonly weights?: TensorType | undefined;
  /** Number of micro-batches in which the batch is evaluated, one after the other; 1 by default. */
  readonly accumulate?: number | undefined;
}

/** Names of a batch's tensors in programs: its only input, or one of several inputs by name; its targets; its weights. */
export const inputKey = (name: string | undefined): string => (name === undefined ? 'input' : `input.${name}`);
export const targetKey = 'target';
export const weightsKey = 'weights';
export const isOfBatch = (key: string): boolean => /^(input|target$|weights$)/.test(key);

/** Return a batch as feeds of a program. */
export const batchFeeds = ({ inputs, target, weights }: Batch): Record<string, TensorData> => ({
  ...Object.fromEntries(listInputs(inputs).map(([name, input]) => [inputKey(name), input])),
  [targetKey]: target,
  ...(weights && { [weightsKey]: weights }),
});

/** The output for whether a step is kept. */
export const acceptedKey = 'accepted';
/** The output for the loss that is differentiated, in the units of the optimizer; `loss` is in those of the data. */
export const objectiveKey = 'objective';

/** Return the key of a parameter in the engine's store. */
export const parameterKey = (name: string): string => `parameter.${name}`;
/** Return the key of a running average in the engine's store. */
export const statisticKey = (name: string): string => `statistic.${name}`;

/**
 * Return the program of one step. All its evaluations are of the network in training, with one set of dropout masks: gradient,
 * curvature and change of the loss are those of one function. Only the first evaluation, that of the whole batch, updates the
 * running averages; the examples for the curvature are normalized by their own mean and variance.
 */
export function buildStep(options: StepOptions): StepProgram {
  const { model, loss, metric, optimizer, setting } = options;
  for (const [name, { dtype }] of model.parameters) {
    if (dtype === 'float32') continue;
    throw new UnsupportedError(
      `parameter '${name}' of model '${model.name}' is ${dtype}; optimizers compute in float32: export the model so`,
    );
  }
  const b = new Builder();
  const inputs = mapInputs(options.inputs, ({ dtype, shape }, name) => b.input(inputKey(name), dtype, shape));
  const targets = b.input(targetKey, options.targets.dtype, options.targets.shape);
  const parameters = new Map(
    [...model.parameters].map(([name, { dtype, dims }]) => [name, b.input(parameterKey(name), dtype, dims)]),
  );
  const statistics = new Map(
    [...model.statistics].map(([name, { dtype, dims }]) => [name, b.input(statisticKey(name), dtype, dims)]),
  );
  const declared = new Declarations(b);
  const training = new TrainingMode(model, (name, dims) => declared.context.noise(name, dims, 'uniform'));
  const weights = options.weights && b.input(weightsKey, options.weights.dtype, options.weights.shape);
  const { accumulate: count = 1 } = options;
  let atOnce = 0;
  const evaluates = (examples: number) => {
    atOnce = Math.max(atOnce, examples);
  };
  const accumulated = count > 1 ? { count, training, evaluates } : undefined;
  const objective = new Objective(b, model, loss, inputs, targets, training.rewrite, weights, accumulated);
  const ofMetric = new MetricSums(metric);
  const { forward, sums } = objective.measure(new Map([...parameters, ...statistics]), parameters, ofMetric.add);
  const result = stepResult(optimizer, {
    b,
    objective,
    setting,
    forward,
    parameters,
    gradients: lossGradients(b, forward, parameters),
    ...declared.context,
  });
  declared.checkHeld();
  const measured = ofMetric.of(sums(), count);
  const finite = isFiniteScalar(b, forward.loss);
  const accepted = result.accept ? b.and(finite, result.accept) : finite;
  const outputs: Record<string, Value> = {
    loss: forward.reported,
    [objectiveKey]: forward.loss,
    ...measured?.outputs,
    [acceptedKey]: b.cast(accepted, 'float32'),
  };
  const updates = new Map<string, string>();
  for (const [name, value] of declared.reports) outputs[`diagnostic.${name}`] = value;
  for (const [name, value] of result.parameters) update(outputs, updates, parameterKey(name), value);
  for (const [name, value] of training.updates) update(outputs, updates, statisticKey(name), value);
  for (const [name, { next }] of declared.states) update(outputs, updates, stateKey(name), next);
  const stateOf = new Map([...declared.states].map(([name, { next }]) => [next, stateKey(name)]));
  const evaluated = new Map(
    [...(result.evaluated ?? [])].map(([name, at]) => [name, stateOf.get(at) ?? evaluatedKey(name)]),
  );
  const others = [...(result.evaluated ?? [])].filter(([, value]) => !stateOf.has(value));
  for (const [name, value] of others) update(outputs, updates, evaluatedKey(name), value);
  const initialState = Object.fromEntries([...declared.states].map(([name, { initial }]) => [stateKey(name), initial]));
  const graph = b.build(`${optimizer.name} step of ${model.name}`, outputs);
  return {
    // The outputs of the whole batch can be the largest tensors of the step: they are put together only if they are read.
    graph: accumulated ? withoutUnreadSlices(graph) : graph,
    updates,
    initialState,
    parameters: new Map([...parameters.keys()].map((name) => [name, parameterKey(name)])),
    evaluated,
    statistics: new Map([...statistics.keys()].map((name) => [name, statisticKey(name)])),
    scalars: declared.scalars,
    steering: declared.steering,
    noise: [...declared.noise.values()],
    metric: measured,
    atOnce: accumulated ? atOnce : objective.batchSize,
    diagnostics: [...declared.reports.keys()],
    stateBytes: others.reduce(
      (bytes, [, { dims }]) => bytes + 4 * elementCount(dims),
      Object.values(initialState).reduce((bytes, { data }) => bytes + data.byteLength, 0),
    ),
  };
}

/** The metric's parts of the step, if they are scalars: other metrics are left to evaluations. */
class MetricSums {
  readonly #metric: Metric;
  #parts: MetricParts | undefined;

  constructor(metric: Metric) {
    this.#metric = metric;
  }

  /** Add the sums of an evaluation. */
  readonly add = (b: Builder, forward: Forward): Readonly<Record<string, Value>> => {
    if (this.#metric.rows) return {};
    const parts = metricParts(b, this.#metric, forward, 'metric', false);
    if (Object.values(parts.outputs).some(({ rank }) => rank > 0)) return {};
    this.#parts = parts;
    return parts.outputs;
  };

  /**
   * Return the parts with the sums over the whole batch.
   * @param count number of evaluations of equally many examples
   */
  of(outputs: Readonly<Record<string, Value>>, count: number): MetricParts | undefined {
    const sums = [...(this.#parts?.sums ?? [])].map(
      ([name, sum]) => [name, typeof sum === 'number' ? count * sum : sum] as const,
    );
    return this.#parts && { ...this.#parts, outputs, sums: new Map(sums) };
  }
}

/** The program's input for a scalar of the optimizer. */
const scalarKey = (name: string): string => `scalar.${name}`;
const stateKey = (name: string): string => `state.${name}`;
/** The key of what is evaluated instead of a parameter, unless it is a state. */
const evaluatedKey = (name: string): string => `evaluated.${name}`;

function update(outputs: Record<string, Value>, updates: Map<string, string>, key: string, value: Value): void {
  outputs[`next.${key}`] = value;
  updates.set(`next.${key}`, key);
}

/**
 * Return the program's scalar inputs at a step.
 * @param kept number of earlier steps that were kept
 * @throws OptionError if a schedule gives no finite number
 */
export const scalarFeeds = (
  { scalars }: Pick<StepProgram, 'scalars'>,
  step: number,
  kept: number,
): Record<string, TensorData> =>
  Object.fromEntries(
    [...scalars].map(([name, source]) => {
      const number: unknown = typeof source === 'number' ? source : source(step, kept);
      if (typeof number !== 'number' || !Number.isFinite(number)) {
        throw new OptionError(
          `${name} is ${described(number)} at step ${step}; a schedule must give a finite number at every step`,
        );
      }
      return [scalarKey(name), { dtype: 'float32', dims: [], data: Float32Array.of(number) }];
    }),
  );

/** The declarations of an optimizer, each name once. */
class Declarations {
  readonly scalars = new Map<string, ScalarSource>();
  readonly states = new Map<string, { readonly initial: TensorData; readonly next: Value }>();
  readonly noise = new Map<string, NoiseInput>();
  readonly reports = new Map<string, Value>();
  readonly steering: Steering[] = [];
  readonly #held = new Set<string>();
  readonly context: Pick<StepContext, 'scalar' | 'state' | 'hold' | 'noise' | 'report' | 'steer'>;

  constructor(b: Builder) {
    const names = new Set<string>();
    const once = (key: string): string => {
      if (names.has(key))
        throw new OptionError(
          `the optimizer declares '${key}' twice: give each its own name, and each of two parts of one kind (scoped)`,
        );
      names.add(key);
      return key;
    };
    const hold: StepContext['hold'] = (name, dims, initial) => {
      const old = b.input(once(stateKey(name)), 'float32', dims);
      const zero = () => tensor('float32', dims, allocate('float32', elementCount(dims)));
      const become = (next: Value) => {
        if (!sameType(next, old)) {
          throw new OptionError(
            `the optimizer's state '${name}' is ${formatType(old.type)} and becomes ${formatType(next.type)}: a state keeps its type`,
          );
        }
        if (this.states.has(name)) {
          throw new OptionError(
            `the optimizer's state '${name}' has two values after the step: call become(next) once`,
          );
        }
        this.states.set(name, { initial: initial ?? zero(), next });
      };
      this.#held.add(name);
      return { old, become };
    };
    this.context = {
      scalar: (name, source) => {
        const value = b.input(once(scalarKey(name)), 'float32', []);
        this.scalars.set(name, source);
        return value;
      },
      hold,
      state: stateBy(hold),
      noise: (name, dims, distribution) => {
        const key = once(`noise.${name}`);
        checkedWord(`the distribution of the noise '${name}'`, String(distribution) as Distribution, distributions);
        this.noise.set(name, { name: key, dims, distribution });
        return b.input(key, 'float32', dims);
      },
      report: (name, value) => {
        once(`diagnostic.${name}`);
        this.reports.set(name, value);
      },
      steer: (steering) => {
        this.steering.push(steering);
      },
    };
  }

  /** @throws OptionError for a state that was given no new value */
  checkHeld(): void {
    const missing = [...this.#held].find((name) => !this.states.has(name));
    if (missing === undefined) return;
    throw new OptionError(
      `the optimizer's state '${missing}' has no value after the step: call become(next) on what hold('${missing}', …) returned`,
    );
  }
}

const sameType = (x: Value, y: Value): boolean => formatType(x.type) === formatType(y.type);
