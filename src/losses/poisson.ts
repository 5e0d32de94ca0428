// The negative log-likelihood of counts: Poisson variables, whose rate or its logarithm the network predicts.
import type { Value } from '../graph/graph.js';
import { squaredError } from '../metrics/squared-error.js';
import type { Builder } from '../ops/builder.js';
import { checkedFlag, checkedNumber, checkKeys } from '../options.js';
import { asOutput, diagonalRoot, dimsOf, elementsPerExample, examplesOf } from './elements.js';
import type { Loss, LossLikelihood } from './loss.js';
import { weightedMean } from './reduction.js';

export interface PoissonOptions {
  /** Whether outputs are logarithms of the rates, else the rates themselves; true by default. */
  readonly logInput?: boolean;
  /** Whether to add Stirling's approximation of log y!, which does not depend on the output; false by default. */
  readonly full?: boolean;
  /** Number added to rates before their logarithm is taken; 1e-8 by default. */
  readonly epsilon?: number;
}

/**
 * Return the mean over all elements of λ − y·log λ for counts y and rates λ; equal to PyTorch's `poisson_nll_loss`. With
 * `logInput: false` second-order steps measure its curvature by the targets of the data.
 * @throws OptionError for options out of range
 * @example
 * const loss = poisson(); // the model predicts logarithms of rates
 */
export function poisson(options: PoissonOptions = {}): Loss {
  checkKeys('poisson', options, { logInput: true, full: true, epsilon: true });
  const logInput = checkedFlag('logInput', options.logInput) ?? true;
  const full = checkedFlag('full', options.full) ?? false;
  const epsilon = checkedNumber('epsilon', options.epsilon ?? 1e-8, { above: 0 });
  return {
    name: 'poisson',
    targets: 'values',
    mayBeNegative: true,
    expected: (b, output) => (logInput ? b.exp(output) : output),
    targetType: asOutput,
    value(b, output, targets, weights) {
      const each = logInput
        ? b.sub(b.exp(output), b.mul(targets, output))
        : b.sub(output, b.mul(targets, b.log(b.add(output, epsilon))));
      return weightedMean(b, full ? b.add(each, stirling(b, targets)) : each, weights);
    },
    ...(logInput && { likelihood: ofLogarithms }),
    metric: squaredError(),
    step: 'self-tuning',
  };
}

/** The likelihood of z = log λ: H = λ on the diagonal. */
const ofLogarithms: LossLikelihood = {
  scale: elementsPerExample,
  cases: examplesOf,
  noise: { distribution: 'normal', shape: dimsOf },
  // λ − y of a drawn count has the mean 0 and the variance λ. Curvature depends on these moments only.
  sampledCotangent: (b, output, noise) => b.mul(b.exp(b.mul(output, 0.5)), noise),
  cotangent: (b, output, targets) => b.sub(b.exp(output), targets),
  hessianProduct: (b, output, vector) => b.mul(b.exp(output), vector),
  hessianRoot: (b, output) => diagonalRoot(b, output, b.exp(b.mul(output, 0.5))),
};

/** y·log y − y + ½·log 2πy for y > 1, else 0. */
function stirling(b: Builder, targets: Value): Value {
  const y = b.max(targets, 1);
  const value = b.add(b.sub(b.mul(y, b.log(y)), y), b.mul(b.log(b.mul(y, 2 * Math.PI)), 0.5));
  return b.mul(value, b.cast(b.greater(targets, 1), targets.dtype));
}
