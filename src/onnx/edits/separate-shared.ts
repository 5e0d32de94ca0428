// Undoes the deduplication of exporters for normalizations. Exporters store equal tensors once, so that layers that were
// not trained yet share ones and zeros: running averages, scales and shifts. Training makes those of each layer differ.
import type { GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from 'onnx-buf';
import { UniqueNames } from '../../graph/unique-names.js';
import { decodeTensor, type ReadExternal } from '../decode/tensor.js';
import { isModulePath } from '../exporter-names.js';
import { shallowCopy } from '../message-copy.js';
import { identitiesOf, type NormalizationUse, normalizationUses } from './normalization-uses.js';
import { widen } from './widen.js';

export interface Separated {
  /** The message itself if nothing is shared. */
  readonly proto: ModelProto;
  /** Tensors that something else had read too, and their copies: if one gets new elements, the message needs both. */
  readonly apart: ReadonlySet<string>;
}

/**
 * Return the message with a copy of each tensor of a normalization that something else reads too, at the end of the
 * initializers: of each running average, and of each scale and shift that is shared only because it was equal to
 * another. A copy that stands for an Identity has the name of its output, which is the name that the layer gave it.
 * Layers inside bodies and functions share what they share.
 * @throws FileError, UnsupportedError if a shared tensor cannot be read
 */
export function separateShared(proto: ModelProto, readExternal?: ReadExternal): Separated {
  const apart = new Set<string>();
  const { graph } = proto;
  if (!graph) return { proto, apart };
  const stored = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  const identities = identitiesOf(graph);
  const readers = countReaders(graph);
  const names = new UniqueNames([...stored.keys(), ...readers.keys(), ...graph.node.flatMap((each) => each.output)]);
  const copies: TensorProto[] = [];
  const declared: ValueInfoProto[] = [];
  const replaced = new Set<NodeProto>();
  const inputs = new Map<NodeProto, string[]>();
  for (const use of normalizationUses(graph, stored, identities)) {
    const { node, index, read, chain } = use;
    const source = chain.at(-1) ?? read;
    const tensor = stored.get(source);
    if (!tensor || chain.every((each) => readers.get(each) === 1) || !isOwn(use, tensor, readExternal)) continue;
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
    initializer: [...graph.initializer, ...copies.reverse()], // the first layer's first
    input: [...graph.input, ...declared],
  });
  return { proto: shallowCopy<ModelProto>(proto, { graph: changed }), apart };
}

/** Whether a tensor belongs to the layer alone, and is shared only because an exporter found it equal to another. */
function isOwn(use: NormalizationUse, tensor: TensorProto, readExternal?: ReadExternal): boolean {
  const { role, read, chain } = use;
  if (role === 'average') return true;
  // An operand of Mul and Add belongs to a layer if it is a vector: a single number is rather a constant of a formula.
  if (!use.normalizes && tensor.dims.filter((size) => size !== 1n).length !== 1) return false;
  // A name that someone gave: the exporter dropped a parameter that was equal to this one.
  const isNamed = isModulePath(read);
  if (chain.length > 1 && isNamed) return true;
  // Exporters write such names for a normalization without a scale and a shift of its own.
  if (use.normalizes && !isNamed) return false;
  const first = role === 'scale' ? 1 : 0;
  return widen(decodeTensor(tensor, readExternal)).data.every((element) => Number(element) === first);
}

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
