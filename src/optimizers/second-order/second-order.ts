// The second-order step: statistics of a few examples, a preconditioner, and a rule for the step's length.
import { vectorJacobianProduct } from '../../autodiff/gradients.js';
import { findBlocks } from '../../curvature/blocks.js';
import { checkedKinds, type LayerKind } from '../../curvature/layers/index.js';
import { type FisherKind, layerRows } from '../../curvature/statistics.js';
import { OptionError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';
import { casesOf, unitLikelihood } from '../../losses/likelihood.js';
import type { Loss } from '../../losses/loss.js';
import type { Builder } from '../../ops/builder.js';
import { checkedWord, type OptionKeys } from '../../options.js';
import { adamRule } from '../adam.js';
import type { Controller, Optimizer, Setting, StepContext, StepResult } from '../optimizer.js';
import { checked, inverseRoot, type Schedule } from '../options.js';
import { isFiniteScalar, judged } from '../steps/judge.js';
import { checkStepOptions, defaultStep, type StepKind, type StepOptions, stepRule } from '../steps/kinds.js';
import { dispersionScalars, estimated } from './dispersion.js';
import { absolute, type Preconditioner, relative } from './preconditioner.js';
import { Prior, priorMean, priorStrength } from './prior.js';

export interface SecondOrderOptions extends StepOptions {
  /** The kinds of layers that get Kronecker blocks; the library's own, `layerKinds`, by default. */
  readonly layerKinds?: readonly LayerKind[];
  /**
   * How far steps go. `normalized`: each block's step has the root mean square `learningRate`. `self-tuning`: learning
   * rate, momentum and damping follow the quadratic model of the loss. `scheduled`: learning rate, momentum and KL clip
   * are set by hand. By default `scheduled` where a learning rate is given, else `normalized` to classify pictures and
   * sequences (softmax cross-entropy), where the noise of a batch rules, and `self-tuning` for tables and the other losses.
   */
  readonly step?: StepKind;
  /** Where the targets of the Fisher information come from; `sampled` by default, `empirical` of losses without a likelihood. */
  readonly fisher?: FisherKind;
  /**
   * Examples of the batch that the curvature is measured on; at most the batch. By default 96 for self-tuning steps,
   * which also judge themselves by them, else 32; of sequences, fewer: those of 256 cases, at least four.
   */
  readonly curvatureRows?: number;
  /**
   * Largest weight ξ of the past in the average of the iterates, which is what is evaluated and kept; 0 keeps the last
   * iterate. 0.99 by default, and less early on: the average reaches back over the last ninth of the run.
   */
  readonly iterateAveraging?: number;
  /**
   * Adam's learning rate for parameters outside all Kronecker blocks; by default 0.001, and 0.003/√(1 + k/100) at step k
   * beside normalized steps.
   */
  readonly restLearningRate?: Schedule;
}

export const secondOrderKeys: OptionKeys<SecondOrderOptions> = {
  layerKinds: true,
  step: true,
  learningRate: true,
  damping: true,
  momentum: true,
  weightDecay: true,
  klClip: true,
  fisher: true,
  curvatureRows: true,
  dampingInterval: true,
  dampingDecay: true,
  minimumDamping: true,
  priorPrecision: true,
  iterateAveraging: true,
  restLearningRate: true,
};

/** Options that may change with the step. */
export const schedules = ['learningRate', 'damping', 'restLearningRate'] as const;

/** An optimizer from a preconditioner. */
export function secondOrder(name: string, preconditioner: Preconditioner, options: SecondOrderOptions): Optimizer {
  const kinds = checkedKinds(options.layerKinds);
  checkedWord('fisher', options.fisher, ['sampled', 'empirical', 'exact']);
  if (options.curvatureRows !== undefined) {
    checked('curvatureRows', options.curvatureRows, { atLeast: 1, integer: true });
  }
  const iterateAveraging = checked('iterateAveraging', options.iterateAveraging ?? 0.99, { atLeast: 0, below: 1 });
  if (options.restLearningRate !== undefined) checked('restLearningRate', options.restLearningRate, { above: 0 });
  checkStepOptions(options.step, options);
  const partsFor = (setting: Setting) => {
    const kind = options.step ?? defaultStep(options, setting);
    const learningRate = options.restLearningRate ?? (kind === 'normalized' ? inverseRoot(3e-3) : 1e-3);
    return { kind, step: stepRule(kind, options, setting), rest: adamRule({ learningRate }) };
  };
  const build = (context: StepContext): StepResult => {
    const { b, objective, parameters } = context;
    const { kind, step, rest } = partsFor(context.setting);
    const estimates = new Map<string, Value>();
    const estimate = step.estimatesVariance ? estimated(context, estimates) : undefined;
    const likelihood = estimate?.likelihood ?? unitLikelihood(b, objective.loss);
    const examples = options.curvatureRows ?? defaultExamples(kind, context);
    const sample = objective.evaluate(parameters, Math.min(examples, objective.batchSize));
    const table = findBlocks(parameters, sample.output, kinds);
    if (table.blocks.length === 0) {
      const reasons = [...table.rest].map(([parameter, reason]) => `${parameter}: ${reason}`).join('; ');
      throw new OptionError(
        `${name} finds no Kronecker block in '${objective.model.name}' (${reasons}); use adam instead`,
      );
    }
    const { blocks } = table;
    const noise = (dims: readonly number[]) =>
      context.noise('targets', dims, likelihood.noise?.distribution ?? 'uniform');
    const rows = layerRows(b, sample, likelihood, blocks, fisherOf(name, options, objective.loss), noise);
    const weight = likelihood.weight(context.forward.output);
    const slopes = likelihoodGradients(context, weight);
    const likely = blocks.map((block) => block.take(b, slopes));
    const strength = priorStrength(step.priorPrecision ?? 0, context.setting);
    const prior =
      estimate && strength > 0
        ? new Prior(
            blocks,
            blocks.map((block) => block.take(b, fromMean(context))),
            b.mul(estimate.dispersion, strength),
          )
        : undefined;
    const gradient = prior ? prior.addedTo(b, likely) : likely;
    const smoothed = step.smooth?.(context, blocks, gradient) ?? { values: gradient, state: new Map() };
    const damping = context.scalar('damping');
    const conditioned = preconditioner.build({
      context,
      blocks,
      rows,
      gradient: smoothed.values,
      damping: step.relativeDamping ? relative(damping) : absolute(damping),
    });
    const { directions, rootDampings } = conditioned;
    const stepped = step.build({
      context,
      likelihood,
      prior,
      sample,
      blocks,
      gradient,
      directions,
      rootDampings,
      damping,
    });
    const others = rest.build(restContext(context, slopes, weight), [...table.rest.keys()]);
    const next = new Map([...stepped.parameters, ...others.parameters]);
    const squaredLength = [...others.parameters.values()].reduce(
      (sum, value) => b.add(sum, b.dot(value, value)),
      stepped.squaredLength,
    );
    const judgement = step.isJudged ? judged(context, next, squaredLength) : undefined;
    return {
      parameters: next,
      state: new Map([...estimates, ...smoothed.state, ...conditioned.state, ...stepped.state, ...others.state]),
      diagnostics: new Map([
        ['damping', damping],
        ...stepped.diagnostics,
        ...(judgement
          ? [['actualChange', actualChange(b, judgement.change, weight, stepped.priorChange)] as const]
          : []),
        ...conditioned.diagnostics,
      ]),
      accept: judgement ? judgement.accept : isFiniteScalar(b, squaredLength),
    };
  };
  return {
    name,
    ...(iterateAveraging > 0 && { iterateAveraging }),
    build,
    warnings: ({ loss }) =>
      options.fisher === undefined && !loss.likelihood
        ? [
            `The loss ${loss.name} has no likelihood to draw targets from: ${name} measures curvature by the targets of the data (fisher 'empirical').`,
          ]
        : [],
    remedy: (setting) => remedyFor(options, partsFor(setting).kind),
    controller(setting) {
      const { step, rest } = partsFor(setting);
      const dispersion = step.estimatesVariance ? [dispersionScalars] : [];
      return joined(step.controller(), [preconditioner.scalars, restScalars(rest), ...dispersion]);
    },
  };
}

/** Of the mean negative log-likelihood, and of the prior if there is one: what a step predicts. */
function actualChange(b: Builder, change: Value, weight: Value, prior: Value | undefined): Value {
  const likelihood = b.mul(change, weight);
  return prior ? b.add(likelihood, prior) : likelihood;
}

/**
 * Where the targets of the Fisher information come from. @throws OptionError if they are to come from a likelihood that the
 * loss does not have
 */
function fisherOf(optimizer: string, { fisher }: SecondOrderOptions, loss: Loss): FisherKind {
  if (loss.likelihood) return fisher ?? 'sampled';
  if (fisher === undefined || fisher === 'empirical') return 'empirical';
  throw new OptionError(
    `fisher '${fisher}' of ${optimizer} needs the likelihood of a loss, and ${loss.name} has none: use 'empirical'`,
  );
}

/** A learning rate can only be lowered where there is one: defaults leave the batch and the damping. */
function remedyFor({ learningRate }: SecondOrderOptions, kind: StepKind): string {
  if (kind === 'scheduled') return 'Lower the learning rate or raise the damping';
  return learningRate === undefined ? 'Take larger batches, or raise the damping' : 'Lower the learning rate';
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
function defaultExamples(kind: StepKind, { objective, forward }: StepContext): number {
  if (kind === 'self-tuning') return 96;
  const cases = casesOf(objective.loss, forward.output) / objective.batchSize;
  return Math.max(4, Math.min(32, Math.ceil(256 / cases)));
}

const restName = (name: string): string => `rest.${name}`;

/** The context that first-order parameters see: the loss's gradients, their scalars under names of their own. */
const restContext = (context: StepContext, slopes: ReadonlyMap<string, Value>, weight: Value): StepContext => ({
  ...context,
  gradients: new Map([...slopes].map(([name, slope]) => [name, context.b.div(slope, weight)])),
  scalar: (name) => context.scalar(restName(name)),
});

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

const restScalars = (rest: ReturnType<typeof adamRule>) => (step: number) =>
  Object.fromEntries(Object.entries(rest.scalars(step)).map(([name, value]) => [restName(name), value]));

/** The controller of the step, with further scalars that are functions of how many steps the states have seen. */
const joined = (
  step: Controller,
  others: readonly ((kept: number) => Readonly<Record<string, number>>)[],
): Controller => ({
  ...step,
  scalars: (k, kept = k) => Object.assign(step.scalars(k, kept), ...others.map((scalars) => scalars(kept))),
});
