// Small networks written as PyTorch's two exporters write theirs: gradients against differences of the original file's
// loss in plain ONNX Runtime sessions, block tables, and training whose file computes what was reported.
import { Tensor } from 'onnxruntime-common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../src/engine/engine.js';
import { nodeEngine } from '../src/engine/node.js';
import { type TensorData, tensorFrom } from '../src/graph/tensor.js';
import { adam, cgfac, dataset, kroneckerBlocks, loadModel, predict, train, valueAndGradients } from '../src/index.js';
import { Exporter, integers, numbers } from './support/exporter.js';
import { type AttributeValue, type ModelSpec, modelBytes, type NodeSpec, runOnnx } from './support/onnx-models.js';

interface Exported {
  readonly spec: ModelSpec;
  readonly input: TensorData;
  readonly labels: TensorData;
  readonly blocks: readonly string[];
  /** Reasons by the names of parameters outside all blocks. */
  readonly rest: Readonly<Record<string, string>>;
}

/** Depthwise, squeeze-and-excitation, a skip joined after an upsampling to a computed size, logits for each pixel. */
function unet(): Exported {
  const e = new Exporter('TorchScript');
  const conv = (x: string, name: string, dims: readonly number[], attributes: Record<string, AttributeValue> = {}) =>
    e.op('Conv', [x, e.parameter(`${name}.weight`, dims), e.parameter(`${name}.bias`, [dims[0] ?? 1])], attributes);
  const silu = (x: string) => e.op('Mul', [x, e.op('Sigmoid', [x])]);
  const first = silu(conv('input', 'stem', [4, 2, 3, 3], { pads: [1, 1, 1, 1] }));
  const deep = silu(conv(first, 'depthwise', [4, 1, 3, 3], { pads: [1, 1, 1, 1], strides: [2, 2], group: 4 }));
  const squeezed = silu(conv(e.op('GlobalAveragePool', [deep]), 'se.fc1', [2, 4, 1, 1]));
  const scaled = e.op('Mul', [
    deep,
    e.op('HardSigmoid', [conv(squeezed, 'se.fc2', [4, 2, 1, 1])], { alpha: { float: 1 / 6 } }),
  ]);
  const up = e.op('ConvTranspose', [scaled, e.parameter('up.weight', [4, 3, 2, 2]), e.parameter('up.bias', [3])], {
    strides: [2, 2],
  });
  const sizes = e.op('Concat', [e.size(up, 0), e.size(up, 1), e.size(first, 2), e.size(first, 3)], { axis: 0 });
  const resized = e.op('Resize', [up, '', '', sizes], {
    mode: 'linear',
    coordinate_transformation_mode: 'align_corners',
  });
  conv(e.op('Concat', [first, resized], { axis: 1 }), 'out', [3, 7, 1, 1]);
  e.op('LogSoftmax', [e.nodes.at(-1)?.outputs[0] ?? ''], { axis: 1 }, 'output');
  return {
    spec: { opset: 13, inputs: { input: ['float32', ['batch', 2, 'height', 'width']] }, ...e, outputs: ['output'] },
    input: numbers(2, 2, 5, 6),
    labels: integers(3, 2, 5, 6),
    blocks: [
      ...['stem.weight+stem.bias', 'se.fc1.weight+se.fc1.bias', 'se.fc2.weight+se.fc2.bias', 'out.weight+out.bias'],
      ...['depthwise.weight+depthwise.bias', 'up.weight', 'up.bias'],
    ],
    rest: {},
  };
}

