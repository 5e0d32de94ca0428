// The second-order step: statistics of a few examples, a preconditioner, and a rule for the step's length.
import type { BlockTable } from '../../curvature/blocks.js';
import { empirical, type Fisher, type FisherInput, sampled } from '../../curvature/fisher.js';
import type { FisherSample } from '../../curvature/fisher-sample.js';
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import { checkedKinds, type LayerKind } from '../../curvature/layers/index.js';
import { type LayerRows, layerRows } from '../../curvature/statistics.js';
import { OptionError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';
import { casesOf, type Likelihood, unitLikelihood } from '../../losses/likelihood.js';
import type { Loss } from '../../losses/loss.js';
import { lossGradients } from '../../losses/objective.js';
import type { Builder } from '../../ops/builder.js';
import { checkedCount, checkedNumber, type OptionKeys } from '../../options.js';
import { adam } from '../adam.js';
import type { Optimizer, Setting, StepContext, StepResult } from '../optimizer.js';
import { checkedObject } from '../options.js';
import { normalized } from '../steps/normalized.js';
import type { BegunStep, StepRule } from '../steps/rule.js';
import { selfTuning } from '../steps/self-tuning.js';
import type { AcrossLayers } from './across-layers.js';
import type { BlockDirection, BlockGradient } from './block.js';
import { type BlockRule, checkedBlockRules, chosenBlocks, refuseIdleForms } from './block-choice.js';
import { type BlockForm, isMeasured } from './block-form.js';
import { completeStep, restStep } from './complete-step.js';
import { absolute, type BlockDamping, type Damping, type DampingInput, relative } from './damping.js';
import { reportSteps, withDiagnostics } from './diagnosed.js';
import type { Diagnostics } from './diagnostics.js';
import { estimated } from './dispersion.js';
import type { Factors } from './factors.js';
import { preconditioned } from './preconditioned.js';
import { type Prior, priors } from './prior.js';
import { type MeasureSchedule, measuring } from './refresh.js';
import { SampleNetwork } from './sample-network.js';

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
   * The curvature of outputs: of targets that are `sampled()`, by default, or `empirical()`, for losses without a likelihood;
   * `exact()`; `curvaturePropagation()`; or none, `inputOnly()`.
   */
  readonly fisher?: Fisher;
  /**
   * The form of the Fisher block of layers whose weight a glob or a predicate takes, the first that does: `kronecker()`, by
   * default, `reduced()`, `diagonal()`, `full()`, `scaledIdentity()`, `none()`, or an own one.
   */
  readonly blocks?: readonly BlockRule[];
  /**
   * Examples of the batch that the curvature is measured on; at most the batch. They are its first ones: batches are drawn in
   * an order that the seed of the run decides, so these are random examples, too. By default 96 for self-tuning steps, whose
   * quadratic model uses them, too, else 32; for sequences fewer: those of 256 cases, at least four.
   */
  readonly curvatureRows?: number;
  /**
   * Steps from one measurement of the curvature to the next: moving averages and inverses are kept in between. After a step
   * that was taken back the curvature is measured. By default 5 in `cgfac` with `factored()` damping, unless the factors keep
   * inverses of their own, else 1.
   */
  readonly curvatureInterval?: number;
  /** Steps at the start of a run that all measure the curvature; 20 by default. */
  readonly curvatureBurnIn?: number;
  /** The optimizer of parameters outside all Kronecker blocks: `adam()` by default, for normalized steps with 0.003/√(1 + k/100). */
  readonly rest?: Optimizer;
  /**
   * Largest weight ξ of the past in the average of the iterates, which is evaluated and kept; 0 keeps the last iterate. 0.99
   * by default, and less early on: the average covers the last ninth of the run.
   */
  readonly iterateAveraging?: number;
  /** What the run reports of each layer, such as `layerDiagnostics()`; nothing by default, and nothing is computed for it. */
  readonly diagnostics?: Diagnostics;
}

export const secondOrderKeys: OptionKeys<SecondOrderOptions> = {
  layerKinds: true,
  step: true,
  fisher: true,
  blocks: true,
  curvatureRows: true,
  curvatureInterval: true,
  curvatureBurnIn: true,
  rest: true,
  iterateAveraging: true,
  diagnostics: true,
};

