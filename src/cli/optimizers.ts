// Optimizers by name with their options, as the command line writes them: `adam`, `cgfac:rank=64:damping=3`.

import { curvaturePropagation, empirical, exact, type Fisher, inputOnly, sampled } from '../curvature/fisher.js';
import { OptionError } from '../errors.js';
import { adadelta } from '../optimizers/adadelta.js';
import { adagrad, scaleByAdagrad } from '../optimizers/adagrad.js';
import { adahessian } from '../optimizers/adahessian.js';
import { adam, adamw } from '../optimizers/adam.js';
import { adamax } from '../optimizers/adamax.js';
import { adan } from '../optimizers/adan.js';
import { adopt } from '../optimizers/adopt.js';
import { type Chain, namedChain } from '../optimizers/chain.js';
import { lamb } from '../optimizers/lamb.js';
import { lars } from '../optimizers/lars.js';
import { lbfgs } from '../optimizers/lbfgs.js';
import { lion } from '../optimizers/lion.js';
import { muon, muonRest } from '../optimizers/muon.js';
import { nadam } from '../optimizers/nadam.js';
import type { Optimizer, Setting } from '../optimizers/optimizer.js';
import { prodigy } from '../optimizers/prodigy.js';
import { psgdKron } from '../optimizers/psgd-kron.js';
import { radam } from '../optimizers/radam.js';
import { rmsprop } from '../optimizers/rmsprop.js';
import { scheduleFreeAdamw, scheduleFreeSgd } from '../optimizers/schedule-free.js';
import type { Schedule } from '../optimizers/schedules.js';
import type { AcrossLayersOption } from '../optimizers/second-order/across-layers.js';
import type { BlockRule } from '../optimizers/second-order/block-choice.js';
import { kronecker, none, reduced } from '../optimizers/second-order/block-form.js';
import { type CgfacOptions, cgfac } from '../optimizers/second-order/cgfac.js';
import {
  gradientBasis,
  krylovBasis,
  naturalGradientBasis,
  onesBasis,
} from '../optimizers/second-order/coarse-basis.js';
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
import { diagonal, full, scaledIdentity } from '../optimizers/second-order/measured-forms.js';
import { gradientMoments } from '../optimizers/second-order/moments.js';
import { naturalGradient } from '../optimizers/second-order/natural-gradient.js';
import { type PrimalOptions, primal } from '../optimizers/second-order/primal.js';
import { byBudget } from '../optimizers/second-order/rank.js';
import { type SecondOrderOptions, usualStep } from '../optimizers/second-order/second-order.js';
import { tikhonov } from '../optimizers/second-order/tikhonov.js';
import { additiveCorrection, balancingCorrection, twoLevel } from '../optimizers/second-order/two-level.js';
import { sgd } from '../optimizers/sgd.js';
import { shampoo } from '../optimizers/shampoo.js';
import { soap } from '../optimizers/soap.js';
import { sophiaG } from '../optimizers/sophia.js';
import { normalized } from '../optimizers/steps/normalized.js';
import type { StepRule } from '../optimizers/steps/rule.js';
import { scheduled } from '../optimizers/steps/scheduled.js';
import { selfTuning } from '../optimizers/steps/self-tuning.js';
import { clipByGlobalNorm } from '../optimizers/transforms/clip.js';
import { scaleByMomentum } from '../optimizers/transforms/momentum.js';
import { byProgress, byResidual } from '../solvers/stopping.js';
import { didYouMean } from '../suggest.js';
import {
  camelCased,
  describeOptions,
  known,
  type NamedRule,
  type OptionKinds,
  type OptionValue,
  type OptionValues,
  readOptions,
} from './named-options.js';
import { scheduleHelp } from './schedules.js';

interface Kind {
  readonly options: OptionKinds;
  /** @param setting undefined if it is not known yet: options that fit some setting are accepted */
  readonly create: (options: OptionValues, setting: Setting | undefined) => Optimizer;
}

const rates = { 'learning-rate': 'schedule', 'weight-decay': 'schedule' } as const;
const betas = { beta1: 'number', beta2: 'number' } as const;
const moments = { ...betas, epsilon: 'number' } as const;
const averaging = { 'step-power': 'number', 'rate-power': 'number' } as const;

