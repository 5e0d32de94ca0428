// Softmax cross-entropy: the negative log-likelihood of a categorical distribution, of labels or of probabilities.
import { GraphError, OptionError } from '../errors.js';
import { int, type Value } from '../graph/graph.js';
import { isFloatingPoint, tensorFrom } from '../graph/tensor.js';
import { accuracy } from '../metrics/accuracy.js';
import { alongBatch } from '../metrics/sums.js';
import type { Builder } from '../ops/builder.js';
import { checkedNumber, checkKeys, described } from '../options.js';
import { beforeSoftmax } from './logits.js';
import type { Loss, LossLikelihood } from './loss.js';
import { quotient, weightedMean } from './reduction.js';

export interface CrossEntropyOptions {
  /** Share ε of the targets that is spread over all classes: (1 − ε)·y + ε/classes. 0 by default. */
  readonly labelSmoothing?: number;
  /** The label of rows that do not count, neither in the sum nor in the mean, e.g. -100; none by default. */
  readonly ignoreIndex?: number;
  /** Weight of each class; 1 by default. The mean over labels divides by the sum of their weights, as in PyTorch. */
  readonly classWeights?: readonly number[];
}

/**
 * Return the mean over the rows of −Σ_k y_k·log softmax(z)_k. Logits are `[rows, …, classes]`; targets are int64 labels
 * `[rows, …]` or probabilities of the classes in the logits' shape. If a network ends in a softmax, its logits are the input of
 * the softmax. Equal to PyTorch's `cross_entropy`, except that it is 0 if all rows of a batch are ignored.
 * @throws OptionError for options out of range
 * @example
 * const loss = crossEntropy({ labelSmoothing: 0.1, ignoreIndex: -100 });
 */
export function crossEntropy(options: CrossEntropyOptions = {}): Loss {
  checkKeys('crossEntropy', options, { labelSmoothing: true, ignoreIndex: true, classWeights: true });
  const { labelSmoothing = 0, ignoreIndex, classWeights } = options;
  checkedNumber('labelSmoothing', labelSmoothing, { atLeast: 0, atMost: 1 });
  if (ignoreIndex !== undefined) checkedNumber('ignoreIndex', ignoreIndex, { integer: true });
  if (classWeights !== undefined) checkClassWeights(classWeights);
  const shares = new Shares(labelSmoothing, ignoreIndex, classWeights);
  const mass = (b: Builder, output: Value, targets: Value, weights?: Value): Value => {
    const counts = shares.counts(b, output, targets);
    return b.sum(weights ? b.mul(counts, alongBatch(b, weights, counts)) : counts);
  };
  const isPlain = ignoreIndex === undefined && classWeights === undefined;
  return {
    name: 'softmax-cross-entropy',
    targets: 'labels',
    softTargets: true,
    ...(ignoreIndex !== undefined && { ignoredLabel: ignoreIndex }),
    contained: beforeSoftmax,
    expected: (b, output) => b.softmax(output),
    targetType: (output, given = 'int64') =>
      isFloatingPoint(given) ? output : { dtype: 'int64', shape: output.shape.slice(0, -1) },
    value(b, output, targets, weights) {
      const shared = shares.of(b, output, targets);
      const likelihoods = b.sum(b.mul(b.logSoftmax(output), shared), [output.rank - 1]);
      if (isPlain) return b.neg(weightedMean(b, likelihoods, weights));
      const sum = weights ? b.mul(likelihoods, alongBatch(b, weights, likelihoods)) : likelihoods;
      return b.neg(quotient(b, b.sum(sum), mass(b, output, targets, weights)));
    },
    ...(!isPlain && { mass }),
    likelihood: {
      ...categorical,
      // Σ_k −u_k·log p_k with U = Σu: U times the case of the targets u/U, whose Hessian does not depend on them.
      cotangent(b, output, targets) {
        const shared = shares.of(b, output, targets);
        const hasUnitSum = isPlain && !isFloatingPoint(targets.dtype);
        const normal = hasUnitSum ? shared : quotient(b, shared, b.sum(shared, [output.rank - 1], true));
        return b.sub(b.softmax(output), normal);
      },
      caseWeights(b, output, targets, weights) {
        if (isPlain && !weights && !isFloatingPoint(targets.dtype)) return undefined;
        const sums = b.sum(shares.of(b, output, targets), [output.rank - 1], true);
        const own = weights ? b.mul(sums, alongBatch(b, weights, sums)) : sums;
        return quotient(b, b.mul(own, categorical.cases(output)), mass(b, output, targets, weights));
      },
    },
    metric: accuracy(),
    step: 'normalized',
  };
}

