// Optimizers of other ideas on the command line: matrices, diagonals of the Hessian, no learning rate, the whole training set.
import { scaleByAdagrad } from '../optimizers/adagrad.js';
import { adahessian } from '../optimizers/adahessian.js';
import { lbfgs } from '../optimizers/lbfgs.js';
import { muon, muonRest } from '../optimizers/muon.js';
import { prodigy } from '../optimizers/prodigy.js';
import { psgdKron } from '../optimizers/psgd-kron.js';
import { scheduleFreeAdamw, scheduleFreeSgd } from '../optimizers/schedule-free.js';
import type { Schedule } from '../optimizers/schedules.js';
import { shampoo } from '../optimizers/shampoo.js';
import { soap } from '../optimizers/soap.js';
import { sophiaG } from '../optimizers/sophia.js';
import { scaleByMomentum } from '../optimizers/transforms/momentum.js';
import { beta1, beta2, epsilon, firstOrder, moments, rates } from './first-order.js';
import { type DescribedOptions, option } from './named-options.js';
import type { OptimizerKinds } from './optimizer-kind.js';

/** What Shampoo takes the length of a step from; by default Adam with Shampoo's own averages. */
const grafts = { adam: () => undefined, adagrad: scaleByAdagrad, sgd: () => scaleByMomentum({ momentum: 0 }) } as const;

const mergeKernels = option('boolean', 'see a kernel as a matrix instead of a tensor of four modes', 'true');

/** They see a parameter as a matrix. */
export const matrixKinds: OptimizerKinds = {
  muon: {
    summary: 'Muon: orthogonalized momentum of matrices and kernels, AdamW for the rest',
    options: {
      ...rates('0.02'),
      momentum: option('number', 'weight of the past in the averaged gradient', '0.95'),
      nesterov: option('boolean', "Nesterov's momentum", 'true'),
      iterations: option('count', 'Newton–Schulz iterations', '5'),
      'rest-learning-rate': option('schedule', 'learning rate of AdamW on the rest', '0.0003'),
      'rest-weight-decay': option('schedule', 'weight decay of the rest', '0'),
    },
    example: 'lenet --data digits --optimizer muon:learning-rate=0.01:rest-learning-rate=0.001',
    create: ({ restLearningRate, restWeightDecay, ...own }) =>
      muon({
        ...own,
        rest: muonRest({
          ...(restLearningRate !== undefined && { learningRate: restLearningRate as Schedule }), // they were read as such
          ...(restWeightDecay !== undefined && { weightDecay: restWeightDecay as Schedule }),
        }),
      }),
  },
  shampoo: firstOrder(
    ({ graft = 'adam', ...own }) => {
      const transform = grafts[graft as keyof typeof grafts](); // it was read as one of these words
      return shampoo({ ...own, ...(transform && { graft: transform }) });
    },
    {
      summary: 'Shampoo: roots of the statistics of each side of a matrix',
      options: {
        ...rates('0.001'),
        beta1: beta1('0.9'),
        beta2: option('number', 'weight of the past in the statistics; at 1 they are sums', '0.999'),
        epsilon: option('number', 'what is added to the diagonal of a statistic, as a share', '1e-6'),
        'initial-statistic': option('number', 'multiple of I that a statistic begins with', '0'),
        'root-interval': option('count', 'steps from one computation of the roots to the next', '20'),
        'block-size': option('count', 'longest side of a block: longer ones are cut', '256'),
        'merge-kernels': mergeKernels,
        graft: option(Object.keys(grafts), 'what the length of a step is taken from', 'adam'),
      },
      example: 'lenet --data digits --optimizer shampoo:learning-rate=0.003:root-interval=10',
    },
  ),
  soap: firstOrder(soap, {
    summary: "SOAP: Adam in the eigenbases of Shampoo's statistics",
    options: {
      ...rates('0.003', '0.01'),
      beta1: beta1('0.95'),
      beta2: option('number', 'weight of the past in the averaged squares and the statistics', '0.95'),
      epsilon: epsilon('1e-8'),
      'basis-interval': option('count', 'steps from one renewal of the eigenbases to the next', '10'),
      'largest-side': option('count', 'longest side of a matrix that is rotated', '2048'),
      'merge-kernels': mergeKernels,
    },
    example: 'lenet --data digits --optimizer soap:basis-interval=5',
  }),
  'psgd-kron': firstOrder(psgdKron, {
    summary: 'PSGD: whitening by Kronecker factors that descent finds',
    options: {
      ...rates('0.001'),
      beta1: beta1('0.9'),
      'factor-rate': option('number', 'rate of the factors', '0.1'),
      'update-probability': option(
        'schedule',
        'probability that a step changes the factors',
        '1, then falling to 0.03',
      ),
      'largest-side': option('count', 'longest side that has a triangular factor', '1024'),
    },
    example: 'lenet --data digits --optimizer psgd-kron:update-probability=0.1',
  }),
};

