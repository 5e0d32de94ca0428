// The contract of an optimizer: it adds one step to a graph, and declares what the step reads and keeps where it uses it.
import { OptionError } from '../errors.js';
import { formatType, Value } from '../graph/graph.js';
import type { TensorData } from '../graph/tensor.js';
import type { Distribution, Loss } from '../losses/loss.js';
import type { Forward, Objective } from '../losses/objective.js';
import type { Builder } from '../ops/builder.js';
import { described, isRecord } from '../options.js';

/** The properties of a run that an optimizer may depend on. */
export interface Setting {
  readonly loss: Loss;
  /** Examples of the training set. */
  readonly examples: number;
  /** Examples of a step. */
  readonly batchSize: number;
  /** Whether an example is one row of numbers, as in a table: neither a picture nor a sequence. */
  readonly isTable: boolean;
  /** Whether the weights are trained already: those of a model from a file or from training that look so. */
  readonly isPretrained: boolean;
  /**
   * The model's loss at the start over the loss of a constant output, the mean of the model's own, from 0 to 1: how good the weights
   * are at the task already. 1, the default, for new weights and for those that do not look trained.
   */
  readonly startLoss?: number;
}

/**
 * A number that a step reads: a constant, or a function of the step, counted from 0, and of the number of earlier steps that
 * were kept. A schedule depends on the step; the bias correction of an average depends on the steps that the average has seen.
 */
export type ScalarSource = number | ((step: number, kept: number) => number);

/** Adapts an optimizer from step to step in JavaScript: scalars are closures over its few numbers. */
export interface Steering {
  /** Whether it changes the next step after one that was taken back: without such an object a run ends at the first one. */
  readonly recovers?: boolean;
  /**
   * Called after each step with what the step reported, the batch's `loss` before it (which may be NaN) and `accepted`, 0
   * if the step was taken back.
   */
  observe(step: number, diagnostics: Readonly<Record<string, number>>): void;
  /** Return the numbers that `observe` has changed so far, for checkpoints. */
  snapshot(): Record<string, number>;
  restore(snapshot: Readonly<Record<string, number>>): void;
  /** Return a sentence to show at the end of the run; undefined if all went well. */
  warning?(): string | undefined;
}

/** A tensor that persists from step to step. */
export interface HeldState {
  /** Its value before the step: zero, or as declared, before the first. */
  readonly old: Value;
  /** Give its value after the step; called once. */
  become(next: Value): void;
}

/** What an optimizer gets when it adds itself to a step's graph. Each name is declared once. */
export interface StepContext {
  readonly b: Builder;
  readonly objective: Objective;
  readonly setting: Setting;
  /** The network on the whole batch at the current parameters. */
  readonly forward: Forward;
  readonly parameters: ReadonlyMap<string, Value>;
  /** Gradients of the mean loss by the parameters, in their shapes. */
  readonly gradients: ReadonlyMap<string, Value>;
  /** Declare a scalar input: the trainer feeds it before each step. */
  scalar(name: string, at: ScalarSource): Value;
  /**
   * Declare a tensor that persists from step to step, and return its new value.
   * @param next makes the new value from the old one, which is zero (or `initial`) before the first step
   */
  state(name: string, dims: readonly number[], next: (old: Value) => Value, initial?: TensorData): Value;
  /** Declare a tensor that persists, and give its new value later: before the step is built. */
  hold(name: string, dims: readonly number[], initial?: TensorData): HeldState;
  /** Declare fresh random numbers for each step. */
  noise(name: string, dims: readonly number[], distribution: Distribution): Value;
  /**
   * Return the number of kept steps since the part of the step that this context belongs to last ran; left out if it runs at
   * each step.
   */
  readonly elapsed?: () => number;
  /** Report a scalar after each step: damping, learning rate, CG iterations, … NaN is "not measured at this step". */
  report(name: string, value: Value): void;
  /** Pass what each step reports to an object, which adapts the scalars that are closures over it. */
  steer(steering: Steering): void;
}

