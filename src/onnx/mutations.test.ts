// 1,000 damaged or hostile files: each is decoded and bound to a batch, or refused with a typed error, without hanging
// and without allocating more than a small multiple of the file.

import { tmpdir } from 'node:os';
import { clone, create, toBinary } from '@bufbuild/protobuf';
import {
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
} from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { CountingBuilder } from '../../test/support/counting-builder.js';
import { modelProto, ramp } from '../../test/support/onnx-models.js';
import { gradients } from '../autodiff/gradients.js';
import { CgfacError } from '../errors.js';
import { inline } from '../graph/inline.js';
import { tensorFrom } from '../graph/tensor.js';
import { modelFromBytes } from '../model/file-model.js';
import { semantics } from '../ops/table.js';
import { type Random, random } from '../random.js';
import { encodeModel } from './encode/writer.js';
import { externalDataIn } from './external-data.js';

const int64 = (...values: number[]) => tensorFrom('int64', [values.length], values);

/** A small network with what mutations can reach: shape arithmetic, attributes, bodies, several element types. */
function original(): ModelProto {
  const proto = modelProto({
    opset: 12,
    inputs: { x: ['float32', ['batch', 2, 6]] },
    initializers: {
      'fc.weight': ramp([12, 4]),
      'fc.bias': ramp([4]),
      rows: int64(0),
      rest: int64(-1),
      axes: int64(1),
      scale: ramp([4]),
      mask: tensorFrom('bool', [4], [1, 0, 1, 1]),
    },
    nodes: [
      { op: 'Shape', name: 'shape', inputs: ['x'], outputs: ['sizes'] },
      { op: 'Gather', name: 'batch', inputs: ['sizes', 'rows'], outputs: ['batch'], attributes: { axis: 0 } },
      { op: 'Concat', name: 'target', inputs: ['batch', 'rest'], outputs: ['flat'], attributes: { axis: 0 } },
      { op: 'Reshape', name: 'flatten', inputs: ['x', 'flat'], outputs: ['rows2'] },
      {
        op: 'Gemm',
        name: 'fc',
        inputs: ['rows2', 'fc.weight', 'fc.bias'],
        outputs: ['h'],
        attributes: { alpha: { float: 1 } },
      },
      { op: 'Where', name: 'mask', inputs: ['mask', 'h', 'scale'], outputs: ['masked'] },
      { op: 'Transpose', name: 'turn', inputs: ['masked'], outputs: ['turned'], attributes: { perm: [1, 0] } },
      { op: 'Transpose', name: 'back', inputs: ['turned'], outputs: ['turnedBack'], attributes: { perm: [1, 0] } },
      {
        op: 'Split',
        name: 'split',
        inputs: ['turnedBack'],
        outputs: ['left', 'right'],
        attributes: { axis: 1, split: [1, 3] },
      },
      { op: 'Slice', name: 'slice', inputs: ['right', 'rows', 'axes', 'axes'], outputs: ['part'] },
      { op: 'Softmax', name: 'softmax', inputs: ['part'], outputs: ['p'] },
      { op: 'ReduceSum', name: 'sum', inputs: ['left'], outputs: ['total'], attributes: { axes: [1], keepdims: 1 } },
      { op: 'Mul', name: 'mul', inputs: ['p', 'total'], outputs: ['y'] },
    ],
    outputs: ['y'],
  });
  return proto;
}

const pick = <T>(source: Random, items: readonly T[]): T => items[source.integer(items.length)] as T;

const absurd = [-1n, 0n, 2n ** 31n, 2n ** 40n, 2n ** 62n, -(2n ** 63n), 3n];
const locations = [
  '../../etc/passwd',
  '/etc/passwd',
  'a/../../../b',
  '..\\..\\b',
  'C:\\b',
  '.',
  '',
  '\0',
  'nothing.bin',
  '/dev/zero',
];

