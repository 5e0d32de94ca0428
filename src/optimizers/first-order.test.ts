// SGD, Adam and AdamW against PyTorch's formulas in plain TypeScript, over several steps; and every option's check.
import { describe, expect, test } from 'vitest';
import { at, generate, type Matrix, relativeError } from '../../test/support/dense.js';
import { type DenseNetwork, denseNetwork, examplesFor } from '../../test/support/dense-network.js';
import { layouts } from '../../test/support/layer-tensors.js';
import { type Numbers, stepOnce } from '../../test/support/optimizer-step.js';
import { manyExamples } from '../../test/support/setting.js';
import { OptionError } from '../errors.js';
import { random } from '../random.js';
import { type AdamOptions, adam, adamw } from './adam.js';
import type { Optimizer } from './optimizer.js';
import { cgfac } from './second-order/cgfac.js';
import { kfac } from './second-order/kfac.js';
import { type SgdOptions, sgd } from './sgd.js';

/** New elements of one parameter from the old ones and the gradient's, at a step counted from 1. */
type Rule = (parameter: number, gradient: number, step: number, memory: Record<string, number>) => number;

/** torch.optim.SGD, with decoupled weight decay. */
const torchSgd = ({ learningRate = 0.01, momentum = 0.9, nesterov = false, weightDecay = 0 }: SgdOptions): Rule => {
  return (parameter, gradient, step, memory) => {
    const rate = typeof learningRate === 'function' ? learningRate(step - 1) : learningRate;
    const velocity = step === 1 ? gradient : momentum * (memory.velocity ?? 0) + gradient;
    memory.velocity = velocity;
    const direction = nesterov ? gradient + momentum * velocity : velocity;
    return parameter - rate * weightDecay * parameter - rate * direction;
  };
};

