// The words of second-order optimizers, each with the options that belong to it: refusals and help are made from these tables.
import { curvaturePropagation, empirical, exact, type Fisher, inputOnly, sampled } from '../curvature/fisher.js';
import { OptionError } from '../errors.js';
import type { Setting } from '../optimizers/optimizer.js';
import type { AcrossLayersOption } from '../optimizers/second-order/across-layers.js';
import type { BlockRule } from '../optimizers/second-order/block-choice.js';
import { kronecker, none, reduced } from '../optimizers/second-order/block-form.js';
import {
  gradientBasis,
  krylovBasis,
  naturalGradientBasis,
  onesBasis,
} from '../optimizers/second-order/coarse-basis.js';
import { diagonal, full, scaledIdentity } from '../optimizers/second-order/measured-forms.js';
import { usualStep } from '../optimizers/second-order/second-order.js';
import { additiveCorrection, balancingCorrection, twoLevel } from '../optimizers/second-order/two-level.js';
import { normalized } from '../optimizers/steps/normalized.js';
import type { StepRule } from '../optimizers/steps/rule.js';
import { scheduled } from '../optimizers/steps/scheduled.js';
import { selfTuning } from '../optimizers/steps/self-tuning.js';
import type { NamedRule, OptionValues } from './named-options.js';
import { type Branch, picked, refuseOthers } from './optimizer-kind.js';

/** Kinds of step. */
export const steps = {
  normalized: { make: normalized, takes: ['learningRate', 'damping', 'momentum', 'weightDecay'] },
  'self-tuning': {
    make: selfTuning,
    takes: ['damping', 'dampingInterval', 'dampingDecay', 'minimumDamping', 'calibrationSteps', 'priorPrecision'],
  },
  scheduled: { make: scheduled, takes: ['learningRate', 'damping', 'momentum', 'weightDecay', 'klClip'] },
} as const satisfies Readonly<Record<string, { make(options: object): StepRule; takes: readonly string[] }>>;
type StepWord = keyof typeof steps;
const stepWords = Object.keys(steps) as readonly StepWord[];

/** Fisher matrices. */
export const fishers = {
  sampled: { called: 'the sampled one', make: sampled, takes: ['samples'] },
  empirical: { called: 'the empirical Fisher matrix', make: () => empirical(), takes: [] },
  exact: { called: 'the exact Fisher matrix', make: () => exact(), takes: [] },
  'curvature-propagation': { called: 'curvature propagation', make: curvaturePropagation, takes: ['samples'] },
  'input-only': { called: 'the input-only Fisher matrix', make: () => inputOnly(), takes: [] },
} as const satisfies Readonly<Record<string, Branch & { make(options: object): Fisher }>>;

/** Forms of blocks that are no Kronecker products. */
export const exactForms = { diagonal, full, 'scaled-identity': scaledIdentity, none } as const;

/** Forms of blocks. */
export const blockForms = { kronecker, reduced, ...exactForms } as const;

const solve = ['maxIterations', 'stopping', 'tolerance', 'warmStart'] as const;
const basis = ['basisInterval', 'power'] as const;

/** Kinds of damping of Kronecker factors. */
export const dampings = {
  factored: { called: 'factored damping', takes: ['pi', 'inverseInterval', 'rank'] },
  tikhonov: { called: 'Tikhonov damping', takes: [...solve, 'shrinkage', 'rank'] },
  eigenvalues: { called: 'damping by eigenvalues', takes: basis },
  'eigen-corrected': { called: 'eigenvalue-corrected damping', takes: [...basis, 'moments'] },
} as const satisfies Readonly<Record<string, Branch>>;
type DampingWord = keyof typeof dampings;

/** Forms of CG-FAC. */
export const solverForms = {
  gram: {
    called: 'the Gram form',
    takes: [
      'dampingKind',
      'decay',
      ...new Set(Object.values(dampings).flatMap(({ takes }): readonly string[] => takes)),
    ],
  },
  primal: { called: 'the primal form', takes: solve },
  'inverse-free': { called: 'the inverse-free form', takes: [] },
} as const satisfies Readonly<Record<string, Branch>>;