/** A first-order optimizer: a chain that may begin with a bound on the norm of the gradient. */
const firstOrder = (make: (options: OptionValues) => Chain, options: OptionKinds): Kind => ({
  options: { ...rates, ...options, 'clip-norm': 'schedule' },
  create({ clipNorm, ...own }) {
    const optimizer = make(own);
    if (clipNorm === undefined) return optimizer;
    return namedChain(optimizer.name, clipByGlobalNorm(clipNorm as Schedule), optimizer); // it was read as one
  },
});

/** Each kind of step with the options that it takes. */
const steps = {
  normalized: { make: normalized, takes: ['learningRate', 'damping', 'momentum', 'weightDecay'] },
  'self-tuning': {
    make: selfTuning,
    takes: ['damping', 'dampingInterval', 'dampingDecay', 'minimumDamping', 'calibrationSteps', 'priorPrecision'],
  },
  scheduled: { make: scheduled, takes: ['learningRate', 'damping', 'momentum', 'weightDecay', 'klClip'] },
} as const satisfies Readonly<Record<string, { make(options: object): StepRule; takes: readonly string[] }>>;
type StepWord = keyof typeof steps;
const stepWords = Object.keys(steps) as readonly StepWord[];

const fishers = {
  sampled,
  empirical,
  exact,
  'curvature-propagation': curvaturePropagation,
  'input-only': inputOnly,
} as const;
type FisherWord = keyof typeof fishers;

const forms = {
  kronecker,
  reduced,
  diagonal,
  full,
  'scaled-identity': scaledIdentity,
  none,
} as const;

const corrections = { balancing: balancingCorrection, additive: additiveCorrection } as const;
const bases = {
  'natural-gradients': naturalGradientBasis,
  gradients: gradientBasis,
  ones: onesBasis,
  krylov: krylovBasis,
} as const;

/** The options of all second-order optimizers. */
const secondOrder = {
  step: stepWords,
  ...rates,
  damping: 'schedule',
  momentum: 'schedule',
  'kl-clip': 'schedule',
  'curvature-rows': 'number',
  'curvature-interval': 'number',
  'curvature-burn-in': 'number',
  fisher: Object.keys(fishers),
  samples: 'number',
  blocks: { rules: Object.keys(forms) },
  'damping-interval': 'number',
  'damping-decay': 'number',
  'minimum-damping': 'number',
  'calibration-steps': 'number',
  'prior-precision': 'number',
  'iterate-averaging': 'number',
  diagnostics: 'boolean',
  'rest-learning-rate': 'schedule',
} as const;

const { fisher: _fisher, samples: _samples, ...withoutFisher } = secondOrder;

/** Those of optimizers that solve by conjugate gradients. */
const conjugateGradients = {
  'max-iterations': 'number',
  stopping: ['residual', 'progress'],
  tolerance: 'number',
  'warm-start': 'boolean',
} as const;

/** Those of optimizers that keep Kronecker factors. */
const withFactors = {
  ...secondOrder,
  'damping-kind': ['factored', 'tikhonov', 'eigenvalues', 'eigen-corrected'],
  pi: 'number',
  'basis-interval': 'number',
  power: 'number',
  moments: ['examples', 'gradient'],
  decay: 'number',
  ...conjugateGradients,
  shrinkage: 'number',
  'two-level': Object.keys(corrections),
  'coarse-basis': Object.keys(bases),
} as const;

const couplings = { 'whole-network': wholeNetwork, 'each-layer': eachLayer } as const;
/** What Shampoo takes the length of a step from; by default Adam with Shampoo's own averages. */
const grafts = { adam: () => undefined, adagrad: scaleByAdagrad, sgd: () => scaleByMomentum({ momentum: 0 }) } as const;

