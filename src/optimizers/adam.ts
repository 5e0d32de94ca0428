// Adam (Kingma & Ba 2015, algorithm 1) and AdamW (Loshchilov & Hutter 2019, algorithm 2: decoupled weight decay).
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import type { Optimizer } from './optimizer.js';
import { at, checked, isSome, numberOf, type Schedule } from './options.js';

export interface AdamOptions {
  /** η; 0.001 by default. */
  readonly learningRate?: Schedule;
  /** Decay of the gradient's moving average; 0.9 by default. */
  readonly beta1?: number;
  /** Decay of the squared gradient's moving average; 0.999 by default. */
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Decoupled weight decay w: θ ← θ − η·w·θ; 0 for `adam`, 0.01 for `adamw`. */
  readonly weightDecay?: Schedule;
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
  const learningRate = checked('learningRate', options.learningRate ?? 1e-3, { above: 0 });
  const beta1 = checkedNumber('beta1', options.beta1 ?? 0.9, { atLeast: 0, below: 1 });
  const beta2 = checkedNumber('beta2', options.beta2 ?? 0.999, { atLeast: 0, below: 1 });
  const epsilon = checkedNumber('epsilon', options.epsilon ?? 1e-8, { above: 0 });
  const weightDecay = checked('weightDecay', options.weightDecay ?? usualDecay, { atLeast: 0 });
  return {
    name,
    build(context) {
      const { b, parameters, gradients, scalar, state, report } = context;
      const rate = scalar('learningRate', learningRate);
      report('learningRate', rate);
      // The bias corrections 1/(1 − βᵗ) are scalars: they join the rate and the root, not the tensors.
      const correctedRate = scalar('correctedRate', (step, kept) => at(learningRate, step) / (1 - beta1 ** (kept + 1)));
      const squareCorrection = scalar('squareCorrection', (_, kept) => 1 / Math.sqrt(1 - beta2 ** (kept + 1)));
      const decay = numberOf(context, 'weightDecay', weightDecay);
      const updated = new Map<string, Value>();
      for (const [name, parameter] of parameters) {
        const gradient = gradients.get(name);
        if (!gradient) continue;
        const { dims } = parameter;
        const mean = state(`mean.${name}`, dims, (old) => average(b, old, gradient, beta1));
        const square = state(`square.${name}`, dims, (old) => average(b, old, b.square(gradient), beta2));
        const root = b.add(b.mul(b.sqrt(square), squareCorrection), epsilon);
        const step = b.div(b.mul(mean, correctedRate), root);
        const kept = isSome(weightDecay) ? b.mul(parameter, b.sub(1, b.mul(rate, decay))) : parameter;
        updated.set(name, b.sub(kept, step));
      }
      return updated;
    },
    remedy: () => 'Lower the learning rate',
  };
}

/** β·average + (1 − β)·value */
const average = (b: Builder, old: Value, value: Value, decay: number): Value =>
  b.add(b.mul(old, decay), b.mul(value, 1 - decay));
