// Small ONNX files for tests, written as messages, and ONNX Runtime to run them: an oracle that shares no code with us.
import { create, toBinary } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  type TensorProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import * as ort from 'onnxruntime-node';
import { type DataType, type TensorData, tensorFrom } from '../../src/graph/tensor.js';
import { encodeTensor } from '../../src/onnx/encode/tensor.js';
import { onnxCode } from '../../src/onnx/types.js';

export type AttributeValue =
  | number
  | string
  | readonly number[]
  | { readonly floats: readonly number[] }
  | { readonly float: number }
  | { readonly tensor: TensorData };

export interface NodeSpec {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly name?: string;
  readonly domain?: string;
}

export interface ModelSpec {
  readonly opset: number;
  readonly inputs: Readonly<Record<string, readonly [DataType, readonly (number | string)[]]>>;
  readonly initializers?: Readonly<Record<string, TensorData>>;
  readonly nodes: readonly NodeSpec[];
  readonly outputs: readonly string[];
}

function attribute(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === 'number')
    return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(value) });
  if (typeof value === 'string') {
    return create(AttributeProtoSchema, { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) });
  }
  if ('tensor' in value) {
    return create(AttributeProtoSchema, { name, type: AttributeType.TENSOR, t: encodeTensor(value.tensor) });
  }
  if ('float' in value) return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: value.float });
  if ('floats' in value) {
    return create(AttributeProtoSchema, { name, type: AttributeType.FLOATS, floats: [...value.floats] });
  }
  return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: value.map(BigInt) });
}

export function modelProto(spec: ModelSpec): ModelProto {
  const initializer: TensorProto[] = Object.entries(spec.initializers ?? {}).map(([name, data]) =>
    encodeTensor(data, name),
  );
  return create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: 'test',
    opsetImport: [
      { domain: '', version: BigInt(spec.opset) },
      { domain: 'com.microsoft', version: 1n },
    ],
    graph: create(GraphProtoSchema, {
      name: 'test',
      initializer,
      input: Object.entries(spec.inputs).map(([name, [dtype, shape]]) =>
        create(ValueInfoProtoSchema, {
          name,
          type: {
            value: {
              case: 'tensorType',
              value: {
                elemType: onnxCode(dtype),
                shape: {
                  dim: shape.map((size) => ({
                    value:
                      typeof size === 'number'
                        ? { case: 'dimValue' as const, value: BigInt(size) }
                        : { case: 'dimParam' as const, value: size },
                  })),
                },
              },
            },
          },
        }),
      ),
      output: spec.outputs.map((name) => create(ValueInfoProtoSchema, { name })),
      node: spec.nodes.map((node) =>
        create(NodeProtoSchema, {
          opType: node.op,
          domain: node.domain ?? '',
          name: node.name ?? '',
          input: [...node.inputs],
          output: [...node.outputs],
          attribute: Object.entries(node.attributes ?? {}).map(([name, value]) => attribute(name, value)),
        }),
      ),
    }),
  });
}

export const modelBytes = (spec: ModelSpec): Uint8Array => toBinary(ModelProtoSchema, modelProto(spec));

/** Runs a file in ONNX Runtime. */
export async function runOnnx(
  bytes: Uint8Array,
  feeds: Readonly<Record<string, TensorData>>,
): Promise<Record<string, TensorData>> {
  const session = await ort.InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const tensors = Object.entries(feeds).map(([name, { dtype, dims, data }]) => [
    name,
    new ort.Tensor(dtype as 'float32', data as Float32Array, [...dims]),
  ]);
  const results = await session.run(Object.fromEntries(tensors));
  const outputs = Object.entries(results).map(([name, { type, dims, data }]) => [name, { dtype: type, dims, data }]);
  await session.release();
  return Object.fromEntries(outputs);
}

/** float32 numbers that differ from each other, of both signs, the same each time. */
export function ramp(dims: readonly number[], scale = 1): TensorData {
  const count = dims.reduce((product, size) => product * size, 1);
  return tensorFrom(
    'float32',
    dims,
    Array.from({ length: count }, (_, i) => scale * Math.sin(1 + 1.7 * i)),
  );
}
