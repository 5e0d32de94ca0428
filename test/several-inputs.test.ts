// Models with several inputs, trained as BERT is fine-tuned: columns by the inputs' names, token numbers, a mask and segments. The
// file that training leaves computes in a fresh ONNX Runtime session what was reported.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkGradients } from '../src/api/check-gradients.js';
import type { Engine } from '../src/engine/engine.js';
import { nodeEngine } from '../src/engine/node.js';
import { elementCount, type TensorData, tensorFrom } from '../src/graph/tensor.js';
import {
  adam,
  cgfac,
  type DataSplits,
  type Dataset,
  dataset,
  type ExampleArray,
  kroneckerBlocks,
  loadData,
  loadModel,
  OptionError,
  train,
} from '../src/index.js';
import { cgfac as command } from './support/command.js';
import { Exporter, integers } from './support/exporter.js';
import { type ModelSpec, modelBytes, runOnnx } from './support/onnx-models.js';

const [vocabulary, width, heads, length, count] = [23, 8, 2, 6, 48];

/**
 * An encoder layer behind the sum of three embeddings. Its end classifies the first token or, tied, gives logits over the
 * vocabulary by the embedding table itself.
 */
function bert(style: 'TorchScript' | 'dynamo', isTied: boolean): ModelSpec {
  const e = new Exporter(style);
  const norm = (x: string, name: string) => {
    const parameters = [e.parameter(`${name}.weight`, [width], 1), e.parameter(`${name}.bias`, [width])];
    return e.op('LayerNormalization', [x, ...parameters], { axis: -1, epsilon: { float: 1e-12 } });
  };
  const linear = (x: string, name: string, inputs: number, outputs: number) =>
    e.op('Add', [
      e.parameter(`${name}.bias`, [outputs]),
      e.op('MatMul', [x, e.parameter(`${name}.weight`, [inputs, outputs], 0, 1)]),
    ]);
  const words = e.parameter('embeddings.word.weight', [vocabulary, width], 0, 2);
  const tokens = e.op('Gather', [words, 'input_ids']);
  const segments = e.op('Gather', [e.parameter('embeddings.type.weight', [2, width]), 'token_type_ids']);
  const all = e.constant(Array.from({ length: 16 }, (_, i) => i));
  const steps = e.op('Slice', [all, e.constant([0]), e.size('input_ids', 1), e.constant([0])]);
  const positions = e.op('Gather', [e.parameter('embeddings.position.weight', [16, width]), steps]);
  const h = norm(e.op('Add', [e.op('Add', [tokens, segments]), positions]), 'embeddings.norm');
  // (1 − mask) · the most negative number, over keys.
  const keys = e.op('Unsqueeze', [e.op('Unsqueeze', ['attention_mask', e.constant([1])]), e.constant([2])]);
  const absent = e.op('Sub', [e.constant(1, 'float32'), e.op('Cast', [keys], { to: 1 })]);
  const mask = e.op('Mul', [absent, e.constant(-3.4028234663852886e38, 'float32')]);
  const split = e.op(
    'Concat',
    [e.size('input_ids', 0), e.size('input_ids', 1), e.constant([heads]), e.constant([width / heads])],
    { axis: 0 },
  );
  const head = (name: string, perm: readonly number[]) =>
    e.op('Transpose', [e.op('Reshape', [linear(h, name, width, width), split])], { perm });
  const [q, k, v] = [head('query', [0, 2, 1, 3]), head('key', [0, 2, 3, 1]), head('value', [0, 2, 1, 3])];
  const scores = e.op('Div', [e.op('MatMul', [q, k]), e.constant(Math.sqrt(width / heads), 'float32')]);
  const attention = e.op('MatMul', [e.op('Softmax', [e.op('Add', [scores, mask])], { axis: -1 }), v]);
  const joined = e.op('Reshape', [
    e.op('Transpose', [attention], { perm: [0, 2, 1, 3] }),
    e.op('Concat', [e.size('input_ids', 0), e.size('input_ids', 1), e.constant([width])], { axis: 0 }),
  ]);
  const attended = norm(e.op('Add', [linear(joined, 'output', width, width), h]), 'attention.norm');
  const inner = linear(attended, 'intermediate', width, 12);
  const erf = e.op('Erf', [e.op('Div', [inner, e.constant(Math.SQRT2, 'float32')])]);
  const gelu = e.op('Mul', [
    e.op('Mul', [inner, e.op('Add', [erf, e.constant(1, 'float32')])]),
    e.constant(0.5, 'float32'),
  ]);
  const encoded = norm(e.op('Add', [linear(gelu, 'last', 12, width), attended]), 'output.norm');
  if (isTied) {
    const logits = e.op('MatMul', [encoded, e.op('Transpose', [words], { perm: [1, 0] })]);
    e.op('Add', [logits, e.parameter('cls.bias', [vocabulary])], {}, 'logits');
  } else {
    const first = e.op('Gather', [encoded, e.constant(0)], { axis: 1 });
    const dense = [e.parameter('pooler.weight', [width, width]), e.parameter('pooler.bias', [width])];
    const pooled = e.op('Tanh', [e.op('Gemm', [first, ...dense], { transB: 1 })]);
    const classifier = [e.parameter('classifier.weight', [3, width]), e.parameter('classifier.bias', [3])];
    e.op('Gemm', [pooled, ...classifier], { transB: 1 }, 'logits');
  }
  const names = ['input_ids', 'attention_mask', 'token_type_ids'];
  return {
    opset: 17,
    inputs: Object.fromEntries(names.map((name) => [name, ['int64', ['batch', 'sequence']] as const])),
    ...e,
    outputs: ['logits'],
  };
}

