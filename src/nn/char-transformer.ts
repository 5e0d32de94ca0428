// A small causal transformer that predicts the next character at every position of a text.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import type { Model } from '../model/model.js';
import { checkedCount, checkKeys, type OptionKeys } from '../options.js';
import { normal, type WeightInitialization } from './initialization.js';
import { Network, type NetworkOptions } from './network.js';

export interface CharTransformerOptions extends NetworkOptions {
  /** Number of characters; 65 by default (tinyshakespeare). */
  readonly vocabulary?: number;
  /** Number of positions; 64 by default. */
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
 * Return a transformer from tokens `[batch, context]` (int64) to logits `[batch, context, vocabulary]`. Pre-norm (Radford et
 * al. 2019, GPT-2): each layer adds attention and a dense layer of four times the width with GELU, each on layer-normalized
 * input; a last layer norm before the head. GPT-2's initialization: normal of deviation 0.02, divided by √(2·layers) for
 * layers that add to the residual stream; zero biases; learned positions. Query, key and value are separate dense layers,
 * and so separate Kronecker blocks.
 * Parameters: `token.weight`, `position.weight`, `layer1.attention.norm.scale`, `layer1.attention.query.weight`, …,
 * `layer1.feedforward.up.weight`, …, `norm`, `head`.
 * @throws OptionError for unknown options and sizes out of range, and if the heads do not divide the width
 * @example
 * const model = charTransformer({ context: 32, width: 64, layers: 2, seed: 1 });
 */
export function charTransformer(options: CharTransformerOptions): Model {
  checkKeys('charTransformer', options, keys);
  const count = (name: Exclude<keyof CharTransformerOptions, 'seed'>, usual: number, most?: number) =>
    checkedCount(`${name} of charTransformer`, options[name] ?? usual, most);
  const vocabulary = count('vocabulary', 65);
  const context = count('context', 64, longestContext);
  const [width, layers, heads] = [count('width', 128), count('layers', 4, 1000), count('heads', 4)];
  if (width % heads !== 0) throw new OptionError(`${heads} heads do not divide the width ${width} of the transformer`);
  const network = new Network('char-transformer', { seed: options.seed });
  const { b } = network;
  const tokens = network.input('input', [context], 'int64');
  const embedded = network.embedding(tokens, 'token', vocabulary, width, normal(deviation));
  let x = b.add(embedded, network.parameter('position.weight', [context, width], normal(deviation)));
  const initialization = () => normal(deviation);
  const outputInitialization = () => normal(deviation / Math.sqrt(2 * layers));
  for (let layer = 1; layer <= layers; layer++) {
    const attention = `layer${layer}.attention`;
    const normalized = network.layerNorm(x, `${attention}.norm`);
    const options = { heads, causal: true, initialization, outputInitialization };
    x = b.add(x, network.multiHeadAttention(normalized, attention, options));
    x = b.add(x, feedforward(network, x, `layer${layer}.feedforward`, outputInitialization));
  }
  return network.model(network.dense(network.layerNorm(x, 'norm'), 'head', vocabulary, { initialization }));
}

/** Four times the width and back, on normalized input. */
function feedforward(network: Network, x: Value, name: string, outputInitialization: WeightInitialization): Value {
  const initialization = () => normal(deviation);
  const width = Number(x.shape.at(-1));
  const up = network.dense(network.layerNorm(x, `${name}.norm`), `${name}.up`, 4 * width, { initialization });
  return network.dense(network.activation(up, 'gelu'), `${name}.down`, width, { initialization: outputInitialization });
}