/** Mutations of the message, which keep the file well encoded. */
const structural: readonly ((proto: ModelProto, source: Random) => void)[] = [
  // A cycle, or a value that is computed later.
  (proto, source) => {
    const node = pick(source, proto.graph?.node ?? []);
    node.input[source.integer(Math.max(1, node.input.length))] = pick(
      source,
      pick(source, proto.graph?.node ?? []).output,
    );
  },
  // An input that nothing computes, or that is left out.
  (proto, source) => {
    const node = pick(source, proto.graph?.node ?? []);
    node.input[source.integer(Math.max(1, node.input.length))] = pick(source, [
      '',
      'missing',
      'x',
      'mask',
      'rest',
      'fc.weight',
    ]);
  },
  (proto, source) => {
    const node = pick(source, proto.graph?.node ?? []);
    node.input = node.input.slice(0, source.integer(node.input.length + 1));
  },
  // Absurd sizes of tensors and inputs.
  (proto, source) => {
    const tensor = pick(source, proto.graph?.initializer ?? []);
    if (source.integer(2)) tensor.dims.push(pick(source, absurd));
    else tensor.dims[source.integer(tensor.dims.length)] = pick(source, absurd);
  },
  (proto, source) => {
    const type = proto.graph?.input[0]?.type?.value;
    if (type?.case !== 'tensorType') return;
    const dim = pick(source, type.value.shape?.dim ?? []);
    dim.value = { case: 'dimValue', value: pick(source, absurd) };
  },
  // External data outside the model's folder.
  (proto, source) => {
    const tensor = pick(source, proto.graph?.initializer ?? []);
    tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
    const entries = {
      location: pick(source, locations),
      offset: pick(source, ['0', '-1', '1e9', '99999999999999']),
      length: pick(source, ['', '4', 'x']),
    };
    tensor.externalData = Object.entries(entries).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    );
  },
  // Other elements of integer tensors: axes, positions, target shapes.
  (proto, source) => {
    const tensor = pick(
      source,
      (proto.graph?.initializer ?? []).filter(({ dataType }) => dataType === 7),
    );
    new DataView(tensor.rawData.buffer, tensor.rawData.byteOffset).setBigInt64(0, pick(source, absurd), true);
  },
  // Attributes: other numbers, other kinds.
  (proto, source) => {
    const node = pick(
      source,
      (proto.graph?.node ?? []).filter(({ attribute }) => attribute.length > 0),
    );
    const attribute = pick(source, node.attribute);
    if (source.integer(3) === 0) attribute.type = source.integer(16);
    else if (attribute.ints.length > 0) attribute.ints[source.integer(attribute.ints.length)] = pick(source, absurd);
    else attribute.i = pick(source, absurd);
  },
  // Types, operators, operator sets, nodes.
  (proto, source) => {
    pick(source, proto.graph?.initializer ?? []).dataType = source.integer(40);
  },
  (proto, source) => {
    const ops = [
      'Relu',
      'Conv',
      'Loop',
      'If',
      'Range',
      'Expand',
      'Tile',
      'Constant',
      'ConstantOfShape',
      'Pad',
      'OneHot',
      'Einsum',
      '',
    ];
    pick(source, proto.graph?.node ?? []).opType = pick(source, ops);
  },
  (proto, source) => {
    for (const set of proto.opsetImport) set.version = BigInt(source.integer(30));
  },
  (proto, source) => {
    const nodes = proto.graph?.node ?? [];
    nodes.splice(source.integer(nodes.length), source.integer(2), clone(NodeProtoSchema, pick(source, nodes)));
  },
];

function mutated(source: Random): Uint8Array {
  const proto = original();
  const kind = source.integer(4);
  if (kind > 1) {
    for (let i = 0; i <= source.integer(3); i++) pick(source, structural)(proto, source);
    return toBinary(ModelProtoSchema, proto);
  }
  const bytes = toBinary(ModelProtoSchema, proto);
  if (kind === 0) return bytes.slice(0, source.integer(bytes.length));
  for (let i = 0; i <= source.integer(8); i++) {
    const at = source.integer(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << source.integer(8));
  }
  return bytes;
}

/** Decodes a file, writes it, binds it to a batch of three, and differentiates it. */
function use(bytes: Uint8Array, b: CountingBuilder): void {
  const { graph, encode, parameters } = modelFromBytes(bytes, semantics, { readExternal: externalDataIn(tmpdir()) });
  encode(new Map());
  const bindings = new Map(
    [...graph.inputs, ...parameters.values()].map((value) => {
      const dims = value.shape.map((size) => (typeof size === 'string' ? 3 : size));
      return [value, b.input(value.name, value.dtype, dims)] as const;
    }),
  );
  const [output] = inline(b, graph, bindings).outputs.values();
  if (!output) throw new Error('a graph without outputs was decoded');
  const targets = [...parameters.values()].flatMap((value) => bindings.get(value) ?? []);
  const slopes = gradients(b, b.sum(output), targets);
  encodeModel(b.build('bound', Object.fromEntries([output, ...slopes].map((value, i) => [`${i}`, value]))));
}

describe('1,000 mutated files', () => {
  it('come from one that is in order', () => {
    expect(() => use(toBinary(ModelProtoSchema, original()), new CountingBuilder())).not.toThrow();
  });

  it('are decoded or refused with a typed error, in few nodes and little memory', () => {
    const outcomes = new Map<string, number>();
    const largest = { nodes: 0, bytes: 0 };
    for (let seed = 0; seed < 1000; seed++) {
      const bytes = mutated(random(seed, 'mutation'));
      const b = new CountingBuilder();
      const before = process.memoryUsage().arrayBuffers;
      let outcome = 'bound to a batch';
      try {
        use(bytes, b);
      } catch (error) {
        if (!(error instanceof CgfacError))
          throw new Error(`seed ${seed}: ${error instanceof Error ? error.stack : error}`);
        expect(error.message, `seed ${seed}`).not.toBe('');
        outcome = error.name;
      }
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      largest.nodes = Math.max(largest.nodes, b.nodes);
      largest.bytes = Math.max(largest.bytes, process.memoryUsage().arrayBuffers - before);
    }
    // Each way out is taken by many, or the mutations test nothing.
    expect(outcomes.get('FileError')).toBeGreaterThan(300);
    expect(outcomes.get('GraphError')).toBeGreaterThan(20);
    expect(outcomes.get('UnsupportedError')).toBeGreaterThan(20);
    expect(outcomes.get('bound to a batch')).toBeGreaterThan(40);
    expect(largest.nodes).toBeLessThan(500);
    expect(largest.bytes).toBeLessThan(2 ** 20);
  });
});
