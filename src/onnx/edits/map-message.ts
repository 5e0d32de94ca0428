// Applies a change to the parts of a file's message. The message itself stays as it is, and the new one shares every part
// that does not change.
import {
  AttributeProto_AttributeType as AttributeType,
  type FunctionProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type TypeProto,
  type ValueInfoProto,
} from 'onnx-buf';
import { shallowCopy } from '../message-copy.js';

/** Functions that change parts of a message; each returns the part itself if it stays as it is. */
export interface MessageChange {
  /** Tensors: initializers of the graph and of bodies, and attributes of nodes. */
  readonly tensor?: (tensor: TensorProto) => TensorProto;
  /** Declared types of inputs, outputs and values. */
  readonly type?: (type: TypeProto) => TypeProto;
  /** Nodes, whose attributes are changed already. */
  readonly node?: (node: NodeProto) => NodeProto;
}

/** Return the message with a change applied to all of its parts, functions among them. */
export function mapMessage(proto: ModelProto, change: MessageChange): ModelProto {
  const graph = proto.graph && mapGraph(proto.graph, change);
  const functions = mapList(proto.functions, (each) => {
    const node = mapList(each.node, (inner) => mapNode(inner, change));
    return node === each.node ? each : shallowCopy<FunctionProto>(each, { node });
  });
  if (graph === proto.graph && functions === proto.functions) return proto;
  return shallowCopy<ModelProto>(proto, { ...(graph && { graph }), functions });
}

function mapGraph(graph: GraphProto, change: MessageChange): GraphProto {
  const info = (declared: ValueInfoProto): ValueInfoProto => {
    const type = declared.type && change.type?.(declared.type);
    return type === undefined || type === declared.type ? declared : shallowCopy<ValueInfoProto>(declared, { type });
  };
  const initializer = mapList(graph.initializer, (tensor) => change.tensor?.(tensor) ?? tensor);
  const [input, output] = [mapList(graph.input, info), mapList(graph.output, info)];
  const valueInfo = mapList(graph.valueInfo, info);
  const node = mapList(graph.node, (each) => mapNode(each, change));
  const stays =
    initializer === graph.initializer &&
    input === graph.input &&
    output === graph.output &&
    valueInfo === graph.valueInfo &&
    node === graph.node;
  return stays ? graph : shallowCopy<GraphProto>(graph, { initializer, input, output, valueInfo, node });
}

function mapNode(node: NodeProto, change: MessageChange): NodeProto {
  const attribute = mapList(node.attribute, (each) => {
    const t = each.type === AttributeType.TENSOR && each.t ? (change.tensor?.(each.t) ?? each.t) : each.t;
    const g = each.g && mapGraph(each.g, change);
    return t === each.t && g === each.g ? each : shallowCopy(each, { ...(t && { t }), ...(g && { g }) });
  });
  const mapped = attribute === node.attribute ? node : shallowCopy<NodeProto>(node, { attribute });
  return change.node?.(mapped) ?? mapped;
}

/** Return the changed parts; the list itself if no part changes. */
function mapList<Part>(parts: Part[], change: (part: Part) => Part): Part[] {
  const changed = parts.map(change);
  return changed.every((part, i) => part === parts[i]) ? parts : changed;
}
