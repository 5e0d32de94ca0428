// The second-order step: statistics of a few examples, a preconditioner, and a rule for the step's length.
import { vectorJacobianProduct } from '../../autodiff/gradients.js';
import { type BlockTable, findBlocks } from '../../curvature/blocks.js';
import { empirical, type Fisher, sampled } from '../../curvature/fisher.js';
import { checkedKinds, type LayerKind } from '../../curvature/layers/index.js';
import { layerRows } from '../../curvature/statistics.js';
import { OptionError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';
import { casesOf, unitLikelihood } from '../../losses/likelihood.js';
import { checkedCount, checkedNumber, isRecord, type OptionKeys } from '../../options.js';
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
import type { StepRule } from '../steps/rule.js';
import { selfTuning } from '../steps/self-tuning.js';
import type { BlockGradient } from './block.js';
import { absolute, type Damping, relative } from './damping.js';
import { estimated } from './dispersion.js';
import type { Factors } from './factors.js';
import { Prior, precisionPerInput, priorMean, priorStrength } from './prior.js';

export interface SecondOrderOptions {
  /** The kinds of layers that get Kronecker blocks; the library's own, `layerKinds`, by default. */
  readonly layerKinds?: readonly LayerKind[];
  /**
   * How far steps go, and with how much damping. `normalized()`: each block's step has the root mean square of the
   * learning rate. `selfTuning()`: learning rate, momentum and damping follow the quadratic model of the loss.
   * `scheduled()`: they are set by hand. Or a rule of one's own. By default `normalized()` to classify pictures and
   * sequences (softmax cross-entropy), where the noise of a batch rules, and `selfTuning()` for tables and the other losses.
   */
  readonly step?: StepRule;
  /**
   * Where the targets of the Fisher information come from: `sampled()` by default, `empirical()` of losses without a
   * likelihood, or `exact()`.
   */
  readonly fisher?: Fisher;
  /**
   * Examples of the batch that the curvature is measured on; at most the batch. By default 96 for self-tuning steps,
   * which also judge themselves by them, else 32; of sequences, fewer: those of 256 cases, at least four.
   */
  readonly curvatureRows?: number;
  /** What trains parameters outside all Kronecker blocks: by default `adam()`, beside normalized steps with 0.003/√(1 + k/100). */
  readonly rest?: Optimizer;
  /**
   * Largest weight ξ of the past in the average of the iterates, which is what is evaluated and kept; 0 keeps the last
   * iterate. 0.99 by default, and less early on: the average reaches back over the last ninth of the run.
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

/** What turns gradients into natural gradients. */
export interface Preconditioner {
  readonly damping: Damping;
  readonly factors: Factors;
}

/** The kind of step that suits a run. */
export const usualStep = ({ loss, isTable }: Pick<Setting, 'loss' | 'isTable'>): StepRule =>
  loss.step === 'normalized' && !isTable ? normalized() : selfTuning();

/** An optimizer from a preconditioner. */
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
    const estimate = rule.estimatesVariance ? estimated(context) : undefined;
    const likelihood = estimate?.likelihood ?? unitLikelihood(b, objective.loss);
    const examples = curvatureRows ?? rule.curvatureRows ?? usualRows(context);
    const sample = objective.evaluate(allParameters(context), Math.min(examples, objective.batchSize));
    const table = findBlocks(parameters, sample.output, kinds);
    checkBlocks(name, context, table);
    const noise = (dims: readonly number[]) =>
      context.noise('targets', dims, likelihood.noise?.distribution ?? 'uniform');
    const fisher = given ?? (objective.loss.likelihood ? sampled() : empirical());
    if (fisher.needsLikelihood && !objective.loss.likelihood) {
      throw new OptionError(
        `fisher ${fisher.name}() of ${name} needs the likelihood of a loss, and ${objective.loss.name} has none: use empirical()`,
      );
    }
    const rows = layerRows(b, sample, likelihood, table.blocks, fisher, noise);
    const weight = likelihood.weight(context.forward.output);
    const slopes = likelihoodGradients(context, weight);
    const strength = priorStrength(rule.priorPrecision ?? 0, context.setting);
    const priorScale = estimate && strength > 0 ? b.mul(estimate.dispersion, strength) : undefined;
    const begun = rule.begin(context);
    report('damping', begun.damping);
    const gradients = rows.map((own): BlockGradient => {
      const { block } = own;
      const likely = block.take(b, slopes);
      const prior =
        priorScale && block.decays
          ? new Prior(
              block.take(b, fromMean(context)),
              b.mul(priorScale, block.inputs * precisionPerInput(context.setting)),
            )
          : undefined;
      const gradient = prior ? prior.addedTo(b, likely) : likely;
      const smoothed = begun.smooth?.(block, gradient) ?? gradient;
      return { block, rows: own, gradient, smoothed, ...(prior && { prior }) };
    });
    const { damping, factors } = preconditioner;
    const blocks = damping.precondition({
      context,
      blocks: gradients,
      factors,
      delta: rule.relativeDamping ? relative(begun.damping) : absolute(begun.damping),
    });
    const stepped = begun.build({ likelihood, sample, blocks });
    const others = restStep(options.rest ?? rule.rest ?? adam(), context, table, slopes, weight);
    const next = new Map([...stepped.parameters, ...others.parameters]);
    const squaredLength = [...others.parameters.values()].reduce(
      (sum, value) => b.add(sum, b.dot(value, value)),
      stepped.squaredLength,
    );
    const finite = isFiniteScalar(b, squaredLength);
    const acceptance = begun.watch && acceptanceOf(context, begun.watch, next, finite);
    if (acceptance) {
      const change = b.mul(acceptance.change, weight);
      // Of the mean negative log-likelihood, and of the prior if there is one: what the step predicts.
      report('actualChange', stepped.priorChange ? b.add(change, stepped.priorChange) : change);
    }
    const accept = acceptance ? acceptance.accept : finite;
    return { parameters: next, accept: others.accept ? b.and(accept, others.accept) : accept };
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

/** @throws OptionError for a part that is none, and for combinations in which one has no effect */
export function checkedParts(options: {
  readonly damping?: Damping | undefined;
  readonly factors?: Factors | undefined;
}): Partial<Preconditioner> {
  const damping = checkedObject('damping', options.damping, 'precondition', ['factored', 'tikhonov', 'primal']);
  const factors = checkedObject('factors', options.factors, 'begin', ['sketches', 'dense']);
  if (damping?.usesRows && factors) {
    throw new OptionError(`factors have no effect: ${damping.name}() damping solves with the rows of this batch alone`);
  }
  if (damping && !damping.invertsFactors && factors?.inverseInterval !== undefined) {
    throw new OptionError(`inverseInterval has no effect: ${damping.name}() damping keeps no inverses`);
  }
  return { ...(damping && { damping }), ...(factors && { factors }) };
}

/** Options of the parts, which are not options of the whole. */
const nested: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['learningRate', 'momentum', 'weightDecay', 'klClip'].map((key) => [key, `step: scheduled({ ${key} })`]),
  ),
  ...Object.fromEntries(
    ['dampingInterval', 'dampingDecay', 'minimumDamping', 'priorPrecision'].map((key) => [
      key,
      `step: selfTuning({ ${key} })`,
    ]),
  ),
  ...Object.fromEntries(['rank', 'decay'].map((key) => [key, `factors: sketches({ ${key} })`])),
  ...Object.fromEntries(['maxIterations', 'tolerance'].map((key) => [key, `damping: tikhonov({ ${key} })`])),
  warmStart: 'damping: primal({ warmStart })',
  inverseInterval: 'factors: dense({ inverseInterval })',
  samples: 'fisher: sampled({ samples })',
};

