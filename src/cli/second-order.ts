// Second-order optimizers on the command line: CG-FAC, K-FAC, the exact natural gradient, Hessian-free steps.

import { adam } from '../optimizers/adam.js';
import type { Setting } from '../optimizers/optimizer.js';
import type { Schedule } from '../optimizers/schedules.js';
import { type CgfacOptions, cgfac } from '../optimizers/second-order/cgfac.js';
import type { SolveOptions } from '../optimizers/second-order/convergence.js';
import type { WholeDamping } from '../optimizers/second-order/damping.js';
import { layerDiagnostics } from '../optimizers/second-order/diagnostics.js';
import { eigenCorrected, eigenvalues } from '../optimizers/second-order/eigen-damping.js';
import { factored } from '../optimizers/second-order/factored.js';
import { dense, sketches } from '../optimizers/second-order/factors.js';
import { hessianFree } from '../optimizers/second-order/hessian-free.js';
import { inverseFree } from '../optimizers/second-order/inverse-free.js';
import { type KfacOptions, kfac } from '../optimizers/second-order/kfac.js';
import { eachLayer, wholeNetwork } from '../optimizers/second-order/khatri-rao.js';
import { gradientMoments } from '../optimizers/second-order/moments.js';
import { naturalGradient } from '../optimizers/second-order/natural-gradient.js';
import { type PrimalOptions, primal } from '../optimizers/second-order/primal.js';
import { byBudget } from '../optimizers/second-order/rank.js';
import type { SecondOrderOptions } from '../optimizers/second-order/second-order.js';
import { tikhonov } from '../optimizers/second-order/tikhonov.js';
import { byProgress, byResidual } from '../solvers/stopping.js';
import { type NamedRule, type OptionValues, option } from './named-options.js';
import { type OptimizerKinds, picked, refuseOthers } from './optimizer-kind.js';
import {
  acrossLayers,
  blockRules,
  corrections,
  dampingKind,
  dampings,
  exactForms,
  fisherOf,
  fishers,
  solverForms,
  stepOf,
  steps,
} from './second-order-choices.js';
import {
  cgfacOptions,
  conjugateGradients,
  kfacOptions,
  secondOrderOptions,
  withFactors,
} from './second-order-options.js';

const couplings = { 'whole-network': wholeNetwork, 'each-layer': eachLayer } as const;
const stoppings = { residual: byResidual, progress: byProgress } as const;

// Their curvature is of each step: a burn-in has no effect.
const { 'curvature-burn-in': _burnIn, ...alwaysMeasured } = secondOrderOptions('1', exactForms, 'exact ones');
const { fisher: _fisher, samples: _samples, ...withoutFisher } = alwaysMeasured;

export const secondOrderKinds: OptimizerKinds = {
  cgfac: {
    summary: 'CG-FAC: natural gradients from sketches of Kronecker factors',
    options: {
      ...cgfacOptions,
      ...secondOrderOptions('5 with factored damping, else 1'),
      ...withFactors,
      ...conjugateGradients('residual', 'true for Tikhonov damping, false for the primal form'),
    },
    choices: { step: steps, fisher: fishers, form: solverForms, 'damping-kind': dampings, 'two-level': corrections },
    example: 'autoencoder --data digits --optimizer cgfac:rank=64:step=self-tuning:damping=3',
    create: (options, setting) =>
      cgfac({ ...sharedParts(options, setting), ...acrossLayers(options), ...cgfacParts(options) }),
  },
  kfac: {
    summary: 'K-FAC: natural gradients from Kronecker factors and their inverses',
    options: { ...kfacOptions, ...secondOrderOptions('1'), ...withFactors, ...conjugateGradients('residual', 'true') },
    choices: { step: steps, fisher: fishers, 'damping-kind': dampings, 'two-level': corrections },
    example: 'mlp --data digits --optimizer kfac:learning-rate=0.1:damping=0.03:inverse-interval=10',
    create: (options, setting) =>
      kfac({ ...sharedParts(options, setting), ...acrossLayers(options), ...kfacParts(options) }),
  },
  'natural-gradient': {
    summary: 'the exact natural gradient of a batch, a reference for small networks',
    options: {
      ...alwaysMeasured,
      'curvature-rows': option('number', 'examples of a batch that the curvature is measured on', 'the batch'),
      coupling: option(Object.keys(couplings), 'layers whose equations are solved together', 'whole-network'),
    },
    choices: { step: steps, fisher: fishers },
    example: 'mlp --data digits --optimizer natural-gradient:coupling=each-layer --batch-size 64',
    create: ({ coupling, ...options }, setting) =>
      naturalGradient({
        ...sharedParts(options, setting),
        ...(coupling !== undefined && { coupling: couplings[coupling as keyof typeof couplings]() }), // it was read as one
      }),
  },
  'hessian-free': {
    summary: 'conjugate gradients with the exact Gauss–Newton matrix of the whole network',
    options: { ...withoutFisher, ...conjugateGradients('progress, or residual if a tolerance is given', 'true') },
    choices: { step: steps },
    example: 'autoencoder --data digits --optimizer hessian-free:max-iterations=30',
    create: (options, setting) => hessianFree({ ...sharedParts(options, setting), ...solveOf(options) }),
  },
};

