// Finds the Kronecker blocks of a network: the layer that each parameter belongs to, or why there is none.
import { OptionError } from '../errors.js';
import { outputOf, type Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import { isNode, readersOf, seeThrough, type Uses, usesBefore } from '../graph/uses.js';
import { KroneckerBlock, type LayerUses } from './kronecker-block.js';
import { checkedMatch } from './layers/checks.js';
import { layerKinds } from './layers/index.js';
import type { Application, LayerKind, LayerUse, Reading } from './layers/layer-kind.js';

export interface BlockTable {
  readonly blocks: readonly KroneckerBlock[];
  /** Parameters outside all blocks, trained by a first-order rule, each with the reason. */
  readonly rest: ReadonlyMap<string, string>;
}

/**
 * Return the blocks of a network.
 * @param parameters the values that stand for the parameters in the graph
 * @param output the end of the network
 * @param kinds of layers to look for: the first that matches a reading of a parameter, or refuses it, decides
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
  const complete = blocks.map((block) => (isWhollyTrained(block, blocks, parameters) ? block : block.withoutBias()));
  for (const { bias } of complete) if (bias !== undefined) rest.delete(bias);
  return { blocks: complete, rest };
}

/** Whether each part of a block's bias belongs to some block. */
function isWhollyTrained(
  { bias }: KroneckerBlock,
  blocks: readonly KroneckerBlock[],
  parameters: ReadonlyMap<string, Value>,
): boolean {
  if (bias === undefined) return true;
  const parts = blocks.filter((other) => other.bias === bias).map(({ biasSize }) => biasSize);
  return parts.reduce((sum, size) => sum + size, 0) === elementCount(parameters.get(bias)?.dims ?? []);
}

/** Return the layers whose weight each parameter is, one for each node that applies it as a weight. */
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
  /** The uses of the values that its output is computed from. */
  readonly uses: Uses;
  readonly names: ReadonlyMap<Value, string>;
  readonly kinds: readonly LayerKind[];
}

const networkOf = (parameters: ReadonlyMap<string, Value>, output: Value, kinds: readonly LayerKind[]): Network => ({
  uses: usesBefore(output),
  names: new Map([...parameters].map(([name, value]) => [value, name])),
  kinds,
});

/** The readings of a value, also behind Identity nodes and transpositions of a matrix. */
function readingsOf(value: Value, network: Network, transposed = false): Reading[] {
  return readersOf(value, network.uses).flatMap(({ node, index }) => {
    if (isNode(node, 'Transpose') && value.rank === 2) {
      const order = node.attributes.perm;
      const swaps = order?.kind !== 'ints' || order.value[0] === 1;
      return readingsOf(outputOf(node), network, transposed !== swaps);
    }
    return [{ node, value: node.inputs[index] ?? value, transposed }];
  });
}

/** An application with its kind of layer. */
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

/** The block of a parameter that is a weight, or why it has none. */
function blockOf(name: string, weight: Value, network: Network): KroneckerBlock | string {
  const found = readingsOf(weight, network).map((reading) => applicationOf(reading, network.kinds));
  const applications = found.filter((each) => typeof each !== 'string');
  const [refusal] = found.filter((each) => typeof each === 'string');
  // A weight that is used both as stored and transposed has the layout in which it is stored.
  const layout = applications.find((each) => !each.outputsFirst) ?? applications[0];
  if (refusal !== undefined) return layout ? `${refusal}, in one of its ${found.length} uses` : refusal;
  const [first, ...others] = applications.map(
    (each): LayerUse => ({
      ...each,
      groups: each.groups ?? 1,
      transposed: each.outputsFirst !== layout?.outputsFirst,
      preActivations: each.preActivations ?? outputOf(each.node),
    }),
  );
  if (!first) return 'not used by the network';
  const uses: LayerUses = [first, ...others];
  if (!canBeTied(uses)) {
    const kinds = new Set(uses.map(({ layer }) => layer.kind));
    return `shared by layers of different kinds: ${[...kinds].sort().join(', ')}`;
  }
  const bias = uses.some(({ transposed }) => transposed) ? undefined : commonBias(uses, network);
  for (const use of uses) checkSize(name, weight, use);
  return new KroneckerBlock({ name, dims: weight.dims }, bias, uses);
}

/** Whether rows of all uses can form one factor: those of different kinds of layers can if they belong to one matrix. */
function canBeTied(uses: LayerUses): boolean {
  const sizes = new Set(
    uses.map(({ groups, inputs, outputs, transposed }) =>
      [groups, ...(transposed ? [outputs, inputs] : [inputs, outputs])].join(),
    ),
  );
  return uses.every(({ layer }) => layer === uses[0].layer || layer.factor !== 'identity') && sizes.size === 1;
}

/** @throws OptionError if a kind of layer, which may be a user's, does not fit the parameter */
function checkSize(name: string, weight: Value, { layer, groups, inputs, outputs }: LayerUse): void {
  if (groups * inputs * outputs !== elementCount(weight.dims)) {
    throw new OptionError(
      `layer kind '${layer.kind}' reads '${name}', [${weight.dims.join(', ')}], as ${groups} × ${inputs} × ${outputs} ` +
        'elements (groups, inputs, outputs); `match` must return sizes with as many elements as the parameter',
    );
  }
  if (layer.factor === 'diagonal' && groups > 1) {
    throw new OptionError(`layer kind '${layer.kind}' has a diagonal factor and groups; make its factor 'full'`);
  }
}

/** The bias over the outputs that all uses of a layer add and that no other node reads. */
function commonBias(uses: LayerUses, network: Network) {
  const [bias, ...others] = new Set(
    uses.map((use) => {
      if (use.biasPart) return seeThrough(use.biasPart.of);
      const added = use.addsBias ? use.node.inputs[2] : addedTo(use.preActivations, network);
      return added && seeThrough(added);
    }),
  );
  const { biasDims, biasPart: { range: part } = {} } = uses[0];
  if (!bias || others.length > 0 || bias.dims.join() !== biasDims?.join()) return undefined;
  if (uses.some(({ biasPart }) => biasPart?.range.join() !== part?.join())) return undefined;
  const name = network.names.get(bias);
  if (name === undefined || readingsOf(bias, network).length !== uses.length) return undefined;
  return { name, dims: bias.dims, ...(part && { part }) };
}

/** The other operand of an addition that is the only reader of a product. */
function addedTo(product: Value, { uses }: Network): Value | undefined {
  const [reader, ...others] = uses.get(product) ?? [];
  if (!reader || others.length > 0 || !isNode(reader.node, 'Add')) return undefined;
  return reader.node.inputs.find((input) => input !== product);
}