/** @throws OptionError for an option of a part, and for a strength of damping, with where it goes */
export function refuseNested(name: string, options: object): void {
  const given: unknown = options;
  if (!isRecord(given)) return;
  for (const key of Object.keys(given)) {
    const camel = key.replace(/[-_]([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (given[key] === undefined || !Object.hasOwn(nested, camel)) continue;
    throw new OptionError(`${key} is no option of ${name}; write ${name}({ ${nested[camel]} })`);
  }
  const { damping } = given;
  if (typeof damping !== 'number') return;
  throw new OptionError(
    `damping is ${damping}; its strength is a number of the step: ${name}({ step: selfTuning({ damping: ${damping} }) })`,
  );
}

function checkBlocks(name: string, { objective }: StepContext, { blocks, rest }: BlockTable): void {
  if (blocks.length > 0) return;
  const reasons = [...rest].map(([parameter, reason]) => `${parameter}: ${reason}`).join('; ');
  throw new OptionError(`${name} finds no Kronecker block in '${objective.model.name}' (${reasons}); use adam instead`);
}

/** How far the parameters are from the mean of their prior: see `priorMean`. */
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

/** See `curvatureRows`. A case is an example, or a position of a sequence. */
function usualRows({ objective, forward }: StepContext): number {
  const cases = casesOf(objective.loss, forward.output) / objective.batchSize;
  return Math.max(4, Math.min(32, Math.ceil(256 / cases)));
}

/**
 * All parameters of the step, also those that another optimizer trains. Not the running averages of batch normalization:
 * two nodes that are given copies of the same ones would be given one copy by the runtime's optimizer, and write over it.
 */
const allParameters = ({ objective, forward, parameters }: StepContext): Map<string, Value> =>
  new Map([...[...forward.parameters].filter(([name]) => objective.model.parameters.has(name)), ...parameters]);

/** The step of parameters outside all blocks: they see the gradients of the loss, and the steps that were kept. */
function restStep(
  rest: Optimizer,
  context: StepContext,
  table: BlockTable,
  slopes: ReadonlyMap<string, Value>,
  weight: Value,
): StepResult {
  const own = [...slopes].filter(([name]) => table.rest.has(name));
  const gradients = new Map(own.map(([name, slope]) => [name, context.b.div(slope, weight)]));
  const within = restricted(scoped({ ...context, gradients }, 'rest'), table.rest);
  if (within.parameters.size === 0) return { parameters: within.parameters };
  return stepResult(rest, {
    ...within,
    scalar: (name, at) => within.scalar(name, typeof at === 'number' ? at : (_, kept) => at(kept, kept)),
    report: () => undefined, // what is reported is the step of the blocks
  });
}

/**
 * Gradients of the mean negative log-likelihood, `weight` times the loss. The factor enters where the backward pass
 * begins, not at its end: that spares a pass over all parameters.
 */
function likelihoodGradients({ b, forward, parameters }: StepContext, weight: Value): Map<string, Value> {
  const names = [...parameters.keys()];
  const seed = { value: forward.loss, cotangent: weight };
  const slopes = vectorJacobianProduct(b, [seed], [...parameters.values()]);
  return new Map(names.map((name, i) => [name, slopes[i] as Value])); // one gradient a parameter
}