/** The options that all second-order optimizers share. */
function sharedParts(options: OptionValues, setting: Setting | undefined): SecondOrderOptions {
  const step = stepOf(options, setting);
  const { fisher } = options;
  return {
    ...(step && { step }),
    ...picked(options, ['curvatureRows', 'curvatureInterval', 'curvatureBurnIn', 'iterateAveraging']),
    ...(options.blocks !== undefined && { blocks: blockRules(options.blocks as readonly NamedRule[]) }), // it was read as such
    ...((fisher !== undefined || options.samples !== undefined) && { fisher: fisherOf(options) }),
    ...(options.restLearningRate !== undefined && {
      rest: adam({ learningRate: options.restLearningRate as Schedule }),
    }),
    ...(options.diagnostics === true && { diagnostics: layerDiagnostics() }),
  };
}

function solveOf(options: OptionValues): SolveOptions & Pick<PrimalOptions, 'warmStart'> {
  const word = (options.stopping ?? 'residual') as keyof typeof stoppings; // it was read as one of these words
  return {
    ...picked(options, ['maxIterations', 'warmStart']),
    ...((options.stopping ?? options.tolerance) !== undefined && {
      stopping: stoppings[word](picked(options, ['tolerance'])),
    }),
  };
}

function cgfacParts(options: OptionValues): CgfacOptions {
  const form = (options.form ?? 'gram') as keyof typeof solverForms; // it was read as one of these words
  refuseOthers(options, solverForms, solverForms[form]);
  if (form === 'primal') return { damping: primal(solveOf(options)) };
  if (form === 'inverse-free') return { damping: inverseFree() };
  const kind = dampingKind(options, [solverForms.primal]);
  if (kind === 'eigenvalues' || kind === 'eigen-corrected') {
    return { factors: dense(picked(options, ['decay'])), damping: eigenDamping(kind, options) };
  }
  const rank = options.rank === 'auto' ? { rank: byBudget() } : picked(options, ['rank']);
  const factors = sketches({ ...rank, ...picked(options, ['decay']) });
  return kind === 'tikhonov'
    ? { factors, damping: tikhonov({ ...solveOf(options), ...picked(options, ['shrinkage']) }) }
    : { factors, damping: factored(picked(options, ['pi'])) };
}

function kfacParts(options: OptionValues): KfacOptions {
  const factors = picked(options, ['decay']);
  const kind = dampingKind(options);
  if (kind === 'eigenvalues' || kind === 'eigen-corrected') {
    return { factors: dense(factors), damping: eigenDamping(kind, options) };
  }
  if (kind === 'tikhonov') return { factors: dense(factors), damping: tikhonov(solveOf(options)) };
  const { inverseInterval } = options;
  const interval = inverseInterval === undefined ? {} : { inverseInterval: Number(inverseInterval) };
  return {
    factors: dense({ ...factors, ...interval } as Parameters<typeof dense>[0]),
    damping: factored(picked(options, ['pi'])),
  };
}

function eigenDamping(kind: 'eigenvalues' | 'eigen-corrected', options: OptionValues): WholeDamping {
  const { basisInterval: interval, moments } = options;
  const basis = { ...picked(options, ['power']), ...(interval !== undefined && { interval: Number(interval) }) };
  if (kind === 'eigenvalues') return eigenvalues(basis);
  return eigenCorrected({ ...basis, ...(moments === 'gradient' && { moments: gradientMoments() }) });
}