/** Token numbers of sentences of different lengths, in two segments; the first token tells the class. */
const ids = integers(vocabulary, count, length);
const lengths = Array.from({ length: count }, (_, i) => 2 + (i % (length - 1)));
const mask = tensorFrom(
  'int64',
  [count, length],
  lengths.flatMap((size) => Array.from({ length }, (_, at) => Number(at < size))),
);
const types = tensorFrom(
  'int64',
  [count, length],
  lengths.flatMap((size) => Array.from({ length }, (_, at) => Number(at >= size / 2 && at < size))),
);
const classes = tensorFrom(
  'int64',
  [count],
  Array.from({ length: count }, (_, i) => Number(ids.data[i * length]) % 3),
);
const feeds = { input_ids: ids, attention_mask: mask, token_type_ids: types };

const column = ({ dims, data }: TensorData): ExampleArray => ({
  dtype: 'int64',
  shape: dims.slice(1),
  data: Int32Array.from(data, Number),
});
const sentences = (isTied: boolean, inputs: Readonly<Record<string, TensorData>> = feeds): Dataset =>
  dataset({
    name: 'sentences',
    size: count,
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, data]) => [name, column(data)])),
    targets: column(isTied ? ids : classes),
  });
const both = (set: Dataset): DataSplits => ({ train: set, test: set });

/** Mean cross-entropy in float64. */
function crossEntropy({ dims, data }: TensorData, labels: TensorData): number {
  const size = dims.at(-1) ?? 1;
  let sum = 0;
  for (const [row, label] of Array.from(labels.data, Number).entries()) {
    const logits = Array.from(data.slice(row * size, (row + 1) * size), Number);
    const most = Math.max(...logits);
    sum += Math.log(logits.reduce((total, x) => total + Math.exp(x - most), 0)) + most - (logits[label] ?? Number.NaN);
  }
  return sum / labels.data.length;
}

let engine: Engine;
let folder: string;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
  folder = await mkdtemp(join(tmpdir(), 'cgfac-inputs-'));
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

