// Finds the Kronecker blocks of a network: for each parameter the layer it belongs to, or why it has none.
import type { Node, Value } from '../graph/graph.js';
import { dependencies, intAttribute, outputOf } from '../graph/graph.js';

/** One application of a layer: its activations and pre-activations, whose last axes are the layer's inputs and outputs. */
export interface LayerUse {
  /** `[rows, …, inputs]` */
  readonly activations: Value;
  /** `[rows, …, outputs]`: before the bias is added or after, the cotangent is the same. */
  readonly preActivations: Value;
}

/** A dense layer `s = a·W + b`: its Fisher block is approximated by the Kronecker product of E[aaᵀ] and E[ggᵀ]. */
export interface DenseBlock {
  readonly kind: 'dense';
  readonly weight: string;
  /** The bias that rides along as a homogeneous coordinate of the activations. */
  readonly bias: string | undefined;
  readonly inputs: number;
  readonly outputs: number;
  /** The weight is stored `[outputs, inputs]`, as PyTorch does, not `[inputs, outputs]`. */
  readonly outputsFirst: boolean;
  readonly use: LayerUse;
}

export interface BlockTable {
  readonly blocks: readonly DenseBlock[];
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
  const blocks: DenseBlock[] = [];
  const rest = new Map<string, string>();
  for (const [name, value] of parameters) {
    const found = denseBlock(name, value, consumers, names);
    if (typeof found === 'string') rest.set(name, found);
    else blocks.push(found);
  }
  for (const block of blocks) if (block.bias !== undefined) rest.delete(block.bias);
  return { blocks, rest };
}

type Consumers = ReadonlyMap<Value, readonly Node[]>;

/** Which nodes of the network read each value. */
function consumersOf(output: Value): Consumers {
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

/** The dense layer whose weight a parameter is, or why it is none. */
function denseBlock(
  name: string,
  weight: Value,
  consumers: Consumers,
  names: ReadonlyMap<Value, string>,
): DenseBlock | string {
  if (weight.rank !== 2) return `a parameter of rank ${weight.rank} outside a dense layer`;
  const readers = consumers.get(weight) ?? [];
  const [reader] = readers;
  if (!reader) return 'not used by the network';
  if (readers.length > 1) return `used ${readers.length} times`;
  const transposed = reader.op === 'Transpose' ? outputOf(reader) : undefined;
  const matrix = transposed ?? weight;
  const multipliers = consumers.get(matrix) ?? [];
  const [node] = multipliers;
  if (!node || multipliers.length > 1) return `its transpose is used ${multipliers.length} times`;
  const [activations, factor, added] = node.inputs;
  if ((node.op !== 'Gemm' && node.op !== 'MatMul') || factor !== matrix || !activations) {
    return `read by ${node.op}, which is not a dense layer`;
  }
  if (activations === matrix) return 'multiplied by itself';
  if (node.op === 'Gemm' && !isPlainGemm(node)) return 'a Gemm with scaling or a transposed input';
  const outputsFirst = (transposed !== undefined) !== (node.op === 'Gemm' && intAttribute(node, 'transB', 0) === 1);
  const [rows, columns] = weight.dims;
  const [inputs, outputs] = outputsFirst ? [columns ?? 0, rows ?? 0] : [rows ?? 0, columns ?? 0];
  const preActivations = outputOf(node);
  const bias = node.op === 'Gemm' ? added : addedBias(preActivations, consumers);
  const biasName = bias && isBias(bias, outputs, consumers) ? names.get(bias) : undefined;
  return {
    kind: 'dense',
    weight: name,
    bias: biasName,
    inputs,
    outputs,
    outputsFirst,
    use: { activations, preActivations },
  };
}

function isPlainGemm(node: Node): boolean {
  const scaled = ['alpha', 'beta'].some((name) => {
    const attribute = node.attributes[name];
    return attribute?.kind === 'float' && attribute.value !== 1;
  });
  return !scaled && intAttribute(node, 'transA', 0) === 0;
}

/** The other operand of the addition that alone reads a product. */
function addedBias(product: Value, consumers: Consumers): Value | undefined {
  const readers = consumers.get(product) ?? [];
  const [reader] = readers;
  if (readers.length !== 1 || reader?.op !== 'Add') return undefined;
  return reader.inputs.find((input) => input !== product);
}

/** A vector over the outputs that no other layer reads. */
function isBias(value: Value, outputs: number, consumers: Consumers): boolean {
  return (consumers.get(value)?.length ?? 0) === 1 && value.rank === 1 && value.dims[0] === outputs;
}
