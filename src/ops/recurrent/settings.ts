// What the attributes and the shapes of a recurrent operator say.
import { GraphError, UnsupportedError } from '../../errors.js';
import { type Dimension, floatAttribute, inputOf, intAttribute, stringAttribute } from '../../graph/graph.js';
import type { NodeDraft } from '../definition.js';
import { formatShape } from '../shapes/shapes.js';
import { type Gate, gatesOf } from './gate-functions.js';

/** What differs between the forms of a recurrent operator that its shapes depend on. */
export interface CellForm {
  /** Number of gates: blocks of `hidden` rows in each weight. */
  readonly gates: number;
  /** Its activations for one direction, unless the node names others. */
  readonly activations: readonly string[];
  /** Number of inputs that ONNX gives the operator. */
  readonly inputs: number;
  /** Whether it has a cell state beside its hidden state. */
  readonly hasCell: boolean;
}

export interface RecurrentShape {
  readonly steps: Dimension;
  readonly batch: Dimension;
  /** Size of an input of a step. */
  readonly inputs: Dimension;
  readonly hidden: number;
  readonly directions: number;
  /** Whether each direction runs from the last step to the first. */
  readonly fromEnd: readonly boolean[];
  /** Whether the batch is the first axis (layout 1), not the second. */
  readonly isBatchFirst: boolean;
}

const runs: ReadonlyMap<string, readonly boolean[]> = new Map([
  ['forward', [false]],
  ['reverse', [true]],
  ['bidirectional', [false, true]],
]);

/** Return the sizes of a node. @throws GraphError if its inputs do not fit together */
export function shapeOf(node: NodeDraft, { gates, hasCell }: CellForm): RecurrentShape {
  const direction = stringAttribute(node, 'direction', 'forward');
  const fromEnd = runs.get(direction);
  if (!fromEnd) {
    throw new GraphError(`the direction '${direction}' is none of ${[...runs.keys()].join(', ')}`);
  }
  const directions = fromEnd.length;
  const [x, w, r] = [inputOf(node, 0), inputOf(node, 1), inputOf(node, 2)];
  const size = r.shape[2];
  const hidden = intAttribute(node, 'hidden_size', typeof size === 'number' ? size : 0);
  const isBatchFirst = intAttribute(node, 'layout', 0) === 1;
  if (x.rank !== 3) throw new GraphError(`needs x ${isBatchFirst ? '[batch, steps' : '[steps, batch'}, inputs]`);
  const [first = 1, second = 1, inputs = 1] = x.shape;
  const [steps, batch] = isBatchFirst ? [second, first] : [first, second];
  const state = isBatchFirst ? [batch, directions, hidden] : [directions, batch, hidden];
  const expected: readonly (readonly [number, string, readonly Dimension[]])[] = [
    [1, 'W', [directions, gates * hidden, inputs]],
    [2, 'R', [directions, gates * hidden, hidden]],
    [3, 'B', [directions, 2 * gates * hidden]],
    [4, 'sequence_lens', [batch]],
    [5, 'initial_h', state],
    ...(hasCell ? [[6, 'initial_c', state] as const] : []),
  ];
  for (const [index, name, shape] of expected) {
    const given = node.inputs[index]?.shape;
    const fits = (is: readonly Dimension[]): boolean =>
      is.length === shape.length &&
      is.every((one, i) => typeof one === 'string' || typeof shape[i] === 'string' || one === shape[i]);
    if (given && !fits(given)) throw new GraphError(`${name} is ${formatShape(given)}, not ${formatShape(shape)}`);
  }
  if (w.dtype !== x.dtype || r.dtype !== x.dtype) throw new GraphError(`mixes ${x.dtype}, ${w.dtype} and ${r.dtype}`);
  return { steps, batch, inputs, hidden, directions, fromEnd, isBatchFirst };
}

/** What a gradient or a statistic needs to know of one direction of a node. */
export interface CellSettings {
  readonly activations: readonly Gate[];
  /** Pre-activations are clipped to ± this. */
  readonly clip: number | undefined;
  /** The forget gate of an LSTM is 1 − the input gate. */
  readonly inputForget: boolean;
  /** The reset gate of a GRU multiplies the hidden state's share of the pre-activation, not the hidden state. */
  readonly resetsAfter: boolean;
}

/** Return the settings of each direction. @throws UnsupportedError for those that have no rule */
export function settingsOf(node: NodeDraft, form: CellForm, directions: number): readonly CellSettings[] {
  if (node.inputs[form.inputs - 1] && form.hasCell) {
    throw new UnsupportedError(
      'peepholes (the input P) have no rule; export the layer without them, or freeze what is before it',
    );
  }
  const names =
    listOf(node, 'activations', 'strings') ?? Array.from({ length: directions }, () => form.activations).flat();
  const count = form.activations.length;
  if (names.length !== count * directions) {
    throw new GraphError(`names ${names.length} activations; ${count} for each of ${directions} directions are needed`);
  }
  const all = gatesOf(
    names,
    listOf(node, 'activation_alpha', 'floats') ?? [],
    listOf(node, 'activation_beta', 'floats') ?? [],
  );
  const clip = floatAttribute(node, 'clip', 0);
  return Array.from({ length: directions }, (_, i) => ({
    activations: all.slice(i * count, (i + 1) * count),
    clip: clip > 0 ? clip : undefined,
    inputForget: intAttribute(node, 'input_forget', 0) === 1,
    resetsAfter: intAttribute(node, 'linear_before_reset', 0) === 1,
  }));
}

function listOf(node: NodeDraft, name: string, kind: 'strings'): readonly string[] | undefined;
function listOf(node: NodeDraft, name: string, kind: 'floats'): readonly number[] | undefined;
function listOf(node: NodeDraft, name: string, kind: 'strings' | 'floats'): readonly unknown[] | undefined {
  const attribute = node.attributes[name];
  return attribute?.kind === kind && attribute.value.length > 0 ? attribute.value : undefined;
}
