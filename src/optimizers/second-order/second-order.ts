// The second-order step: statistics of a few examples, a preconditioner, and a rule for the step's length.
import { vectorJacobianProduct } from '../../autodiff/gradients.js';
import { type BlockTable, findBlocks } from '../../curvature/blocks.js';
import { empirical, type Fisher, sampled } from '../../curvature/fisher.js';
import type { FisherSample } from '../../curvature/fisher-sample.js';
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import { checkedKinds, type LayerKind } from '../../curvature/layers/index.js';
import { layerRows } from '../../curvature/statistics.js';
import { OptionError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';
import { casesOf, unitLikelihood } from '../../losses/likelihood.js';
import type { Loss } from '../../losses/loss.js';
import { checkedCount, checkedNumber, type OptionKeys } from '../../options.js';
import { adam } from '../adam.js';
import {
  type Optimizer,
  restricted,
  type Setting,
  type StepContext,
  type StepResult,
  scoped,
  stepResult,
} from '../optimizer.js';
import { checkedObject } from '../options.js';
import { acceptanceOf, isFiniteScalar } from '../steps/acceptance.js';
import { normalized } from '../steps/normalized.js';
import type { StepRule, StepRuleResult, Watch } from '../steps/rule.js';
import { selfTuning } from '../steps/self-tuning.js';
import type { AcrossLayers } from './across-layers.js';
import type { BlockGradient } from './block.js';
import { absolute, type Damping, relative } from './damping.js';
import { type Estimate, estimated } from './dispersion.js';
import type { Factors } from './factors.js';
import { Prior, precisionPerInput, priorMean, priorStrength } from './prior.js';

export interface SecondOrderOptions {
  /** The kinds of layers that have Kronecker blocks; the library's own, `layerKinds`, by default. */
  readonly layerKinds?: readonly LayerKind[];
  /**
   * The length and the damping of steps. `normalized()`: each block's step has the root mean square of the learning rate.
   * `selfTuning()`: learning rate, momentum and damping follow the quadratic model of the loss. `scheduled()`: they are set by
   * hand. Or an own rule. By default `normalized()` for classification of pictures and sequences (softmax cross-entropy), which
   * the noise of batches limits, and `selfTuning()` for tables and for the other losses.
   */
  readonly step?: StepRule;
  /**
   * The targets of the Fisher information: `sampled()` by default, `empirical()` for losses without a likelihood, or
   * `exact()`.
   */
  readonly fisher?: Fisher;
  /**
   * Examples of the batch that the curvature is measured on; at most the batch. By default 96 for self-tuning steps, whose
   * quadratic model uses them, too, else 32; for sequences fewer: those of 256 cases, at least four.
   */
  readonly curvatureRows?: number;
  /** The optimizer of parameters outside all Kronecker blocks: `adam()` by default, for normalized steps with 0.003/√(1 + k/100). */
  readonly rest?: Optimizer;
  /**
   * Largest weight ξ of the past in the average of the iterates, which is evaluated and kept; 0 keeps the last iterate. 0.99
   * by default, and less early on: the average covers the last ninth of the run.
   */
  readonly iterateAveraging?: number;
}

export const secondOrderKeys: OptionKeys<SecondOrderOptions> = {
  layerKinds: true,
  step: true,
  fisher: true,
  curvatureRows: true,
  rest: true,
  iterateAveraging: true,
};

/** Turns gradients into natural gradients. */
export interface Preconditioner {
  readonly damping: Damping;
  readonly factors: Factors;
  readonly acrossLayers?: AcrossLayers;
}

/** Return the kind of step that suits a run. */
export const usualStep = ({ loss, isTable }: Pick<Setting, 'loss' | 'isTable'>): StepRule =>
  loss.step === 'normalized' && !isTable ? normalized() : selfTuning();

/** Return the optimizer with a preconditioner. */
export function secondOrder(name: string, preconditioner: Preconditioner, options: SecondOrderOptions): Optimizer {
  const { curvatureRows, step } = options;
  const kinds = checkedKinds(options.layerKinds);
  checkedObject('step', step, 'begin', ['normalized', 'selfTuning', 'scheduled']);
  const given = checkedObject('fisher', options.fisher, 'cotangents', ['sampled', 'empirical', 'exact']);
  if (curvatureRows !== undefined) checkedCount('curvatureRows', curvatureRows);
  checkedObject('rest', options.rest, 'build', ['adam', 'adamw', 'sgd']);
  const iterateAveraging = checkedNumber('iterateAveraging', options.iterateAveraging ?? 0.99, {
    atLeast: 0,
    below: 1,
  });
  const ruleFor = (setting: Setting) => step ?? usualStep(setting);
  const build = (context: StepContext): StepResult => {
    const { b, objective, parameters, report } = context;
    const rule = ruleFor(context.setting);
    if (rule.setsLengths && preconditioner.acrossLayers?.onlyLengths) {
      throw new OptionError(
        `acrossLayers has no effect: the ${preconditioner.acrossLayers.name} correction of ${name} changes lengths of steps alone, and ${rule.name} steps set them; give step: selfTuning(), or another basis`,
      );
    }
    const estimate = rule.estimatesVariance ? estimated(context) : undefined;
    const likelihood = estimate?.likelihood ?? unitLikelihood(b, objective.loss);
    const examples = curvatureRows ?? rule.curvatureRows ?? usualRows(context);
    const sample = objective.evaluate(allParameters(context), Math.min(examples, objective.batchSize));
    const table = findBlocks(parameters, sample.output, kinds);
    checkBlocks(name, context, table);
    const fisher = fisherOf(name, objective.loss, given);
    let drawn: Value | undefined;
    const noise = (dims: readonly number[]): Value => {
      drawn ??= context.noise('targets', dims, likelihood.noise?.distribution ?? 'uniform');
      return drawn;
    };
    const rows = layerRows(b, sample, likelihood, table.blocks, fisher, noise);
    const weight = likelihood.weight(context.forward.output);
    const gradients = likelihoodGradients(context, weight);
    const priorOf = priors(context, rule, estimate);
    const begun = rule.begin(context);
    report('damping', begun.damping);
    const { damping, factors, acrossLayers } = preconditioner;
    const curvature: FisherSample = { forward: sample, likelihood, fisher, noise };
    const ofBlocks = damping.precondition({
      context,
      blocks: rows.map((own): BlockGradient => {
        const { block } = own;
        const ofLikelihood = block.take(b, gradients);
        const prior = priorOf(block);
        const gradient = prior ? prior.addedTo(b, ofLikelihood) : ofLikelihood;
        const smoothed = begun.smooth?.(block, gradient) ?? gradient;
        return { block, rows: own, gradient, smoothed, ...(prior && { prior }) };
      }),
      sample: curvature,
      factors,
      delta: rule.relativeDamping ? relative(begun.damping) : absolute(begun.damping),
    });
    const blocks = acrossLayers?.correct({ context, sample: curvature, blocks: ofBlocks }) ?? ofBlocks;
    const stepped = begun.build({ likelihood, sample, blocks });
    const others = restStep(options.rest ?? rule.rest ?? adam(), context, table, gradients, weight);
    return completeStep(context, begun.watch, stepped, others, weight);
  };
  return {
    name,
    ...(iterateAveraging > 0 && { iterateAveraging }),
    build,
    warnings: ({ loss }) =>
      given || loss.likelihood
        ? []
        : [
            `The loss ${loss.name} has no likelihood to draw targets from: ${name} measures curvature by the targets of the data (fisher: empirical()).`,
          ],
    remedy: (setting) => ruleFor(setting).remedy,
  };
}

/** @throws OptionError if the loss does not have the likelihood that the Fisher matrix needs */
function fisherOf(name: string, loss: Loss, given: Fisher | undefined): Fisher {
  const fisher = given ?? (loss.likelihood ? sampled() : empirical());
  if (loss.likelihood || !fisher.needsLikelihood) return fisher;
  throw new OptionError(
    `fisher ${fisher.name}() of ${name} needs the likelihood of a loss, and ${loss.name} has none: use empirical()`,
  );
}

/** The priors of blocks; undefined for blocks whose weights do not decay, and for steps without a prior. */
function priors(
  context: StepContext,
  { priorPrecision = 0 }: StepRule,
  estimate: Estimate | undefined,
): (block: KroneckerBlock) => Prior | undefined {
  const { b, setting } = context;
  const strength = priorStrength(priorPrecision, setting);
  if (!estimate || strength === 0) return () => undefined;
  const scale = b.mul(estimate.dispersion, strength);
  const distances = fromMean(context);
  return (block) =>
    block.decays
      ? new Prior(block.take(b, distances), b.mul(scale, block.inputs * precisionPerInput(setting)))
      : undefined;
}

/** The steps of the blocks and of the other parameters together, and whether they are kept. */
function completeStep(
  context: StepContext,
  watch: Watch | undefined,
  stepped: StepRuleResult,
  others: StepResult,
  weight: Value,
): StepResult {
  const { b, report } = context;
  const parameters = new Map([...stepped.parameters, ...others.parameters]);
  const squaredLength = [...others.parameters.values()].reduce(
    (sum, value) => b.add(sum, b.dot(value, value)),
    stepped.squaredLength,
  );
  const finite = isFiniteScalar(b, squaredLength);
  const acceptance = watch && acceptanceOf(context, watch, parameters, finite);
  if (acceptance) {
    const change = b.mul(acceptance.change, weight);
    // The change of what the step predicts: the mean negative log-likelihood, with the prior if there is one.
    report('actualChange', stepped.priorChange ? b.add(change, stepped.priorChange) : change);
  }
  const accept = acceptance ? acceptance.accept : finite;
  return { parameters, accept: others.accept ? b.and(accept, others.accept) : accept };
}

function checkBlocks(name: string, { objective }: StepContext, { blocks, rest }: BlockTable): void {
  if (blocks.length > 0) return;
  const reasons = [...rest].map(([parameter, reason]) => `${parameter}: ${reason}`).join('; ');
  throw new OptionError(`${name} finds no Kronecker block in '${objective.model.name}' (${reasons}); use adam instead`);
}

/** The differences between the parameters and the mean of their prior: see `priorMean`. */
function fromMean({ b, objective, parameters, setting }: StepContext): Map<string, Value> {
  const begun = objective.model.parameters;
  const share = priorMean(setting);
  return new Map(
    [...parameters].map(([name, value]) => {
      const start = begun.get(name)?.constant;
      return [name, start ? b.sub(value, b.mul(b.cast(b.constant(start), value.dtype), share)) : value];
    }),
  );
}

/** The default of `curvatureRows`. A case is an example, or a position of a sequence. */
function usualRows({ objective, forward }: StepContext): number {
  const cases = casesOf(objective.loss, forward.output) / objective.batchSize;
  return Math.max(4, Math.min(32, Math.ceil(256 / cases)));
}

/**
 * All parameters of the step, including those that another optimizer trains, without the running averages of batch
 * normalization: the runtime would merge two nodes' copies of the same averages into one, which both write to.
 */
const allParameters = ({ objective, forward, parameters }: StepContext): Map<string, Value> =>
  new Map([...[...forward.parameters].filter(([name]) => objective.model.parameters.has(name)), ...parameters]);

/** The step of parameters outside all blocks, by the gradients of the loss and by the number of kept steps. */
function restStep(
  rest: Optimizer,
  context: StepContext,
  table: BlockTable,
  ofLikelihood: ReadonlyMap<string, Value>,
  weight: Value,
): StepResult {
  const own = [...ofLikelihood].filter(([name]) => table.rest.has(name));
  const gradients = new Map(own.map(([name, gradient]) => [name, context.b.div(gradient, weight)]));
  const within = restricted(scoped({ ...context, gradients }, 'rest'), table.rest);
  if (within.parameters.size === 0) return { parameters: within.parameters };
  return stepResult(rest, {
    ...within,
    scalar: (name, at) => within.scalar(name, typeof at === 'number' ? at : (_, kept) => at(kept, kept)),
    report: () => undefined, // only the step of the blocks is reported
  });
}

/**
 * Gradients of the mean negative log-likelihood, `weight` times the loss. The weight is the first cotangent of the backward
 * pass: multiplying the gradients would take a pass over all parameters.
 */
function likelihoodGradients({ b, forward, parameters }: StepContext, weight: Value): Map<string, Value> {
  const names = [...parameters.keys()];
  const seed = { value: forward.loss, cotangent: weight };
  const gradients = vectorJacobianProduct(b, [seed], [...parameters.values()]);
  return new Map(names.map((name, i) => [name, gradients[i] as Value])); // one gradient a parameter
}
