// Finds the Kronecker blocks of a network: for each parameter the layer it belongs to, or why it has none.
import type { Node, Value } from '../graph/graph.js';
import { dependencies, outputOf } from '../graph/graph.js';
import { type Application, applicationOf, isNode, type LayerKind, type Reading } from './factors/applications.js';

/** One application of a layer. */
export interface LayerUse {
  readonly kind: LayerKind;
  /**
   * It applies the transpose of the block's matrix: its activations are the block's outputs, and its pre-activations
   * the block's inputs.
   */
  readonly exchanged: boolean;
  /**
   * `[rows, …, inputs]` of a dense layer, `[rows, channels, …]` of a convolution, an embedding's row numbers `[rows, …]`;
   * of a scale what it multiplies, or what its operator normalizes.
   */
  readonly activations: Value;
  /** Before the bias is added or after: the cotangent is the same. */
  readonly preActivations: Value;
  /** The axes of the pre-activations that hold the outputs, from the first to the one after the last. */
  readonly outputAxes: readonly [number, number];
  /** The Gemm, MatMul, Conv, Gather, Mul or normalization that applies it. */
  readonly node: Node;
}

/**
 * A layer `s = a·W + b`: its Fisher block is approximated by the Kronecker product of E[aaᵀ] and E[ggᵀ]. A convolution is
 * such a layer at each of its positions, a being the patch that the kernel sees there (Grosse & Martens 2016, arXiv
 * 1602.01407). An embedding is one on one-hot rows: A is the diagonal of the tokens' frequencies. Scale and shift of a
 * normalization layer, γ⊙x̂ + β, are the two rows of a weight: its inputs are x̂ and 1, and A is the identity, since what
 * is normalized has mean 0 and variance 1.
 */
export interface KroneckerBlock {
  /** `tied`: the matrix is an embedding table in one use and a dense layer in another. */
  readonly kind: LayerKind | 'tied';
  readonly weight: string;
  /** The bias that rides along as a homogeneous coordinate of the activations. */
  readonly bias: string | undefined;
  /** Of a convolution: channels · kernel area; of an embedding: the vocabulary; of a scale: 1. */
  readonly inputs: number;
  readonly outputs: number;
  /**
   * The weight is stored `[outputs, inputs]`, as PyTorch does, not `[inputs, outputs]`; a convolution's
   * `[outputs, channels, …kernel]` reads as the former.
   */
  readonly outputsFirst: boolean;
  /** Where the network applies the layer: once, or several times where weights are tied. */
  readonly uses: readonly LayerUse[];
}

export interface BlockTable {
  readonly blocks: readonly KroneckerBlock[];
  /** Parameters outside all blocks, trained by a first-order rule, each with the reason. */
  readonly rest: ReadonlyMap<string, string>;
}

/**
 * @param parameters the values that stand for the parameters in the graph
 * @param output the end of the network
 */
export function findBlocks(parameters: ReadonlyMap<string, Value>, output: Value): BlockTable {
  const consumers = consumersOf(output);
  const names = new Map([...parameters].map(([name, value]) => [value, name]));
  const blocks: KroneckerBlock[] = [];
  const rest = new Map<string, string>();
  for (const [name, value] of parameters) {
    const found = blockOf(name, value, consumers, names);
    if (typeof found === 'string') rest.set(name, found);
    else blocks.push(found);
  }
  for (const block of blocks) if (block.bias !== undefined) rest.delete(block.bias);
  return { blocks, rest };
}

type Consumers = ReadonlyMap<Value, readonly Node[]>;

/** Which nodes of the network read each value. */
export function consumersOf(output: Value): Consumers {
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
function readingsOf(value: Value, consumers: Consumers, transposed = false): Reading[] {
  return (consumers.get(value) ?? []).flatMap((node) => {
    if (isNode(node, 'Identity')) return readingsOf(outputOf(node), consumers, transposed);
    if (isNode(node, 'Transpose') && value.rank === 2) {
      const order = node.attributes.perm;
      const exchanged = order?.kind !== 'ints' || order.value[0] === 1;
      return readingsOf(outputOf(node), consumers, transposed !== exchanged);
    }
    return [{ node, value, transposed }];
  });
}

/** The layer whose weight a parameter is, or why it is none. */
function blockOf(
  name: string,
  weight: Value,
  consumers: Consumers,
  names: ReadonlyMap<Value, string>,
): KroneckerBlock | string {
  const found = readingsOf(weight, consumers).map(applicationOf);
  const applications = found.filter((each) => typeof each !== 'string');
  const [refusal] = found.filter((each) => typeof each === 'string');
  // Where it is used as it is stored and transposed, the block is as it is stored.
  const first = applications.find((each) => !each.outputsFirst) ?? applications[0];
  if (refusal !== undefined) return first ? `${refusal}, in one of its ${found.length} uses` : refusal;
  if (!first) return 'not used by the network';
  const { kind, outputsFirst, inputs, outputs } = first;
  const kinds = new Set(applications.map((each) => each.kind));
  const tied = kinds.size === 2 && kinds.has('dense') && kinds.has('embedding');
  if (kinds.size > 1 && !tied) return `shared by layers of different kinds: ${[...kinds].sort().join(', ')}`;
  const exchanges = applications.some((other) => other.outputsFirst !== outputsFirst);
  return {
    kind: tied ? 'tied' : kind,
    weight: name,
    bias: kind === 'embedding' || exchanges ? undefined : commonBias(applications, weight, consumers, names),
    inputs,
    outputs,
    outputsFirst,
    uses: applications.map((each) => ({
      kind: each.kind,
      exchanged: each.outputsFirst !== outputsFirst,
      node: each.node,
      activations: each.activations,
      preActivations: outputOf(each.node),
      outputAxes: each.outputAxes,
    })),
  };
}

/** The vector over the outputs that all applications of a layer add, and nothing else reads. */
function commonBias(
  applications: readonly Application[],
  weight: Value,
  consumers: Consumers,
  names: ReadonlyMap<Value, string>,
): string | undefined {
  const [bias, ...others] = new Set(
    applications.map((each) => origin(each.addsBias ? each.node.inputs[2] : addedTo(outputOf(each.node), consumers))),
  );
  const [first] = applications;
  if (!bias || !first || others.length > 0) return undefined;
  const fits =
    first.kind === 'scale-and-shift'
      ? bias.dims.join() === weight.dims.join()
      : bias.rank === 1 && bias.dims[0] === first.outputs;
  if (!fits) return undefined;
  return readingsOf(bias, consumers).length === applications.length ? names.get(bias) : undefined;
}

/** What Identity nodes copy. */
function origin(value: Value | undefined): Value | undefined {
  const producer = value?.producer;
  return producer && isNode(producer, 'Identity') ? origin(producer.inputs[0]) : value;
}

/** The other operand of the addition that alone reads a product. */
function addedTo(product: Value, consumers: Consumers): Value | undefined {
  const readers = consumers.get(product) ?? [];
  const [reader] = readers;
  if (readers.length !== 1 || !reader || !isNode(reader, 'Add')) return undefined;
  return reader.inputs.find((input) => input !== product);
}
