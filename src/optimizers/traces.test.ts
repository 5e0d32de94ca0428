// First-order optimizers against 20 steps of other programs (PyTorch and the authors' own), from the same start on the same
// batches. Where PyTorch adds weight decay to the gradient, the decay stands first in the chain.
import { expect, test } from 'vitest';
import {
  largestDifference,
  type Precision,
  type Replay,
  replayed,
  type Trace,
  traceNamed,
} from '../../test/support/optimizer-trace.js';
import { manyExamples } from '../../test/support/setting.js';
import { crossEntropy, oneHot } from '../losses/cross-entropy.js';
import type { Loss } from '../losses/loss.js';
import { adadelta } from './adadelta.js';
import { adagrad } from './adagrad.js';
import { adahessian } from './adahessian.js';
import { adam, adamw, scaleByAdam } from './adam.js';
import { adamax } from './adamax.js';
import { adan } from './adan.js';
import { adopt } from './adopt.js';
import { chain } from './chain.js';
import { lars } from './lars.js';
import { lbfgs } from './lbfgs.js';
import { lion } from './lion.js';
import { muon } from './muon.js';
import { nadam } from './nadam.js';
import type { Optimizer } from './optimizer.js';
import { prodigy } from './prodigy.js';
import { psgdKron } from './psgd-kron.js';
import { radam } from './radam.js';
import { rmsprop } from './rmsprop.js';
import { scheduleFreeAdamw, scheduleFreeSgd } from './schedule-free.js';
import { warmUp } from './schedules.js';
import { sgd } from './sgd.js';
import { scaleByShampoo } from './shampoo.js';
import { scaleBySoap } from './soap.js';
import { sophiaG } from './sophia.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average } from './transforms/moments.js';
import { scaleByMomentum } from './transforms/momentum.js';
import { scaleByTrustRatio } from './transforms/trust-ratio.js';
import type { Transform } from './transforms/updates.js';

const adamwTraced = adamw({ learningRate: 0.01, weightDecay: 0.1 });
const lionTraced = lion({ learningRate: 0.003, weightDecay: 0.1 });
const muonTraced = muon({
  learningRate: 0.02,
  weightDecay: 0.1,
  rest: adamw({ learningRate: 0.01, beta2: 0.95, epsilon: 1e-10, weightDecay: 0.1 }),
});

const shampooTraced = chain(
  scaleByShampoo({ beta1: 0, beta2: 1, epsilon: 0, initialStatistic: 0.01, rootInterval: 1, mergeKernels: false }),
  scaleByLearningRate(0.05),
);

/** Its authors' program decays the weights after the step, not before it, and not in the first one. */
const soapTraced = (basisInterval: number): Optimizer =>
  chain(
    scaleBySoap({ basisInterval }),
    ({ b }, updates) => updates.map((update) => b.mul(update, 1 - 0.01 * 0.01)),
    addDecayedWeights((step) => (step === 0 ? 0 : 0.01)),
    scaleByLearningRate(0.01),
  );

const psgdKronTraced = psgdKron({ learningRate: 0.01, weightDecay: 0.01, updateProbability: 1 });

const dense = ['mlp', 'mlp-mse'] as const;

/** Cross-entropy whose noise is the labels themselves, for those that another program has drawn. */
function withGivenLabels(): Loss {
  const loss = crossEntropy();
  const { likelihood } = loss;
  if (!likelihood) throw new Error('cross-entropy has a likelihood');
  const noise = {
    distribution: 'uniform',
    shape: ({ dims }) => dims.slice(0, -1),
  } as const satisfies typeof likelihood.noise;
  const sampledCotangent: typeof likelihood.sampledCotangent = (b, output, labels) =>
    b.sub(b.softmax(output), oneHot(b, labels, output));
  return { ...loss, likelihood: { ...likelihood, noise, sampledCotangent } };
}

const drawnLabels = ({ steps }: Trace): Replay => ({
  loss: withGivenLabels(),
  noise: (step, _, dims) =>
    steps?.sampledTargets?.find(({ afterStep }) => afterStep === step + 1)?.values ?? Array(dims[0]).fill(0),
});

/** What the program drew, in the order in which noise is declared. */
function drawnInOrder({ steps }: Trace): Replay {
  const names: string[] = [];
  return {
    noise(step, name) {
      if (!names.includes(name)) names.push(name);
      return steps?.draws?.[step]?.[names.indexOf(name)] ?? [];
    },
  };
}

const drawnSigns = ({ steps, after }: Trace): Replay => ({
  noise: (step, name) =>
    steps?.draws?.[step]?.[Object.keys(after['1'] ?? {}).indexOf(name.replace('signs.', ''))] ?? [],
});

