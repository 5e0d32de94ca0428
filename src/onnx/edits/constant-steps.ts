// Puts operators with a constant operand before the first layer of an ONNX file, `x − mean`, `x / deviation`, or after its
// last one, `f · deviation`, `f + mean`; and removes the latter again.
import { create } from '@bufbuild/protobuf';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  NodeProtoSchema,
  type ValueInfoProto,
} from 'onnx-buf';
import { FileError } from '../../errors.js';
import type { DataType, TensorData } from '../../graph/tensor.js';
import { encodeTensor } from '../encode/tensor.js';
import { shallowCopy } from '../message-copy.js';
import { dataTypeOf } from '../types.js';
import { narrow, widen } from './widen.js';

/** A node `op(previous, constant)`. */
export interface ConstantStep {
  readonly op: string;
  /** Name of the node and of its output. */
  readonly name: string;
  /** Name of the constant. */
  readonly constant: string;
  readonly value: TensorData;
}

/**
 * Return the message with the steps between its input and all nodes that read it. Inputs and outputs keep their names;
 * constants are Constant nodes of the input's element type, so that no reader takes them for weights. The message itself,
 * whose parts others may share, stays as it is.
 * @throws FileError if the graph has no such input
 */
export function prepended(proto: ModelProto, input: string, steps: readonly ConstantStep[]): ModelProto {
  const { graph } = proto;
  const declared = graph?.input.find(({ name }) => name === input);
  if (!graph || !declared) throw new FileError(`the model holds no graph with an input '${input}'`);
  const { nodes, last } = chain(steps, input, elementType(declared));
  const node = [...nodes, ...graph.node.map((each) => reading(each, input, last))];
  return shallowCopy<ModelProto>(proto, { graph: shallowCopy<GraphProto>(graph, { node }) });
}

/**
 * Return the message with the steps between an output and the node that computed it. The output keeps its name; the value
 * that was computed is called `inner`, for other nodes that read it too. The message itself stays as it is.
 * @throws FileError if the graph has no such output, or no node computes it
 */
export function appended(proto: ModelProto, output: string, inner: string, steps: readonly ConstantStep[]): ModelProto {
  const { graph } = proto;
  const declared = graph?.output.find(({ name }) => name === output);
  if (!graph || !declared || !graph.node.some((node) => node.output.includes(output))) {
    throw new FileError(`the model has no output '${output}' that a node computes`);
  }
  const before = graph.node.map((node) => writing(reading(node, output, inner), output, inner));
  const { nodes } = chain(steps, inner, elementType(declared), output);
  return shallowCopy<ModelProto>(proto, { graph: shallowCopy<GraphProto>(graph, { node: [...before, ...nodes] }) });
}

/** Return the message without the steps of these names, which `appended` added: the output is what they began with. */
export function withoutAppended(
  proto: ModelProto,
  output: string,
  inner: string,
  steps: readonly Pick<ConstantStep, 'name' | 'constant'>[],
): ModelProto {
  const { graph } = proto;
  if (!graph) throw new FileError('the model holds no graph'); // checked when it was read
  const names = new Set(steps.flatMap(({ name, constant }) => [name, constant]));
  const others = graph.node.filter(({ name }) => !names.has(name));
  const node = others.map((each) => writing(reading(each, inner, output), inner, output));
  return shallowCopy<ModelProto>(proto, { graph: shallowCopy<GraphProto>(graph, { node }) });
}

function elementType({ type }: ValueInfoProto): DataType | undefined {
  return dataTypeOf(type?.value.case === 'tensorType' ? type.value.value.elemType : 0);
}

/** Return the nodes of the steps one after another, each with its constant; the last output may have a name of its own. */
function chain(steps: readonly ConstantStep[], first: string, dtype: DataType | undefined, end?: string) {
  let last = first;
  const nodes = steps.flatMap((step, i) => {
    const { op, name, constant } = step;
    const output = i === steps.length - 1 ? (end ?? name) : name;
    const node = create(NodeProtoSchema, { name, opType: op, input: [last, constant], output: [output] });
    last = output;
    return [constantNode(constant, stored(step, dtype)), node];
  });
  return { nodes, last };
}

/** Return a constant in the element type of the file. @throws FileError if it does not fit 16 bits */
function stored({ op, constant, value }: ConstantStep, dtype: DataType | undefined): TensorData {
  if (dtype !== 'float16' && dtype !== 'bfloat16') return value;
  const narrowed = narrow(value, dtype);
  const isFactor = op === 'Mul' || op === 'Div';
  const lost = Array.from(widen(narrowed).data, Number).findIndex((x) => !Number.isFinite(x) || (isFactor && x === 0));
  if (lost < 0) return narrowed;
  throw new FileError(
    `'${constant}' holds ${value.data[lost]}, which does not fit ${dtype}; save the model as float32, or scale the data`,
  );
}

function constantNode(name: string, value: TensorData): NodeProto {
  const attribute = { name: 'value', type: AttributeType.TENSOR, t: encodeTensor(value, name) };
  return create(NodeProtoSchema, {
    name,
    opType: 'Constant',
    output: [name],
    attribute: [create(AttributeProtoSchema, attribute)],
  });
}

/** Return a node that reads `to` instead of `from`, in its bodies as well: names are unique across them. */
function reading(node: NodeProto, from: string, to: string): NodeProto {
  const inGraph = (graph: GraphProto): GraphProto =>
    shallowCopy<GraphProto>(graph, { node: graph.node.map((inner) => reading(inner, from, to)) });
  const attribute = node.attribute.map((each) =>
    each.g || each.graphs.length > 0
      ? shallowCopy(each, { ...(each.g && { g: inGraph(each.g) }), graphs: each.graphs.map(inGraph) })
      : each,
  );
  return shallowCopy<NodeProto>(node, { attribute, input: node.input.map((name) => (name === from ? to : name)) });
}

const writing = (node: NodeProto, from: string, to: string): NodeProto =>
  shallowCopy<NodeProto>(node, { output: node.output.map((name) => (name === from ? to : name)) });