/** The targets of rows as weights of the classes. */
class Shares {
  readonly #smoothing: number;
  readonly #ignored: number | undefined;
  readonly #weights: readonly number[] | undefined;

  constructor(smoothing: number, ignored: number | undefined, weights: readonly number[] | undefined) {
    this.#smoothing = smoothing;
    this.#ignored = ignored;
    this.#weights = weights;
  }

  /** Return the weight of −log p of each class in each row, `[rows, …, classes]`. */
  of(b: Builder, output: Value, targets: Value): Value {
    const classes = classesOf(output);
    const plain = isFloatingPoint(targets.dtype) ? b.cast(targets, output.dtype) : oneHot(b, targets, output);
    const smoothed =
      this.#smoothing === 0 ? plain : b.add(b.mul(plain, 1 - this.#smoothing), this.#smoothing / classes);
    const weighted = this.#weights ? b.mul(smoothed, this.#classWeights(b, output)) : smoothed;
    const kept = this.#kept(b, output, targets);
    return kept ? b.mul(weighted, b.unsqueeze(kept, [targets.rank])) : weighted;
  }

  /** Return the weight of each row in the mean, `[rows, …]`: 1 for rows of probabilities, else the weight of the label. */
  counts(b: Builder, output: Value, targets: Value): Value {
    if (isFloatingPoint(targets.dtype)) return b.filled(output.dims.slice(0, -1), 1, output.dtype);
    const kept = this.#kept(b, output, targets);
    if (!this.#weights) return kept ?? b.filled(targets.dims, 1, output.dtype);
    const weights = b.sum(b.mul(oneHot(b, targets, output), this.#classWeights(b, output)), [output.rank - 1]);
    return kept ? b.mul(weights, kept) : weights;
  }

  #kept(b: Builder, output: Value, targets: Value): Value | undefined {
    if (this.#ignored === undefined || isFloatingPoint(targets.dtype)) return undefined;
    const isIgnored = b.equal(b.cast(targets, 'int64'), b.scalar(this.#ignored, 'int64'));
    return b.sub(1, b.cast(isIgnored, output.dtype));
  }

  #classWeights(b: Builder, output: Value): Value {
    const [classes, weights] = [classesOf(output), this.#weights ?? []];
    if (weights.length !== classes) {
      throw new OptionError(
        `crossEntropy has ${weights.length} classWeights, and the logits are of ${classes} classes; give one for each`,
      );
    }
    return b.constant(tensorFrom(output.dtype, [classes], weights));
  }
}

function checkClassWeights(weights: readonly number[]): void {
  const given: unknown = weights;
  if (!Array.isArray(given)) {
    throw new OptionError(`classWeights is ${described(given)}; it must be an array with a number for each class`);
  }
  for (const [i, weight] of weights.entries()) checkedNumber(`classWeights[${i}]`, weight, { atLeast: 0 });
  if (!weights.some((weight) => weight > 0)) {
    throw new OptionError('classWeights are all 0; at least one class must count');
  }
}

const classesOf = (output: Value): number => {
  const classes = output.shape.at(-1);
  if (typeof classes !== 'number' || output.rank < 2) {
    throw new GraphError(
      `softmax cross-entropy needs logits of shape [rows, …, classes], not [${output.shape.join(', ')}]`,
    );
  }
  return classes;
};

/** Return a row for each label, in the logits' element type: 1 at the label and 0 elsewhere. */
export function oneHot(b: Builder, labels: Value, output: Value): Value {
  const positions = b.constant(
    tensorFrom(
      'int64',
      [classesOf(output)],
      Array.from({ length: classesOf(output) }, (_, i) => i),
    ),
  );
  return b.cast(b.equal(b.unsqueeze(b.cast(labels, 'int64'), [labels.rank]), positions), output.dtype);
}

/** The categorical distribution of softmax(z), one case for each row of logits. */
const categorical: Omit<LossLikelihood, 'cotangent' | 'caseWeights'> = {
  isCategorical: true,
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
