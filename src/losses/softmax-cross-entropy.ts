// Softmax cross-entropy with integer labels: the negative log-likelihood of a categorical distribution.
import { GraphError } from '../errors.js';
import { int, type Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import type { Loss } from './loss.js';

const classesOf = (output: Value): number => {
  const classes = output.shape.at(-1);
  if (typeof classes !== 'number' || output.rank < 2) {
    throw new GraphError(
      `softmax cross-entropy needs logits of shape [rows, …, classes], not [${output.shape.join(', ')}]`,
    );
  }
  return classes;
};

/** One row for each label, in the logits' element type: 1 at the label and 0 elsewhere. */
function oneHot(b: Builder, labels: Value, output: Value): Value {
  const positions = b.constant(
    tensorFrom(
      'int64',
      [classesOf(output)],
      Array.from({ length: classesOf(output) }, (_, i) => i),
    ),
  );
  return b.cast(b.equal(b.unsqueeze(b.cast(labels, 'int64'), [labels.rank]), positions), output.dtype);
}

/** Logits `[rows, …, classes]`, labels `[rows, …]` int64; the mean over all rows, whatever their leading dimensions. */
export const softmaxCrossEntropy: Loss = {
  name: 'softmax-cross-entropy',
  value(b, output, targets) {
    const likelihoods = b.sum(b.mul(b.logSoftmax(output), oneHot(b, targets, output)), [output.rank - 1]);
    return b.neg(b.mean(likelihoods));
  },
  targetType: (output) => ({ dtype: 'int64', shape: output.shape.slice(0, -1) }),
  scale: () => 1,
  cases: (output) => output.dims.slice(0, -1).reduce((product, size) => product * size, 1),
  noise: { distribution: 'uniform', shape: (output) => [...output.dims.slice(0, -1), 1] },
  // y ~ softmax(z) by inversion: the class whose interval of the cumulative distribution holds the uniform number.
  sampledCotangent(b, output, noise) {
    const probabilities = b.softmax(output);
    const axis = b.scalar(output.rank - 1, 'int64');
    const upper = b.op('CumSum', [probabilities, axis]);
    const lower = b.op('CumSum', [probabilities, axis], { exclusive: int(1) });
    // The last interval is open above, for sums that round to less than 1.
    const classes = classesOf(output);
    const last = b.constant(
      tensorFrom(
        'bool',
        [classes],
        Array.from({ length: classes }, (_, i) => Number(i === classes - 1)),
      ),
    );
    const below = b.op('Or', [b.less(noise, upper), last]);
    const drawn = b.and(b.greaterOrEqual(noise, lower), below);
    return b.sub(probabilities, b.cast(drawn, output.dtype));
  },
  cotangent: (b, output, targets) => b.sub(b.softmax(output), oneHot(b, targets, output)),
  // H = diag(p) − p·pᵀ
  hessianProduct(b, output, vector) {
    const probabilities = b.softmax(output);
    const weighted = b.mul(probabilities, vector);
    return b.sub(weighted, b.mul(probabilities, b.sum(weighted, [output.rank - 1], true)));
  },
  // s_k = √p_k·(e_k − p), since Σ_k p_k·(e_k − p)(e_k − p)ᵀ = diag(p) − p·pᵀ
  hessianRoot(b, output) {
    const probabilities = b.softmax(output);
    const classes = classesOf(output);
    return Array.from({ length: classes }, (_, k) => {
      const unit = b.constant(
        tensorFrom(
          output.dtype,
          [classes],
          Array.from({ length: classes }, (_, i) => Number(i === k)),
        ),
      );
      const weight = b.sqrt(b.slice(probabilities, output.rank - 1, k, k + 1));
      return b.mul(weight, b.sub(unit, probabilities));
    });
  },
};