/** Rotary positions, RMS normalization, a causal mask of the most negative number, SwiGLU; weights stored transposed. */
function decoder(): Exported {
  const e = new Exporter('dynamo');
  const [width, half] = [8, 4];
  const embedded = e.op('Gather', [e.parameter('embed_tokens.weight', [300, width], 0, 2), 'input_ids']);
  const length = e.op('Shape', ['input_ids'], { start: 1, end: 2 });
  const steps = e.op('Range', [e.constant(0), e.op('Squeeze', [length]), e.constant(1)]);
  const column = e.op('Cast', [e.op('Unsqueeze', [steps, e.constant([1])])], { to: 1 });
  const angles = e.op('Mul', [column, e.parameter('rotary_emb.inv_freq', [half], 0.5)]);
  const both = e.op('Concat', [angles, angles], { axis: -1 });
  const [cos, sin] = [e.op('Cos', [both]), e.op('Sin', [both])];
  const normalized = (x: string, name: string) => {
    const mean = e.op('ReduceMean', [e.op('Pow', [x, e.constant(2, 'float32')]), e.constant([-1])]);
    const root = e.op('Reciprocal', [e.op('Sqrt', [e.op('Add', [mean, e.constant(1e-6, 'float32')])])]);
    return e.op('Mul', [e.op('Mul', [x, root]), e.parameter(name, [width], 1)]);
  };
  const linear = (x: string, name: string, inputs: number, outputs: number) =>
    e.op('MatMul', [x, e.parameter(name, [inputs, outputs])]);
  const rotated = (x: string) => {
    const end = e.constant([2 ** 53 - 1]);
    const tail = e.op('Neg', [e.op('Slice', [x, e.constant([half]), end, e.constant([2]), e.constant([1])])]);
    const head = e.op('Slice', [x, e.constant([0]), e.constant([half]), e.constant([2]), e.constant([1])]);
    const turned = e.op('Concat', [tail, head], { axis: -1 });
    return e.op('Add', [e.op('Mul', [x, cos]), e.op('Mul', [turned, sin])]);
  };
  const h = normalized(embedded, 'input_layernorm.weight');
  const [q, k] = [rotated(linear(h, 'val_q', width, width)), rotated(linear(h, 'val_k', width, width))];
  const square = e.op('Concat', [length, length], { axis: 0 });
  const fill = e.op('Expand', [e.constant(-3.4028234663852886e38, 'float32'), square]);
  const mask = e.op('Trilu', [fill, e.constant(1)], { upper: 1 });
  const scores = e.op('Add', [e.op('MatMul', [q, e.op('Transpose', [k], { perm: [0, 2, 1] })]), mask]);
  const probabilities = e.op('Softmax', [scores], { axis: -1 });
  const safe = e.op('Where', [e.op('IsNaN', [probabilities]), e.constant(0, 'float32'), probabilities]);
  const attended = e.op('Add', [embedded, e.op('MatMul', [safe, linear(h, 'val_v', width, width)])]);
  const f = normalized(attended, 'post_attention_layernorm.weight');
  const gate = linear(f, 'val_gate', width, 6);
  const gated = e.op('Mul', [e.op('Mul', [gate, e.op('Sigmoid', [gate])]), linear(f, 'val_up', width, 6)]);
  e.op(
    'MatMul',
    [e.op('Add', [attended, linear(gated, 'val_down', 6, width)]), e.parameter('lm_head', [width, 5])],
    {},
    'logits',
  );
  return {
    spec: { opset: 18, inputs: { input_ids: ['int64', ['s0', 's1']] }, ...e, outputs: ['logits'] },
    input: integers(300, 3, 6),
    labels: integers(5, 3, 6),
    blocks: [
      ...['val_q', 'val_k', 'val_v', 'val_gate', 'val_up', 'val_down', 'lm_head'],
      ...['embed_tokens.weight', 'input_layernorm.weight', 'post_attention_layernorm.weight'],
    ],
    rest: {},
  };
}

/** Exported in training mode at opset 12: batch normalization gives five outputs, dropout has ratio 0. */
function trainingMode(): Exported {
  const e = new Exporter('TorchScript');
  const statistics = [
    e.parameter('bn.weight', [4], 1),
    e.parameter('bn.bias', [4]),
    e.parameter('bn.mean', [4]),
    e.parameter('bn.var', [4], 1),
  ];
  const kernel = [e.parameter('conv.weight', [4, 2, 3]), e.parameter('conv.bias', [4])];
  const x = e.op('Conv', ['input', ...kernel], { dilations: [2], pads: [2, 2] });
  const outputs = ['y', 'mean', 'var', 'batch_norm_dead_output-3', 'batch_norm_dead_output-4'];
  e.nodes.push({ op: 'BatchNormalization', name: '/bn', inputs: [x, ...statistics], outputs });
  const mode = tensorFrom('bool', [], [1]);
  e.nodes.push({ op: 'Constant', inputs: [], outputs: ['mode'], attributes: { value: { tensor: mode } } });
  const dropped = e.op('Dropout', [e.op('Tanh', ['y']), e.constant(0, 'float32'), 'mode']);
  const pooled = e.op('ReduceMean', [dropped], { axes: [2], keepdims: 0 });
  e.op('Gemm', [pooled, e.parameter('fc.weight', [3, 4]), e.parameter('fc.bias', [3])], { transB: 1 }, 'output');
  return {
    spec: { opset: 12, inputs: { input: ['float32', ['batch', 2, 'length']] }, ...e, outputs: ['output'] },
    input: numbers(5, 2, 7),
    labels: integers(3, 5),
    blocks: ['conv.weight+conv.bias', 'bn.weight+bn.bias', 'fc.weight+fc.bias'],
    rest: {},
  };
}