const kinds: Readonly<Record<string, Kind>> = {
  cgfac: {
    options: { ...withFactors, rank: { numberOr: ['auto'] }, form: ['gram', 'primal', 'inverse-free'] },
    create: (options, setting) =>
      cgfac({ ...sharedParts(options, setting), ...acrossLayers(options), ...cgfacParts(options) }),
  },
  kfac: {
    options: { ...withFactors, 'inverse-interval': 'number' },
    create: (options, setting) =>
      kfac({ ...sharedParts(options, setting), ...acrossLayers(options), ...kfacParts(options) }),
  },
  'natural-gradient': {
    options: { ...secondOrder, coupling: Object.keys(couplings) },
    create: ({ coupling, ...options }, setting) =>
      naturalGradient({
        ...sharedParts(options, setting),
        ...(coupling !== undefined && { coupling: couplings[coupling as keyof typeof couplings]() }), // it was read as one
      }),
  },
  'hessian-free': {
    options: { ...withoutFisher, ...conjugateGradients },
    create: (options, setting) => hessianFree({ ...sharedParts(options, setting), ...solveOf(options) }),
  },
  adam: firstOrder(adam, moments),
  adamw: firstOrder(adamw, moments),
  sgd: firstOrder(sgd, { momentum: 'schedule', nesterov: 'boolean' }),
  lion: firstOrder(lion, { ...betas, cautious: 'boolean' }),
  muon: {
    options: {
      ...rates,
      momentum: 'number',
      nesterov: 'boolean',
      iterations: 'count',
      'rest-learning-rate': 'schedule',
      'rest-weight-decay': 'schedule',
    },
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
      ...moments,
      'initial-statistic': 'number',
      'root-interval': 'count',
      'block-size': 'count',
      'merge-kernels': 'boolean',
      graft: Object.keys(grafts),
    },
  ),
  soap: firstOrder(soap, {
    ...moments,
    'basis-interval': 'count',
    'largest-side': 'count',
    'merge-kernels': 'boolean',
  }),
  'psgd-kron': firstOrder(psgdKron, {
    beta1: 'number',
    'factor-rate': 'number',
    'update-probability': 'schedule',
    'largest-side': 'count',
  }),
  adagrad: firstOrder(adagrad, { epsilon: 'number', 'initial-sum': 'number' }),
  rmsprop: firstOrder(rmsprop, { momentum: 'schedule', decay: 'number', epsilon: 'number', centered: 'boolean' }),
  nadam: firstOrder(nadam, { ...moments, 'momentum-decay': 'number' }),
  radam: firstOrder(radam, moments),
  adamax: firstOrder(adamax, moments),
  adadelta: firstOrder(adadelta, { decay: 'number', epsilon: 'number' }),
  adan: firstOrder(adan, { ...betas, beta3: 'number', epsilon: 'number' }),
  adopt: firstOrder(adopt, moments),
  lamb: firstOrder(lamb, { ...moments, 'maximum-norm': 'number' }),
  lars: firstOrder(lars, { momentum: 'schedule', 'trust-coefficient': 'number', epsilon: 'number' }),
  adahessian: firstOrder(adahessian, { ...moments, 'hessian-power': 'number' }),
  'sophia-g': firstOrder(sophiaG, { ...betas, rho: 'number', 'hessian-interval': 'count' }),
  'schedule-free-sgd': firstOrder(scheduleFreeSgd, { momentum: 'number', ...averaging }),
  'schedule-free-adamw': firstOrder(scheduleFreeAdamw, { ...moments, ...averaging }),
  prodigy: firstOrder(prodigy, {
    ...moments,
    'initial-distance': 'number',
    'distance-factor': 'number',
    growth: 'number',
    'bias-correction': 'boolean',
    'safeguard-warm-up': 'boolean',
  }),
  lbfgs: { options: { history: 'count', 'max-evaluations': 'count' }, create: lbfgs },
};

/** The options that all second-order optimizers share. */
function sharedParts(options: OptionValues, setting: Setting | undefined): SecondOrderOptions {
  const step = stepOf(options, setting);
  const { fisher } = options;
  return {
    ...(step && { step }),
    ...picked(options, ['curvatureRows', 'curvatureInterval', 'curvatureBurnIn', 'iterateAveraging']),
    ...(options.blocks !== undefined && { blocks: blockRules(options.blocks as readonly NamedRule[]) }), // it was read as such
    ...(options.diagnostics === true && { diagnostics: layerDiagnostics() }),
    ...((fisher !== undefined || options.samples !== undefined) && { fisher: fisherOf(options) }),
    ...(options.restLearningRate !== undefined && {
      rest: adam({ learningRate: options.restLearningRate as Schedule }),
    }),
  };
}

