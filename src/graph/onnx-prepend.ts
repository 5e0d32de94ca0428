// Puts operators with a constant operand before the first layer of an ONNX file: `x − mean`, `x / deviation`.
import { create } from '@bufbuild/protobuf';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  NodeProtoSchema,
} from 'onnx-buf';
import { FileError } from '../errors.js';
import { narrow } from './half-precision.js';
import { shallowCopy } from './message-copy.js';
import { dataTypeOf, encodeTensor } from './onnx-types.js';
import type { TensorData } from './tensor.js';

/** A node `op(previous, constant)`. */
export interface PrependedStep {
  readonly op: string;
  /** Name of the node and of its output. */
  readonly name: string;
  /** Name of the constant. */
  readonly constant: string;
  readonly value: TensorData;
}

/**
 * The message with the steps between its input and all nodes that read it. Inputs and outputs keep their names, constants
 * are Constant nodes of the input's element type, so that no reader takes them for weights. The message itself, whose
 * parts others may share, stays as it is.
 * @throws FileError where the graph has no such input
 */
export function prepended(proto: ModelProto, input: string, steps: readonly PrependedStep[]): ModelProto {
  const { graph } = proto;
  const declared = graph?.input.find(({ name }) => name === input);
  if (!graph || !declared) throw new FileError(`the model holds no graph with an input '${input}'`);
  const type = declared.type?.value;
  const dtype = dataTypeOf(type?.case === 'tensorType' ? type.value.elemType : 0);
  let last = input;
  const before = steps.flatMap(({ op, name, constant, value }) => {
    const stored = dtype === 'float16' || dtype === 'bfloat16' ? narrow(value, dtype) : value;
    const node = create(NodeProtoSchema, { name, opType: op, input: [last, constant], output: [name] });
    last = name;
    return [constantNode(constant, stored), node];
  });
  const node = [...before, ...graph.node.map((each) => reading(each, input, last))];
  return shallowCopy<ModelProto>(proto, { graph: shallowCopy<GraphProto>(graph, { node }) });
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

/** A node that reads `to` where it read `from`, in its bodies as well: names are unique across them. */
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
