// New heads on classifiers as exporters write them: found, resized in the file, and nothing else touched.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, TensorProto_DataType, TypeProtoSchema } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import {
  type ModelSpec,
  modelBytes,
  modelProto,
  type NodeSpec,
  ramp,
  runOnnx,
} from '../../../test/support/onnx-models.js';
import { UnsupportedError } from '../../errors.js';
import { type TensorData, tensorFrom } from '../../graph/tensor.js';
import { semantics } from '../../ops/table.js';
import { modelFromBytes } from '../file-model.js';
import { headOf, replaceHead } from './head.js';
import { selectParameters } from './select.js';

const int64 = (...values: number[]) => tensorFrom('int64', [values.length], values);
const node = (op: string, inputs: string[], output: string, attributes: NodeSpec['attributes'] = {}): NodeSpec => ({
  ...{ op, inputs, outputs: [output], attributes },
  name: `/${output}/${op}`,
});

/** A convolution to 5 channels, and what follows it up to the output `y`. */
function convolutional(initializers: Record<string, TensorData>, nodes: readonly NodeSpec[]): ModelSpec {
  return {
    ...{ opset: 17, outputs: ['y'], inputs: { x: ['float32', ['batch', 3, 4, 4]] } },
    initializers: { 'stem.weight': ramp([5, 3, 1, 1]), 'stem.bias': ramp([5]), ...initializers },
    nodes: [node('Conv', ['x', 'stem.weight', 'stem.bias'], 'stem'), node('Relu', ['stem'], 'f'), ...nodes],
  };
}

/** Tokens of width 5 after a layer, and what follows. */
function tokens(initializers: Record<string, TensorData>, nodes: readonly NodeSpec[]): ModelSpec {
  return {
    ...{ opset: 17, outputs: ['y'], inputs: { x: ['float32', ['batch', 'length', 3]] } },
    initializers: { embed: ramp([3, 5]), 'embed.bias': ramp([5]), ...initializers },
    nodes: [node('MatMul', ['x', 'embed'], 'm'), node('Add', ['embed.bias', 'm'], 't'), ...nodes],
  };
}

const dense = { 'classifier.weight': ramp([4, 5]), 'classifier.bias': ramp([4]) };
const gemm = (input: string, output = 'y') =>
  node('Gemm', [input, 'classifier.weight', 'classifier.bias'], output, { transB: 1 });
const pooled = node('GlobalAveragePool', ['f'], 'pooled');
const flat = node('Flatten', ['pooled'], 'flat', { axis: 1 });
const cls = node('Gather', ['t', 'first'], 'cls', { axis: 1 });