describe.each([
  ['TorchScript', false],
  ['dynamo', true],
] as const)('BERT as %s writes it, tied: %s', (style, isTied) => {
  const bytes = modelBytes(bert(style, isTied));
  const labels = isTied ? ids : classes;

  it.each([
    ['cgfac', () => cgfac()],
    ['adam', () => adam({ learningRate: 0.01 })],
  ] as const)('%s trains it, and its file computes the loss that was reported', async (_, optimizer) => {
    const model = await loadModel(bytes);
    const run = {
      engine,
      optimizer: optimizer(),
      data: both(sentences(isTied)),
      loss: 'softmax-cross-entropy',
    } as const;
    const { parameters, record } = await train(model, { ...run, steps: 60, batchSize: 20, seed: 2 });
    const [before] = Object.values(await runOnnx(bytes, feeds));
    const [after] = Object.values(await runOnnx(model.encode(parameters), feeds));
    if (!before || !after) throw new Error('the model has an output');
    expect(record.test.loss).toBeLessThan(0.95 * crossEntropy(before, labels));
    expect(Math.abs(record.test.loss - crossEntropy(after, labels))).toBeLessThan(1e-6);
    expect(record.train).toEqual(record.test);
  });

  it('has blocks for its layers', async () => {
    const { blocks, rest } = kroneckerBlocks(await loadModel(bytes));
    const found = blocks.map(({ kind, weight, bias }) => `${kind} ${weight}${bias === undefined ? '' : ` ${bias}`}`);
    const dense = ['query', 'key', 'value', 'output', 'intermediate', 'last'];
    if (!isTied) dense.push('pooler', 'classifier');
    expect(found).toEqual(
      expect.arrayContaining([
        ...dense.map((name) => `dense ${name}.weight ${name}.bias`),
        `${isTied ? 'tied' : 'embedding'} embeddings.word.weight`,
        'embedding embeddings.type.weight',
      ]),
    );
    const positions = { 'embeddings.position.weight': 'an embedding table at fixed positions' };
    const bias = { 'cls.bias': 'a parameter of rank 1 outside a dense layer' };
    expect(Object.fromEntries(rest)).toEqual(isTied ? { ...positions, ...bias } : positions);
  });

  it('has gradients that are differences of its loss', async () => {
    const sizes = { sequence: 5 };
    const { checks } = await checkGradients(engine, await loadModel(bytes), { batchSize: 6, sizes, seed: 1 });
    expect([...checks].filter(([, { verdict }]) => verdict === 'differs')).toEqual([]);
  });
});

