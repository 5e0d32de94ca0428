// Losses that are sums over independent outputs: sigmoid cross-entropy (Bernoulli) and squared error (unit Gaussian).
import type { Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import type { Loss } from './loss.js';

const elementsPerExample = (output: Value): number => output.dims.slice(1).reduce((product, size) => product * size, 1);
const examples = (output: Value): number => output.dims[0] ?? 1;
const sameShape = (output: Value): readonly number[] => output.dims;

/** Columns of the square root of a diagonal Hessian: one for each output of an example. */
function diagonalRoot(b: Builder, output: Value, root: Value): readonly Value[] {
  const width = elementsPerExample(output);
  return Array.from({ length: width }, (_, k) => {
    const unit = Array.from({ length: width }, (_, i) => Number(i === k));
    return b.mul(root, b.constant(tensorFrom(output.dtype, output.dims.slice(1), unit)));
  });
}

/** Logits and targets in [0, 1] of equal shape; the mean over all elements. */
export const sigmoidCrossEntropy: Loss = {
  name: 'sigmoid-cross-entropy',
  // log(1 + eᶻ) − y·z = max(z, 0) − y·z + log(1 + e^−|z|), which does not overflow
  value(b, output, targets) {
    const correction = b.log(b.add(1, b.exp(b.neg(b.abs(output)))));
    return b.mean(b.add(b.sub(b.relu(output), b.mul(output, targets)), correction));
  },
  targetType: (output) => output,
  scale: elementsPerExample,
  cases: examples,
  noise: { distribution: 'uniform', shape: sameShape },
  // y ~ Bernoulli(σ(z)); the derivative is σ(z) − y
  sampledCotangent(b, output, noise) {
    const probabilities = b.sigmoid(output);
    return b.sub(probabilities, b.cast(b.less(noise, probabilities), output.dtype));
  },
  cotangent: (b, output, targets) => b.sub(b.sigmoid(output), targets),
  // H = σ(z)·(1 − σ(z)) on the diagonal
  hessianProduct(b, output, vector) {
    const probabilities = b.sigmoid(output);
    return b.mul(b.mul(probabilities, b.sub(1, probabilities)), vector);
  },
  hessianRoot(b, output) {
    const probabilities = b.sigmoid(output);
    return diagonalRoot(b, output, b.sqrt(b.mul(probabilities, b.sub(1, probabilities))));
  },
};

/** Outputs and targets of equal shape; the mean of (z − y)² over all elements. The likelihood's term is ½(z − y)². */
export const meanSquaredError: Loss = {
  name: 'mean-squared-error',
  value: (b, output, targets) => b.mean(b.square(b.sub(output, targets))),
  targetType: (output) => output,
  scale: (output) => elementsPerExample(output) / 2,
  hasVariance: true,
  cases: examples,
  noise: { distribution: 'normal', shape: sameShape },
  sampledCotangent: (_b, _output, noise) => noise,
  cotangent: (b, output, targets) => b.sub(output, targets),
  hessianProduct: (_b, _output, vector) => vector,
  hessianRoot: (b, output) => diagonalRoot(b, output, b.onesLike(output)),
};
