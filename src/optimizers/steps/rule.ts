// How far to go along a natural gradient: the contract of the rules, self-tuning, normalized and scheduled.
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import type { Value } from '../../graph/graph.js';
import type { Likelihood } from '../../losses/likelihood.js';
import type { Forward } from '../../losses/objective.js';
import type { Controller, StepContext, StepResult } from '../optimizer.js';
import type { Prior } from '../second-order/prior.js';

export interface StepRuleInput {
  readonly context: StepContext;
  readonly likelihood: Likelihood;
  readonly prior: Prior | undefined;
  /** The network on the examples that the curvature is measured on. */
  readonly sample: Forward;
  readonly blocks: readonly KroneckerBlock[];
  /** The gradient of the mean negative log-likelihood and of the prior, one entry a block. */
  readonly gradient: readonly LayerTensor[];
  /** The natural gradient times the block's λ, one entry a block. */
  readonly directions: readonly LayerTensor[];
  /** √λ of each block. */
  readonly rootDampings: readonly Value[];
  /** The damping that the controller sets, a scalar: λ, or ε where the rule's damping is relative. */
  readonly damping: Value;
}

export interface StepRule {
  /** The damping is relative to the mean eigenvalue of each block's Fisher matrix; an absolute λ where left out. */
  readonly relativeDamping?: boolean;
  /**
   * The variance of the likelihood, where it has one, is estimated as the loss goes: see `estimated`. It is 1
   * where left out.
   */
  readonly estimatesVariance?: boolean;
  /** p of a Gaussian prior on weights: see `Prior`. None where left out. */
  readonly priorPrecision?: number;
  /** Steps are measured by the loss of their own batch, and taken back if it rises: the controller has a `StepWatch`. */
  readonly isJudged?: boolean;
  /** What is preconditioned: an average of the gradients of several steps; the batch's own gradient where left out. */
  smooth?(context: StepContext, blocks: readonly KroneckerBlock[], gradient: readonly LayerTensor[]): Smoothed;
  /** New values of the blocks' parameters. */
  build(input: StepRuleInput): RuleResult;
  controller(): Controller;
}

interface RuleResult extends StepResult {
  /** A scalar that is finite only if all of the step is: a multiple of the square of its length will do. */
  readonly squaredLength: Value;
  /** The change of the prior by the step, a scalar, where the predicted change has it. */
  readonly priorChange?: Value;
}

interface Smoothed {
  readonly values: readonly LayerTensor[];
  /** New values of the states it declared. */
  readonly state: ReadonlyMap<string, Value>;
}

/** Names of the states that belong to the parts of a block's tensor. */
export function stateNames(kind: string, { weight, bias }: KroneckerBlock): Record<'weight' | 'bias', string> {
  return { weight: `${kind}.${weight}`, bias: `${kind}.${bias}` };
}

/** The last step δ of each block, as state: momentum. */
export function previousSteps({ state }: StepContext, like: readonly LayerTensor[], blocks: readonly KroneckerBlock[]) {
  const names = blocks.map((block) => stateNames('step', block));
  return {
    values: like.map((tensor, i) => {
      const name = names[i];
      if (!name) throw new Error('each gradient has a block');
      return tensor.mapNamed((part, kind) => state(name[kind], part.dims));
    }),
    next(steps: readonly LayerTensor[]): Map<string, Value> {
      const entries = new Map<string, Value>();
      for (const [i, step] of steps.entries()) {
        const name = names[i];
        if (!name) continue;
        entries.set(name.weight, step.weight);
        if (step.bias) entries.set(name.bias, step.bias);
      }
      return entries;
    },
  };
}

/** θ + δ for the parameters of the blocks. */
export function steppedParameters(
  { b, parameters }: StepContext,
  blocks: readonly KroneckerBlock[],
  steps: readonly LayerTensor[],
): Map<string, Value> {
  const updated = new Map<string, Value>();
  for (const [i, block] of blocks.entries()) {
    const step = steps[i];
    if (!step) throw new Error(`no step for the layer of ${block.weight}`);
    for (const [name, change] of block.put(b, step)) {
      const parameter = parameters.get(name);
      if (parameter) updated.set(name, b.add(parameter, change));
    }
  }
  return updated;
}

/** The same context with some of the parameters multiplied by a scalar: decoupled weight decay. */
export function shrunk(context: StepContext, names: Iterable<string>, factor: Value): StepContext {
  const parameters = new Map(context.parameters);
  for (const name of names) {
    const value = parameters.get(name);
    if (value) parameters.set(name, context.b.mul(value, factor));
  }
  return { ...context, parameters };
}
