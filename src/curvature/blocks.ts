// Finds the Kronecker blocks of a network: for each parameter the layer it belongs to, or why it has none.
import { OptionError } from '../errors.js';
import type { Node, Value } from '../graph/graph.js';
import { dependencies, outputOf } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import { KroneckerBlock, type LayerUses } from './kronecker-block.js';
import { checkedMatch } from './layers/checks.js';
import { layerKinds } from './layers/index.js';
import { type Application, isNode, type LayerKind, type LayerUse, type Reading } from './layers/layer-kind.js';

export interface BlockTable {
  readonly blocks: readonly KroneckerBlock[];
  /** Parameters outside all blocks, trained by a first-order rule, each with the reason. */
  readonly rest: ReadonlyMap<string, string>;
}

/**
 * Return the blocks of a network.
 * @param parameters the values that stand for the parameters in the graph
 * @param output the end of the network
 * @param kinds of layers to look for: the first that says something about a reading of a parameter decides
 */
export function findBlocks(
  parameters: ReadonlyMap<string, Value>,
  output: Value,
  kinds: readonly LayerKind[] = layerKinds,
): BlockTable {
  const network = networkOf(parameters, output, kinds);
  const blocks: KroneckerBlock[] = [];
  const rest = new Map<string, string>();
  for (const [name, value] of parameters) {
    const found = blockOf(name, value, network);
    if (typeof found === 'string') rest.set(name, found);
    else blocks.push(found);
  }
  for (const { bias } of blocks) if (bias !== undefined) rest.delete(bias);
  return { blocks, rest };
}

/** Return the layers whose weight each parameter is, one for each node that applies it so; none if it is read otherwise. */
export function layersOf(
  parameters: ReadonlyMap<string, Value>,
  output: Value,
  kinds: readonly LayerKind[] = layerKinds,
): ReadonlyMap<string, readonly AppliedLayer[]> {
  const network = networkOf(parameters, output, kinds);
  return new Map(
    [...parameters].map(([name, value]) => {
      const found = readingsOf(value, network).map((reading) => applicationOf(reading, kinds));
      return [name, found.filter((each) => typeof each !== 'string')];
    }),
  );
}

interface Network {
  /** Which nodes of the network read each value. */
  readonly consumers: ReadonlyMap<Value, readonly Node[]>;
  readonly names: ReadonlyMap<Value, string>;
  readonly kinds: readonly LayerKind[];
}

const networkOf = (parameters: ReadonlyMap<string, Value>, output: Value, kinds: readonly LayerKind[]): Network => ({
  consumers: consumersOf(output),
  names: new Map([...parameters].map(([name, value]) => [value, name])),
  kinds,
});

function consumersOf(output: Value): Network['consumers'] {
  const consumers = new Map<Value, Node[]>();
  const seen = new Set<Node>();
  const pending = output.producer ? [output.producer] : [];
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const value of new Set(dependencies(node))) {
      const readers = consumers.get(value);
      if (readers) readers.push(node);
      else consumers.set(value, [node]);
      if (value.producer) pending.push(value.producer);
    }
  }
  return consumers;
}

/** Where a value is read, Identity nodes and transpositions of a matrix seen through. */
function readingsOf(value: Value, network: Network, transposed = false): Reading[] {
  return (network.consumers.get(value) ?? []).flatMap((node) => {
    if (isNode(node, 'Identity')) return readingsOf(outputOf(node), network, transposed);
    if (isNode(node, 'Transpose') && value.rank === 2) {
      const order = node.attributes.perm;
      const exchanged = order?.kind !== 'ints' || order.value[0] === 1;
      return readingsOf(outputOf(node), network, transposed !== exchanged);
    }
    return [{ node, value, transposed }];
  });
}

/** An application, and the kind of layer that knows it. */
export interface AppliedLayer extends Application {
  readonly layer: LayerKind;
}