describe('columns', () => {
  const model = () => loadModel(modelBytes(bert('TorchScript', false)));
  const refused = async (set: Dataset, more = {}) => {
    const failure = train(await model(), {
      engine,
      optimizer: adam(),
      data: both(set),
      steps: 1,
      batchSize: 4,
      ...more,
    });
    await expect(failure).rejects.toThrow(OptionError);
    return failure.catch((error: Error) => error.message);
  };
  const set = sentences(false);

  it('go with the inputs by name, in any order', async () => {
    const losses = [];
    for (const names of [Object.keys(feeds), Object.keys(feeds).reverse()]) {
      const inputs = Object.fromEntries(names.map((name) => [name, feeds[name as keyof typeof feeds]]));
      const data = both(sentences(false, inputs));
      const { record } = await train(await model(), { engine, optimizer: adam(), data, steps: 2, batchSize: 8 });
      losses.push(record.test.loss);
    }
    expect(losses[0]).toBe(losses[1]);
  });

  it('are refused where their names are others, with both lists', async () => {
    const { token_type_ids: _, attention_mask: renamed, ...rest } = feeds;
    expect(await refused(sentences(false, { ...rest, mask: renamed }))).toBe(
      "model 'test' takes the inputs 'input_ids' (int64[batch, sequence]), 'attention_mask' (int64[batch, sequence]), " +
        "'token_type_ids' (int64[batch, sequence]), and the data 'sentences' have 'input_ids', 'mask'; " +
        'missing: attention_mask, token_type_ids; unknown: mask. Give the data a column for each input, named as the ' +
        'model names it (of NumPy arrays: ?inputs=NAME,NAME)',
    );
    const { input_ids: one } = feeds;
    expect(await refused({ ...set, inputs: column(one) })).toMatch(
      /takes the inputs 'input_ids' .* and the data 'sentences' have one without a name\. Give/,
    );
  });

  it('are refused where one does not fit its input', async () => {
    const short = tensorFrom('int64', [count, 5], Array(5 * count).fill(1));
    expect(await refused(sentences(false, { ...feeds, attention_mask: short }))).toMatch(
      /'sequence' is 6 in the input 'input_ids' and 5 in 'attention_mask'; give all of them one length/,
    );
    const { inputs, ...rest } = set;
    const numbers = { dtype: 'float32', shape: [length], data: new Float32Array(count * length) } as const;
    expect(await refused({ ...rest, inputs: { ...inputs, attention_mask: numbers } as typeof inputs })).toMatch(
      /its input 'attention_mask' is int64\[batch, sequence\], and an example is float32\[6\]; .* save the data as int64/,
    );
    const bytes = { dtype: 'float32', shape: [length], data: new Uint8Array(count * length), scale: 1 / 255 } as const;
    expect(await refused({ ...rest, inputs: { ...inputs, attention_mask: bytes } as typeof inputs })).toMatch(
      /unsigned bytes are read as pixels: save whole numbers as int32 or int64/,
    );
  });

  it('are not varied or normalized where none of them is a picture or a number', async () => {
    expect(await refused(set, { augment: { flip: true } })).toMatch(/none of the inputs of 'sentences' are pictures/);
    expect(await refused(set, { normalize: true })).toMatch(/of which 0 are real numbers/);
    expect(await refused(set, { normalize: { mean: [0], deviation: [1] } })).toMatch(
      /'token_type_ids' \(int64\[batch, sequence\]\); cgfac normalizes the only one of real numbers, and there is none/,
    );
  });
});

describe('a picture beside numbers', () => {
  /** logits = picture · weight + extra · other. */
  const spec: ModelSpec = {
    opset: 17,
    inputs: { extra: ['int64', ['batch', 2]], picture: ['float32', ['batch', 1, 2, 3]] },
    initializers: {
      weight: tensorFrom(
        'float32',
        [6, 3],
        Array.from({ length: 18 }, (_, i) => Math.sin(i)),
      ),
      other: tensorFrom('float32', [2, 3], [0.1, -0.2, 0.3, 0.3, 0, -0.1]),
    },
    nodes: [
      { op: 'Flatten', inputs: ['picture'], outputs: ['flat'] },
      { op: 'MatMul', inputs: ['flat', 'weight'], outputs: ['left'] },
      { op: 'Cast', inputs: ['extra'], outputs: ['numbers'], attributes: { to: 1 } },
      { op: 'MatMul', inputs: ['numbers', 'other'], outputs: ['right'] },
      { op: 'Add', inputs: ['left', 'right'], outputs: ['logits'] },
    ],
    outputs: ['logits'],
  };
  const size = 30;
  const pixels = Float32Array.from({ length: 6 * size }, (_, i) => 5 + Math.sin(12.9898 * i));
  const extra = Int32Array.from({ length: 2 * size }, (_, i) => i % 3);
  const labels = Int32Array.from(
    { length: size },
    (_, i) => ((extra[2 * i] ?? 0) + Number((pixels[6 * i] ?? 0) > 5)) % 3,
  );
  const set = dataset({
    name: 'cards',
    size,
    inputs: {
      picture: { dtype: 'float32', shape: [6], data: pixels },
      extra: { dtype: 'int64', shape: [2], data: extra },
    },
    targets: { dtype: 'int64', shape: [], data: labels },
    picture: { width: 3, height: 2, channels: 1 },
  });

  it('is normalized and varied alone, also flattened, and shown', async () => {
    const model = await loadModel(modelBytes(spec));
    const options = {
      engine,
      optimizer: adam({ learningRate: 0.01 }),
      data: both({ ...set, classes: ['a', 'b', 'c'] }),
    };
    const result = await train(model, {
      ...{ ...options, steps: 10, batchSize: 10 },
      ...{ normalize: true, augment: { flip: true } },
    });
    expect(result.model.graph.inputs.map(({ name }) => name)).toEqual(['extra', 'picture']);
    const given = {
      extra: tensorFrom('int64', [size, 2], extra),
      picture: tensorFrom('float32', [size, 1, 2, 3], pixels),
    };
    const { logits } = await runOnnx(result.model.encode(result.parameters), given);
    const loss = logits ? crossEntropy(logits, tensorFrom('int64', [size], labels)) : Number.NaN;
    expect(Math.abs(result.record.test.loss - loss)).toBeLessThan(1e-6);
    const { mistakes = [] } = result.record.confusion ?? {};
    expect(mistakes[0]?.picture).toMatchObject({ width: 3, height: 2 });
  });
});