/** Two layers of LSTM over any number of positions, the first in both directions, from initial states of a computed shape. */
function torchLstm(): Exported {
  const e = new Exporter('TorchScript');
  const [width, hidden] = [3, 4];
  const zeros = (layers: number) => {
    const shape = e.op('Concat', [e.constant([layers]), e.size('input', 0), e.constant([hidden])], { axis: 0 });
    return e.op('ConstantOfShape', [shape], { value: { tensor: tensorFrom('float32', [1], [0]) } });
  };
  const lstm = (x: string, name: string, directions: number, inputs: number): string => {
    const weights = [
      e.parameter(`${name}.W`, [directions, 4 * hidden, inputs]),
      e.parameter(`${name}.R`, [directions, 4 * hidden, hidden]),
      e.parameter(`${name}.B`, [directions, 8 * hidden]),
    ];
    const outputs = ['Y', 'Y_h', 'Y_c'].map((each) => `${name}.${each}`);
    const attributes = { hidden_size: hidden, ...(directions === 2 && { direction: 'bidirectional' }) };
    const states = [zeros(directions), zeros(directions)];
    e.nodes.push({ op: 'LSTM', name, inputs: [x, ...weights, '', ...states], outputs, attributes });
    return outputs[0] ?? '';
  };
  const first = lstm(e.op('Transpose', ['input'], { perm: [1, 0, 2] }), 'first', 2, width);
  const joined = e.op('Reshape', [e.op('Transpose', [first], { perm: [0, 2, 1, 3] }), e.constant([0, 0, -1])]);
  const second = e.op('Squeeze', [lstm(joined, 'second', 1, 2 * hidden), e.constant([1])]);
  const batchFirst = e.op('Transpose', [second], { perm: [1, 0, 2] });
  const last = e.op('Gather', [batchFirst, e.constant(-1)], { axis: 1 });
  e.op('Gemm', [last, e.parameter('fc.weight', [3, hidden]), e.parameter('fc.bias', [3])], { transB: 1 }, 'output');
  return {
    spec: { opset: 14, inputs: { input: ['float32', ['batch', 'time', width]] }, ...e, outputs: ['output'] },
    input: numbers(5, 6, width),
    labels: integers(3, 5),
    blocks: [...['first.W+first.B', 'first.R+first.B', 'second.W+second.B', 'second.R+second.B', 'fc.weight+fc.bias']],
    rest: {},
  };
}

/** A GRU as Keras' models are converted: only the last state is read, and the initial one is a stored 0 as often as it takes. */
function kerasGru(): Exported {
  const e = new Exporter('dynamo');
  const [width, hidden] = [3, 4];
  const inputs = [
    e.op('Transpose', ['input'], { perm: [1, 0, 2] }),
    e.parameter('gru/W__7', [1, 3 * hidden, width]),
    e.parameter('gru/R__8', [1, 3 * hidden, hidden]),
    e.parameter('gru/B__9', [1, 6 * hidden]),
    '',
    e.op('Expand', [
      e.constant(0, 'float32'),
      e.op('Concat', [e.constant([1]), e.size('input', 0), e.constant([hidden])], { axis: 0 }),
    ]),
  ];
  const attributes = { hidden_size: hidden, linear_before_reset: 1, direction: 'forward' };
  e.nodes.push({ op: 'GRU', name: 'gru', inputs, outputs: ['', 'gru/Y_h'], attributes });
  const last = e.op('Squeeze', ['gru/Y_h', e.constant([0])]);
  const product = e.op('MatMul', [last, e.parameter('dense/kernel', [hidden, 3])]);
  e.op('Add', [product, e.parameter('dense/bias', [3])], {}, 'output');
  return {
    spec: { opset: 15, inputs: { input: ['float32', ['unk__1', 6, width]] }, ...e, outputs: ['output'] },
    input: numbers(5, 6, width),
    labels: integers(3, 5),
    blocks: ['gru/W__7+gru/B__9', 'gru/R__8+gru/B__9', 'dense/kernel+dense/bias'],
    rest: {},
  };
}

