// What the reader makes of files: names, constants, bodies, functions; what our writer writes; and what it refuses.
import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  FunctionProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { decodeModel } from '../../../test/support/decode-model.js';
import { type ModelSpec, modelBytes, modelProto, ramp, runOnnx } from '../../../test/support/onnx-models.js';
import { FileError, UnsupportedError } from '../../errors.js';
import type { Graph } from '../../graph/graph.js';
import { tensorFrom } from '../../graph/tensor.js';
import { autoencoder, mlp } from '../../nn/zoo.js';
import { Builder } from '../../ops/builder.js';
import { semantics } from '../../ops/table.js';
import { encodeModel } from '../encode/writer.js';

const decode = (proto: ModelProto) => decodeModel(toBinary(ModelProtoSchema, proto), semantics);

describe('what our writer writes', () => {
  const looping = (): Graph => {
    const b = new Builder();
    const x = b.input('x', 'float32', [2, 2]);
    const { doubled } = b.loop(3, { doubled: x }, (body, _, { doubled }) => ({
      doubled: body.add(doubled, b.mul(x, 2)),
    }));
    const [chosen] = b.branch(
      b.greater(b.sum(x), 0),
      (inner) => [inner.mul(doubled, 2)],
      (inner) => [inner.neg(inner.add(doubled, x))],
    );
    return b.build('looping', { y: chosen ?? x, first: x, fixed: b.constant(ramp([3]), 'weight') });
  };
  const graphs: readonly [string, () => Graph][] = [
    ['a multi-layer perceptron', () => mlp({ seed: 1, sizes: [6, 5, 3] }).graph],
    ['an autoencoder', () => autoencoder({ seed: 1, sizes: [6, 4, 2] }).graph],
    ['a graph with a loop and a branch', looping],
  ];
  it.each(graphs)('is read back as the same graph: %s', (_, make) => {
    const written = encodeModel(make());
    const read = decodeModel(written, semantics);
    expect(encodeModel(read.graph)).toEqual(written);
    expect(read.graph.inputs.map(({ name }) => name)).toEqual(make().inputs.map(({ name }) => name));
  });

  it('computes the same after reading, on both sides of a branch', async () => {
    const written = encodeModel(looping());
    const again = encodeModel(decodeModel(written, semantics).graph);
    for (const scale of [1, -1]) {
      const x = tensorFrom('float32', [2, 2], [scale, 2 * scale, 3 * scale, 4 * scale]);
      const { y } = await runOnnx(again, { x });
      expect(y?.data).toEqual(Float32Array.from([1, 2, 3, 4], (n) => (scale > 0 ? 14 * n : 8 * n)));
      expect(await runOnnx(again, { x })).toEqual(await runOnnx(written, { x }));
    }
  });
});

const relu: ModelSpec = {
  opset: 17,
  inputs: { x: ['float32', ['batch', 3]] },
  nodes: [{ op: 'Relu', name: 'act', inputs: ['x'], outputs: ['y'] }],
  outputs: ['y'],
};

