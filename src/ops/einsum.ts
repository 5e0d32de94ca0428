// Einsum: sums of products named by letters. Its gradient is an Einsum in which the result and an operand trade places.
import { GraphError, UnsupportedError } from '../errors.js';
import {
  type Dimension,
  inputOf,
  type Node,
  stringAttribute,
  type TensorType,
  text,
  type Value,
} from '../graph/graph.js';
import type { GradientContext, NodeDraft, OpFamily } from './definition.js';
import { broadcastShapes, formatShape, knownCount } from './shapes/shapes.js';

/** An equation with a letter for every axis; ellipses have become letters of their own. */
interface Equation {
  readonly operands: readonly (readonly string[])[];
  readonly output: readonly string[];
  /** Sizes by letter; operands of size 1 broadcast. */
  readonly sizes: ReadonlyMap<string, Dimension>;
}

const alphabet = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

function equationOf(node: NodeDraft): Equation {
  const source = stringAttribute(node, 'equation', '').replaceAll(' ', '');
  const [left = '', right] = source.split('->');
  const terms = left.split(',');
  if (terms.length !== node.inputs.length) {
    throw new GraphError(`the equation '${source}' has ${terms.length} operands, the node ${node.inputs.length}`);
  }
  if (!/^[a-zA-Z.,]*$/.test(left + (right ?? ''))) throw new GraphError(`'${source}' is not an equation of letters`);
  const ranks = terms.map((term, i) => inputOf(node, i).rank - term.replace('...', '').length);
  const depth = Math.max(0, ...terms.map((term, i) => (term.includes('...') ? (ranks[i] ?? 0) : 0)));
  const free = [...alphabet].filter((letter) => !source.includes(letter)).slice(0, depth);
  const letters = (term: string, rank: number) => [...term.replace('...', free.slice(depth - rank).join(''))];
  const operands = terms.map((term, i) => letters(term, ranks[i] ?? 0));
  const sizes = new Map<string, Dimension>();
  for (const [i, operand] of operands.entries()) {
    const { shape } = inputOf(node, i);
    if (operand.length !== shape.length) {
      throw new GraphError(`operand ${i} of '${source}' has ${operand.length} letters for ${formatShape(shape)}`);
    }
    for (const [axis, letter] of operand.entries()) {
      const [size] = broadcastShapes([sizes.get(letter) ?? 1], [shape[axis] ?? 1]);
      sizes.set(letter, size ?? 1);
    }
  }
  // Without an arrow: the ellipsis, then the letters that occur once, in the order of the alphabet.
  const implicit = () => {
    const once = [...sizes.keys()].filter((letter) => left.split(letter).length === 2);
    return [...free, ...once.sort()];
  };
  const output = right === undefined ? implicit() : letters(right, depth);
  const unknown = output.find((letter) => !sizes.has(letter));
  if (unknown) throw new GraphError(`the letter '${unknown}' of the result of '${source}' is in no operand`);
  return { operands, output, sizes };
}

/**
 * The cotangent of operand k is the sum of products of dy and the other operands, its axes those of operand k. An axis
 * that only operand k has was summed alone: its cotangent is the same all along it.
 */
function operandGradient({ b, x, dy }: GradientContext, { operands, output }: Equation, k: number): Value {
  const own = operands[k] ?? [];
  if (new Set(own).size < own.length) {
    throw new UnsupportedError(`a diagonal ('${own.join('')}') has no gradient rule; choose its elements with Gather`);
  }
  const others = operands.map((letters, i) => ({ letters, value: x(i) })).filter((_, i) => i !== k);
  const elsewhere = new Set([...output, ...others.flatMap(({ letters }) => letters)]);
  const result = own.filter((letter) => elsewhere.has(letter));
  // A scalar has no letters, which the runtime does not read: it multiplies outside.
  const factors = output.length === 0 ? others : [{ letters: output, value: dy }, ...others];
  const equation = `${factors.map(({ letters }) => letters.join('')).join()}->${result.join('')}`;
  const values = factors.map(({ value }) => value);
  const product = factors.length === 0 ? undefined : b.op('Einsum', values, { equation: text(equation) });
  const scaled = output.length > 0 ? product : product ? b.mul(product, dy) : dy;
  const missing = own.flatMap((letter, axis) => (elsewhere.has(letter) ? [] : [axis]));
  const placed = b.unsqueeze(scaled as Value, missing); // without a product the result is a scalar
  return missing.length > 0 ? b.expandLike(placed, x(k)) : placed;
}

/** Two for each combination of all letters and each further operand. */
function flops(node: Node): number {
  return knownCount([...equationOf(node).sizes.values()]) * 2 * Math.max(1, node.inputs.length - 1);
}

export type EinsumOp = 'Einsum';

export const einsumOps: OpFamily<EinsumOp> = {
  Einsum: {
    infer: (node): TensorType[] => {
      const { output, sizes } = equationOf(node);
      return [{ dtype: inputOf(node, 0).dtype, shape: output.map((letter) => sizes.get(letter) ?? 1) }];
    },
    gradient: (context) => {
      const equation = equationOf(context.node);
      return equation.operands.map((_, k) => (context.isWanted(k) ? operandGradient(context, equation, k) : undefined));
    },
    flops,
    traits: { appliesWeights: true, linear: true },
  },
};
