// SGD, Adam and AdamW against PyTorch's formulas in plain TypeScript, over several steps; and every option's check.
import { describe, expect, test } from 'vitest';
import type { Numbers } from '../../test/support/declared-step.js';
import { at, generate, type Matrix, relativeError } from '../../test/support/dense.js';
import { type DenseNetwork, denseNetwork, examplesFor } from '../../test/support/dense-network.js';
import { layouts } from '../../test/support/layer-tensors.js';
import { stepOnce } from '../../test/support/optimizer-step.js';
import { sampled } from '../curvature/fisher.js';
import { OptionError } from '../errors.js';
import { random } from '../random.js';
import { byResidual } from '../solvers/stopping.js';
import { adadelta } from './adadelta.js';
import { adahessian } from './adahessian.js';
import { type AdamOptions, adam, adamw } from './adam.js';
import { adan } from './adan.js';
import { adopt } from './adopt.js';
import { lamb } from './lamb.js';
import { lars } from './lars.js';
import { lbfgs } from './lbfgs.js';
import type { Optimizer } from './optimizer.js';
import { prodigy } from './prodigy.js';
import { scheduleFreeAdamw, scheduleFreeSgd } from './schedule-free.js';
import { type Schedule, at as valueAt } from './schedules.js';
import { type CgfacOptions, cgfac } from './second-order/cgfac.js';
import { factored } from './second-order/factored.js';
import { dense, sketches } from './second-order/factors.js';
import { kfac } from './second-order/kfac.js';
import { primal } from './second-order/primal.js';
import { tikhonov } from './second-order/tikhonov.js';
import { type SgdOptions, sgd } from './sgd.js';
import { sophiaG } from './sophia.js';
import { normalized } from './steps/normalized.js';
import { scheduled } from './steps/scheduled.js';
import { selfTuning } from './steps/self-tuning.js';

/** New elements of one parameter from the old ones and the gradient's, at a step counted from 1. */
type Rule = (parameter: number, gradient: number, step: number, memory: Record<string, number>) => number;

/** torch.optim.SGD, with decoupled weight decay. */
const torchSgd = (options: SgdOptions): Rule => {
  return (parameter, gradient, step, memory) => {
    const number = (value: Schedule): number => valueAt(value, step - 1);
    const { nesterov = false } = options;
    const rate = number(options.learningRate ?? 0.1);
    const momentum = number(options.momentum ?? 0.9);
    const weightDecay = number(options.weightDecay ?? 0);
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
    const rate = valueAt(learningRate, step - 1);
    const decayed = parameter * (1 - rate * valueAt(weightDecay, step - 1));
    memory.mean = (memory.mean ?? 0) * beta1 + gradient * (1 - beta1);
    memory.square = (memory.square ?? 0) * beta2 + gradient * gradient * (1 - beta2);
    const denominator = Math.sqrt(memory.square) / Math.sqrt(1 - beta2 ** step) + epsilon;
    return decayed - (rate / (1 - beta1 ** step)) * (memory.mean / denominator);
  };
};