/** torch.optim.AdamW; Adam where the weight decay is 0. */
const torchAdam = (options: AdamOptions): Rule => {
  const { learningRate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = options;
  return (parameter, gradient, step, memory) => {
    const rate = typeof learningRate === 'function' ? learningRate(step - 1) : learningRate;
    const decayed = parameter * (1 - rate * weightDecay);
    memory.mean = (memory.mean ?? 0) * beta1 + gradient * (1 - beta1);
    memory.square = (memory.square ?? 0) * beta2 + gradient * gradient * (1 - beta2);
    const denominator = Math.sqrt(memory.square) / Math.sqrt(1 - beta2 ** step) + epsilon;
    return decayed - (rate / (1 - beta1 ** step)) * (memory.mean / denominator);
  };
};

const schedule = (step: number): number => 0.1 / (step + 1);
const rules: readonly (readonly [string, Optimizer, Rule])[] = [
  ['sgd', sgd(), torchSgd({})],
  ['sgd without momentum', sgd({ learningRate: 0.5, momentum: 0 }), torchSgd({ learningRate: 0.5, momentum: 0 })],
  ['sgd, scheduled', sgd({ learningRate: schedule }), torchSgd({ learningRate: schedule })],
  [
    'sgd, Nesterov and weight decay',
    sgd({ learningRate: 0.1, momentum: 0.8, nesterov: true, weightDecay: 0.05 }),
    torchSgd({ learningRate: 0.1, momentum: 0.8, nesterov: true, weightDecay: 0.05 }),
  ],
  ['adam', adam(), torchAdam({})],
  [
    'adam with other decays',
    adam({ learningRate: schedule, beta1: 0.5, beta2: 0.8, epsilon: 1e-3 }),
    torchAdam({ learningRate: schedule, beta1: 0.5, beta2: 0.8, epsilon: 1e-3 }),
  ],
  ['adamw', adamw({ learningRate: 0.1 }), torchAdam({ learningRate: 0.1, weightDecay: 0.01 })],
  ['adamw, stronger', adamw({ weightDecay: 0.5 }), torchAdam({ weightDecay: 0.5 })],
];

test.each(rules)('%s', async (_name, optimizer, rule) => {
  const layout = layouts[1] ?? { outputsFirst: false, hasBias: true };
  let network: DenseNetwork = denseNetwork([3, 4, 2], { ...layout, activation: 'tanh', seed: 30 });
  let expected: readonly Matrix[] = network.layers;
  let state: Numbers = {};
  const controller = optimizer.controller(manyExamples('mean-squared-error'));
  const memories = expected.map(({ data }) => Array.from(data, () => ({})));
  const source = random(31);
  for (let step = 0; step < 4; step++) {
    const examples = examplesFor(network, 'softmax-cross-entropy', 5, source);
    const outcome = await stepOnce({
      network,
      loss: 'softmax-cross-entropy',
      examples,
      optimizer,
      controller,
      step,
      state,
    });
    expected = expected.map((layer, k) => {
      const [gradient, memory] = [outcome.gradients[k], memories[k]];
      if (!gradient || !memory) throw new Error('each layer has a gradient');
      return generate(layer.rows, layer.columns, (i, j) =>
        rule(at(layer, i, j), at(gradient, i, j), step + 1, memory[i * layer.columns + j] ?? {}),
      );
    });
    for (const [k, layer] of outcome.network.layers.entries()) {
      expect(relativeError(layer, expected[k] ?? layer)).toBeLessThan(1e-12);
      expect(relativeError(layer, network.layers[k] ?? layer)).toBeGreaterThan(1e-6); // it moved
    }
    ({ network, state } = outcome);
  }
});

describe('options out of range are errors that say so', () => {
  const wrong: readonly (readonly [string, () => Optimizer])[] = [
    ['learningRate is NaN; it must be a finite number, greater than 0', () => sgd({ learningRate: Number.NaN })],
    ['learningRate is -1; it must be a finite number, greater than 0', () => sgd({ learningRate: -1 })],
    ['momentum is 1; it must be a finite number, at least 0, less than 1', () => sgd({ momentum: 1 })],
    ['weightDecay is -0.1; it must be a finite number, at least 0', () => sgd({ weightDecay: -0.1 })],
    ['learningRate is 0; it must be a finite number, greater than 0', () => adam({ learningRate: 0 })],
    ['beta1 is 1; it must be a finite number, at least 0, less than 1', () => adam({ beta1: 1 })],
    ['beta2 is NaN; it must be a finite number, at least 0, less than 1', () => adam({ beta2: Number.NaN })],
    ['epsilon is 0; it must be a finite number, greater than 0', () => adam({ epsilon: 0 })],
    [
      'weightDecay is Infinity; it must be a finite number, at least 0',
      () => adamw({ weightDecay: Number.POSITIVE_INFINITY }),
    ],
    ['rank is 0; it must be a whole number, at least 1', () => cgfac({ rank: 0 })],
    ['rank is 1.5; it must be a whole number, at least 1', () => cgfac({ rank: 1.5 })],
    ['decay is 1; it must be a finite number, at least 0, less than 1', () => cgfac({ decay: 1 })],
    ['tolerance is 0; it must be a finite number, greater than 0', () => cgfac({ tolerance: 0 })],
    ['maxIterations is 0; it must be a whole number, at least 1', () => cgfac({ maxIterations: 0 })],
    ['damping is NaN; it must be a finite number, greater than 0', () => cgfac({ damping: Number.NaN })],
    ['curvatureRows is -1; it must be a whole number, at least 1', () => cgfac({ curvatureRows: -1 })],
    ['restLearningRate is 0; it must be a finite number, greater than 0', () => cgfac({ restLearningRate: 0 })],
    ['learningRate is -1; it must be a finite number, greater than 0', () => cgfac({ learningRate: -1 })],
    ['damping is 0; it must be a finite number, greater than 0', () => cgfac({ learningRate: 0.1, damping: 0 })],
    ['klClip is -1; it must be a finite number, at least 0', () => cgfac({ learningRate: 0.1, klClip: -1 })],
    [
      'momentum is 2; it must be a finite number, at least 0, less than 1',
      () => cgfac({ learningRate: 0.1, momentum: 2 }),
    ],
    [
      'momentum has no effect on self-tuning steps; it is an option of normalized and scheduled steps',
      () => cgfac({ momentum: 0.5 }), // of which loss, is known only later
    ],
    [
      'weightDecay has no effect on self-tuning steps; it is an option of normalized and scheduled steps',
      () => kfac({ step: 'self-tuning', weightDecay: 0.5 }),
    ],
    [
      'klClip has no effect on normalized and self-tuning steps; it is an option of scheduled steps',
      () => cgfac({ klClip: 0.5 }),
    ],
    [
      'klClip has no effect on normalized and self-tuning steps; it is an option of scheduled steps',
      () => cgfac({ momentum: 0.5, klClip: 0.5 }), // momentum might be meant for normalized steps
    ],
    [
      'dampingInterval has no effect on normalized steps; it is an option of self-tuning steps',
      () => cgfac({ momentum: 0.5, dampingInterval: 3 }), // no kind takes both
    ],
    [
      'priorPrecision has no effect on normalized steps; it is an option of self-tuning steps',
      () => cgfac({ step: 'normalized', priorPrecision: 1 }),
    ],
    // Values out of range are so whatever the loss.
    ['momentum is 2; it must be a finite number, at least 0, less than 1', () => cgfac({ momentum: 2 })],
    ['weightDecay is -1; it must be a finite number, at least 0', () => kfac({ weightDecay: -1 })],
    ['minimumDamping is 0; it must be a finite number, greater than 0', () => cgfac({ minimumDamping: 0 })],
    ['priorPrecision is -1; it must be a finite number, at least 0', () => cgfac({ priorPrecision: -1 })],
    [
      'damping is NaN; it must be a finite number, greater than 0',
      () => cgfac({ step: 'self-tuning', damping: Number.NaN }),
    ],
    [
      'damping is NaN; it must be a finite number, greater than 0',
      () => cgfac({ step: 'normalized', damping: Number.NaN }),
    ],
    [
      'dampingDecay has no effect on scheduled steps; it is an option of self-tuning steps',
      () => cgfac({ learningRate: 0.1, dampingDecay: 0.5 }),
    ],
    [
      'learningRate is 0; it must be a finite number, greater than 0',
      () => cgfac({ step: 'normalized', learningRate: 0 }),
    ],
    [
      "unknown step 'greedy'; choose one of normalized, self-tuning, scheduled",
      () => cgfac({ step: 'greedy' as 'normalized' }),
    ],
    [
      'a damping schedule is not for self-tuning steps: they tune their damping themselves',
      () => cgfac({ step: 'self-tuning', damping: () => 1 }),
    ],
    ['inverseInterval is 0; it must be a whole number, at least 1', () => kfac({ inverseInterval: 0 })],
    ['decay is -1; it must be a finite number, at least 0, less than 1', () => kfac({ decay: -1 })],
  ];

  test('options that some run can take are not refused before it is known which run', () => {
    for (const options of [{ momentum: 0.5 }, { dampingInterval: 3 }, { damping: () => 0.1 }, { priorPrecision: 0 }]) {
      expect(() => cgfac(options)).not.toThrow();
    }
  });

  test.each(wrong)('%s', (message, make) => {
    let error: unknown;
    try {
      make().controller(manyExamples('mean-squared-error')); // some options are the controller's to check
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(OptionError);
    expect((error as OptionError).message).toBe(message);
  });
});
