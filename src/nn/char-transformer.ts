// A small causal transformer that predicts the next character at every position of a text.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { tensor } from '../graph/tensor.js';
import type { Model } from '../model/model.js';
import { checkedCount, checkKeys, type OptionKeys } from '../options.js';
import { Network, type NetworkOptions, normal } from './network.js';

export interface CharTransformerOptions extends NetworkOptions {
  /** Characters there are; 65 by default (tinyshakespeare). */
  readonly vocabulary?: number;
  /** Positions T that the model sees; 64 by default. */
  readonly context?: number;
  /** Size of the residual stream; 128 by default. */
  readonly width?: number;
  /** 4 by default. */
  readonly layers?: number;
  /** Attention heads of a layer; 4 by default. */
  readonly heads?: number;
}

const keys: OptionKeys<CharTransformerOptions> = {
  seed: true,
  vocabulary: true,
  context: true,
  width: true,
  layers: true,
  heads: true,
};

/** The mask of attention has context² elements. */
const longestContext = 16_384;

/** Deviation of the initial weights. */
const deviation = 0.02;

/**
 * Tokens `[batch, context]` (int64) to logits `[batch, context, vocabulary]`. Pre-norm (Radford et al. 2019, GPT-2): each
 * layer adds attention and a dense layer of four times the width with GELU, each on layer-normalized input; a last
 * layer norm before the head. GPT-2's initialization: normal of deviation 0.02, divided by √(2·layers) where a layer
 * ends in the residual stream; zero biases; learned positions. Query, key and value are dense layers of their own: each
 * is a Kronecker block of its own.
 * Parameters: `token.weight`, `position.weight`, `layer1.attention.norm.scale`, `layer1.attention.query.weight`, …,
 * `layer1.feedforward.up.weight`, …, `norm`, `head`.
 * @throws OptionError for unknown options and sizes out of range, and where the heads do not divide the width
 */
export function charTransformer(options: CharTransformerOptions): Model {
  checkKeys('charTransformer', options, keys);
  const count = (name: Exclude<keyof CharTransformerOptions, 'seed'>, usual: number, most?: number) =>
    checkedCount(`${name} of charTransformer`, options[name] ?? usual, most);
  const vocabulary = count('vocabulary', 65);
  const context = count('context', 64, longestContext);
  const [width, layers, heads] = [count('width', 128), count('layers', 4, 1000), count('heads', 4)];
  if (width % heads !== 0) throw new OptionError(`${heads} heads do not divide the width ${width} of the transformer`);
  const network = new Network('char-transformer', options);
  const { b } = network;
  const tokens = network.input([context], 'int64');
  const embedded = network.embedding(tokens, 'token', vocabulary, width, normal(deviation));
  let x = b.add(embedded, network.parameter('position.weight', [context, width], normal(deviation)));
  const sizes = { context, width, heads, deviationOfLast: deviation / Math.sqrt(2 * layers) };
  for (let layer = 1; layer <= layers; layer++) {
    x = b.add(x, attention(network, x, `layer${layer}.attention`, sizes));
    x = b.add(x, feedforward(network, x, `layer${layer}.feedforward`, sizes));
  }
  return network.model(network.dense(network.layerNorm(x, 'norm'), 'head', vocabulary, () => normal(deviation)));
}

interface Sizes {
  readonly context: number;
  readonly width: number;
  readonly heads: number;
  readonly deviationOfLast: number;
}

/** softmax(QKᵀ/√size + mask)·V in each head, where a position sees itself and what is before it. */
function attention(network: Network, x: Value, name: string, { context, width, heads, deviationOfLast }: Sizes): Value {
  const { b } = network;
  const size = width / heads;
  const normalized = network.layerNorm(x, `${name}.norm`);
  // [batch, heads, context, size]
  const project = (part: string) => {
    const y = network.dense(normalized, `${name}.${part}`, width, () => normal(deviation));
    return b.transpose(b.reshape(y, [-1, context, heads, size]), [0, 2, 1, 3]);
  };
  const [query, key, value] = [project('query'), project('key'), project('value')];
  const scores = b.mul(b.matmul(query, b.transposeMatrices(key)), 1 / Math.sqrt(size));
  const visible = b.pooled(`visible.${context}`, () => tensor('bool', [context, context], lowerTriangle(context)));
  const weights = b.softmax(b.where(visible, scores, Number.NEGATIVE_INFINITY));
  const mixed = b.reshape(b.transpose(b.matmul(weights, value), [0, 2, 1, 3]), [-1, context, width]);
  return network.dense(mixed, `${name}.output`, width, () => normal(deviationOfLast));
}

/** Ones on and below the diagonal. */
function lowerTriangle(size: number): Uint8Array {
  const elements = new Uint8Array(size * size);
  for (let row = 0; row < size; row++) elements.fill(1, row * size, row * size + row + 1);
  return elements;
}

function feedforward(network: Network, x: Value, name: string, { width, deviationOfLast }: Sizes): Value {
  const normalized = network.layerNorm(x, `${name}.norm`);
  const hidden = network.b.op('Gelu', [network.dense(normalized, `${name}.up`, 4 * width, () => normal(deviation))]);
  return network.dense(hidden, `${name}.down`, width, () => normal(deviationOfLast));
}