/** Adam without the corrections of its bias, which the program of LAMB leaves out. */
const biasedAdam: Transform = ({ b, state }, updates) =>
  updates.map((update, name, { dims }) => {
    const square = state(`square.${name}`, dims, (old) => average(b, old, b.square(update), 0.999));
    return {
      numerator: state(`mean.${name}`, dims, (old) => average(b, old, update, 0.9)),
      denominator: b.add(b.sqrt(square), 1e-6),
    };
  });

/** Four batches are the whole training set. */
const wholeSet = ({ network }: Trace): Replay => ({
  joined: 4,
  setting: {
    ...manyExamples(network === 'mlp-mse' ? 'mean-squared-error' : 'softmax-cross-entropy'),
    ...{ examples: 32, batchSize: 32 },
  },
});

const sophiaTraced = sophiaG({ learningRate: 0.01, hessianInterval: 5 });

/**
 * By the name of the trace: the optimizer, its networks, the rounding in units of the network's amplification, and what the
 * program was given besides batches.
 */
const traced: readonly (readonly [
  name: string,
  optimizer: Optimizer,
  networks: readonly string[],
  precision: Precision,
  rounding: number,
  given?: (trace: Trace) => Replay,
])[] = [
  ['sgd', sgd({ learningRate: 0.1, momentum: 0 }), dense, 'float64', 1e-13],
  ['sgd-momentum', sgd({ learningRate: 0.05 }), dense, 'float64', 1e-13],
  ['sgd-momentum', sgd({ learningRate: 0.05 }), ['conv'], 'float32', 1e-5],
  ['sgd-nesterov', sgd({ learningRate: 0.05, nesterov: true }), dense, 'float64', 1e-13],
  [
    'sgd-weight-decay',
    chain(addDecayedWeights(0.1), scaleByMomentum(), scaleByLearningRate(0.05)),
    dense,
    'float64',
    1e-13,
  ],
  ['adam', adam({ learningRate: 0.01 }), dense, 'float64', 1e-13],
  [
    'adam-weight-decay',
    chain(addDecayedWeights(0.1), scaleByAdam({ beta1: 0.8, beta2: 0.95, epsilon: 1e-6 }), scaleByLearningRate(0.01)),
    dense,
    'float64',
    1e-13,
  ],
  ['adamw', adamwTraced, dense, 'float64', 1e-13],
  ['adamw', adamwTraced, ['conv'], 'float32', 1e-5],
  ['adamax', adamax({ learningRate: 0.01 }), dense, 'float64', 1e-13],
  ['nadam', nadam({ learningRate: 0.01 }), dense, 'float64', 1e-13],
  ['radam', radam({ learningRate: 0.02 }), dense, 'float64', 1e-13],
  ['adagrad', adagrad({ learningRate: 0.1 }), dense, 'float64', 1e-13],
  [
    'adagrad-decay',
    chain(addDecayedWeights(0.01), adagrad({ learningRate: (step) => 0.1 / (1 + 0.1 * step), initialSum: 0.1 })),
    dense,
    'float64',
    1e-7, // 0.1 is a float32 in the state
  ],
  ['rmsprop', rmsprop({ learningRate: 0.01, decay: 0.9 }), dense, 'float64', 1e-13],
  ['rmsprop-momentum', rmsprop({ learningRate: 0.005, decay: 0.9, momentum: 0.9 }), dense, 'float64', 1e-13],
  ['rmsprop-centered', rmsprop({ learningRate: 0.01, decay: 0.9, centered: true }), dense, 'float64', 1e-13],
  [
    'rmsprop-centered-momentum',
    chain(addDecayedWeights(0.01), rmsprop({ learningRate: 0.005, decay: 0.9, momentum: 0.9, centered: true })),
    dense,
    'float64',
    1e-13,
  ],
  ['lion', lionTraced, dense, 'float64', 1e-13],
  ['lion', lionTraced, ['conv'], 'float32', 1e-5],
  ['lion-cautious', lion({ learningRate: 0.003, weightDecay: 0.1, cautious: true }), ['mlp'], 'float64', 1e-13],
  ['muon', muonTraced, dense, 'float64', 1e-6], // coefficients are float32 attributes
  ['muon', muonTraced, ['conv'], 'float32', 1e-5],
  ['muon-float32', muonTraced, ['mlp'], 'float32', 1e-5],
  ['shampoo-paper', shampooTraced, dense, 'float64', 1e-7], // 0.01 is a float32 in the state
  ['shampoo-paper', shampooTraced, ['conv'], 'float32', 1e-5],
  ['soap-every-1', soapTraced(1), ['square'], 'float64', 1e-10],
  ['soap-every-3', soapTraced(3), ['square'], 'float64', 1e-10],
  ['soap-every-1', soapTraced(1), ['square'], 'float32', 1e-5],
  ['adadelta', adadelta(), dense, 'float64', 1e-13],
  ['adan', adan({ learningRate: 0.01, weightDecay: 0.1 }), ['mlp'], 'float64', 1e-13],
  ['adopt', adopt({ learningRate: 0.01 }), dense, 'float64', 1e-13],
  ['adopt-decoupled', adopt({ learningRate: 0.01, beta2: 0.99, weightDecay: 0.1 }), dense, 'float64', 1e-13],
  [
    'lamb',
    chain(biasedAdam, addDecayedWeights(0.01), scaleByTrustRatio(), scaleByLearningRate(0.02)),
    ['mlp'],
    'float64',
    1e-13,
  ],
  ['lars', lars({ trustCoefficient: 0.02, weightDecay: 0.01 }), ['mlp'], 'float64', 1e-13],
  ['adahessian', adahessian({ learningRate: 0.05 }), dense, 'float64', 1e-12, drawnSigns],
  ['adahessian', adahessian({ learningRate: 0.05 }), ['conv'], 'float32', 1e-5, drawnSigns],
  ['prodigy', prodigy(), dense, 'float64', 1e-12], // the program's differences of parameters lose some digits
  ['prodigy', prodigy(), dense, 'float32', 1e-5],
  [
    'prodigy-large-d0',
    prodigy({
      ...{ beta2: 0.99, weightDecay: 0.1, initialDistance: 1e-3, growth: 1.5 },
      ...{ biasCorrection: true, safeguardWarmUp: true },
    }),
    dense,
    'float64',
    1e-13,
  ],
  ['sophia-g', sophiaTraced, ['mlp'], 'float64', 1e-13, drawnLabels],
  ['sophia-g', sophiaTraced, ['mlp', 'conv'], 'float32', 1e-5, drawnLabels],
  ['lbfgs', lbfgs(), dense, 'float64', 1e-12, wholeSet],
  ['lbfgs-history-3', lbfgs({ history: 3 }), dense, 'float64', 1e-12, wholeSet],
  ['lbfgs', lbfgs(), ['mlp-mse'], 'float32', 1e-5, wholeSet],
  // After the steps: y, where the next gradients are taken. Evaluated: the average x.
  ['schedule-free-sgd', scheduleFreeSgd({ learningRate: 0.5, weightDecay: 0.01 }), dense, 'float64', 1e-13],
  ['schedule-free-sgd', scheduleFreeSgd({ learningRate: 0.5, weightDecay: 0.01 }), dense, 'float32', 1e-5],
  ['schedule-free-sgd-warmup', scheduleFreeSgd({ learningRate: warmUp(4, 0.5) }), dense, 'float64', 1e-13],
  ['schedule-free-adamw', scheduleFreeAdamw({ learningRate: 0.02, weightDecay: 0.1 }), dense, 'float64', 1e-13],
  [
    'schedule-free-adamw-warmup',
    scheduleFreeAdamw({ learningRate: warmUp(4, 0.02), beta1: 0.95, beta2: 0.99, stepPower: 1 }),
    dense,
    'float64',
    1e-13,
  ],
  ['psgd-kron', psgdKronTraced, dense, 'float64', 1e-12, drawnInOrder],
  ['psgd-kron', psgdKronTraced, ['conv'], 'float32', 1e-5, drawnInOrder],
];