/** What an optimizer returns for a step. */
export interface StepResult {
  /** New values by the names of the parameters; a parameter that is left out does not change. */
  readonly parameters: ReadonlyMap<string, Value>;
  /** A bool scalar: whether the step is kept, parameters and states. Every step whose loss is finite by default. */
  readonly accept?: Value;
  /**
   * Values that are evaluated and kept instead of new parameters, by the names of the parameters: averages, for example. If
   * one is the new value of a state, that state is read, and begins at the initial parameter.
   */
  readonly evaluated?: ReadonlyMap<string, Value>;
}

/**
 * An optimizer: a value that can be used for any number of runs.
 * @example
 * const plainDescent: Optimizer = {
 *   name: 'plain-descent',
 *   build({ b, parameters, gradients, scalar }) {
 *     const rate = scalar('learningRate', (step) => 0.1 / (1 + step));
 *     return new Map([...parameters].map(([name, p]) => [name, b.sub(p, b.mul(gradients.get(name) ?? 0, rate))]));
 *   },
 * };
 */
export interface Optimizer {
  readonly name: string;
  /** Largest weight of the past in the average of the iterates, which is then evaluated and kept; none by default. */
  readonly iterateAveraging?: number;
  /** Add one step to the graph; called anew for each run. Return the new parameters, alone if every finite step is kept. */
  build(context: StepContext): StepResult | ReadonlyMap<string, Value>;
  /** Return what to change about it if training fails, to begin a sentence: `Lower the learning rate`. Nothing by default. */
  readonly remedy?: (setting: Setting) => string;
  /** Return sentences that a user should read about it in a run. */
  readonly warnings?: (setting: Setting) => readonly string[];
}

/**
 * Return the complete result of an optimizer's step.
 * @throws OptionError if the optimizer returns something else
 */
export function stepResult(optimizer: Optimizer, context: StepContext): StepResult {
  const { name } = optimizer;
  const built = optimizer.build(context);
  const result: unknown = built instanceof Map ? { parameters: built } : built;
  if (isStepResult(result)) return knownParameters(name, result, context);
  throw new OptionError(
    `the step of optimizer '${name}' is ${described(built)}; return a map of new parameters, or { parameters, accept, evaluated }`,
  );
}

/**
 * Return the parameter before the first step: the beginning of a state that is an average, for example.
 * @throws OptionError if the model's elements are not known
 * @example
 * const averaged: Transform = (context, updates) =>
 *   updates.placed((update, name, parameter) => {
 *     const { b, state } = context;
 *     const next = b.sub(parameter, update);
 *     const average = (old: Value) => b.add(b.mul(old, 0.99), b.mul(next, 0.01));
 *     return { parameter: next, evaluated: state(`average.${name}`, parameter.dims, average, initialParameter(context, name)) };
 *   });
 * const optimizer = chain(adam(), averaged);
 */
export function initialParameter({ objective }: Pick<StepContext, 'objective'>, name: string): TensorData {
  const initial = objective.model.parameters.get(name)?.constant;
  if (!initial) throw new OptionError(`'${name}' of model '${objective.model.name}' has no initial elements`);
  return initial;
}

function knownParameters(optimizer: string, result: StepResult, { parameters }: StepContext): StepResult {
  const all = [...parameters.keys()].join(', ');
  if (result.parameters.size === 0 && parameters.size > 0) {
    throw new OptionError(
      `the step of optimizer '${optimizer}' has no parameter, so nothing would be trained: return the new values of some of ${all}`,
    );
  }
  for (const [kind, values] of [['parameter', result.parameters] as const, ['evaluated', result.evaluated] as const]) {
    for (const [name, value] of values ?? []) {
      const old = parameters.get(name);
      const what = kind === 'parameter' ? `parameter '${name}'` : `evaluated parameter '${name}'`;
      if (!old) {
        throw new OptionError(`the step of optimizer '${optimizer}' has the ${what}, and it was given ${all}`);
      }
      const given: unknown = value;
      const found = given instanceof Value ? formatType(value.type) : described(given);
      if (found === formatType(old.type)) continue;
      throw new OptionError(
        `the step of optimizer '${optimizer}' makes the ${what}, which is ${formatType(old.type)}, ${found}: a parameter keeps its type`,
      );
    }
  }
  return result;
}

