// AdaHessian (Yao et al. 2021, arXiv 2006.00719, algorithm 1): Adam whose squares are of the Hessian's diagonal, estimated by one
// Hessian–vector product with random signs a step. As its authors' program.
import { vectorJacobianProduct } from '../autodiff/gradients.js';
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { type Chain, namedChain } from './chain.js';
import type { StepContext } from './optimizer.js';
import { isKernel, isMatrix, type ParameterInfo, parametersOf } from './parameters.js';
import type { Schedule } from './schedules.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average, checkedMoments, type MomentsOptions, momentKeys } from './transforms/moments.js';
import type { StepNumber, Transform } from './transforms/updates.js';

export interface HessianOptions extends MomentsOptions {
  /** Power of the root of the average in the denominator, in (0, 1]; 1 by default. */
  readonly hessianPower?: number;
}

export interface AdahessianOptions extends HessianOptions {
  /** η; 0.15 by default. */
  readonly learningRate?: Schedule;
  /** Decoupled weight decay w: θ ← θ − η·w·θ; 0 by default. */
  readonly weightDecay?: Schedule;
}

const hessianKeys: OptionKeys<HessianOptions> = { ...momentKeys, hessianPower: true };
const keys: OptionKeys<AdahessianOptions> = { ...hessianKeys, learningRate: true, weightDecay: true };

/**
 * Return AdaHessian; ε is 1e-4 by default. A step costs about two of Adam's.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = adahessian({ learningRate: cosine(0.15, 5000) });
 */
export function adahessian(options: AdahessianOptions = {}): Chain {
  checkKeys('adahessian', options, keys);
  const { learningRate = 0.15, weightDecay = 0, ...hessian } = options;
  return namedChain(
    'adahessian',
    scaleByHessian(hessian),
    addDecayedWeights(weightDecay),
    scaleByLearningRate(learningRate),
  );
}

/**
 * Return the transform `u ← m̂/(√v̂ᵖ + ε)`, v the average of D², and D = |z∘Hz| for random signs z, averaged over the inputs of
 * each output of a matrix and over the window of a kernel.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * chain(clipByGlobalNorm(1), scaleByHessian(), scaleByLearningRate(0.15));
 */
export function scaleByHessian(options: HessianOptions = {}): Transform {
  checkKeys('scaleByHessian', options, hessianKeys);
  const { hessianPower = 1, ...moments } = options;
  const { beta1, beta2, epsilon } = checkedMoments('scaleByHessian', { epsilon: 1e-4, ...moments });
  const power = checkedNumber('hessianPower', hessianPower, { above: 0, atMost: 1 });
  const meanCorrection: StepNumber = { name: 'meanCorrection', at: (_, kept) => 1 - beta1 ** (kept + 1) };
  return (context, updates) => {
    const { b, scalar, state } = context;
    const diagonals = hessianDiagonals(context);
    const squareCorrection = scalar('squareCorrection', (_, kept) => 1 / Math.sqrt(1 - beta2 ** (kept + 1)));
    return updates
      .map((update, name, { dims }) => {
        const numerator = state(`mean.${name}`, dims, (old) => average(b, old, update, beta1));
        const diagonal = diagonals.get(name) ?? update;
        const square = state(`square.${name}`, dims, (old) => average(b, old, b.square(diagonal), beta2));
        const root = b.mul(b.sqrt(square), squareCorrection);
        return { numerator, denominator: b.add(power === 1 ? root : b.pow(root, power), epsilon) };
      })
      .over(meanCorrection);
  };
}

/** |z∘Hz| of each parameter, averaged. */
function hessianDiagonals(context: StepContext): ReadonlyMap<string, Value> {
  const { b, noise } = context;
  const gradients = context.lossGradients ?? context.gradients; // those of the loss are differentiated
  const known = parametersOf(context).filter(({ name }) => gradients.has(name));
  const signs = known.map(({ name, dims }) => noise(`signs.${name}`, dims, 'sign'));
  const seeds = known.map(({ name }, i) => ({
    value: gradients.get(name) as Value, // of those that have one
    cotangent: signs[i] as Value, // one for each
  }));
  const targets = known.map(({ name }) => context.parameters.get(name) as Value);
  const products = vectorJacobianProduct(b, seeds, targets);
  return new Map(known.map((info, i) => [info.name, averaged(b, b.abs(products[i] as Value), info)]));
}

/** The mean over the inputs of each output, or over the window of each pair of channels, in the parameter's shape. */
function averaged(b: Builder, diagonal: Value, info: ParameterInfo): Value {
  const { dims, outputsFirst } = info;
  const isWindow = isKernel(info);
  if (!isWindow && dims.length !== 2) return diagonal;
  const axes = isWindow ? dims.map((_, axis) => axis).slice(2) : [isMatrix(info) && !outputsFirst ? 0 : 1];
  return b.expandLike(b.mean(diagonal, axes, true), diagonal);
}