/** Mean cross-entropy in float64 of logits that have the classes last, or second as log-probabilities of pixels. */
function crossEntropy({ dims, data }: TensorData, labels: TensorData): number {
  const isLast = dims.length !== 4;
  const classes = dims[isLast ? dims.length - 1 : 1] ?? 1;
  const inner = isLast ? 1 : dims.slice(2).reduce((product, size) => product * size, 1);
  let sum = 0;
  for (const [row, label] of Array.from(labels.data, Number).entries()) {
    const at = (c: number) => Number(data[Math.floor(row / inner) * inner * classes + c * inner + (row % inner)]);
    const logits = Array.from({ length: classes }, (_, c) => at(c));
    sum += Math.log(logits.reduce((total, logit) => total + Math.exp(logit), 0)) - at(label);
  }
  return sum / labels.data.length;
}

const toTensor = ({ dtype, dims, data }: TensorData) => new Tensor(dtype as 'float32', data as Float32Array, dims);

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const models = { unet, decoder, trainingMode, torchLstm, kerasGru };

describe.each(Object.keys(models) as (keyof typeof models)[])('%s', (name) => {
  const { spec, input, labels, blocks, rest } = models[name]();
  const bytes = modelBytes(spec);
  const loss = 'softmax-cross-entropy' as const;
  const inputName = Object.keys(spec.inputs)[0] ?? '';
  // ONNX Runtime trains batch normalization from opset 14 on, where it has three outputs.
  const runnable: ModelSpec = {
    ...spec,
    opset: Math.max(spec.opset, 13) + (name === 'trainingMode' ? 1 : 0),
    nodes: spec.nodes.map((node) =>
      node.op === 'BatchNormalization'
        ? { ...node, outputs: node.outputs.slice(0, 3), attributes: { training_mode: 1 } }
        : node,
    ),
  };
  const lossAt = async (initializers: Readonly<Record<string, TensorData>>): Promise<number> => {
    const file = modelBytes({ ...runnable, initializers: { ...runnable.initializers, ...initializers } });
    const [output] = Object.values(await runOnnx(file, { [inputName]: input }));
    return crossEntropy(output ?? labels, labels);
  };

  it('has the loss and the gradients of the original file', async () => {
    const model = await loadModel(bytes);
    const found = await valueAndGradients(model, { loss, inputs: toTensor(input), targets: toTensor(labels), engine });
    expect(found.loss).toBeCloseTo(await lossAt({}), 5);
    expect([...found.gradients.keys()].sort()).toEqual(
      [...new Set(blocks.flatMap((block) => block.split('+'))), ...Object.keys(rest)].sort(),
    );
    for (const [parameter, { data, dims }] of found.gradients) {
      const start = spec.initializers?.[parameter]?.data as Float32Array;
      const slopes = data as Float32Array;
      // Along the signs of the gradient the slope is a sum without cancellation.
      const slope = slopes.reduce((sum, element) => sum + Math.abs(element), 0) / Math.sqrt(slopes.length);
      const h = 0.02;
      const moved = async (step: number) =>
        lossAt({
          [parameter]: tensorFrom(
            'float32',
            dims,
            Array.from(start, (x, i) => x + (step * Math.sign(slopes[i] ?? 0)) / Math.sqrt(slopes.length)),
          ),
        });
      const [wide, narrow] = [(await moved(h)) - (await moved(-h)), (await moved(h / 2)) - (await moved(-h / 2))];
      const difference = (8 * narrow - wide) / (6 * h);
      expect(Math.abs(difference - slope), `${parameter}: ${slope}, difference ${difference}`).toBeLessThan(
        0.005 * slope + 1e-4,
      );
    }
  });

  it('has its Kronecker blocks', async () => {
    const found = kroneckerBlocks(await loadModel(bytes));
    expect(found.blocks.map(({ weight, bias }) => (bias === undefined ? weight : `${weight}+${bias}`)).sort()).toEqual(
      [...blocks].sort(),
    );
    expect(Object.fromEntries(found.rest)).toEqual(rest);
  });

  it('is written as it was read, and after training computes what was reported', async () => {
    const model = await loadModel(bytes);
    expect(Buffer.compare(model.encode(new Map()), bytes)).toBe(0);
    const set = dataset({
      name,
      size: input.dims[0] ?? 0,
      inputs:
        input.dtype === 'float32'
          ? { dtype: 'float32', shape: input.dims.slice(1), data: input.data as Float32Array }
          : { dtype: 'int64', shape: input.dims.slice(1), data: Int32Array.from(input.data, Number) },
      targets: { dtype: 'int64', shape: labels.dims.slice(1), data: Int32Array.from(labels.data, Number) },
    });
    for (const optimizer of [cgfac(), adam({ learningRate: 0.01 })]) {
      const { parameters, record } = await train(model, {
        ...{ engine, optimizer, loss, data: { train: set, test: set } },
        ...{ steps: 3, batchSize: set.size },
      });
      expect(record.test.loss).toBeLessThan(await lossAt({}));
      expect(record.test.loss).toBeCloseTo(await lossAt(Object.fromEntries(parameters)), 5);
    }
  });
});

