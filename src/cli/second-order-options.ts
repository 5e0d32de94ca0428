// The options of second-order optimizers, with what help says of them.
import { type DescribedOptions, option } from './named-options.js';
import { blockForms, coarseBases, corrections, dampings, fishers, solverForms, steps } from './second-order-choices.js';

/**
 * The options of all second-order optimizers.
 * @param interval the default of `curvature-interval`
 * @param forms what `blocks` can be, by their words, and its default
 */
export const secondOrderOptions = (interval: string, forms: object = blockForms, usualForm = '*=kronecker') =>
  ({
    step: option(
      Object.keys(steps),
      'how long steps are and how they are damped',
      'normalized for labels of pictures and sequences, else self-tuning',
    ),
    'learning-rate': option(
      'schedule',
      'learning rate η; without a step, it selects scheduled steps',
      'inverse-root:0.002 for normalized steps, 0.1 for scheduled ones',
    ),
    'weight-decay': option('schedule', 'decoupled weight decay', '0.5 for normalized steps, 0 for scheduled ones'),
    damping: option(
      'schedule',
      'damping λ of the curvature, relative for normalized steps, the first for self-tuning ones',
      '0.1 for normalized steps, 0.03 or more for self-tuning ones, 1 for scheduled ones',
    ),
    momentum: option('schedule', 'momentum, in [0, 1)', '0.9'),
    'kl-clip': option('schedule', 'bound on the squared Fisher norm of a step; 0 is none', '0.001'),
    'curvature-rows': option(
      'number',
      'examples of a batch that the curvature is measured on',
      '96 for self-tuning steps, else 32; fewer for sequences',
    ),
    'curvature-interval': option('number', 'steps from one measurement of the curvature to the next', interval),
    'curvature-burn-in': option(
      'number',
      'steps at the start that all measure the curvature',
      '20; no effect with an interval of 1',
    ),
    fisher: option(Object.keys(fishers), 'what targets the curvature of outputs is of', 'sampled'),
    samples: option('number', 'targets drawn for each example', '1'),
    blocks: option({ rules: Object.keys(forms) }, 'form of the Fisher blocks of the weights that match', usualForm),
    'damping-interval': option('number', 'steps between adaptations of the damping', '5'),
    'damping-decay': option('number', 'factor on the damping for one step of good predictions', '0.95'),
    'minimum-damping': option(
      'number',
      'lower bound on the damping',
      '0.01 · max(1, 700/batch size), at most the first damping',
    ),
    'calibration-steps': option('number', 'steps at the start, at most 10, that search the damping', '0'),
    'prior-precision': option('number', 'precision of the Gaussian prior on weights; 0 is none', '1'),
    'iterate-averaging': option(
      'number',
      'weight of the past in the average of iterates, which is kept; 0 keeps the last',
      '0.99',
    ),
    'rest-learning-rate': option(
      'schedule',
      'learning rate of Adam on parameters outside blocks',
      '0.001, for normalized steps inverse-root:0.003',
    ),
    diagnostics: option('boolean', 'report the damping, the step and the solve of each layer', 'false'),
  }) as const satisfies DescribedOptions;

/** Those of optimizers that solve by conjugate gradients. */
export const conjugateGradients = (stopping: string, warmStart: string) =>
  ({
    'max-iterations': option('number', 'most iterations of a solve', '50'),
    stopping: option(['residual', 'progress'], 'what ends a solve early', stopping),
    tolerance: option(
      'number',
      'relative residual, or progress of an iteration, that ends a solve',
      '0.001 for the residual, 0.0005 for progress',
    ),
    'warm-start': option('boolean', "start each solve from the last step's solution", warmStart),
  }) as const satisfies DescribedOptions;

/** Those of optimizers that keep Kronecker factors. */
export const withFactors = {
  'damping-kind': option(Object.keys(dampings), 'what the damping is added to', 'factored'),
  pi: option('number', 'share π of the damping: π√λ on A, √λ/π on G', 'by the traces of the factors'),
  'basis-interval': option('number', 'steps from one renewal of the eigenbases to the next', '20'),
  power: option('number', 'power of the damped curvature: −1 natural gradient, −0.5 whitening', '-1'),
  moments: option(['examples', 'gradient'], 'gradients whose second moments correct the eigenvalues', 'examples'),
  decay: option('number', 'largest weight of the past in the averages of the factors', '0.95'),
  'two-level': option(Object.keys(corrections), 'correction of natural gradients by all layers together', 'none'),
  'coarse-basis': option(Object.keys(coarseBases), 'vectors of each layer in the correction', 'natural-gradients'),
} as const satisfies DescribedOptions;

export const cgfacOptions = {
  form: option(Object.keys(solverForms), 'the form of the solve', 'gram'),
  rank: option({ numberOr: ['auto'] }, 'rows of the sketch of each Kronecker factor, or auto: by its cost', '128'),
  shrinkage: option('number', 'share of the mean eigenvalue in all directions of a sketch', 'estimated'),
} as const satisfies DescribedOptions;

export const kfacOptions = {
  'inverse-interval': option('number', 'steps from one inversion of the factors to the next', '20'),
} as const satisfies DescribedOptions;