const blockRules = (rules: readonly NamedRule[]): readonly BlockRule[] =>
  rules.map(([glob, word]) => [glob, forms[word as keyof typeof forms]()]); // one of these words

function fisherOf(options: OptionValues): Fisher {
  const word = (options.fisher ?? 'sampled') as FisherWord; // it was read as one of these words
  if (word === 'sampled' || word === 'curvature-propagation') return fishers[word](picked(options, ['samples']));
  refuseIdle(options, ['samples'], `the ${word} Fisher matrix`, 'the sampled one and of curvature propagation');
  return fishers[word]();
}

/** Options of conjugate gradients. */
const solve = ['maxIterations', 'stopping', 'tolerance'] as const;

const stoppings = { residual: byResidual, progress: byProgress } as const;

function solveOf(options: OptionValues): SolveOptions & Pick<PrimalOptions, 'warmStart'> {
  const word = (options.stopping ?? 'residual') as keyof typeof stoppings; // it was read as one of these words
  return {
    ...picked(options, ['maxIterations', 'warmStart']),
    ...((options.stopping ?? options.tolerance) !== undefined && {
      stopping: stoppings[word](picked(options, ['tolerance'])),
    }),
  };
}

function acrossLayers(options: OptionValues): AcrossLayersOption {
  const { twoLevel: correction, coarseBasis: basis } = options;
  if (correction === undefined) {
    refuseIdle(options, ['coarseBasis'], 'blocks without a correction', 'the two-level one (two-level=balancing)');
    return {};
  }
  return {
    acrossLayers: twoLevel({
      correction: corrections[correction as keyof typeof corrections](), // it was read as one
      ...(basis !== undefined && { basis: bases[basis as keyof typeof bases]() }), // likewise
    }),
  };
}

/** Each kind of damping with the options that it takes. */
const dampings = {
  factored: { words: 'factored damping', takes: ['pi', 'inverseInterval', 'rank'] },
  tikhonov: { words: 'Tikhonov damping', takes: [...solve, 'warmStart', 'shrinkage', 'rank'] },
  eigenvalues: { words: 'damping by eigenvalues', takes: ['basisInterval', 'power'] },
  'eigen-corrected': { words: 'eigenvalue-corrected damping', takes: ['basisInterval', 'power', 'moments'] },
} as const;
type DampingWord = keyof typeof dampings;
const dampingWords = Object.keys(dampings) as readonly DampingWord[];
/** Options of kinds of damping that the primal form does not take. */
const ofOtherForms = ['rank', 'decay', 'dampingKind', 'pi', 'shrinkage', 'basisInterval', 'power', 'moments'];

function cgfacParts(options: OptionValues): CgfacOptions {
  if (options.form === 'primal') {
    refuseIdle(options, ofOtherForms, 'the primal form', 'the Gram form');
    return { damping: primal(solveOf(options)) };
  }
  if (options.form === 'inverse-free') {
    refuseIdle(options, [...ofOtherForms, ...solve, 'warmStart'], 'the inverse-free form', 'the other forms');
    return { damping: inverseFree() };
  }
  const kind = dampingKind(options);
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
  if (kind === 'tikhonov') {
    refuseIdle(options, ['shrinkage'], 'dense factors', 'sketches');
    return { factors: dense(factors), damping: tikhonov(solveOf(options)) };
  }
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

/** Return the kind of damping; refuse the options of other kinds. */
function dampingKind(options: OptionValues): DampingWord {
  const kind = (options.dampingKind ?? 'factored') as DampingWord; // it was read as one of these words
  const takes: readonly string[] = dampings[kind].takes;
  for (const option of dampingWords.flatMap((word): readonly string[] => dampings[word].takes)) {
    if (takes.includes(option)) continue;
    const owners = dampingWords.filter((word) => (dampings[word].takes as readonly string[]).includes(option));
    const names = owners.map((word) => dampings[word].words).join(' and of ');
    const also = [...solve, 'warmStart'].includes(option) ? ' and of the primal form' : '';
    refuseIdle(options, [option], dampings[kind].words, names + also);
  }
  return kind;
}

/** @throws OptionError if one of some options, which have no effect here, is given */
function refuseIdle(options: OptionValues, names: readonly string[], here: string, owner: string): void {
  const idle = names.find((name) => options[name] !== undefined);
  if (idle !== undefined) throw new OptionError(`${idle} has no effect on ${here}; it is an option of ${owner}`);
}

/** Every option that belongs to a kind of step. */
const stepOptions = [...new Set<string>(stepWords.flatMap((word) => steps[word].takes))];

/** The step of the options; undefined if they do not concern it: the optimizer then chooses by the setting. */
function stepOf(options: OptionValues, setting: Setting | undefined): StepRule | undefined {
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

/** The options of some names that are given. */
const picked = (options: OptionValues, names: readonly string[]): object =>
  Object.fromEntries(names.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])));