const runs = traced.flatMap(([name, optimizer, networks, precision, rounding, given]) =>
  networks.map((network) => [`${name}-${network}`, precision, optimizer, rounding, given] as const),
);

test.each(runs)('%s in %s', async (name, precision, optimizer, rounding, given) => {
  const trace = traceNamed(name);
  const ours = await replayed(trace, optimizer, precision, given?.(trace));
  expect(Object.keys(ours.evaluation ?? {})).toEqual(Object.keys(trace.evaluation ?? {}));
  expect(Object.keys(ours.after)).toEqual(['1', '5', '20']);
  const tolerance = rounding * Math.max(1, trace.amplification);
  expect(largestDifference(trace, ours)).toBeLessThan(tolerance);
  // The program evaluates the start of each step, too.
  const evaluations = trace.steps?.evaluations?.map((count) => count - 1) ?? [];
  expect(evaluations).toEqual(evaluations.map((_, k) => ours.reports[k]?.evaluations));
  const distances = trace.steps?.d ?? [];
  for (const [k, distance] of distances.entries()) {
    expect(Math.abs((ours.reports[k]?.distance ?? Number.NaN) / distance - 1), `distance ${k}`).toBeLessThan(tolerance);
  }
  for (const [k, loss] of ours.losses.entries()) {
    expect(Math.abs(loss - (trace.losses[k] ?? Number.NaN)), `loss ${k}`).toBeLessThan(10 * tolerance);
  }
});
