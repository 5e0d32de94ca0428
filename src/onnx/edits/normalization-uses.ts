// The nodes that read the running averages, scales and shifts of a file's normalizations: as inputs of an operator, or
// written with Mul and Add, as exporters write group normalization and older forms of layer normalization.

import type { GraphProto, NodeProto, TensorProto } from 'onnx-buf';
import type { OperatorTraits } from '../../ops/definition.js';
import { definitionOf } from '../../ops/table.js';
import { isOnnx } from '../types.js';

/** A tensor of a normalization, as one node reads it. */
export interface NormalizationUse {
  readonly node: NodeProto;
  /** Position among the node's inputs. */
  readonly index: number;
  readonly role: 'average' | 'scale' | 'shift';
  /** The node is a normalization, and not the Mul or Add behind one. */
  readonly normalizes: boolean;
  /** The name that the node reads. */
  readonly read: string;
  /** The names from there to the stored tensor, through Identity nodes. */
  readonly chain: readonly string[];
}

/** More nodes than exporters write one after the other to move a tensor. */
const longestChain = 64;

/** The inputs of a node of an operator; none if it is another. */
const inputsOf = (node: NodeProto | undefined, ...ops: readonly string[]): readonly string[] =>
  node && ops.includes(node.opType) && isOnnx(node.domain) ? node.input : [];
const traitsOf = (node: NodeProto): OperatorTraits =>
  (isOnnx(node.domain) ? definitionOf({ op: node.opType, domain: '' })?.traits : undefined) ?? {};

/** Return the Identity nodes of a graph by the names of their outputs. */
export const identitiesOf = ({ node: nodes }: GraphProto): Map<string, NodeProto> =>
  new Map(
    nodes.flatMap((node) => {
      const [output] = node.output;
      return output && inputsOf(node, 'Identity').length > 0 ? [[output, node] as const] : [];
    }),
  );

/**
 * Return the uses of tensors by normalizations: the furthest behind Identity nodes first, so that each Identity has one
 * reader when its turn comes, and the scale or shift of the first layer last, as it keeps what is stored.
 */
export function normalizationUses(
  graph: GraphProto,
  stored: ReadonlyMap<string, TensorProto>,
  identities: ReadonlyMap<string, NodeProto>,
): NormalizationUse[] {
  const producers = new Map(graph.node.flatMap((node) => node.output.map((name) => [name, node] as const)));
  const uses = graph.node.flatMap((node) =>
    rolesOf(node, producers).flatMap(({ index, role }): NormalizationUse[] => {
      const read = node.input[index];
      if (!read) return [];
      const chain = chainFrom(read, identities);
      return stored.has(chain.at(-1) ?? read)
        ? [{ node, index, role, normalizes: traitsOf(node).normalizes === true, read, chain }]
        : [];
    }),
  );
  const isTrained = ({ role }: NormalizationUse) => Number(role !== 'average');
  return uses.reverse().sort((a, b) => b.chain.length - a.chain.length || isTrained(a) - isTrained(b));
}

/** Which inputs of a node could be tensors of a normalization. */
function rolesOf(node: NodeProto, producers: ReadonlyMap<string, NodeProto>) {
  const { normalizes, runningAverages = [] } = traitsOf(node);
  const roles: { readonly index: number; readonly role: NormalizationUse['role'] }[] = [];
  for (const index of runningAverages) roles.push({ index, role: 'average' });
  if (normalizes) roles.push({ index: 1, role: 'scale' }, { index: 2, role: 'shift' });
  for (const [index, other] of [...inputsOf(node, 'Mul')].reverse().entries()) {
    if (isNormalized(other, producers)) roles.push({ index, role: 'scale' });
  }
  for (const [index, other] of [...inputsOf(node, 'Add')].reverse().entries()) {
    if (isScaled(other, producers)) roles.push({ index, role: 'shift' });
  }
  return roles;
}

/** Whether a name is the output of a normalization: of an operator, or of a division by a root. */
function isNormalized(name: string | undefined, producers: ReadonlyMap<string, NodeProto>): boolean {
  let node = producers.get(name ?? '');
  for (let moves = 0; node && moves < longestChain; moves++) {
    const { normalizes, arranges, converts } = traitsOf(node);
    if (normalizes) return true;
    const [, divisor] = inputsOf(node, 'Div');
    if (isRoot(divisor, producers)) return true;
    const factors = inputsOf(node, 'Mul').flatMap((input) => inputsOf(producers.get(input), 'Reciprocal'));
    if (factors.some((factor) => isRoot(factor, producers))) return true;
    if (!arranges && !converts) return false;
    node = producers.get(node.input[0] ?? '');
  }
  return false;
}

/** Whether a name is the output of a normalization, perhaps times a scale. */
function isScaled(name: string | undefined, producers: ReadonlyMap<string, NodeProto>): boolean {
  if (isNormalized(name, producers)) return true;
  const product = producers.get(name ?? '');
  return inputsOf(product, 'Mul').some((input) => isNormalized(input, producers));
}

const isRoot = (name: string | undefined, producers: ReadonlyMap<string, NodeProto>): boolean =>
  inputsOf(producers.get(name ?? ''), 'Sqrt').length > 0;

function chainFrom(read: string, identities: ReadonlyMap<string, NodeProto>): string[] {
  const chain = [read];
  // A damaged file may have a cycle.
  while (chain.length < longestChain) {
    const before = identities.get(chain.at(-1) ?? '')?.input[0];
    if (before === undefined) break;
    chain.push(before);
  }
  return chain;
}
