// First-order optimizers on the command line: those that see gradients and averages of them.
import { adadelta } from '../optimizers/adadelta.js';
import { adagrad } from '../optimizers/adagrad.js';
import { adam, adamw } from '../optimizers/adam.js';
import { adamax } from '../optimizers/adamax.js';
import { adan } from '../optimizers/adan.js';
import { adopt } from '../optimizers/adopt.js';
import type { Chain } from '../optimizers/chain.js';
import { lamb } from '../optimizers/lamb.js';
import { lars } from '../optimizers/lars.js';
import { lion } from '../optimizers/lion.js';
import { nadam } from '../optimizers/nadam.js';
import { radam } from '../optimizers/radam.js';
import { rmsprop } from '../optimizers/rmsprop.js';
import { sgd } from '../optimizers/sgd.js';
import { type DescribedOptions, type OptionValues, option } from './named-options.js';
import type { OptimizerKind, OptimizerKinds } from './optimizer-kind.js';

/** Return a first-order optimizer. */
export const firstOrder = (
  make: (options: OptionValues) => Chain,
  about: Pick<OptimizerKind, 'summary' | 'options' | 'example'>,
): OptimizerKind => ({ ...about, create: make });

export const rates = (learningRate: string, weightDecay = '0', decay = 'decoupled weight decay') =>
  ({
    'learning-rate': option('schedule', 'learning rate η', learningRate),
    'weight-decay': option('schedule', decay, weightDecay),
  }) as const satisfies DescribedOptions;

export const beta1 = (usual: string) => option('number', 'weight of the past in the averaged gradient', usual);
export const beta2 = (usual: string) => option('number', 'weight of the past in the averaged squares', usual);
export const epsilon = (usual: string) => option('number', 'number added to the denominator', usual);
const momentum = (usual: string) => option('schedule', 'momentum, in [0, 1)', usual);

/** The averages of Adam. */
export const moments = (least = '1e-8', squares = '0.999') =>
  ({ beta1: beta1('0.9'), beta2: beta2(squares), epsilon: epsilon(least) }) as const satisfies DescribedOptions;

export const firstOrderKinds: OptimizerKinds = {
  adam: firstOrder(adam, {
    summary: 'Adam: averages of gradients over the root of averages of their squares',
    options: { ...rates('0.001'), ...moments() },
    example: 'lenet --data digits --optimizer adam:learning-rate=0.003',
  }),
  adamw: firstOrder(adamw, {
    summary: 'Adam with decoupled weight decay',
    options: { ...rates('0.001', '0.01'), ...moments() },
    example: 'lenet --data digits --steps 1000 --optimizer adamw:learning-rate=cosine:0.003:1000',
  }),
  sgd: firstOrder(sgd, {
    summary: 'stochastic gradient descent with momentum',
    options: {
      ...rates("0.1 for labels, else 0.002 times an example's outputs"),
      momentum: momentum('0.9'),
      nesterov: option('boolean', "Nesterov's momentum", 'false'),
    },
    example: 'lenet --data digits --optimizer sgd:learning-rate=0.05:nesterov',
  }),
  lion: firstOrder(lion, {
    summary: 'Lion: the sign of a momentum',
    options: {
      ...rates('0.0001'),
      beta1: option('number', 'weight of the momentum beside the gradient in the direction', '0.9'),
      beta2: option('number', 'weight of the past in the momentum', '0.99'),
      cautious: option('boolean', 'change only elements whose direction agrees with the gradient', 'false'),
    },
    example: 'lenet --data digits --optimizer lion:learning-rate=0.0003:weight-decay=0.1',
  }),
  adan: firstOrder(adan, {
    summary: "Adan: Adam with Nesterov's momentum from differences of gradients",
    options: {
      ...rates('0.001', '0', 'proximal weight decay'),
      beta1: beta1('0.98'),
      beta2: option('number', 'weight of the past in the averaged differences of gradients', '0.92'),
      beta3: option('number', 'weight of the past in the averaged squares', '0.99'),
      epsilon: epsilon('1e-8'),
    },
    example: 'lenet --data digits --optimizer adan:learning-rate=0.003:weight-decay=0.02',
  }),
  nadam: firstOrder(nadam, {
    summary: "Adam with Nesterov's momentum",
    options: {
      ...rates('0.002'),
      ...moments(),
      'momentum-decay': option('number', 'how fast the momentum grows to beta1', '0.004'),
    },
    example: 'lenet --data digits --optimizer nadam:learning-rate=0.001',
  }),
  radam: firstOrder(radam, {
    summary: 'Adam that waits until its average of squares is reliable',
    options: { ...rates('0.001'), ...moments() },
    example: 'lenet --data digits --optimizer radam:learning-rate=0.003',
  }),
  adamax: firstOrder(adamax, {
    summary: 'Adam with the largest recent gradient in place of the root mean square',
    options: { ...rates('0.002'), ...moments() },
    example: 'lenet --data digits --optimizer adamax:learning-rate=0.005',
  }),
  adopt: firstOrder(adopt, {
    summary: 'Adam whose gradients are divided by the squares before them',
    options: { ...rates('0.001'), ...moments('1e-6', '0.9999') },
    example: 'lenet --data digits --optimizer adopt:learning-rate=0.003',
  }),
  adagrad: firstOrder(adagrad, {
    summary: 'AdaGrad: rates fall with the root of the sum of squares',
    options: {
      ...rates('0.01'),
      epsilon: epsilon('1e-10'),
      'initial-sum': option('number', 'the sum of squares before the first step', '0'),
    },
    example: 'lenet --data digits --optimizer adagrad:learning-rate=0.05',
  }),
  adadelta: firstOrder(adadelta, {
    summary: 'AdaDelta: steps in the units of the parameters',
    options: {
      ...rates('1'),
      decay: option('number', 'weight of the past in both averages of squares', '0.9'),
      epsilon: option('number', 'number added under the roots, from which steps grow', '1e-6'),
    },
    example: 'lenet --data digits --optimizer adadelta:decay=0.95',
  }),
  rmsprop: firstOrder(rmsprop, {
    summary: 'gradients over the root of averages of their squares',
    options: {
      ...rates('0.01'),
      momentum: momentum('0'),
      decay: option('number', 'weight of the past in the averaged squares', '0.99'),
      epsilon: epsilon('1e-8'),
      centered: option('boolean', 'divide by the deviation of the gradient', 'false'),
    },
    example: 'lenet --data digits --optimizer rmsprop:learning-rate=0.001:momentum=0.9',
  }),
  lamb: firstOrder(lamb, {
    summary: 'Adam with rates in proportion to norms of parameters, for large batches',
    options: {
      ...rates('0.001', '0.01', 'weight decay, inside the trust ratio'),
      ...moments('1e-6'),
      'maximum-norm': option('number', 'largest norm of a parameter that counts', '10'),
    },
    example: 'lenet --data digits --batch-size 2000 --optimizer lamb:learning-rate=0.01',
  }),
  lars: firstOrder(lars, {
    summary: 'momentum with rates in proportion to norms of parameters, for large batches',
    options: {
      ...rates('1', '0.0005', 'L2 weight decay, inside the trust ratio'),
      momentum: momentum('0.9'),
      'trust-coefficient': option('number', 'share of its norm by which a parameter changes, times η', '0.001'),
      epsilon: option('number', 'number added to the norm of the gradient', '1e-8'),
    },
    example: 'lenet --data digits --batch-size 2000 --optimizer lars:learning-rate=8',
  }),
};
