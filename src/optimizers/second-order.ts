// The second-order step: statistics of a few examples, a preconditioner, and a rule for the step's length.
import { vectorJacobianProduct } from '../autodiff/gradients.js';
import { findBlocks, type KroneckerBlock } from '../curvature/blocks.js';
import { LayerTensor } from '../curvature/layer-tensor.js';
import { type FisherKind, layerRows } from '../curvature/statistics.js';
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { adamRule } from './adam.js';
import type { DampingOptions } from './levenberg-marquardt.js';
import type { Controller, Optimizer, StepContext, StepResult } from './optimizer.js';
import { checked, type Schedule } from './options.js';
import type { Preconditioner } from './preconditioner.js';
import { scheduledStep } from './scheduled-step.js';
import { selfTuningStep } from './self-tuning-step.js';
import type { StepRule } from './step-rule.js';

export interface SecondOrderOptions extends DampingOptions {
  /** Where the targets of the Fisher information come from; `sampled` by default. */
  readonly fisher?: FisherKind;
  /** Examples of the batch that the curvature is measured on; at most the batch. 96 by default (docs/decisions.md). */
  readonly curvatureRows?: number;
  /** λ: the first value when self-tuning, a constant or a schedule otherwise. 0.03 by default when self-tuning, 1 otherwise. */
  readonly damping?: Schedule;
  /** η: given, the step is scheduled (learning rate, momentum, KL clip); left out, the step tunes itself. */
  readonly learningRate?: Schedule;
  /** μ of a scheduled step; 0.9 by default. */
  readonly momentum?: number;
  /** Decoupled weight decay of a scheduled step; 0 by default. */
  readonly weightDecay?: number;
  /** Bound κ on the squared Fisher norm of a scheduled step (Osawa et al., Ba et al. 2017); 0.001 by default, 0 is none. */
  readonly klClip?: number;
  /**
   * Largest weight ξ of the past in the average of the iterates, which is what is evaluated and kept; 0 keeps the last
   * iterate. 0.99 by default, and less early on: the average reaches back over the last ninth of the run.
   */
  readonly iterateAveraging?: number;
  /** Adam's learning rate for parameters outside all Kronecker blocks; 0.001 by default. */
  readonly restLearningRate?: Schedule;
}

/** An optimizer from a preconditioner. */
export function secondOrder(name: string, preconditioner: Preconditioner, options: SecondOrderOptions): Optimizer {
  const curvatureRows = checked('curvatureRows', options.curvatureRows ?? 96, { atLeast: 1, integer: true });
  const iterateAveraging = checked('iterateAveraging', options.iterateAveraging ?? 0.99, { atLeast: 0, below: 1 });
  const step: StepRule = options.learningRate === undefined ? selfTuningStep(options) : scheduledStep(options);
  const restLearningRate = checked('restLearningRate', options.restLearningRate ?? 1e-3, { above: 0 });
  const rest = adamRule({ learningRate: restLearningRate });
  const build = (context: StepContext): StepResult => {
    const { b, objective, parameters } = context;
    const { loss } = objective;
    const sample = objective.evaluate(parameters, Math.min(curvatureRows, objective.batchSize));
    const table = findBlocks(parameters, sample.output);
    if (table.blocks.length === 0) {
      const reasons = [...table.rest].map(([parameter, reason]) => `${parameter}: ${reason}`).join('; ');
      throw new OptionError(
        `${name} finds no Kronecker block in '${objective.model.name}' (${reasons}); use adam instead`,
      );
    }
    const noise = (dims: readonly number[]) => context.noise('targets', dims, loss.noise.distribution);
    const rows = layerRows(b, sample, loss, table.blocks, options.fisher ?? 'sampled', noise);
    const scale = loss.scale(context.forward.output);
    const slopes = likelihoodGradients(context, scale);
    const gradient = table.blocks.map((block) => layerTensor(b, block, slopes));
    const damping = context.scalar('damping');
    const conditioned = preconditioner.build({ context, blocks: table.blocks, rows, gradient, damping });
    const stepped = step.build({
      context,
      sample,
      blocks: table.blocks,
      gradient,
      directions: conditioned.directions,
      damping,
    });
    const others = rest.build(restContext(context, slopes, scale), [...table.rest.keys()]);
    return {
      parameters: new Map([...stepped.parameters, ...others.parameters]),
      state: new Map([...conditioned.state, ...stepped.state, ...others.state]),
      diagnostics: new Map([['damping', damping], ...stepped.diagnostics, ...conditioned.diagnostics]),
    };
  };
  return {
    name,
    ...(iterateAveraging > 0 && { iterateAveraging }),
    build,
    controller: () => joined(step.controller(), preconditioner, rest),
  };
}

/** A block's part of tensors that are keyed by parameter; the kernel of a convolution is seen as `[outputs, inputs]`. */
function layerTensor(b: Builder, block: KroneckerBlock, tensors: ReadonlyMap<string, Value>): LayerTensor {
  const weight = tensors.get(block.weight);
  if (!weight) throw new Error(`no tensor for parameter ${block.weight}`);
  const { inputs, outputs, outputsFirst } = block;
  const matrix = b.reshape(weight, outputsFirst ? [outputs, inputs] : [inputs, outputs]);
  return new LayerTensor(matrix, block.bias === undefined ? undefined : tensors.get(block.bias), outputsFirst);
}

const restName = (name: string): string => `rest.${name}`;

/** The context that first-order parameters see: the loss's gradients, their scalars under names of their own. */
const restContext = (context: StepContext, slopes: ReadonlyMap<string, Value>, scale: number): StepContext => ({
  ...context,
  gradients: new Map([...slopes].map(([name, slope]) => [name, context.b.mul(slope, 1 / scale)])),
  scalar: (name) => context.scalar(restName(name)),
});

/**
 * Gradients of the mean negative log-likelihood, `scale` times the loss. The factor enters where the backward pass
 * begins, not at its end: that spares a pass over all parameters.
 */
function likelihoodGradients({ b, forward, parameters }: StepContext, scale: number): Map<string, Value> {
  const names = [...parameters.keys()];
  const seed = { value: forward.loss, cotangent: b.scalar(scale, forward.loss.dtype) };
  const slopes = vectorJacobianProduct(b, [seed], [...parameters.values()]);
  return new Map(names.map((name, i) => [name, slopes[i] as Value])); // one gradient a parameter
}

function joined(step: Controller, preconditioner: Preconditioner, rest: ReturnType<typeof adamRule>): Controller {
  return {
    ...step,
    scalars: (k) => ({
      ...step.scalars(k),
      ...preconditioner.scalars(k),
      ...Object.fromEntries(Object.entries(rest.scalars(k)).map(([name, value]) => [restName(name), value])),
    }),
  };
}