/** Corrections of all layers together. */
export const corrections = {
  balancing: {
    called: 'the balancing correction (two-level=balancing)',
    make: balancingCorrection,
    takes: ['coarseBasis'],
  },
  additive: { called: 'the additive one (two-level=additive)', make: additiveCorrection, takes: ['coarseBasis'] },
} as const satisfies Readonly<Record<string, Branch & { make: unknown }>>;
const withoutCorrection: Branch = { called: 'blocks without a correction', takes: [] };

export const coarseBases = {
  'natural-gradients': naturalGradientBasis,
  gradients: gradientBasis,
  ones: onesBasis,
  krylov: krylovBasis,
} as const;

/** Return the Fisher matrix. @throws OptionError for options of others */
export function fisherOf(options: OptionValues): Fisher {
  const fisher = fishers[(options.fisher ?? 'sampled') as keyof typeof fishers]; // it was read as one of these words
  refuseOthers(options, fishers, fisher);
  return fisher.make(picked(options, fisher.takes));
}

export const blockRules = (rules: readonly NamedRule[]): readonly BlockRule[] =>
  rules.map(([glob, word]) => [glob, blockForms[word as keyof typeof blockForms]()]); // one of these words

/** Return the correction of all layers together, if there is one. @throws OptionError for options of one that is not there */
export function acrossLayers(options: OptionValues): AcrossLayersOption {
  const { twoLevel: correction, coarseBasis } = options;
  if (correction === undefined) {
    refuseOthers(options, corrections, withoutCorrection);
    return {};
  }
  return {
    acrossLayers: twoLevel({
      correction: corrections[correction as keyof typeof corrections].make(), // it was read as one
      ...(coarseBasis !== undefined && { basis: coarseBases[coarseBasis as keyof typeof coarseBases]() }), // likewise
    }),
  };
}

/**
 * Return the kind of damping.
 * @param beside other forms that take some of the options, for messages
 * @throws OptionError for options of other kinds
 */
export function dampingKind(options: OptionValues, beside: readonly Branch[] = []): DampingWord {
  const kind = (options.dampingKind ?? 'factored') as DampingWord; // it was read as one of these words
  refuseOthers(options, dampings, dampings[kind], beside);
  return kind;
}

/** Every option that belongs to a kind of step. */
const stepOptions = [...new Set<string>(stepWords.flatMap((word) => steps[word].takes))];

/**
 * Return the step of the options; undefined if they do not concern it: the optimizer then chooses by the setting.
 * @throws OptionError for options that no kind takes together
 */
export function stepOf(options: OptionValues, setting: Setting | undefined): StepRule | undefined {
  const given = stepOptions.filter((name) => options[name] !== undefined);
  if (options.step === undefined && given.length === 0) return undefined;
  const candidates = candidateSteps(options, setting);
  const idle = (word: StepWord) => given.filter((name) => !(steps[word].takes as readonly string[]).includes(name));
  const able = candidates.find((word) => idle(word).length === 0);
  if (able !== undefined) return steps[able].make(picked(options, steps[able].takes));
  // An option that no candidate takes; if each option is for another kind, one that the first candidate does not take.
  const ofNone = given.find((name) => candidates.every((word) => idle(word).includes(name)));
  const option = ofNone ?? candidates.flatMap(idle)[0] ?? '';
  const refusing = ofNone === undefined ? candidates.slice(0, 1) : candidates;
  const owners = stepWords.filter((word) => (steps[word].takes as readonly string[]).includes(option));
  throw new OptionError(
    `${option} has no effect on ${refusing.join(' and ')} steps; it is an option of ${owners.join(' and ')} steps`,
  );
}

/** The kinds of steps that the options may be for: a learning rate without a kind is that of scheduled steps. */
function candidateSteps({ step, learningRate }: OptionValues, setting: Setting | undefined): readonly StepWord[] {
  if (step !== undefined) return [step as StepWord]; // it was read as one of these words
  if (learningRate !== undefined) return ['scheduled'];
  const usual = setting && usualStep(setting).name;
  return stepWords.filter((word) => (usual === undefined ? word !== 'scheduled' : word === usual));
}