it('a layer with the batch as its first axis, which the runtime does not have, trains and predicts', async () => {
  const e = new Exporter('dynamo');
  const weights = [e.parameter('W', [1, 16, 3]), e.parameter('R', [1, 16, 4]), e.parameter('B', [1, 32])];
  const attributes = { hidden_size: 4, layout: 1 };
  e.nodes.push({ op: 'LSTM', name: 'lstm', inputs: ['input', ...weights], outputs: ['y', 'h'], attributes });
  e.op('Reshape', ['h', e.constant([-1, 4])], {}, 'output');
  const spec: ModelSpec = { opset: 18, inputs: { input: ['float32', ['batch', 6, 3]] }, ...e, outputs: ['output'] };
  const swapped = { ...spec, nodes: spec.nodes.map((node) => (node.op === 'LSTM' ? inTimeOrder(node) : node)) };
  const transposed = { op: 'Transpose', inputs: ['input'], outputs: ['steps'], attributes: { perm: [1, 0, 2] } };
  const input = numbers(5, 6, 3);
  const [expected] = Object.values(
    await runOnnx(modelBytes({ ...swapped, nodes: [transposed, ...swapped.nodes] }), { input }),
  );
  const model = await loadModel(modelBytes(spec));
  const { output } = await predict(model, toTensor(input), { engine });
  expect(output?.data).toEqual(expected?.data);
  expect(kroneckerBlocks(model).blocks.map(({ weight, bias }) => [weight, bias])).toEqual([
    ['W', 'B'],
    ['R', 'B'],
  ]);
  const set = dataset({
    name: 'swapped',
    size: 5,
    inputs: { dtype: 'float32', shape: [6, 3], data: input.data as Float32Array },
    targets: { dtype: 'int64', shape: [], data: Int32Array.from([0, 1, 2, 3, 0]) },
  });
  const { record } = await train(model, {
    ...{ engine, optimizer: cgfac(), loss: 'softmax-cross-entropy', data: { train: set, test: set } },
    ...{ steps: 3, batchSize: 5 },
  });
  expect(record.test.loss).toBeLessThan(record.steps[0]?.loss ?? 0);
});

/** The same node for steps first: the last states of one direction are `[1, batch, hidden]` instead of `[batch, 1, hidden]`. */
const inTimeOrder = (node: NodeSpec): NodeSpec => ({
  ...node,
  inputs: ['steps', ...node.inputs.slice(1)],
  attributes: { hidden_size: 4 },
});