/** The layer that a node applies with a parameter as its weight, or why there is none. */
function applicationOf(reading: Reading, kinds: readonly LayerKind[]): AppliedLayer | string {
  for (const layer of kinds) {
    const found = checkedMatch(layer, reading);
    if (found !== undefined) return typeof found === 'string' ? found : { ...found, layer };
  }
  const { node, value } = reading;
  if (value.rank !== 2) return `a parameter of rank ${value.rank} outside a dense layer`;
  return `read by ${node.op}, which is not a dense layer`;
}

/** The layer whose weight a parameter is, or why it is none. */
function blockOf(name: string, weight: Value, network: Network): KroneckerBlock | string {
  const found = readingsOf(weight, network).map((reading) => applicationOf(reading, network.kinds));
  const applications = found.filter((each) => typeof each !== 'string');
  const [refusal] = found.filter((each) => typeof each === 'string');
  // If it is used as it is stored and transposed, the block is as it is stored.
  const layout = applications.find((each) => !each.outputsFirst) ?? applications[0];
  if (refusal !== undefined) return layout ? `${refusal}, in one of its ${found.length} uses` : refusal;
  const [first, ...others] = applications.map(
    (each): LayerUse => ({
      ...each,
      groups: each.groups ?? 1,
      exchanged: each.outputsFirst !== layout?.outputsFirst,
      preActivations: outputOf(each.node),
    }),
  );
  if (!first) return 'not used by the network';
  const uses: LayerUses = [first, ...others];
  if (!canBeTied(uses)) {
    const kinds = new Set(uses.map(({ layer }) => layer.kind));
    return `shared by layers of different kinds: ${[...kinds].sort().join(', ')}`;
  }
  const bias = uses.some(({ exchanged }) => exchanged) ? undefined : commonBias(uses, network);
  for (const use of uses) checkSize(name, weight, use);
  return new KroneckerBlock({ name, dims: weight.dims }, bias, uses);
}

/** Rows of different kinds of layers can be gathered in one factor if they are rows of one matrix. */
function canBeTied(uses: LayerUses): boolean {
  const sizes = new Set(
    uses.map(({ groups, inputs, outputs, exchanged }) =>
      [groups, ...(exchanged ? [outputs, inputs] : [inputs, outputs])].join(),
    ),
  );
  return uses.every(({ layer }) => layer === uses[0].layer || layer.factor !== 'identity') && sizes.size === 1;
}

/** @throws OptionError if a kind of layer, which may be a user's, does not fit the parameter */
function checkSize(name: string, weight: Value, { layer, groups, inputs, outputs }: LayerUse): void {
  if (groups * inputs * outputs !== elementCount(weight.dims)) {
    throw new OptionError(
      `layer kind '${layer.kind}' reads '${name}', [${weight.dims.join(', ')}], as ${groups} × ${inputs} × ${outputs} ` +
        'elements (groups, inputs, outputs); what `match` returns has to have as many as the parameter',
    );
  }
  if (layer.factor === 'diagonal' && groups > 1) {
    throw new OptionError(`layer kind '${layer.kind}' has a diagonal factor and groups; make its factor 'full'`);
  }
}

/** The bias over the outputs that all uses of a layer add, and nothing else reads. */
function commonBias(uses: LayerUses, network: Network) {
  const [bias, ...others] = new Set(
    uses.map((use) => origin(use.addsBias ? use.node.inputs[2] : addedTo(use.preActivations, network))),
  );
  const { biasDims } = uses[0];
  if (!bias || others.length > 0 || bias.dims.join() !== biasDims?.join()) return undefined;
  const name = network.names.get(bias);
  if (name === undefined || readingsOf(bias, network).length !== uses.length) return undefined;
  return { name, dims: bias.dims };
}

/** What Identity nodes copy. */
function origin(value: Value | undefined): Value | undefined {
  const producer = value?.producer;
  return producer && isNode(producer, 'Identity') ? origin(producer.inputs[0]) : value;
}

/** The other operand of the addition that alone reads a product. */
function addedTo(product: Value, { consumers }: Network): Value | undefined {
  const readers = consumers.get(product) ?? [];
  const [reader] = readers;
  if (readers.length !== 1 || !reader || !isNode(reader, 'Add')) return undefined;
  return reader.inputs.find((input) => input !== product);
}