const schedule = (step: number): number => 0.1 / (step + 1);
const half = (step: number): number => 0.5 + 0.1 * step;
const rules: readonly (readonly [string, Optimizer, Rule])[] = [
  ['sgd', sgd(), torchSgd({})],
  ['sgd without momentum', sgd({ learningRate: 0.5, momentum: 0 }), torchSgd({ learningRate: 0.5, momentum: 0 })],
  ['sgd, scheduled', sgd({ learningRate: schedule }), torchSgd({ learningRate: schedule })],
  [
    'sgd, Nesterov and weight decay',
    sgd({ learningRate: 0.1, momentum: 0.8, nesterov: true, weightDecay: 0.05 }),
    torchSgd({ learningRate: 0.1, momentum: 0.8, nesterov: true, weightDecay: 0.05 }),
  ],
  [
    'sgd, all numbers scheduled',
    sgd({ learningRate: schedule, momentum: half, weightDecay: schedule }),
    torchSgd({ learningRate: schedule, momentum: half, weightDecay: schedule }),
  ],
  ['adam', adam(), torchAdam({})],
  ['adamw, scheduled decay', adamw({ weightDecay: schedule }), torchAdam({ weightDecay: schedule })],
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
  const memories = expected.map(({ data }) => Array.from(data, () => ({})));
  const source = random(31);
  for (let step = 0; step < 4; step++) {
    const examples = examplesFor(network, 'softmax-cross-entropy', 5, source);
    const outcome = await stepOnce({
      network,
      loss: 'softmax-cross-entropy',
      examples,
      optimizer,
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
    ['decay is 1; it must be a finite number, at least 0, less than 1', () => adadelta({ decay: 1 })],
    ['beta3 is 1; it must be a finite number, at least 0, less than 1', () => adan({ beta3: 1 })],
    ['weightDecay is -1; it must be a finite number, at least 0', () => adan({ weightDecay: -1 })],
    ['epsilon is 0; it must be a finite number, greater than 0', () => adopt({ epsilon: 0 })],
    ['maximumNorm is 0; it must be a finite number, greater than 0', () => lamb({ maximumNorm: 0 })],
    ['trustCoefficient is 0; it must be a finite number, greater than 0', () => lars({ trustCoefficient: 0 })],
    ['weightDecay is -1; it must be a finite number, at least 0', () => lars({ weightDecay: -1 })],
    ['hessianPower is 2; it must be a finite number, greater than 0, at most 1', () => adahessian({ hessianPower: 2 })],
    ['rho is 0; it must be a finite number, greater than 0', () => sophiaG({ rho: 0 })],
    ['hessianInterval is 0; it must be a whole number, at least 1', () => sophiaG({ hessianInterval: 0 })],
    ['beta2 is 1; it must be a finite number, at least 0, less than 1', () => sophiaG({ beta2: 1 })],
    ['momentum is 1; it must be a finite number, at least 0, less than 1', () => scheduleFreeSgd({ momentum: 1 })],
    ['ratePower is -1; it must be a finite number, at least 0', () => scheduleFreeSgd({ ratePower: -1 })],
    ['beta1 is 1; it must be a finite number, at least 0, less than 1', () => scheduleFreeAdamw({ beta1: 1 })],
    ['learningRate is 0; it must be a finite number, greater than 0', () => scheduleFreeAdamw({ learningRate: 0 })],
    ['stepPower is NaN; it must be a finite number, at least 0', () => scheduleFreeAdamw({ stepPower: Number.NaN })],
    ['initialDistance is 0; it must be a finite number, greater than 0', () => prodigy({ initialDistance: 0 })],
    ['distanceFactor is 0; it must be a finite number, greater than 0', () => prodigy({ distanceFactor: 0 })],
    ['growth is 1; it must be a finite number, greater than 1', () => prodigy({ growth: 1 })],
    ['weightDecay is -1; it must be a finite number, at least 0', () => prodigy({ weightDecay: -1 })],
    ['biasCorrection is 1; it must be true or false', () => prodigy({ biasCorrection: 1 as unknown as boolean })],
    ['history is 0; it must be a whole number, at least 1', () => lbfgs({ history: 0 })],
    ['maxEvaluations is 1.5; it must be a whole number, at least 1', () => lbfgs({ maxEvaluations: 1.5 })],
    ['rank is 0; it must be a whole number, at least 1', () => cgfac({ factors: sketches({ rank: 0 }) })],
    ['rank is 1.5; it must be a whole number, at least 1', () => cgfac({ factors: sketches({ rank: 1.5 }) })],
    ['decay is 1; it must be a finite number, at least 0, less than 1', () => cgfac({ factors: dense({ decay: 1 }) })],
    [
      'tolerance is 0; it must be a finite number, greater than 0',
      () => cgfac({ damping: tikhonov({ stopping: byResidual({ tolerance: 0 }) }) }),
    ],
    [
      'maxIterations is 0; it must be a whole number, at least 1',
      () => cgfac({ damping: primal({ maxIterations: 0 }) }),
    ],
    ['samples is 0; it must be a whole number, at least 1', () => cgfac({ fisher: sampled({ samples: 0 }) })],
    ['curvatureRows is -1; it must be a whole number, at least 1', () => cgfac({ curvatureRows: -1 })],
    ['iterateAveraging is 1; it must be a finite number, at least 0, less than 1', () => kfac({ iterateAveraging: 1 })],
    ['damping is 0; it must be a finite number, greater than 0', () => cgfac({ step: scheduled({ damping: 0 }) })],
    ['klClip is -1; it must be a finite number, at least 0', () => cgfac({ step: scheduled({ klClip: -1 }) })],
    [
      'momentum is 2; it must be a finite number, at least 0, less than 1',
      () => cgfac({ step: scheduled({ momentum: 2 }) }),
    ],
    [
      'learningRate is 0; it must be a finite number, greater than 0',
      () => cgfac({ step: normalized({ learningRate: 0 }) }),
    ],
    [
      'damping is NaN; it must be a finite number, greater than 0',
      () => kfac({ step: normalized({ damping: Number.NaN }) }),
    ],
    [
      'weightDecay is -1; it must be a finite number, at least 0',
      () => kfac({ step: normalized({ weightDecay: -1 }) }),
    ],
    [
      'damping is NaN; it must be a finite number, greater than 0',
      () => kfac({ step: selfTuning({ damping: Number.NaN }) }),
    ],
    [
      'minimumDamping is 0; it must be a finite number, greater than 0',
      () => cgfac({ step: selfTuning({ minimumDamping: 0 }) }),
    ],
    [
      'priorPrecision is -1; it must be a finite number, at least 0',
      () => cgfac({ step: selfTuning({ priorPrecision: -1 }) }),
    ],
    [
      'self-tuning steps adapt their damping: give a number, not a schedule',
      () => cgfac({ step: selfTuning({ damping: (() => 1) as unknown as number }) }),
    ],
    [
      'inverseInterval is 0; it must be a whole number, at least 1',
      () => kfac({ factors: dense({ inverseInterval: 0 }) }),
    ],
    ['decay is -1; it must be a finite number, at least 0, less than 1', () => kfac({ factors: dense({ decay: -1 }) })],
  ];

  test.each(wrong)('%s', (message, make) => {
    let error: unknown;
    try {
      make();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(OptionError);
    expect((error as OptionError).message).toBe(message);
  });
});

describe('what a second-order optimizer is made of', () => {
  const refused = (make: () => unknown): string => {
    try {
      make();
    } catch (error) {
      expect(error).toBeInstanceOf(OptionError);
      return (error as Error).message;
    }
    return 'not refused';
  };
  /** As JavaScript calls it. */
  const loose = (options: object) => () => cgfac(options as CgfacOptions);

  test.each<readonly [string, () => unknown]>([
    ["step is 'self-tuning'; call it: selfTuning()", loose({ step: 'self-tuning' })],
    [
      "step is 'selftuned'; give normalized(), selfTuning() or scheduled() (did you mean 'selfTuning'?)",
      loose({ step: 'selftuned' }),
    ],
    ['step is the function normalized; call it: normalized()', loose({ step: normalized })],
    ["damping is 'tikhonov'; call it: tikhonov()", loose({ damping: 'tikhonov' })],
    [
      'damping is an object with name, areWhole, begin; give factored(), eigenvalues(), eigenCorrected(), tikhonov(), primal() or inverseFree()',
      loose({ damping: dense() }),
    ],
    ["factors is 'gram'; give sketches() or dense()", loose({ factors: 'gram' })],
    ['factors is 64; give sketches() or dense()', loose({ factors: 64 })],
    ["fisher is 'exact'; call it: exact()", loose({ fisher: 'exact' })],
    ["rest is 'adam'; call it: adam()", loose({ rest: 'adam' })],
    [
      'factors have no effect: primal() damping solves with the rows of this batch alone',
      loose({ damping: primal(), factors: sketches() }),
    ],
    [
      'inverseInterval has no effect: tikhonov() damping keeps no inverses',
      loose({ damping: tikhonov(), factors: dense({ inverseInterval: 3 }) }),
    ],
    [
      'curvatureInterval is 4, and primal() damping needs the rows of each step: leave it out',
      loose({ damping: primal(), curvatureInterval: 4 }),
    ],
    [
      'curvatureBurnIn has no effect: with curvatureInterval 1, all steps measure the curvature',
      loose({ curvatureInterval: 1, curvatureBurnIn: 9 }),
    ],
    ['curvatureInterval is 0; it must be a whole number, at least 1', loose({ curvatureInterval: 0 })],
    ['curvatureBurnIn is 1.5; it must be a whole number, at least 1', loose({ curvatureBurnIn: 1.5 })],
    [
      'factors are sketches(); kfac keeps the factors themselves: give dense(), or use cgfac',
      () => kfac({ factors: sketches() } as object),
    ],
    ['damping is primal(), which keeps no factors: use it with cgfac', () => kfac({ damping: primal() } as object)],
    [
      'learningRate is no option of cgfac; write cgfac({ step: scheduled({ learningRate }) })',
      loose({ learningRate: 1 }),
    ],
    ['rank is no option of cgfac; write cgfac({ factors: sketches({ rank }) })', loose({ rank: 64 })],
    [
      'inverseInterval is no option of kfac; write kfac({ factors: dense({ inverseInterval }) })',
      () => kfac({ inverseInterval: 3 } as object),
    ],
    [
      'damping is 3; its strength is a number of the step: cgfac({ step: selfTuning({ damping: 3 }) })',
      loose({ damping: 3 }),
    ],
    [
      "unknown option 'klclip' of scheduled (did you mean 'klClip'?); it takes learningRate, damping, momentum, weightDecay, klClip",
      () => scheduled({ klclip: 1 } as object),
    ],
    [
      "unknown option 'rank' of tikhonov; it takes maxIterations, stopping, warmStart, shrinkage",
      () => tikhonov({ rank: 3 } as object),
    ],
    ['warmStart is 1; it must be true or false', () => primal({ warmStart: 1 as unknown as boolean })],
    [
      'shrinkage has no effect: dense() factors are not held as rows',
      () => kfac({ damping: tikhonov({ shrinkage: 0.1 }) }),
    ],
    ['shrinkage is 1; it must be a finite number, at least 0, less than 1', () => tikhonov({ shrinkage: 1 })],
    ['stopping is 0.001; give byResidual() or byProgress()', () => tikhonov({ stopping: 1e-3 } as object)],
  ])('%s', (message, make) => {
    expect(refused(make)).toBe(message);
  });

  test('types refuse combinations that have no effect', () => {
    const wrong = [
      // @ts-expect-error primal damping takes no factors
      () => cgfac({ damping: primal(), factors: sketches() }),
      // @ts-expect-error Tikhonov damping keeps no inverses
      () => cgfac({ damping: tikhonov(), factors: dense({ inverseInterval: 2 }) }),
      // @ts-expect-error sketches are not the factors themselves
      () => kfac({ factors: sketches() }),
      // @ts-expect-error nor does the primal form have any
      () => kfac({ damping: primal() }),
      // @ts-expect-error a number of the step
      () => cgfac({ learningRate: 0.1 }),
      // @ts-expect-error of another kind of step
      () => normalized({ klClip: 1 }),
    ];
    for (const make of wrong) expect(make).toThrow(OptionError);
    const right: readonly (() => unknown)[] = [
      () => cgfac({ damping: factored(), factors: dense({ inverseInterval: 2 }) }),
      () => cgfac({ factors: dense({ decay: 0.5, inverseInterval: 2 }) }),
      () => cgfac({ damping: tikhonov(), factors: dense() }),
      () => cgfac({ damping: tikhonov(), factors: sketches({ rank: 3 }) }),
      () => kfac({ damping: tikhonov(), factors: dense({ decay: 0 }) }),
    ];
    for (const make of right) expect(make).not.toThrow();
  });
});