const isStepResult = (result: unknown): result is StepResult =>
  isRecord(result) &&
  result.parameters instanceof Map &&
  (result.evaluated === undefined || result.evaluated instanceof Map);

/**
 * Return the context of a part of an optimizer, whose scalars, states, noise and reports are named `part.name`.
 * @example
 * const within = (inner: Optimizer): Optimizer => ({
 *   name: 'outer',
 *   build: (context) => inner.build(scoped(context, 'inner')),
 * });
 */
export function scoped(context: StepContext, part: string): StepContext {
  const within = (name: string): string => `${part}.${name}`;
  return {
    ...context,
    scalar: (name, at) => context.scalar(within(name), at),
    state: (name, dims, next, initial) => context.state(within(name), dims, next, initial),
    hold: (name, dims, initial) => context.hold(within(name), dims, initial),
    noise: (name, dims, distribution) => context.noise(within(name), dims, distribution),
    report: (name, value) => context.report(within(name), value),
    steer: (steering) => context.steer(steeredWithin(steering, within(''))),
  };
}

/** The same steering with the reports of its part under the part's own names. */
function steeredWithin(steering: Steering, prefix: string): Steering {
  const own = (name: string): string => (name.startsWith(prefix) ? name.slice(prefix.length) : name);
  return {
    ...(steering.recovers !== undefined && { recovers: steering.recovers }),
    observe: (step, diagnostics) =>
      steering.observe(
        step,
        Object.fromEntries(Object.entries(diagnostics).map(([name, value]) => [own(name), value])),
      ),
    snapshot: () => steering.snapshot(),
    restore: (snapshot) => steering.restore(snapshot),
    warning: () => steering.warning?.(),
  };
}

/**
 * Return the context of some of the parameters, for an optimizer that trains these alone.
 * @example
 * const biases: Optimizer = {
 *   name: 'biases-alone',
 *   build(context) {
 *     const names = [...context.parameters.keys()].filter((name) => name.endsWith('bias'));
 *     return adam().build(scoped(restricted(context, new Set(names)), 'biases'));
 *   },
 * };
 */
export function restricted(context: StepContext, names: { has(name: string): boolean }): StepContext {
  const some = (values: ReadonlyMap<string, Value>) => new Map([...values].filter(([name]) => names.has(name)));
  return { ...context, parameters: some(context.parameters), gradients: some(context.gradients) };
}

/** Return `state` of a context, by its `hold`. */
export const stateBy =
  (hold: StepContext['hold']): StepContext['state'] =>
  (name, dims, next, initial) => {
    const held = hold(name, dims, initial);
    const value = next(held.old);
    held.become(value);
    return value;
  };

/**
 * Declare states whose new values are computed together, each possibly from all old ones, and return the result of `make`.
 * @param shapes dims by name
 * @param make makes the new values, `next`, from the old ones, and whatever else the caller needs
 * @param initial values before the first step by name; zeros by default
 * @example
 * const swapped = (context: StepContext) =>
 *   states(context, new Map([['x', [2]], ['y', [2]]]), (old) => ({
 *     next: new Map([['x', old('y')], ['y', old('x')]]),
 *   }));
 */
export function states<Made extends { readonly next: ReadonlyMap<string, Value> }>(
  { hold }: Pick<StepContext, 'hold'>,
  shapes: ReadonlyMap<string, readonly number[]>,
  make: (old: (name: string) => Value) => Made,
  initial: ReadonlyMap<string, TensorData> = new Map(),
): Made {
  const held = new Map([...shapes].map(([name, dims]) => [name, hold(name, dims, initial.get(name))]));
  const old = new Map([...held].map(([name, state]) => [name, state.old]));
  const made = make((name) => named(old, name));
  for (const [name, state] of held) state.become(named(made.next, name));
  return made;
}

function named(values: ReadonlyMap<string, Value>, name: string): Value {
  const value = values.get(name);
  if (!value) throw new Error(`no state '${name}' is declared together with these`);
  return value;
}