describe('NumPy archives on the command line', () => {
  /** Writes .npy bytes as NumPy's format document says. */
  const npy = ({ dims, data }: TensorData): Uint8Array => {
    const header = `{'descr': '<i8', 'fortran_order': False, 'shape': (${dims.join(', ')},), }`;
    const padded = `${header.padEnd(128 - 10 - 1)}\n`;
    const bytes = new Uint8Array(128 + 8 * elementCount(dims));
    bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0]);
    bytes.set(new TextEncoder().encode(padded), 10);
    bytes.set(new Uint8Array(BigInt64Array.from(data, BigInt).buffer), 128);
    return bytes;
  };

  it('give each input its array by name', async () => {
    const path = join(folder, 'sentences.npz');
    const arrays = Object.entries({ ...feeds, labels: classes, lengths: classes });
    await writeFile(path, zipSync(Object.fromEntries(arrays.map(([name, data]) => [`${name}.npy`, npy(data)]))));
    const model = join(folder, 'bert.onnx');
    await writeFile(model, modelBytes(bert('dynamo', false)));

    const modelInputs = Object.keys(feeds);
    const { train: known } = await loadData(`npy:${path}`, { modelInputs });
    expect(Object.keys(known.inputs)).toEqual(modelInputs);
    const given = await loadData(`npy:${path}?inputs=${modelInputs.join(',')}&targets=labels`);
    expect(given.train).toEqual(known);

    const out = join(folder, 'run');
    const trained = await command([
      ...['train', model, '--data', `npy:${path}?targets=labels`, '--steps', '3', '--batch-size', '16'],
      ...['--out', out, '--threads', '1', '--json'],
    ]);
    expect(trained.code, trained.stderr).toBe(0);
    expect(JSON.parse(trained.stdout).test.loss).toBeGreaterThan(0);
    expect((await command(['inspect', join(out, 'model.onnx')])).stdout).toMatch(/input {3}token_type_ids: int64/);
    const described = await command(['data', `npy:${path}?inputs=input_ids,attention_mask&targets=labels`]);
    expect(described.stdout).toMatch(
      /inputs {3}input_ids {7}int64 \[6\], .*\n {11}attention_mask {2}int64 \[6\], 0 to 1/,
    );

    const wrong = ['--data', `npy:${path}?inputs=input_ids,lengths`, '--out', join(folder, 'wrong')];
    const partly = await command(['train', model, ...wrong]);
    expect(partly.stderr).toMatch(/missing: attention_mask, token_type_ids; unknown: lengths/);
    expect(partly.code).toBe(2);
    const built = await command(['train', 'mlp', ...wrong]);
    expect(built.stderr).toMatch(/mlp takes one input, and .* has the inputs 'input_ids', 'lengths'/);
    expect(built.code).toBe(2);
  });
});