describe('reading', () => {
  it('keeps names, symbolic sizes and initializers, used or not', () => {
    const model = decode(
      modelProto({
        ...relu,
        initializers: { 'fc.weight': ramp([3, 2]), unused: ramp([1]) },
        nodes: [
          { op: 'MatMul', name: '/fc/MatMul', inputs: ['x', 'fc.weight'], outputs: ['/fc/MatMul_output_0'] },
          { op: 'Relu', name: '/act/Relu', inputs: ['/fc/MatMul_output_0'], outputs: ['y'] },
        ],
      }),
    );
    expect(model.graph.nodes.map(({ name }) => name)).toEqual(['/fc/MatMul', '/act/Relu']);
    expect(model.graph.nodes[0]?.outputs[0]?.type).toEqual({ dtype: 'float32', shape: ['batch', 2] });
    expect(model.initializers.map(({ name }) => name)).toEqual(['fc.weight', 'unused']);
  });

  it('takes an input with an initializer as the initializer (files before IR version 4)', () => {
    const model = decode(
      modelProto({
        ...relu,
        inputs: { x: ['float32', [2, 3]], w: ['float32', [3]] },
        initializers: { w: ramp([3]) },
        nodes: [{ op: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
      }),
    );
    expect(model.graph.inputs.map(({ name }) => name)).toEqual(['x']);
  });

  it('orders outputs as the file does, whatever they are called', () => {
    const nodes = ['b', '7', '3'].map((name) => ({ op: 'Relu', inputs: ['x'], outputs: [name] }));
    const { graph } = decode(modelProto({ ...relu, nodes, outputs: ['b', '7', '3'] }));
    expect(graph.outputs.map(({ name }) => name)).toEqual(['b', '7', '3']);
  });

  it('reads Constant nodes in all their forms and tensors in typed fields', async () => {
    const proto = modelProto({
      ...relu,
      nodes: [
        { op: 'Constant', inputs: [], outputs: ['a'], attributes: { value_float: { float: 1.5 } } },
        { op: 'Constant', inputs: [], outputs: ['b'], attributes: { value_floats: { floats: [1, 2, 3] } } },
        { op: 'Constant', inputs: [], outputs: ['c'], attributes: { value_int: 3 } },
        { op: 'Constant', inputs: [], outputs: ['d'], attributes: { value_ints: [-1, 3] } },
        { op: 'Mul', inputs: ['a', 'b'], outputs: ['ab'] },
        { op: 'Add', inputs: ['x', 'ab'], outputs: ['sum'] },
        { op: 'Add', inputs: ['sum', 'typed'], outputs: ['more'] },
        { op: 'Unsqueeze', inputs: ['more', 'c0'], outputs: ['wide'] },
        { op: 'Reshape', inputs: ['wide', 'd'], outputs: ['y'] },
      ],
      initializers: { c0: tensorFrom('int64', [1], [0]) },
    });
    proto.graph?.initializer.push(
      create(TensorProtoSchema, { name: 'typed', dataType: 1, dims: [3n], floatData: [0.5, -0.5, 0] }),
    );
    const x = ramp([2, 3]);
    const expected = await runOnnx(toBinary(ModelProtoSchema, proto), { x });
    expect(await runOnnx(encodeModel(decode(proto).graph), { x })).toEqual(expected);
  });

  it('knows the element types that attributes name, and writes them back', async () => {
    const bytes = modelBytes({
      opset: 17,
      inputs: { x: ['int64', [2, 2]] },
      nodes: [
        { op: 'EyeLike', inputs: ['x'], outputs: ['eye'], attributes: { dtype: 1 } },
        { op: 'Cast', inputs: ['x'], outputs: ['numbers'], attributes: { to: 1 } },
        { op: 'Mul', inputs: ['eye', 'numbers'], outputs: ['y'] },
      ],
      outputs: ['y'],
    });
    const { graph } = decodeModel(bytes, semantics);
    expect(graph.outputs[0]?.value.type).toEqual({ dtype: 'float32', shape: [2, 2] });
    const x = tensorFrom('int64', [2, 2], [1, 2, 3, 4]);
    expect(await runOnnx(encodeModel(graph), { x })).toEqual({ y: tensorFrom('float32', [2, 2], [1, 0, 0, 4]) });
  });

  it('lets an unknown operator pass, with the type that the file declares', () => {
    const proto = modelProto({
      ...relu,
      nodes: [
        { op: 'Mystery', domain: 'com.example', inputs: ['x'], outputs: ['m'] },
        { op: 'Relu', inputs: ['m'], outputs: ['y'] },
      ],
    });
    const untyped = decode(proto).graph.nodes[1]?.outputs[0];
    expect(untyped?.knownType).toBeUndefined();
    expect(() => untyped?.type).toThrow(UnsupportedError);
    proto.graph?.valueInfo.push(
      create(ValueInfoProtoSchema, {
        name: 'm',
        type: {
          value: {
            case: 'tensorType',
            value: { elemType: 1, shape: { dim: [{ value: { case: 'dimParam', value: 'batch' } }, {}] } },
          },
        },
      }),
    );
    const typed = decode(proto).graph.nodes[1]?.outputs[0];
    expect(typed?.dtype).toBe('float32');
    expect(typed?.shape[0]).toBe('batch');
  });

  it('writes out the functions of a model as ONNX Runtime does', async () => {
    const proto = modelProto({
      ...relu,
      nodes: [
        {
          op: 'Scaled',
          domain: 'local',
          name: 'one',
          inputs: ['x'],
          outputs: ['h'],
          attributes: { slope: { float: 0.5 } },
        },
        { op: 'Scaled', domain: 'local', name: 'two', inputs: ['h'], outputs: ['y'] },
      ],
    });
    proto.opsetImport.push({ ...proto.opsetImport[0], domain: 'local', version: 1n } as never);
    const alpha = { name: 'alpha', type: AttributeType.FLOAT };
    proto.functions.push(
      create(FunctionProtoSchema, {
        domain: 'local',
        name: 'Scaled',
        input: ['v'],
        output: ['r'],
        attributeProto: [{ name: 'slope', type: AttributeType.FLOAT, f: 0.25 }],
        opsetImport: [{ domain: '', version: 17n }],
        node: [
          create(NodeProtoSchema, {
            opType: 'LeakyRelu',
            input: ['v'],
            output: ['t'],
            attribute: [create(AttributeProtoSchema, { ...alpha, refAttrName: 'slope' })],
          }),
          create(NodeProtoSchema, { opType: 'Add', input: ['t', 'v'], output: ['r'] }),
        ],
      }),
    );
    const x = ramp([2, 3]);
    const { graph } = decode(proto);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['LeakyRelu', 'Add', 'LeakyRelu', 'Add']);
    expect(await runOnnx(encodeModel(graph), { x })).toEqual(await runOnnx(toBinary(ModelProtoSchema, proto), { x }));
  });
});

describe('files that are not well formed', () => {
  const node = (op: string, inputs: string[], outputs: string[]) => ({ op, name: op.toLowerCase(), inputs, outputs });
  const withTensor = (fields: object): ModelProto => {
    const proto = modelProto({ ...relu, nodes: [node('Add', ['x', 'w'], ['y'])] });
    proto.graph?.initializer.push(create(TensorProtoSchema, { name: 'w', dataType: 1, dims: [3n], ...fields }));
    return proto;
  };
  const recursive = (): ModelProto => {
    const proto = modelProto({ ...relu, nodes: [{ op: 'F', domain: 'local', inputs: ['x'], outputs: ['y'] }] });
    const call = create(NodeProtoSchema, { opType: 'F', domain: 'local', input: ['v'], output: ['r'] });
    proto.functions.push(
      create(FunctionProtoSchema, { domain: 'local', name: 'F', input: ['v'], output: ['r'], node: [call] }),
    );
    return proto;
  };
  const nested = (depth: number): ModelProto => {
    let graph = create(GraphProtoSchema, { name: 'inner' });
    for (let i = 0; i < depth; i++) {
      const attribute = [create(AttributeProtoSchema, { name: 'body', type: AttributeType.GRAPH, g: graph })];
      graph = create(GraphProtoSchema, {
        name: 'outer',
        node: [create(NodeProtoSchema, { opType: 'Scan', attribute })],
      });
    }
    const proto = modelProto(relu);
    proto.graph?.node.push(...graph.node);
    return proto;
  };
  const named = (name: string): ModelProto =>
    modelProto({ ...relu, nodes: [node('Relu', ['x'], [name])], outputs: [name] });
  const cases: readonly [string, () => ModelProto, RegExp][] = [
    [
      'a value that nothing computes',
      () => modelProto({ ...relu, nodes: [node('Add', ['x', 'z'], ['y'])] }),
      /Add node 'add' reads 'z', which nothing computes/,
    ],
    [
      'a cycle',
      () =>
        modelProto({ ...relu, nodes: [node('Add', ['x', 'b'], ['a']), node('Relu', ['a'], ['b'])], outputs: ['b'] }),
      /Add node 'add' reads 'b', which is computed later: the nodes are out of order or form a cycle/,
    ],
    [
      'two nodes of one name',
      () => modelProto({ ...relu, nodes: [node('Relu', ['x'], ['y']), node('Abs', ['x'], ['y'])] }),
      /Abs node 'abs' defines 'y'/,
    ],
    ['an output named as an input', () => named('x'), /Relu node 'relu' defines 'x'/],
    [
      'an output that nothing computes',
      () => modelProto({ ...relu, outputs: ['z'] }),
      /the output 'z' is computed by no node/,
    ],
    ['no outputs', () => modelProto({ ...relu, outputs: [] }), /the model has no outputs/],
    ['no graph', () => create(ModelProtoSchema, { irVersion: 8n }), /it holds no graph/],
    ['no operator set', () => Object.assign(modelProto(relu), { opsetImport: [] }), /does not say which version/],
    [
      'a negative dimension',
      () => withTensor({ dims: [-3n], rawData: new Uint8Array(12) }),
      /tensor 'w' has a dimension of size -3/,
    ],
    [
      'absurd dimensions',
      () => withTensor({ dims: [2n ** 40n, 2n ** 40n] }),
      /tensor 'w' of shape .* is larger than any file/,
    ],
    [
      'large dimensions without data',
      () => withTensor({ dims: [2n ** 40n] }),
      /needs 1099511627776 elements, but the file holds 0/,
    ],
    [
      'truncated raw data',
      () => withTensor({ rawData: new Uint8Array(11) }),
      /'w' is float32\[3\] and needs 12 bytes, but the file holds 11/,
    ],
    ['truncated typed data', () => withTensor({ floatData: [1, 2] }), /needs 3 elements, but the file holds 2/],
    ['an undefined element type', () => withTensor({ dataType: 77 }), /element type 77, which ONNX does not define/],
    ['a function that calls itself', recursive, /the function 'F' calls itself, or calls are nested too deeply/],
    ['bodies nested 28 deep', () => nested(28), /nested too deeply/],
    [
      'an input of absurd size',
      () => modelProto({ ...relu, inputs: { x: ['float32', [-5]] } }),
      /'x' has a dimension of size -5/,
    ],
  ];
  it.each(cases)('%s is named', (_, make, message) => {
    expect(() => decode(make())).toThrow(FileError);
    expect(() => decode(make())).toThrow(message);
  });

  it('says what is only not supported', () => {
    expect(() => decode(withTensor({ dataType: 17, rawData: new Uint8Array(3) }))).toThrow(UnsupportedError);
    expect(() => decode(withTensor({ dataType: 8 }))).toThrow(/tensor 'w' has elements of type string/);
  });

  it('survives messages nested 6,000 deep', () => {
    // Length-prefixed fields: graph.node.attribute.g.node.… by hand, since no encoder writes this.
    let bytes = new Uint8Array(0);
    const field = (tag: number, content: Uint8Array) => {
      const length: number[] = [];
      for (let rest = content.length; ; rest >>>= 7) {
        length.push(rest > 127 ? (rest & 127) | 128 : rest);
        if (rest <= 127) break;
      }
      return new Uint8Array([tag, ...length, ...content]);
    };
    for (let i = 0; i < 2000; i++) bytes = field(0x0a, field(0x2a, field(0x32, bytes)));
    expect(() => decodeModel(field(0x3a, bytes), semantics)).toThrow(FileError);
  });

  it('names bytes that are no model', () => {
    expect(() => decodeModel(new TextEncoder().encode('<!DOCTYPE html>'), semantics)).toThrow(/not an ONNX model/);
    expect(() => decodeModel(new Uint8Array(), semantics)).toThrow(/not an ONNX model: it holds no graph/);
    expect(() => decodeModel(modelBytes(relu).subarray(0, 40), semantics)).toThrow(FileError);
  });
});
