// Multi-head attention of a sequence to itself.
import { GraphError, OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { tensor } from '../graph/tensor.js';
import { checkedCount, checkedFlag, checkKeys, type OptionKeys } from '../options.js';
import type { WeightInitialization } from './initialization.js';
import { checkedRank, knownSize, layerOf } from './layer-checks.js';
import type { Network } from './network.js';

export interface AttentionOptions {
  /** Number of heads, which divides the width. */
  readonly heads: number;
  /** Whether a position attends only to itself and earlier ones; false by default. */
  readonly causal?: boolean;
  /** Initialization of the weights of query, key and value; Glorot's uniform by default. */
  readonly initialization?: WeightInitialization;
  /** Initialization of the weight of the output; as the others by default. */
  readonly outputInitialization?: WeightInitialization;
}

const keys: OptionKeys<AttentionOptions> = {
  heads: true,
  causal: true,
  initialization: true,
  outputInitialization: true,
};

/** A mask has as many elements as the square of this. */
const longestSequence = 16_384;

/**
 * Return softmax(QKᵀ/√size + mask)·V of each head, joined by a dense layer (Vaswani et al. 2017, section 3.2). Query, key and
 * value are separate dense layers, and so separate Kronecker blocks.
 */
export function multiHeadAttention(network: Network, x: Value, name: string, options: AttentionOptions): Value {
  const what = layerOf('multiHeadAttention', name, x);
  checkKeys(what, options, keys);
  const { heads, causal = false, initialization, outputInitialization = initialization } = options;
  checkedRank(what, x, ['batch', 'positions', 'width']);
  const width = knownSize(what, x, 2);
  checkedCount(`heads of ${what}`, heads);
  checkedFlag(`causal of ${what}`, causal);
  if (width % heads !== 0) throw new OptionError(`${heads} heads do not divide the width ${width} of ${what}`);
  const { b } = network;
  const [, positions] = x.shape;
  const length = typeof positions === 'number' ? positions : undefined;
  const size = width / heads;
  // [batch, heads, positions, size]; a 0 in the shape copies the size of the input.
  const project = (part: string) => {
    const y = network.dense(x, `${name}.${part}`, width, initialization ? { initialization } : {});
    const apart = length === undefined ? [0, 0, heads, size] : [-1, length, heads, size];
    return b.transpose(b.reshape(y, apart), [0, 2, 1, 3]);
  };
  const [query, key, value] = [project('query'), project('key'), project('value')];
  const scores = b.mul(b.matmul(query, b.transposeMatrices(key)), 1 / Math.sqrt(size));
  const weights = b.softmax(causal ? masked(network, what, scores, length) : scores);
  const together = length === undefined ? [0, 0, width] : [-1, length, width];
  const mixed = b.reshape(b.transpose(b.matmul(weights, value), [0, 2, 1, 3]), together);
  return network.dense(
    mixed,
    `${name}.output`,
    width,
    outputInitialization ? { initialization: outputInitialization } : {},
  );
}

/** The scores with −∞ for later positions. */
function masked({ b }: Network, what: string, scores: Value, length: number | undefined): Value {
  if (length === undefined || length > longestSequence) {
    throw new GraphError(
      `${what} is causal: its sequence must have a known length of at most ${longestSequence}, not ${length ?? scores.shape.at(-1)}`,
    );
  }
  const visible = b.pooled(`visible.${length}`, () => tensor('bool', [length, length], lowerTriangle(length)));
  return b.where(visible, scores, Number.NEGATIVE_INFINITY);
}

/** Ones on and below the diagonal. */
function lowerTriangle(size: number): Uint8Array {
  const elements = new Uint8Array(size * size);
  for (let row = 0; row < size; row++) elements.fill(1, row * size, row * size + row + 1);
  return elements;
}
