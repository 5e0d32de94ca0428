// Declares another size of a model's first output, as of one with another last layer.
import type { GraphProto, ModelProto, TypeProto, ValueInfoProto } from 'onnx-buf';
import { shallowCopy } from '../message-copy.js';

/** Return the message with a size of its first output. The types of inner values are dropped: they are inferred again. */
export function withOutputSize(proto: ModelProto, axis: number, size: number): ModelProto {
  const { graph } = proto;
  if (!graph) return proto;
  const output = graph.output.map((info, i) => (i === 0 ? sized(info, axis, size) : info));
  return shallowCopy<ModelProto>(proto, { graph: shallowCopy<GraphProto>(graph, { output, valueInfo: [] }) });
}

function sized(info: ValueInfoProto, axis: number, size: number): ValueInfoProto {
  const { type } = info;
  if (type?.value.case !== 'tensorType' || !type.value.value.shape) return info;
  const { shape } = type.value.value;
  const dim = shape.dim.map((each, i) =>
    i === axis ? shallowCopy(each, { value: { case: 'dimValue' as const, value: BigInt(size) } }) : each,
  );
  const value = shallowCopy(type.value.value, { shape: shallowCopy(shape, { dim }) });
  return shallowCopy<ValueInfoProto>(info, {
    type: shallowCopy<TypeProto>(type, { value: { case: 'tensorType', value } }),
  });
}
