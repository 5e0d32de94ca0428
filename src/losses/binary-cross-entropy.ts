// Binary cross-entropy of logits: the negative log-likelihood of independent Bernoulli variables.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import { squaredError } from '../metrics/squared-error.js';
import type { Builder } from '../ops/builder.js';
import { checkedNumber, checkKeys } from '../options.js';
import { asOutput, diagonalRoot, dimsOf, elementsPerExample, examplesOf } from './elements.js';
import { caseWeightsOf } from './likelihood.js';
import { beforeSigmoid } from './logits.js';
import type { Loss } from './loss.js';
import { weightedMean } from './reduction.js';

export interface BinaryCrossEntropyOptions {
  /** Weight P of targets of 1, for all outputs or for each column, which is the last axis. 1 by default. */
  readonly positiveWeight?: number | readonly number[];
}

/**
 * Return the mean over all elements of −P·y·log σ(z) − (1 − y)·log(1 − σ(z)). Logits and targets in [0, 1] have equal shapes.
 * If a network ends in a sigmoid, its logits are the input of the sigmoid. Equal to PyTorch's
 * `binary_cross_entropy_with_logits`.
 * @throws OptionError for a weight that is not positive
 * @example
 * const loss = binaryCrossEntropy({ positiveWeight: 10 }); // one case in eleven is positive
 */
export function binaryCrossEntropy(options: BinaryCrossEntropyOptions = {}): Loss {
  checkKeys('binaryCrossEntropy', options, { positiveWeight: true });
  const { positiveWeight } = options;
  const given = typeof positiveWeight === 'object' ? positiveWeight : [positiveWeight ?? 1];
  for (const weight of given) checkedNumber('positiveWeight', weight, { above: 0 });
  /** P, or undefined if it is 1. */
  const positive = (b: Builder, output: Value): Value | undefined => {
    if (positiveWeight === undefined) return undefined;
    if (given.length !== 1 && given.length !== output.dims.at(-1)) {
      throw new OptionError(
        `binaryCrossEntropy has ${given.length} positiveWeights, and the output has ${output.dims.at(-1)} columns; give one for each, or one number`,
      );
    }
    return b.constant(tensorFrom(output.dtype, [given.length], given));
  };
  /** Weight of each element: P·y + 1 − y. */
  const elementWeights = (b: Builder, targets: Value, weight: Value): Value =>
    b.add(1, b.mul(b.sub(weight, 1), targets));
  return {
    name: 'sigmoid-cross-entropy',
    targets: 'values',
    contained: (b, prediction) => beforeSigmoid(b, prediction) ?? prediction,
    expected: (b, output) => b.sigmoid(output),
    targetType: asOutput,
    value: (b, output, targets, weights) =>
      weightedMean(b, crossEntropies(b, output, targets, positive(b, output)), weights),
    likelihood: {
      scale: elementsPerExample,
      cases: examplesOf,
      noise: { distribution: 'uniform', shape: dimsOf },
      // y ~ Bernoulli(σ(z)); the derivative is σ(z) − y
      sampledCotangent(b, output, noise) {
        const probabilities = b.sigmoid(output);
        return b.sub(probabilities, b.cast(b.less(noise, probabilities), output.dtype));
      },
      cotangent(b, output, targets) {
        const weight = positive(b, output);
        const share = weight ? b.div(b.mul(weight, targets), elementWeights(b, targets, weight)) : targets;
        return b.sub(b.sigmoid(output), share);
      },
      // H = σ(z)·(1 − σ(z)) on the diagonal
      hessianProduct(b, output, vector) {
        const probabilities = b.sigmoid(output);
        return b.mul(b.mul(probabilities, b.sub(1, probabilities)), vector);
      },
      hessianRoot(b, output) {
        const probabilities = b.sigmoid(output);
        return diagonalRoot(b, output, b.sqrt(b.mul(probabilities, b.sub(1, probabilities))));
      },
      caseWeights(b, output, targets, weights) {
        const [weight, examples] = [positive(b, output), caseWeightsOf(b, output, weights)];
        const own = weight && elementWeights(b, targets, weight);
        return own && examples ? b.mul(own, examples) : (own ?? examples);
      },
    },
    // Also for networks that end in logits: the reconstruction is their sigmoid.
    metric: squaredError(),
    step: 'self-tuning',
  };
}

/**
 * Return −P·y·log σ(z) − (1 − y)·log(1 − σ(z)) of each element, without overflow.
 * @param positive P; 1 by default
 */
export function crossEntropies(b: Builder, output: Value, targets: Value, positive?: Value): Value {
  // log(1 + eᶻ) − y·z = max(z, 0) − y·z + log(1 + e^−|z|)
  const correction = b.log(b.add(1, b.exp(b.neg(b.abs(output)))));
  if (!positive) return b.add(b.sub(b.relu(output), b.mul(output, targets)), correction);
  // (1 − y)·z + (P·y + 1 − y)·(log(1 + e^−|z|) + max(−z, 0))
  const weights = b.add(1, b.mul(b.sub(positive, 1), targets));
  const negative = b.add(correction, b.relu(b.neg(output)));
  return b.add(b.sub(output, b.mul(output, targets)), b.mul(weights, negative));
}
