// Adam (Kingma & Ba 2015, algorithm 1) and AdamW (Loshchilov & Hutter 2019, algorithm 2: decoupled weight decay).
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { checkKeys, type OptionKeys } from '../options.js';
import { type Optimizer, type StepContext, scheduled } from './optimizer.js';
import { at, checked, refuseSchedules, type Schedule } from './options.js';

export interface AdamOptions {
  /** η; 0.001 by default. */
  readonly learningRate?: Schedule;
  /** Decay of the gradient's moving average; 0.9 by default. */
  readonly beta1?: number;
  /** Decay of the squared gradient's moving average; 0.999 by default. */
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Decoupled weight decay w: θ ← θ − η·w·θ; 0 for `adam`, 0.01 for `adamw`. */
  readonly weightDecay?: number;
}

/**
 * Adam.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = adam({ learningRate: 3e-4 });
 */
export const adam = (options: AdamOptions = {}): Optimizer => adamNamed('adam', options);

/**
 * Adam with decoupled weight decay.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = adamw({ learningRate: 3e-4, weightDecay: 0.05 });
 */
export const adamw = (options: AdamOptions = {}): Optimizer => adamNamed('adamw', options, 0.01);

const keys: OptionKeys<AdamOptions> = {
  learningRate: true,
  beta1: true,
  beta2: true,
  epsilon: true,
  weightDecay: true,
};

function adamNamed(name: string, options: AdamOptions, usualDecay = 0): Optimizer {
  checkKeys(name, options, keys);
  refuseSchedules(options, ['learningRate']);
  const rule = adamRule({ ...options, weightDecay: options.weightDecay ?? usualDecay });
  return {
    name,
    build(context) {
      const result = rule.build(context, [...context.parameters.keys()]);
      return { ...result, diagnostics: new Map([['learningRate', context.scalar('learningRate')]]) };
    },
    remedy: () => 'Lower the learning rate',
    controller: () => scheduled(rule.scalars),
  };
}

/** Adam's rule on some of the parameters: also what second-order optimizers use for parameters without a block. */
export function adamRule(options: AdamOptions) {
  const learningRate = checked('learningRate', options.learningRate ?? 1e-3, { above: 0 });
  const beta1 = checked('beta1', options.beta1 ?? 0.9, { atLeast: 0, below: 1 });
  const beta2 = checked('beta2', options.beta2 ?? 0.999, { atLeast: 0, below: 1 });
  const epsilon = checked('epsilon', options.epsilon ?? 1e-8, { above: 0 });
  const weightDecay = checked('weightDecay', options.weightDecay ?? 0, { atLeast: 0 });
  return {
    build({ b, parameters, gradients, scalar, state }: StepContext, names: readonly string[]) {
      const rate = names.length > 0 ? scalar('learningRate') : undefined;
      const states = new Map<string, Value>();
      const updated = new Map<string, Value>();
      for (const name of names) {
        const [parameter, gradient] = [parameters.get(name), gradients.get(name)];
        if (!parameter || !gradient || !rate) continue;
        const mean = average(b, state(`mean.${name}`, parameter.dims), gradient, beta1);
        const square = average(b, state(`square.${name}`, parameter.dims), b.square(gradient), beta2);
        states.set(`mean.${name}`, mean).set(`square.${name}`, square);
        // The bias corrections 1/(1 − βᵗ) are scalars: they join the rate and the root, not the tensors.
        const root = b.add(b.mul(b.sqrt(square), scalar('squareCorrection')), epsilon);
        const step = b.div(b.mul(mean, scalar('correctedRate')), root);
        const kept = weightDecay > 0 ? b.mul(parameter, b.sub(1, b.mul(rate, weightDecay))) : parameter;
        updated.set(name, b.sub(kept, step));
      }
      return { parameters: updated, state: states };
    },
    scalars(step: number) {
      const rate = at(learningRate, step);
      return {
        learningRate: rate,
        correctedRate: rate / (1 - beta1 ** (step + 1)),
        squareCorrection: 1 / Math.sqrt(1 - beta2 ** (step + 1)),
      };
    },
  };
}

/** β·average + (1 − β)·value */
const average = (b: Builder, old: Value, value: Value, decay: number): Value =>
  b.add(b.mul(old, decay), b.mul(value, 1 - decay));