/** Turns gradients into natural gradients. */
export interface Preconditioner {
  readonly damping: Damping;
  readonly factors: Factors;
  /** Steps from one measurement of the curvature to the next, by default; 1 if left out. */
  readonly usualInterval?: number;
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
  const given = checkedObject('fisher', options.fisher, 'cotangents', [
    'sampled',
    'empirical',
    'exact',
    'curvaturePropagation',
    'inputOnly',
  ]);
  const blockRules = checkedBlockRules(options.blocks);
  refuseIdleForms(name, preconditioner.damping, blockRules);
  if (curvatureRows !== undefined) checkedCount('curvatureRows', curvatureRows);
  const schedule = scheduleOf(preconditioner, options);
  checkedObject('rest', options.rest, 'build', ['adam', 'adamw', 'sgd']);
  const iterateAveraging = checkedNumber('iterateAveraging', options.iterateAveraging ?? 0.99, {
    atLeast: 0,
    below: 1,
  });
  const diagnostics = checkedObject('diagnostics', options.diagnostics, 'step', ['layerDiagnostics']);
  const ruleFor = (setting: Setting) => step ?? usualStep(setting);
  const build = (context: StepContext): StepResult => {
    const { b, objective, forward } = context;
    const rule = ruleFor(context.setting);
    refuseIdleCorrection(name, rule, preconditioner.acrossLayers);
    const estimate = rule.estimatesVariance ? estimated(context) : undefined;
    const likelihood = estimate?.likelihood ?? unitLikelihood(b, objective.loss);
    const network = new SampleNetwork(context, {
      ...{ examples: Math.min(curvatureRows ?? rule.curvatureRows ?? usualRows(context), objective.batchSize), kinds },
      inBranches: schedule.interval > 1 && !rule.readsSample && !preconditioner.acrossLayers,
    });
    const chosen = chosenBlocks(context, network.table, blockRules);
    checkBlocks(name, context, chosen.table);
    const fisher = fisherOf(name, objective.loss, given);
    const weight = likelihood.weight(forward.output);
    const gradients = lossGradients(b, forward, context.parameters, weight);
    const priorOf = priors(context, rule, estimate);
    const begun = rule.begin(context);
    context.report('damping', begun.damping);
    const blocks = naturalGradients(context, preconditioner, {
      ...{ network, likelihood, fisher, schedule, diagnostics, formOf: chosen.formOf },
      delta: rule.relativeDamping ? relative(begun.damping) : absolute(begun.damping),
      blocks: chosen.table.blocks.map((block) => blockGradient(b, block, gradients, priorOf(block), begun)),
    });
    const stepped = begun.build({
      likelihood,
      get sample() {
        return network.forward;
      },
      blocks,
    });
    if (diagnostics) reportSteps(diagnostics, context, blocks, stepped);
    const others = restStep(options.rest ?? rule.rest ?? adam(), context, chosen.table, gradients, weight);
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

/** Steps at the start of a run that all measure the curvature, by default: the weights change most then. */
const usualBurnIn = 20;

/** @throws OptionError for numbers out of range, and for a schedule that has no effect */
function scheduleOf({ damping, usualInterval = 1 }: Preconditioner, options: SecondOrderOptions): MeasureSchedule {
  const { curvatureInterval, curvatureBurnIn } = options;
  const interval = checkedCount('curvatureInterval', curvatureInterval ?? usualInterval);
  if (interval > 1 && (damping.usesRows || damping.measuresAlways)) {
    throw new OptionError(
      `curvatureInterval is ${interval}, and ${damping.name}() damping needs the rows of each step: leave it out`,
    );
  }
  if (interval === 1 && curvatureBurnIn !== undefined) {
    throw new OptionError('curvatureBurnIn has no effect: with curvatureInterval 1, all steps measure the curvature');
  }
  return { interval, burnIn: checkedCount('curvatureBurnIn', curvatureBurnIn ?? usualBurnIn) };
}

/** @throws OptionError for a correction of lengths beside steps that set them */
function refuseIdleCorrection(name: string, rule: StepRule, acrossLayers: AcrossLayers | undefined): void {
  if (!rule.setsLengths || !acrossLayers?.onlyLengths) return;
  throw new OptionError(
    `acrossLayers has no effect: the ${acrossLayers.name} correction of ${name} changes lengths of steps alone, and ${rule.name} steps set them; give step: selfTuning(), or another basis`,
  );
}

/** @throws OptionError if the loss does not have the likelihood that the Fisher matrix needs */
function fisherOf(name: string, loss: Loss, given: Fisher | undefined): Fisher {
  const fisher = given ?? (loss.likelihood ? sampled() : empirical());
  if (loss.likelihood || !fisher.needsLikelihood) return fisher;
  throw new OptionError(
    `fisher ${fisher.name}() of ${name} needs the likelihood of a loss, and ${loss.name} has none: use empirical()`,
  );
}

function checkBlocks(name: string, { objective }: StepContext, { blocks, rest }: BlockTable): void {
  if (blocks.length > 0) return;
  const reasons = [...rest].map(([parameter, reason]) => `${parameter}: ${reason}`).join('; ');
  throw new OptionError(`${name} finds no Kronecker block in '${objective.model.name}' (${reasons}); use adam instead`);
}

/** A block with its gradient, with the prior's, and what is preconditioned of it. */
function blockGradient(
  b: Builder,
  block: KroneckerBlock,
  gradients: ReadonlyMap<string, Value>,
  prior: Prior | undefined,
  begun: BegunStep,
): BlockGradient {
  const ofLikelihood = block.take(b, gradients);
  const gradient = prior ? prior.addedTo(b, ofLikelihood) : ofLikelihood;
  return { block, gradient, smoothed: begun.smooth?.(block, gradient) ?? gradient, ...(prior && { prior }) };
}

/** What the curvature of a step is measured on, and how it is damped. */
interface Measurement {
  readonly network: SampleNetwork;
  readonly likelihood: Likelihood;
  readonly fisher: Fisher;
  readonly schedule: MeasureSchedule;
  readonly diagnostics: Diagnostics | undefined;
  readonly blocks: readonly BlockGradient[];
  readonly formOf: (block: KroneckerBlock) => BlockForm;
  readonly delta: BlockDamping;
}

/** The blocks with their natural gradients, corrected for the interactions of layers if that is asked for. */
function naturalGradients(
  context: StepContext,
  { damping, factors, acrossLayers }: Preconditioner,
  { network, likelihood, fisher, schedule, diagnostics, blocks, formOf, delta }: Measurement,
): readonly BlockDirection[] {
  const draws = drawnOnce(context);
  const sample = (): FisherSample => ({ forward: network.forward, likelihood, fisher, noise: draws() });
  const reduces = (block: KroneckerBlock) => formOf(block).reduces === true;
  const measure = measuring(context, schedule, (at) => {
    const { forward, blocks: found } = network.within(at);
    const own = blocks.map(({ block }) => found.find(({ weight }) => weight === block.weight) as KroneckerBlock); // the same network
    const rows = layerRows(at, forward, likelihood, own, fisher, draws(), reduces);
    return blocks.map((each, i) => ({ ...each, rows: rows[i] as LayerRows })); // one a block
  });
  const input: DampingInput = { context, blocks, sample, factors, delta, measure };
  const isProduct = (block: KroneckerBlock) => !isMeasured(formOf(block));
  const observed = diagnostics ? withDiagnostics(diagnostics, damping, isProduct, input) : input;
  const solved = preconditioned(damping, formOf, observed);
  refuseLostBlocks(`damping '${damping.name}'`, blocks, solved);
  if (!acrossLayers) return solved;
  const corrected = acrossLayers.correct({ context, sample: sample(), blocks: solved });
  refuseLostBlocks(`acrossLayers '${acrossLayers.name}'`, blocks, corrected);
  return corrected;
}

/** @throws OptionError if a part of a user's own leaves out a block, which would not be trained */
function refuseLostBlocks(part: string, blocks: readonly BlockGradient[], found: readonly BlockDirection[]): void {
  const lost = blocks.find(({ block }) => !found.some((each) => each.block === block));
  if (lost) throw new OptionError(`${part} returns no direction of '${lost.block.weight}'; return one for each block`);
}

/**
 * The random numbers of targets, which are drawn once a step: rows of all layers, and corrections, begin with the first of them.
 * Those that one Fisher matrix asks for one after the other are different.
 */
function drawnOnce(context: StepContext): () => FisherInput['noise'] {
  const drawn: Value[] = [];
  return () => {
    let count = 0;
    return (dims, distribution) => {
      count += 1;
      const value = drawn[count - 1] ?? context.noise(count === 1 ? 'targets' : `targets.${count}`, dims, distribution);
      drawn[count - 1] = value;
      return value;
    };
  };
}

/** Most examples that the curvature is measured on by default, unless the rule of the step says otherwise. */
export const mostMeasured = 32;

/** The default of `curvatureRows`. A case is an example, or a position of a sequence. */
function usualRows({ objective, forward }: StepContext): number {
  const cases = casesOf(objective.loss, forward.output) / objective.batchSize;
  return Math.max(4, Math.min(mostMeasured, Math.ceil(256 / cases)));
}