export const optimizerNames: readonly string[] = Object.keys(kinds);

/** Return the text about optimizers for --help. */
export function optimizerHelp(): string {
  const width = Math.max(...optimizerNames.map(({ length }) => length));
  const lines = Object.entries(kinds).map(
    ([name, { options }]) => `  ${name.padEnd(width)} ${describeOptions(options)}`,
  );
  return [
    'Optimizers and their options; write them as NAME:option=value:option=value',
    ...lines,
    '',
    scheduleHelp(),
  ].join('\n');
}

/** An optimizer with the text that chose it. */
export interface ChosenOptimizer {
  /** `adam`, or with its own options `adam:learning-rate=0.003`: unique in a comparison. */
  readonly label: string;
  readonly optimizer: Optimizer;
}

/** Options that are given beside an optimizer: in a comparison they hold for those that do not set their own. */
export interface SharedOptions {
  readonly learningRate?: Schedule;
  readonly damping?: Schedule;
  readonly rank?: number;
  readonly diagnostics?: boolean;
}

/** Make the optimizer of a spec. @throws OptionError for an unknown optimizer or option, or a value that it does not take */
export function chooseOptimizer(spec: string, shared: SharedOptions, setting: Setting): ChosenOptimizer {
  return { label: spec, optimizer: created(spec, shared, setting) };
}

function created(spec: string, shared: SharedOptions, setting: Setting | undefined): Optimizer {
  const [name = '', ...parts] = spec.split(':');
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (!kind) {
    throw new OptionError(
      `unknown optimizer '${name}'${didYouMean(name, optimizerNames)}; choose one of ${optimizerNames.join(', ')}`,
    );
  }
  const own: Record<string, OptionValue> = {
    ...readOptions(`optimizer '${spec}'`, parts, kind.options),
  };
  for (const [key, value] of Object.entries(shared)) {
    const option = kebab(key);
    if (value === undefined) continue;
    if (!(option in kind.options))
      throw new OptionError(`--${option} is not an option of ${name}; ${known(kind.options)}`);
    if (option in own) throw new OptionError(`optimizer '${spec}' and --${option} both give ${option}; give it once`);
    own[option] = value;
  }
  try {
    return kind.create(camelCased(own), setting);
  } catch (error) {
    if (error instanceof OptionError) throw new OptionError(`optimizer '${spec}': ${error.message}`, { cause: error });
    throw error;
  }
}

/**
 * Check a spec like `chooseOptimizer`, before the data are known: options that fit some setting are accepted.
 * @throws OptionError
 */
export function checkOptimizer(spec: string, shared: SharedOptions): void {
  created(spec, shared, undefined);
}

/** Return the shared options among a command's flags. */
export const sharedOptions = ({ learningRate, damping, rank, diagnostics }: SharedOptions): SharedOptions => ({
  ...(learningRate !== undefined && { learningRate }),
  ...(damping !== undefined && { damping }),
  ...(rank !== undefined && { rank }),
  ...(diagnostics !== undefined && { diagnostics }),
});

/**
 * Return those of the shared options that concern an optimizer of a comparison, and that it does not set itself: a learning rate is
 * for first-order ones.
 */
export function sharedFor(spec: string, shared: SharedOptions): SharedOptions {
  const [name = '', ...parts] = spec.split(':');
  const own = parts.map((part) => part.split('=')[0]);
  const kind = kinds[name];
  if (!kind) return {};
  const isSecondOrder = 'damping' in kind.options;
  return Object.fromEntries(
    Object.entries(shared).filter(
      ([key]) => kebab(key) in kind.options && !own.includes(kebab(key)) && !(isSecondOrder && key === 'learningRate'),
    ),
  );
}

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
