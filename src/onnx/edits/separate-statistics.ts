// Gives each batch normalization running averages of its own. Exporters store equal tensors once, so layers that were
// not trained yet share zeros and ones, even with the scale of some layer; training moves each layer's apart.
import type { GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from 'onnx-buf';
import { UniqueNames } from '../../graph/unique-names.js';
import { shallowCopy } from '../message-copy.js';

/** Positions of the running mean and variance among the inputs of BatchNormalization. */
const averages = [3, 4] as const;

/** More Identity nodes than exporters write one after the other. */
const longestChain = 64;

interface OwnStatistics {
  /** The message itself where nothing is shared. */
  readonly proto: ModelProto;
  /** Tensors that something else had read too, and their copies: where one gets new elements, the message needs both. */
  readonly apart: ReadonlySet<string>;
}

/**
 * The message with a copy of each running average that something else reads too, at the end of the initializers. A copy
 * that stands for an Identity has the name of its output, which is the name that the layer gave it. Layers inside bodies
 * and functions share what they share.
 */
export function withOwnStatistics(proto: ModelProto): OwnStatistics {
  const apart = new Set<string>();
  const { graph } = proto;
  if (!graph) return { proto, apart };
  const stored = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  const readers = countReaders(graph);
  const names = new UniqueNames([...stored.keys(), ...readers.keys(), ...graph.node.flatMap((each) => each.output)]);
  const identities = new Map(
    graph.node.flatMap((node) => (isOnnx(node, 'Identity') && node.output[0] ? [[node.output[0], node] as const] : [])),
  );
  const copies: TensorProto[] = [];
  const declared: ValueInfoProto[] = [];
  const replaced = new Set<NodeProto>();
  const inputs = new Map<NodeProto, string[]>();
  for (const { node, index, read, chain } of usesIn(graph, identities)) {
    const source = chain.at(-1) ?? read;
    const tensor = stored.get(source);
    if (!tensor || chain.every((each) => readers.get(each) === 1)) continue;
    const identity = readers.get(read) === 1 ? identities.get(read) : undefined;
    if (identity) replaced.add(identity);
    const freed = identity?.input[0] ?? read;
    readers.set(freed, (readers.get(freed) ?? 1) - 1);
    const name = identity ? read : names.unused(read);
    names.add(name);
    apart.add(source).add(name);
    copies.push(shallowCopy(tensor, { name }));
    // Before IR version 4 what is stored is declared as an input as well.
    const info = graph.input.find((input) => input.name === source);
    if (info) declared.push(shallowCopy(info, { name }));
    const input = inputs.get(node) ?? [...node.input];
    input[index] = name;
    inputs.set(node, input);
  }
  if (copies.length === 0) return { proto, apart };
  const changed = shallowCopy<GraphProto>(graph, {
    node: graph.node
      .filter((each) => !replaced.has(each))
      .map((each) => shallowCopy<NodeProto>(each, { input: inputs.get(each) ?? each.input })),
    initializer: [...graph.initializer, ...copies],
    input: [...graph.input, ...declared],
  });
  return { proto: shallowCopy<ModelProto>(proto, { graph: changed }), apart };
}

/**
 * Where running averages are read, with the names from there to the stored tensor through Identity nodes: the furthest
 * first, so that each Identity has one reader when its turn comes, and the first layer last, as it keeps what is stored.
 */
function usesIn({ node: nodes }: GraphProto, identities: ReadonlyMap<string, NodeProto>) {
  const uses = nodes.flatMap((node) =>
    averages.flatMap((index) => {
      const read = isOnnx(node, 'BatchNormalization') ? node.input[index] : undefined;
      return read ? [{ node, index, read, chain: chainFrom(read, identities) }] : [];
    }),
  );
  return uses.reverse().sort((a, b) => b.chain.length - a.chain.length);
}

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

const isOnnx = ({ opType, domain }: NodeProto, op: string): boolean =>
  opType === op && (domain === '' || domain === 'ai.onnx');

/** How often each name is read: by nodes, those of bodies among them, and as an output. */
function countReaders(graph: GraphProto, counts = new Map<string, number>()): Map<string, number> {
  const read = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const { input, attribute } of graph.node) {
    for (const name of input) read(name);
    for (const { g, graphs } of attribute) {
      for (const body of g ? [g, ...graphs] : graphs) countReaders(body, counts);
    }
  }
  for (const { name } of graph.output) read(name);
  return counts;
}
