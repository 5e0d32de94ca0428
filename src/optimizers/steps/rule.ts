// How far to go along a natural gradient: the contract of the rules normalized, selfTuning, scheduled, and of one's own.
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import type { Value } from '../../graph/graph.js';
import type { Likelihood } from '../../losses/likelihood.js';
import type { Forward } from '../../losses/objective.js';
import type { Optimizer, StepContext } from '../optimizer.js';
import type { Schedule } from '../schedules.js';
import type { BlockDirection } from '../second-order/block.js';
import { tunedDecays, tunedShare } from '../tuning.js';

export interface StepRule {
  readonly name: string;
  /** Number of examples for the curvature if the optimizer's `curvatureRows` is not given. */
  readonly curvatureRows?: number;
  /** The damping is relative to the mean eigenvalue of each block's Fisher matrix; an absolute λ by default. */
  readonly relativeDamping?: boolean;
  /** Whether it sets the length of each block's step, whatever that of the natural gradient is. */
  readonly setsLengths?: true;
  /** Whether the variance of the likelihood, if it has one, is estimated from the loss: see `estimated`. It is 1 by default. */
  readonly estimatesVariance?: boolean;
  /**
   * Whether the step reads the sample, as quadratic models do: else it is evaluated only at steps that measure the curvature.
   */
  readonly readsSample?: boolean;
  /** p of a Gaussian prior on weights: see `Prior`. None by default. */
  readonly priorPrecision?: number;
  /** The optimizer of parameters outside all blocks; `adam()` by default. */
  readonly rest?: Optimizer;
  /** What to change if training fails, to begin a sentence. */
  readonly remedy: string;
  /** Why a run cannot schedule the learning rate, with what to do instead; left out if it can (`tunedRate`). */
  readonly rateless?: string;
  /** Begin to add the step to the graph of a run. */
  begin(context: StepContext): BegunStep;
}

/** Decides which steps are measured by the loss of their own batch, and how much it may rise. */
export interface Watch {
  measures(step: number): boolean;
  readonly allowedRise: number;
}

/** The step of one run. */
export interface BegunStep {
  /** λ, or ε if the rule's damping is relative; a scalar. */
  readonly damping: Value;
  /** Measures steps by the loss of their own batch, and takes them back if it rises; by default every finite step is kept. */
  readonly watch?: Watch;
  /** Return what is preconditioned, e.g. an average of the gradients of several steps; by default the batch's gradient. */
  smooth?(block: KroneckerBlock, gradient: LayerTensor): LayerTensor;
  /** Make the new values of the blocks' parameters. */
  build(input: StepRuleInput): StepRuleResult;
}

export interface StepRuleInput {
  readonly likelihood: Likelihood;
  /** The network on the examples that the curvature is measured on. */
  readonly sample: Forward;
  /** Each block with its gradient and natural gradient. */
  readonly blocks: readonly BlockDirection[];
}

export interface StepRuleResult {
  readonly parameters: ReadonlyMap<string, Value>;
  /** A scalar that is finite only if the whole step is: any multiple of the square of its length. */
  readonly squaredLength: Value;
  /** The change of the prior in the step, a scalar, if the predicted change includes it. */
  readonly priorChange?: Value;
}

/** A block with its step δ. */
export interface BlockStep {
  readonly block: KroneckerBlock;
  readonly step: LayerTensor;
}

/** A sum of scalars, from the first to the last. */
export const sumOf = ({ b }: Pick<StepContext, 'b'>, scalars: readonly Value[]): Value =>
  scalars.reduce((sum, scalar) => b.add(sum, scalar));

/** Names of the states that belong to the parts of a block's tensor. */
export function stateNames(kind: string, { weight, ownBias }: KroneckerBlock): Record<'weight' | 'bias', string> {
  return { weight: `${kind}.${weight}`, bias: `${kind}.${ownBias}` };
}

