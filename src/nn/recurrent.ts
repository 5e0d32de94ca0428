// Recurrent layers of a sequence: LSTM, GRU and the simple RNN, initialized as PyTorch's.
import { type Attributes, int, text, type Value } from '../graph/graph.js';
import { checkedCount, checkedFlag, checkedWord, checkKeys, type OptionKeys } from '../options.js';
import { uniform, type WeightInitialization } from './initialization.js';
import { checkedRank, knownSize, layerOf, weightDraw } from './layer-checks.js';
import type { Network } from './network.js';

export interface RecurrentOptions {
  /** Size of the hidden state. */
  readonly hidden: number;
  /** From the first position to the last (`forward`, the default), from the last to the first, or one layer each way. */
  readonly direction?: 'forward' | 'reverse' | 'bidirectional';
  /** Whether the layer has biases; true by default. */
  readonly bias?: boolean;
  /** Initialization of both weights; uniform between ±1/√hidden by default, as that of the biases is. */
  readonly initialization?: WeightInitialization;
}

/** What a recurrent layer gives out. */
export interface Recurrence {
  /** The hidden state of each position, `[batch, positions, hidden]`, or `2 · hidden` of both directions. */
  readonly states: Value;
  /** The hidden state after the last step, which is at the first position for a layer from the end: `[batch, hidden]`. */
  readonly last: Value;
}

const keys: OptionKeys<RecurrentOptions> = { hidden: true, direction: true, bias: true, initialization: true };
const directions = ['forward', 'reverse', 'bidirectional'] as const;

interface Kind {
  readonly op: 'LSTM' | 'GRU' | 'RNN';
  readonly gates: number;
  readonly attributes?: Attributes;
}

export const kinds = {
  lstm: { op: 'LSTM', gates: 4 },
  /** The reset gate multiplies the product with the hidden state, as in PyTorch. */
  gru: { op: 'GRU', gates: 3, attributes: { linear_before_reset: int(1) } },
  rnn: { op: 'RNN', gates: 1 },
} as const satisfies Readonly<Record<string, Kind>>;

/** Return a recurrent layer of `x: [batch, positions, width]`. */
export function recurrent(
  network: Network,
  { op, gates, attributes = {} }: Kind,
  x: Value,
  name: string,
  options: RecurrentOptions,
): Recurrence {
  const what = layerOf(op.toLowerCase(), name, x);
  checkKeys(what, options, keys);
  const { hidden, direction = 'forward', bias = true } = options;
  checkedRank(what, x, ['batch', 'positions', 'width']);
  const width = knownSize(what, x, 2);
  checkedCount(`hidden of ${what}`, hidden);
  checkedWord(`direction of ${what}`, direction, directions);
  checkedFlag(`bias of ${what}`, bias);
  const usual = uniform(1 / Math.sqrt(hidden));
  const { initialization = () => usual } = options;
  const [count, outputs] = [direction === 'bidirectional' ? 2 : 1, gates * hidden];
  const weight = (part: string, inputs: number): Value =>
    network.parameter(
      `${name}.${part}.weight`,
      [count, outputs, inputs],
      weightDraw(what, initialization, inputs, outputs),
    );
  const { b } = network;
  const given = [
    b.transpose(x, [1, 0, 2]),
    weight('input', width),
    weight('state', hidden),
    ...(bias ? [network.parameter(`${name}.bias`, [count, 2 * outputs], usual)] : []),
  ];
  const all = {
    ...attributes,
    hidden_size: int(hidden),
    ...(count === 2 || direction === 'reverse' ? { direction: text(direction) } : {}),
  };
  const [y, last] = b.node(op, given, all, { name, outputs: ['states', 'last'] }) as readonly [Value, Value];
  // [positions, directions, batch, hidden] and [directions, batch, hidden]; a 0 in the shape copies the size of the input.
  return {
    states: b.reshape(b.transpose(y, [2, 0, 1, 3]), [0, 0, count * hidden]),
    last: b.reshape(b.transpose(last, [1, 0, 2]), [0, count * hidden]),
  };
}