/** By architecture: the file, its head, and the shape of two examples' output with 7 classes. */
const architectures: Record<string, [ModelSpec, string[], number[]]> = {
  'ResNet: pooled, flattened, Gemm': [
    convolutional(dense, [pooled, flat, gemm('flat')]),
    ['classifier.weight', 'classifier.bias'],
    [2, 7],
  ],
  'MobileNet: mean over the picture, Dropout, Gemm': [
    convolutional({ ...dense, ratio: tensorFrom('float32', [], [0.2]), mode: tensorFrom('bool', [], [0]) }, [
      node('ReduceMean', ['f'], 'flat', { axes: [2, 3], keepdims: 0 }),
      node('Dropout', ['flat', 'ratio', 'mode'], 'dropped'),
      gemm('dropped'),
    ]),
    ['classifier.weight', 'classifier.bias'],
    [2, 7],
  ],
  'ConvNeXt: channels last, normalized, Gemm, and Softmax at the end': [
    convolutional({ ...dense, 'norm.weight': ramp([5]), 'norm.bias': ramp([5]) }, [
      pooled,
      flat,
      node('LayerNormalization', ['flat', 'norm.weight', 'norm.bias'], 'n'),
      gemm('n', 'logits'),
      node('Softmax', ['logits'], 'y', { axis: 1 }),
    ]),
    ['classifier.weight', 'classifier.bias'],
    [2, 7],
  ],
  'ViT: the first token, Gemm': [
    tokens({ ...dense, first: tensorFrom('int64', [], [0]) }, [cls, gemm('cls')]),
    ['classifier.weight', 'classifier.bias'],
    [2, 7],
  ],
  'BERT: the first token, a pooler with Tanh, MatMul and Add': [
    tokens(
      {
        ...{ first: tensorFrom('int64', [], [0]), 'pooler.weight': ramp([5, 5]), 'pooler.bias': ramp([5]) },
        ...{ 'onnx::MatMul_80': ramp([5, 4]), 'classifier.bias': ramp([4]) },
      },
      [
        cls,
        node('Gemm', ['cls', 'pooler.weight', 'pooler.bias'], 'p', { transB: 1 }),
        node('Tanh', ['p'], 'a'),
        node('MatMul', ['a', 'onnx::MatMul_80'], 'u'),
        node('Add', ['classifier.bias', 'u'], 'y'),
      ],
    ),
    ['onnx::MatMul_80', 'classifier.bias'],
    [2, 7],
  ],
  'RoBERTa: the first token is taken after the last layer': [
    tokens({ first: tensorFrom('int64', [], [0]), 'onnx::MatMul_9': ramp([5, 4]), bias: ramp([4]) }, [
      node('MatMul', ['t', 'onnx::MatMul_9'], 'u'),
      node('Add', ['u', 'bias'], 'each'),
      node('Gather', ['each', 'first'], 'y', { axis: 1 }),
    ]),
    ['onnx::MatMul_9', 'bias'],
    [2, 7],
  ],
  'a language model: logits for each token, by transposed weights, without bias': [
    tokens({ 'lm_head.weight': ramp([4, 5]) }, [
      node('Transpose', ['lm_head.weight'], 'turned', { perm: [1, 0] }),
      node('MatMul', ['t', 'turned'], 'y'),
    ]),
    ['lm_head.weight'],
    [2, 6, 7],
  ],
  'SqueezeNet: convolution, Relu, pooled, flattened': [
    convolutional({ 'classifier.1.weight': ramp([4, 5, 1, 1]), 'classifier.1.bias': ramp([4]) }, [
      node('Conv', ['f', 'classifier.1.weight', 'classifier.1.bias'], 'c'),
      node('Relu', ['c'], 'r'),
      node('GlobalAveragePool', ['r'], 'pooled'),
      node('Flatten', ['pooled'], 'y', { axis: 1 }),
    ]),
    ['classifier.1.weight', 'classifier.1.bias'],
    [2, 7],
  ],
  'pooled and convolved: reshaped to [batch, classes] by computed sizes': [
    convolutional({ 'fc.weight': ramp([4, 5, 1, 1]), zero: int64(0), minus: int64(-1) }, [
      pooled,
      node('Conv', ['pooled', 'fc.weight'], 'c'),
      node('Shape', ['c'], 's'),
      node('Gather', ['s', 'zero'], 'n', { axis: 0 }),
      node('Concat', ['n', 'minus'], 'shape', { axis: 0 }),
      node('Reshape', ['c', 'shape'], 'y'),
    ]),
    ['fc.weight'],
    [2, 7],
  ],
  'pooled by AveragePool and squeezed': [
    convolutional({ 'fc.weight': ramp([4, 5, 1, 1]), 'fc.bias': ramp([4]), axes: int64(2, 3) }, [
      node('Conv', ['f', 'fc.weight', 'fc.bias'], 'c'),
      node('AveragePool', ['c'], 'p', { kernel_shape: [4, 4] }),
      node('Squeeze', ['p', 'axes'], 'y'),
    ]),
    ['fc.weight', 'fc.bias'],
    [2, 7],
  ],
  'a segmentation network: a convolution, resized, LogSoftmax over the second axis': [
    convolutional({ 'out.weight': ramp([4, 5, 1, 1]), scales: tensorFrom('float32', [4], [1, 1, 2, 2]) }, [
      node('Conv', ['f', 'out.weight'], 'c'),
      node('Resize', ['c', '', 'scales'], 'r', { mode: 'nearest' }),
      node('LogSoftmax', ['r'], 'y', { axis: 1 }),
    ]),
    ['out.weight'],
    [2, 7, 8, 8],
  ],
  'cast and clipped logits, divided by a temperature': [
    convolutional({ ...dense, temperature: tensorFrom('float32', [], [2]) }, [
      pooled,
      flat,
      gemm('flat', 'logits'),
      node('Div', ['logits', 'temperature'], 'soft'),
      node('Cast', ['soft'], 'y', { to: TensorProto_DataType.FLOAT }),
    ]),
    ['classifier.weight', 'classifier.bias'],
    [2, 7],
  ],
};