/** They estimate the diagonal of the Hessian. */
export const diagonalKinds: OptimizerKinds = {
  adahessian: firstOrder(adahessian, {
    summary: 'Adam with squares of the diagonal of the Hessian',
    options: {
      ...rates('0.15'),
      ...moments('1e-4'),
      'hessian-power': option('number', 'power of the root in the denominator, in (0, 1]', '1'),
    },
    example: 'lenet --data digits --optimizer adahessian:learning-rate=0.1',
  }),
  'sophia-g': firstOrder(sophiaG, {
    summary: 'momentum over a rarely renewed diagonal of the Gauss–Newton matrix, clipped',
    options: {
      ...rates('0.0001', '0.1'),
      beta1: option('number', 'weight of the past in the momentum', '0.965'),
      beta2: option('number', 'weight of the past in the averaged diagonal', '0.99'),
      rho: option('number', 'elements are clipped above so many times the diagonal', '0.04'),
      'hessian-interval': option('count', 'steps from one estimate of the diagonal to the next', '10'),
    },
    example: 'lenet --data digits --optimizer sophia-g:learning-rate=0.0005',
  }),
};

const powers = {
  'step-power': option('number', 'power of the step in the weights of the average', '0'),
  'rate-power': option('number', 'power of the learning rate in these weights', '2'),
} as const satisfies DescribedOptions;

const atIterates = 'weight decay, taken where gradients are';

/** They need no learning rate, or none that falls. */
export const parameterFreeKinds: OptimizerKinds = {
  prodigy: firstOrder(prodigy, {
    summary: 'Adam that estimates its learning rate from the distance to a solution',
    options: {
      'learning-rate': option('schedule', 'factor on the estimated rate', '1'),
      'weight-decay': option('schedule', 'decoupled weight decay, times the estimated rate', '0'),
      ...moments(),
      'initial-distance': option('number', 'the distance at first, less than the true one', '1e-6'),
      'distance-factor': option('number', 'factor on each estimate, 0.5 to 2: the number to tune', '1'),
      growth: option('number', 'largest factor by which the estimate grows in a step', 'no bound'),
      'bias-correction': option('boolean', "correct the bias of Adam's averages", 'false'),
      'safeguard-warm-up': option('boolean', 'leave the rate out of the denominator, for long warm-ups', 'false'),
    },
    example: 'lenet --data digits --optimizer prodigy:distance-factor=0.5',
  }),
  'schedule-free-sgd': firstOrder(scheduleFreeSgd, {
    summary: 'SGD that keeps an average of its iterates instead of a schedule',
    options: {
      ...rates('1', '0', atIterates),
      momentum: option('number', 'share of the average where gradients are taken', '0.9'),
      ...powers,
    },
    example: 'lenet --data digits --optimizer schedule-free-sgd:learning-rate=warm-up:100:1',
  }),
  'schedule-free-adamw': firstOrder(scheduleFreeAdamw, {
    summary: 'AdamW that keeps an average of its iterates instead of a schedule',
    options: {
      ...rates('0.0025', '0', atIterates),
      beta1: option('number', 'share of the average where gradients are taken', '0.9'),
      beta2: beta2('0.999'),
      epsilon: epsilon('1e-8'),
      ...powers,
    },
    example: 'lenet --data digits --optimizer schedule-free-adamw:learning-rate=warm-up:100:0.005',
  }),
};

/** They take the whole training set in each step. */
export const wholeSetKinds: OptimizerKinds = {
  lbfgs: {
    summary: 'L-BFGS with a line search; the batch is the training set',
    options: {
      history: option('count', 'steps and changes of the gradient that are kept', '10'),
      'max-evaluations': option('count', 'most evaluations in the line search of a step', '25'),
    },
    example: "mlp --data 'digits?train=2000' --batch-size 2000 --optimizer lbfgs:history=20",
    create: lbfgs,
  },
};
