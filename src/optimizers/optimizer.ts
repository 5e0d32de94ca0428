// The contract of an optimizer: a transformation of the step's graph, and a controller that steers its scalars.
import type { Value } from '../graph/graph.js';
import type { TensorData } from '../graph/tensor.js';
import type { Distribution, Loss } from '../losses/loss.js';
import type { Forward, Objective } from '../losses/objective.js';
import type { Builder } from '../ops/builder.js';

/** What a run is about, as far as an optimizer steers by it. */
export interface Setting {
  readonly loss: Loss;
  /** Examples of the training set. */
  readonly examples: number;
  /** Examples of a step. */
  readonly batchSize: number;
  /** Whether an example is one row of numbers, as in a table: neither a picture nor a sequence. */
  readonly isTable: boolean;
  /** Whether the weights may be trained already: those of a model from a file. */
  readonly isPretrained: boolean;
}

/** What an optimizer sees when it adds itself to a step's graph. */
export interface StepContext {
  readonly b: Builder;
  readonly objective: Objective;
  readonly setting: Setting;
  /** The network on the whole batch at the current parameters. */
  readonly forward: Forward;
  readonly parameters: ReadonlyMap<string, Value>;
  /** Gradients of the mean loss by the parameters, in their shapes. */
  readonly gradients: ReadonlyMap<string, Value>;
  /** A scalar that the controller sets before each step. */
  scalar(name: string): Value;
  /** Fresh random numbers each step. */
  noise(name: string, dims: readonly number[], distribution: Distribution): Value;
  /** A tensor that persists from step to step, zero (or `initial`) before the first. */
  state(name: string, dims: readonly number[], initial?: TensorData): Value;
}

/** A state whose next value, made from the old one, is used in this step already. */
export function remember(
  context: StepContext,
  states: Map<string, Value>,
  name: string,
  dims: readonly number[],
  next: (old: Value) => Value,
): Value {
  const value = next(context.state(name, dims));
  states.set(name, value);
  return value;
}

/** What one step makes of it. */
export interface StepResult {
  readonly parameters: ReadonlyMap<string, Value>;
  /** New values of all declared states. */
  readonly state: ReadonlyMap<string, Value>;
  /** Scalars reported after the step: damping, learning rate, CG iterations, … */
  readonly diagnostics: ReadonlyMap<string, Value>;
  /** A bool scalar: whether the step is kept, parameters and states. Every step whose loss is finite where left out. */
  readonly accept?: Value;
}

/** The part of an optimizer that lives in JavaScript: a few numbers from step to step. */
export interface Controller {
  /**
   * The scalars of a step, counted from 0; every scalar that `build` asked for.
   * @param kept steps before it that were not taken back: what the states have seen; all by default
   */
  scalars(step: number, kept?: number): Record<string, number>;
  /** Whether it steps otherwise after a step that was taken back: a run without it ends at the first one. */
  readonly recovers?: boolean;
  /**
   * Called after each step with its diagnostics, the batch's `loss` before it (which may be NaN) and `accepted`, 0 if it
   * was taken back: adapts damping and rates.
   */
  observe(step: number, diagnostics: Readonly<Record<string, number>>): void;
  /** What `observe` has changed so far, for checkpoints. */
  snapshot(): Record<string, number>;
  restore(snapshot: Readonly<Record<string, number>>): void;
}

export interface Optimizer {
  readonly name: string;
  /** Largest weight of the past in the average of the iterates, which is then evaluated and kept; none by default. */
  readonly iterateAveraging?: number;
  /** Adds one step to the graph. */
  build(context: StepContext): StepResult;
  /** What to change about it if training fails, to begin a sentence: `Lower the learning rate`. Nothing where left out. */
  readonly remedy?: (setting: Setting) => string;
  /** What a person should know about it in a run, a sentence each. */
  readonly warnings?: (setting: Setting) => readonly string[];
  /** A fresh controller for a run: what it is about may decide how steps are steered. */
  controller(setting: Setting): Controller;
}

/** A controller for optimizers whose scalars are functions of the step alone. */
export function scheduled(scalars: (step: number) => Record<string, number>): Controller {
  return { scalars, observe: () => undefined, snapshot: () => ({}), restore: () => undefined };
}