describe.each(Object.entries(architectures))('%s', (_, [spec, head, dims]) => {
  const proto = modelBytes(spec);
  const load = () => modelFromBytes(proto, semantics, { name: 'exported' });

  it('gets a new head', async () => {
    const model = load();
    expect(headOf(model)).toEqual(head);
    const changed = replaceHead(model, 7, 1);
    expect([...changed.parameters.keys()]).toEqual([...model.parameters.keys()]);
    const unmoved = [...model.parameters.keys()].filter((name) => !head.includes(name));
    for (const name of unmoved) {
      expect(changed.parameters.get(name)?.constant).toEqual(model.parameters.get(name)?.constant);
    }
    const written = changed.encode(new Map());
    const x = spec.inputs.x?.[1].map((size) => (size === 'batch' ? 2 : size === 'length' ? 6 : Number(size)));
    expect((await runOnnx(written, { x: ramp(x ?? []) })).y?.dims).toEqual(dims);
    const nodes = (bytes: Uint8Array) => fromBinary(ModelProtoSchema, bytes).graph?.node;
    expect(nodes(written)).toEqual(nodes(proto));
    expect(replaceHead(changed, 4, 2).parameters.get(head[0] ?? '')?.dims).toEqual(
      model.parameters.get(head[0] ?? '')?.dims,
    );
    expect([...selectParameters(changed, { freeze: unmoved }).parameters.keys()].sort()).toEqual([...head].sort());
  });
});

describe('the declared output', () => {
  it.each([
    ['[batch, 4]', [pooled, flat, gemm('flat')], dense, ['batch', 4], ['batch', 7]],
    [
      '[batch, classes, height, width]',
      [node('Conv', ['f', 'out'], 'y')],
      { out: ramp([4, 5, 1, 1]) },
      ['batch', 'k', 4, 4],
      ['batch', 7, 4, 4],
    ],
  ] as const)('%s has the new number of classes', (_, nodes, initializers, before, after) => {
    const proto = modelProto(convolutional(initializers, nodes));
    const dim = before.map((size) =>
      typeof size === 'number'
        ? { value: { case: 'dimValue' as const, value: BigInt(size) } }
        : { value: { case: 'dimParam' as const, value: size } },
    );
    const type = create(TypeProtoSchema, {
      value: { case: 'tensorType', value: { elemType: TensorProto_DataType.FLOAT, shape: { dim } } },
    });
    for (const output of proto.graph?.output ?? []) output.type = type;
    const changed = replaceHead(modelFromBytes(toBinary(ModelProtoSchema, proto), semantics), 7, 1);
    const [output] = fromBinary(ModelProtoSchema, changed.encode(new Map())).graph?.output ?? [];
    const declared = output?.type?.value.case === 'tensorType' ? output.type.value.value.shape?.dim : [];
    expect(declared?.map(({ value }) => (value.case === 'dimValue' ? Number(value.value) : value.value))).toEqual(
      after,
    );
  });
});

describe('a head that cannot be replaced', () => {
  const norm = { 'bn.weight': ramp([4]), 'bn.bias': ramp([4]), 'bn.mean': ramp([4]), 'bn.var': ramp([4]) };
  it.each([
    [
      'is a sum of two branches',
      convolutional({ ...dense, 'other.weight': ramp([4, 5]) }, [
        ...[pooled, flat, gemm('flat', 'a')],
        node('Gemm', ['flat', 'other.weight'], 'b', { transB: 1 }),
        node('Add', ['a', 'b'], 'y'),
      ]),
      /its output comes from Add node '\/y\/Add'/,
    ],
    [
      'is normalized',
      convolutional({ ...dense, ...norm }, [
        ...[pooled, flat, gemm('flat', 'a')],
        node('BatchNormalization', ['a', ...Object.keys(norm)], 'y'),
      ]),
      /its output comes from BatchNormalization node/,
    ],
    [
      'is arranged by its old number of classes',
      convolutional({ ...dense, shape: int64(-1, 2, 2) }, [
        ...[pooled, flat, gemm('flat', 'a')],
        node('Reshape', ['a', 'shape'], 'y'),
      ]),
      /with 7 classes, .*Reshape/,
    ],
    [
      'is divided by a temperature for each class',
      convolutional({ ...dense, temperature: ramp([4]) }, [
        ...[pooled, flat, gemm('flat', 'a')],
        node('Div', ['a', 'temperature'], 'y'),
      ]),
      /with 7 classes, /,
    ],
    [
      'is an embedding as well',
      {
        ...{ opset: 17, outputs: ['y'], inputs: { ids: ['int64', ['batch', 'length']] as const } },
        initializers: { table: ramp([4, 5]) },
        nodes: [
          node('Gather', ['table', 'ids'], 'h'),
          node('Transpose', ['table'], 'turned', { perm: [1, 0] }),
          node('MatMul', ['h', 'turned'], 'y'),
        ],
      },
      /its 'table' is used elsewhere as well \(tied weights\)/,
    ],
  ] as const)('%s: the error says so, and what to do', (_, spec: ModelSpec, message) => {
    const replace = () => replaceHead(modelFromBytes(modelBytes(spec), semantics, { name: 'exported' }), 7, 1);
    expect(replace).toThrow(UnsupportedError);
    expect(replace).toThrow(message);
    expect(replace).toThrow(/export the model with such a classifier at its end/);
  });
});
