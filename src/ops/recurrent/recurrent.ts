// LSTM, GRU and RNN, and the forms of them that show their pre-activations in training.
import type { GraphBuilder } from '../../graph/builder.js';
import { type Attributes, elements, inputOf, int, type Node, type TensorType, type Value } from '../../graph/graph.js';
import { tensorFrom } from '../../graph/tensor.js';
import type { NodeDraft, OpDefinition, OpFamily } from '../definition.js';
import { knownCount } from '../shapes/shapes.js';
import type { Cell } from './cell.js';
import { recurrentGradient } from './gradient.js';
import { gru } from './gru.js';
import { lstm } from './lstm.js';
import { rnn } from './rnn.js';
import { shapeOf } from './settings.js';

/** The domain of the forms that show their pre-activations. */
export const shownDomain = 'cgfac';

/** Return the cell of a recurrent node, in either form; undefined for another node. */
export const cellOf = ({ op, domain }: Pick<NodeDraft, 'op' | 'domain'>): Cell | undefined =>
  domain === '' || domain === shownDomain ? cells.get(op) : undefined;

const cells: ReadonlyMap<string, Cell> = new Map([
  ['LSTM', lstm],
  ['GRU', gru],
  ['RNN', rnn],
]);

function infer(cell: Cell, node: NodeDraft): TensorType[] {
  const { steps, batch, hidden, directions, isBatchFirst } = shapeOf(node, cell);
  const { dtype } = inputOf(node, 0);
  const state = { dtype, shape: isBatchFirst ? [batch, directions, hidden] : [directions, batch, hidden] };
  const y = isBatchFirst ? [batch, steps, directions, hidden] : [steps, directions, batch, hidden];
  return [{ dtype, shape: y }, state, ...(cell.hasCell ? [state] : [])];
}

/** Two products of matrices at each step, and about ten operations for each gate and unit. */
function flops(cell: Cell, node: Node): number {
  const { steps, batch, inputs, hidden, directions } = shapeOf(node, cell);
  const outputs = directions * cell.gates * hidden;
  return 2 * knownCount([steps, batch, outputs]) * (knownCount([inputs]) + hidden + 5);
}

/** Whether the runtime has a node's form: of layout 0, with the hidden size beside the shapes that it follows from. */
const isNative = (node: NodeDraft): boolean => !isBatchFirst(node) && node.attributes.hidden_size !== undefined;

const isBatchFirst = (node: NodeDraft): boolean =>
  node.attributes.layout?.kind === 'int' && node.attributes.layout.value === 1;

/** The node as the runtime has it; if it is of layout 1, between transpositions. */
function inTimeOrder(
  b: GraphBuilder,
  node: NodeDraft,
  make: (inputs: readonly (Value | undefined)[], attributes: Attributes) => readonly Value[],
): readonly Value[] {
  const attributes = { ...node.attributes, hidden_size: int(Number(inputOf(node, 2).shape[2])) };
  if (!isBatchFirst(node)) return make(node.inputs, attributes);
  const swapped = (value: Value) => b.op('Transpose', [value], { perm: { kind: 'ints', value: [1, 0, 2] } });
  const inputs = node.inputs.map((input, i) => (input && (i === 0 || i === 5 || i === 6) ? swapped(input) : input));
  const [y, ...states] = make(inputs, { ...attributes, layout: int(0) });
  const sequence = y ? [b.op('Transpose', [y], { perm: { kind: 'ints', value: [2, 0, 1, 3] } })] : [];
  return [...sequence, ...states.map(swapped)];
}

const outputNames = (count: number): string[] => ['y', 'y_h', 'y_c'].slice(0, count);

/** The node with two more inputs: zeros that are added to the shares of the inputs and of the states in its pre-activations. */
function shown(cell: Cell, b: GraphBuilder, node: NodeDraft, outputs: number): readonly Value[] | undefined {
  const { steps, batch, hidden, directions } = shapeOf(node, cell);
  const isTrained = node.inputs.slice(1, 4).some((weight) => weight && !weight.constant);
  if (!isTrained || typeof steps === 'string' || typeof batch === 'string') return undefined;
  const { dtype } = inputOf(node, 0);
  const zeros = (): Value =>
    b.op(
      'ConstantOfShape',
      [b.integers([batch, steps, directions * cell.gates * hidden])],
      { value: elements(tensorFrom(dtype, [1], [0])) },
      { fresh: true },
    );
  return inTimeOrder(b, node, (inputs, attributes) => {
    const all = Array.from({ length: cell.inputs }, (_, i) => inputs[i]);
    return b.node(node.op, [...all, zeros(), zeros()], attributes, {
      ...{ name: node.name, domain: shownDomain, outputs: outputNames(outputs) },
    });
  });
}

function operator(cell: Cell): OpDefinition {
  const expand: OpDefinition['expand'] = ({ b, node }) =>
    inTimeOrder(b, node, (inputs, attributes) =>
      b.node(node.op, inputs, attributes, { name: node.name, outputs: outputNames(cell.hasCell ? 3 : 2) }),
    );
  return {
    infer: (node) => infer(cell, node),
    gradient: (context) => (isBatchFirst(context.node) ? context.through(expand) : recurrentGradient(cell, context)),
    expand,
    isNative,
    training: (b, node, outputs) => shown(cell, b, node, outputs),
    flops: (node) => flops(cell, node),
    // A stored initial state is a constant of exporters, not one of the weights.
    traits: { appliesWeights: true, settings: [4, 5, 6] },
  };
}

/** The zeros are nothing but places to differentiate by: the runtime does not get them. */
function shownOperator(cell: Cell): OpDefinition {
  return {
    infer: (node) => infer(cell, node),
    gradient: (context) => recurrentGradient(cell, context),
    expand: ({ b, node }) => {
      const given = node.inputs.slice(0, cell.inputs);
      const last = given.findLastIndex((input) => input !== undefined);
      return b.node(node.op, given.slice(0, last + 1), node.attributes, {
        ...{ name: node.name, outputs: outputNames(cell.hasCell ? 3 : 2) },
      });
    },
    flops: (node) => flops(cell, node),
    traits: { appliesWeights: true, settings: [4, 5, 6] },
  };
}

export type RecurrentOp = 'LSTM' | 'GRU' | 'RNN' | 'cgfac.LSTM' | 'cgfac.GRU' | 'cgfac.RNN';

export const recurrentOps: OpFamily<RecurrentOp> = {
  LSTM: operator(lstm),
  GRU: operator(gru),
  RNN: operator(rnn),
  'cgfac.LSTM': shownOperator(lstm),
  'cgfac.GRU': shownOperator(gru),
  'cgfac.RNN': shownOperator(rnn),
};