/** The parts of a block's tensor by the names of their states. */
export function stateParts(kind: string, block: KroneckerBlock, { weight, bias }: LayerTensor): [string, Value][] {
  const names = stateNames(kind, block);
  return [[names.weight, weight], ...(bias ? [[names.bias, bias] as [string, Value]] : [])];
}

/** The shapes of those states. */
export const stateShapes = (kind: string, block: KroneckerBlock, like: LayerTensor): [string, readonly number[]][] =>
  stateParts(kind, block, like).map(([name, { dims }]) => [name, dims]);

/**
 * Return θ + δ for the parameters of the blocks.
 * @example
 * const fixed: StepRule = {
 *   name: 'fixed',
 *   relativeDamping: true,
 *   remedy: 'Take shorter steps',
 *   begin: (context) => ({
 *     damping: context.scalar('damping', 0.5),
 *     build({ blocks }) {
 *       const { b } = context;
 *       const moved = (part: Value) => b.mul(part, -0.1);
 *       const steps = blocks.map(({ block, direction }) => ({ block, step: direction.map(moved) }));
 *       const squares = steps.map(({ step }) => step.dot(b, step));
 *       return { parameters: steppedParameters(context, steps), squaredLength: squares.reduce((x, y) => b.add(x, y)) };
 *     },
 *   }),
 * };
 * const optimizer = cgfac({ step: fixed });
 */
export function steppedParameters(
  { b, parameters }: Pick<StepContext, 'b' | 'parameters'>,
  steps: readonly BlockStep[],
): Map<string, Value> {
  const updated = new Map<string, Value>();
  for (const [name, change] of steps.flatMap(({ block, step }) => block.put(b, step))) {
    const parameter = updated.get(name) ?? parameters.get(name);
    if (!parameter) throw new Error(`no parameter '${name}'`);
    updated.set(name, b.add(parameter, change));
  }
  return updated;
}

/**
 * Return the factor on the part of a block's direction that belongs to one of its parameters.
 * @param factor of all parameters
 * @param own the rule's learning rate
 */
export function partFactor(
  context: Pick<StepContext, 'b' | 'tuning'>,
  { weight, ownBias }: KroneckerBlock,
  kind: 'weight' | 'bias',
  factor: Value,
  own: Schedule,
): Value {
  const parameter = kind === 'weight' ? weight : ownBias;
  return parameter === undefined ? factor : context.b.mul(factor, tunedShare(context, parameter, own));
}

/** The learning rate of a step and its decoupled weight decay. */
interface Shrinking {
  /** η, a scalar. */
  readonly rate: Value;
  /** The rule's own learning rate and weight decay. */
  readonly own: { readonly learningRate: Schedule; readonly weightDecay: Schedule };
  /** Names of the parameters that decay, unless the run says otherwise. */
  readonly names: Iterable<string>;
}

/** Return the context with the parameters after decoupled weight decay, (1 − η·w)θ. */
export function decayedParameters(context: StepContext, { rate, own, names }: Shrinking): StepContext {
  const { b } = context;
  const decaying = new Set(names);
  const groups = tunedDecays(context, own.weightDecay, (name) => decaying.has(name));
  return groups.reduce((before, { weight, names: alike }) => {
    const byShare = new Map<number, string[]>();
    for (const name of alike) {
      const share = tunedShare(context, name, own.learningRate);
      byShare.set(share, [...(byShare.get(share) ?? []), name]);
    }
    return [...byShare].reduce(
      (given, [share, some]) => shrunk(given, some, b.sub(1, b.mul(b.mul(rate, share), weight))),
      before,
    );
  }, context);
}

/** Return the same context with some of the parameters multiplied by a scalar: decoupled weight decay. */
function shrunk(context: StepContext, names: Iterable<string>, factor: Value): StepContext {
  const parameters = new Map(context.parameters);
  for (const name of names) {
    const value = parameters.get(name);
    if (value) parameters.set(name, context.b.mul(value, factor));
  }
  return { ...context, parameters };
}
