// Sequences of tensors, which exporters write for split, stack and cat: replaced by their members while a graph is copied.
// Lengths and positions have to be known by then.
import { UnsupportedError } from '../errors.js';
import type { GraphBuilder } from './builder.js';
import { describeNode, inputOf, int, intAttribute, type Node, type Value } from './graph.js';
import { toNumbers } from './tensor.js';

/** What a node that makes or reads a sequence becomes: a tensor, or the members of the sequence that it returns. */
type SequenceResult = { readonly tensor: Value } | { readonly members: readonly Value[] };

/** The copies of a node's inputs, by position; `members` of an input that is a sequence. */
export interface CopiedInputs {
  readonly tensor: (index: number) => Value;
  readonly members: (index: number) => readonly Value[];
}

type Rule = (node: Node, inputs: CopiedInputs, b: GraphBuilder) => SequenceResult;

const rules: Readonly<Record<string, Rule>> = {
  SequenceEmpty: () => ({ members: [] }),
  SequenceConstruct: (node, { tensor }) => ({ members: node.inputs.map((_, i) => tensor(i)) }),
  SequenceInsert: (node, { tensor, members }) => {
    const present = members(0);
    const at = node.inputs[2] ? position(node, tensor(2), present.length + 1) : present.length;
    return { members: [...present.slice(0, at), tensor(1), ...present.slice(at)] };
  },
  SequenceErase: (node, { tensor, members }) => {
    const present = members(0);
    const at = node.inputs[1] ? position(node, tensor(1), present.length) : present.length - 1;
    return { members: present.filter((_, i) => i !== at) };
  },
  SequenceAt: (node, { tensor, members }) => {
    const member = members(0)[position(node, tensor(1), members(0).length)];
    if (!member) throw refused(node, 'reads a position that its sequence does not have');
    return { tensor: member };
  },
  SequenceLength: (_, { members }, b) => ({ tensor: b.scalar(members(0).length, 'int64') }),
  SplitToSequence: (node, inputs, b) => ({ members: split(node, inputs, b) }),
  ConcatFromSequence: (node, { members }, b) => {
    const axis = intAttribute(node, 'axis', 0);
    const stacks = intAttribute(node, 'new_axis', 0) === 1;
    const parts = members(0).map((part) => (stacks ? b.op('Unsqueeze', [part, b.integers([axis])]) : part));
    return { tensor: b.op('Concat', parts, { axis: int(axis) }) };
  },
};

/**
 * Return what a node becomes; undefined for one that has nothing to do with sequences.
 * @throws UnsupportedError naming the node if a length or a position is only known when the program runs
 */
export function sequenceResult(node: Node, inputs: CopiedInputs, b: GraphBuilder): SequenceResult | undefined {
  const rule = node.domain === '' && Object.hasOwn(rules, node.op) ? rules[node.op] : undefined;
  return rule?.(node, inputs, b);
}

const refused = (node: Node, what: string) =>
  new UnsupportedError(`${describeNode(node)} ${what}; export the model with fixed sizes (all but the batch)`);

function position(node: Node, value: Value, length: number): number {
  const known = value.constant && Number(value.constant.data[0]);
  if (known === undefined) throw refused(node, 'reads a position that is only known when the program runs');
  return known < 0 ? known + length : known;
}

/** The most members that a sequence may be split into: each becomes nodes of its own. */
const mostParts = 10_000;

/** Return parts of the given sizes, or of one size with a smaller last part; without sizes, the elements along the axis. */
function split(node: Node, { tensor }: CopiedInputs, b: GraphBuilder): readonly Value[] {
  const x = tensor(0);
  const axis = intAttribute(node, 'axis', 0);
  const size = x.shape.at(axis);
  const given = node.inputs[1] && tensor(1);
  if (typeof size !== 'number' || (given && !given.constant)) {
    throw refused(node, 'splits into parts whose number is only known when the program runs');
  }
  const numbers = given?.constant ? toNumbers(given.constant) : [1];
  const length = numbers[0] ?? 1;
  const isList = given !== undefined && given.rank > 0;
  const count = isList ? numbers.length : Math.ceil(size / length);
  if (!numbers.every((part) => Number.isInteger(part) && part >= 0) || !(count >= 0 && count <= mostParts)) {
    throw refused(
      node,
      `splits ${size} elements into parts of ${numbers.slice(0, 5).join(', ')}, which are none or more than ${mostParts}`,
    );
  }
  const equal = (i: number) => Math.min(length, size - i * length);
  const sizes = isList ? numbers : Array.from({ length: count }, (_, i) => equal(i));
  const names = sizes.map((_, i) => `${inputOf(node, 0).name}_part${i}`);
  const parts = b.node('Split', [x, b.integers(sizes)], { axis: int(axis) }, { name: node.name, outputs: names });
  const drops = !given && intAttribute(node, 'keepdims', 1) === 0;
  return drops ? parts.map((part) => b.op('Squeeze', [part, b.integers([axis])])) : parts;
}
