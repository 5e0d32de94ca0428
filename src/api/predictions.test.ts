// Predictions that a person reads: names, probabilities and numbers as float64 formulas give them on what plain ONNX Runtime
// computes, for any batches; and texts that a model continues.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ModelSpec, modelBytes, ramp, runOnnx } from '../../test/support/onnx-models.js';
import { dataset } from '../data/dataset.js';
import { csvSplits } from '../data/readers/csv.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { FileError, GraphError, OptionError } from '../errors.js';
import { type TensorData, tensorFrom, toNumbers } from '../graph/tensor.js';
import { meaningOf, withMeaning } from '../model/meaning.js';
import type { Model } from '../model/model.js';
import { charTransformer } from '../nn/char-transformer.js';
import { mlp } from '../nn/zoo.js';
import { adam } from '../optimizers/adam.js';
import { random } from '../random.js';
import { evaluate } from './evaluate.js';
import { generateText } from './generate.js';
import { loadModel } from './load-save.js';
import { predictions } from './predictions.js';
import type { Prediction } from './readout.js';
import { train } from './train.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

async function all(...[model, data, options]: Parameters<typeof predictions>): Promise<Prediction[]> {
  const found: Prediction[] = [];
  for await (const prediction of predictions(model, data, { engine, ...options })) found.push(prediction);
  return found;
}

const size = 11;
const rows = ramp([size, 4]);
const classes = ['ant', 'bee', 'cat'];
const classifier = withMeaning(mlp({ sizes: [4, 5, 3], seed: 2 }), { task: 'classification', classes });
const points = {
  name: 'points',
  size,
  inputs: { dtype: 'float32', shape: [4], data: rows.data as Float32Array },
} as const;

/** Probabilities by float64 formulas on the logits of plain ONNX Runtime. */
async function shares(model: Model, input: TensorData, width: number): Promise<number[][]> {
  const { output } = await runOnnx(model.encode(), { input });
  const logits = toNumbers(output as TensorData);
  return Array.from({ length: logits.length / width }, (_, row) => {
    const powers = logits.slice(row * width, (row + 1) * width).map(Math.exp);
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / sum);
  });
}

describe('predictions', () => {
  it.each([undefined, 1, 4, 11, 50])('are classes by name, in batches of %s', async (batchSize) => {
    const expected = await shares(classifier, rows, 3);
    for (const data of [points, rows, { input: rows }]) {
      const found = await all(classifier, data, { top: 2, ...(batchSize !== undefined && { batchSize }) });
      expect(found.map(({ index }) => index)).toEqual(Array.from({ length: size }, (_, i) => i));
      for (const [row, prediction] of found.entries()) {
        const order = [0, 1, 2].sort((a, b) => (expected[row]?.[b] ?? 0) - (expected[row]?.[a] ?? 0));
        if (prediction.kind !== 'class') throw new Error(prediction.kind);
        expect(prediction.class).toBe(classes[order[0] ?? 0]);
        expect(prediction.top.map((each) => each.class)).toEqual(order.slice(0, 2).map((place) => classes[place]));
        for (const [i, { probability }] of prediction.top.entries()) {
          expect(probability).toBeCloseTo(expected[row]?.[order[i] ?? 0] ?? 0, 6);
        }
      }
    }
  });

  it('follow parts that come one after another, and compute no part that is not asked for', async () => {
    let made = 0;
    async function* parts() {
      for (;;) {
        made++;
        yield points;
      }
    }
    const whole = await all(classifier, points);
    const stream = predictions(classifier, parts(), { engine });
    for (let i = 0; i < 2 * size + 1; i++) {
      expect((await stream.next()).value).toEqual({ ...whole[i % size], index: i });
    }
    await stream.return();
    expect(made).toBe(3);
    expect(
      await all(
        classifier,
        (function* () {
          yield [[1, 2, 3, 4]];
        })(),
      ),
    ).toHaveLength(1);
  });

  it('find columns by their names, and say which they lack', async () => {
    const columns = ['a', 'b', 'c', 'd'].map((name) => ({ name, size: 1 }));
    const named = withMeaning(classifier, { ...meaningOf(classifier), columns });
    const swapped = Float32Array.from({ length: 4 * size }, (_, i) => Number(rows.data[i - (i % 4) + (3 - (i % 4))]));
    const other = { ...points, inputs: { ...points.inputs, data: swapped }, columns: [...columns].reverse() };
    expect(await all(named, other)).toEqual(await all(classifier, points));
    const wrong = all(named, { ...other, columns: [{ name: 'width', size: 1 }, ...columns.slice(1)] });
    await expect(wrong).rejects.toThrow(
      "the columns of 'points' lack 'a' and have 'width', which the model does not take: the model takes 'a', 'b', 'c', 'd'",
    );
  });

  it('are numbers by the name of the target, in the units of the data', async () => {
    const text = ['x,y,price', ...Array.from({ length: 40 }, (_, i) => `${i % 7},${i % 5},${1000 + 10 * i}`)].join(
      '\n',
    );
    const data = csvSplits(new TextEncoder().encode(text), 'p.csv', { target: 'price', testShare: 0.2, seed: 1 });
    const { model } = await train(mlp({ sizes: [2, 4, 1], seed: 1 }), { data, optimizer: adam(), steps: 5, engine });
    const loaded = await loadModel(model.encode());
    const input = tensorFrom('float32', [2, 2], [1, 2, 6, 4]);
    const { output } = await runOnnx(model.encode(), { input });
    const found = await all(loaded, [
      [1, 2],
      [6, 4],
    ]);
    expect(found).toEqual(
      [0, 1].map((index) => ({ kind: 'numbers', index, values: { price: Number(output?.data[index]) } })),
    );
    // Parts are evaluated like the whole, by the loss that the model was trained with.
    const whole = await evaluate(loaded, [data.train, data.test], { metrics: ['mae', 'r2'], engine });
    expect(whole).toMatchObject({ loss: 'mean-squared-error', examples: 40 });
    const together = csvSplits(new TextEncoder().encode(`${text}\n${text.split('\n').slice(1).join('\n')}`), 'p.csv', {
      ...{ target: 'price', testShare: 0.5, seed: 1 },
    });
    const twice = await evaluate(loaded, [together.train, together.test], { metrics: ['mae', 'r2'], engine });
    expect(twice.values.meanAbsoluteError).toBeCloseTo(whole.values.meanAbsoluteError ?? 0, 2);
    expect(twice.values.r2).toBeCloseTo(whole.values.r2 ?? 0, 4);
  });

  it('are of a loss that has expected targets', async () => {
    const rates = withMeaning(mlp({ sizes: [4, 2], seed: 1 }), {
      task: 'regression',
      loss: 'poisson',
      target: 'count',
    });
    const { output } = await runOnnx(rates.encode(), { input: rows });
    for (const [row, prediction] of (await all(rates, points)).entries()) {
      if (prediction.kind !== 'numbers') throw new Error(prediction.kind);
      const [first, second] = prediction.values.count as readonly number[];
      expect(first).toBeCloseTo(Math.exp(Number(output?.data[2 * row])), 5);
      expect(second).toBeCloseTo(Math.exp(Number(output?.data[2 * row + 1])), 5);
    }
  });

  it('are of models with a fixed batch, and of classes without names after a softmax', async () => {
    const spec = (batch: number | string): ModelSpec => ({
      opset: 17,
      inputs: { input: ['float32', [batch, 4]] },
      initializers: { w: ramp([4, 3]) },
      nodes: [
        { op: 'MatMul', inputs: ['input', 'w'], outputs: ['h'] },
        { op: 'Softmax', inputs: ['h'], outputs: ['y'] },
      ],
      outputs: ['y'],
    });
    const free = await all(await loadModel(modelBytes(spec('batch'))), points);
    expect(free[0]).toMatchObject({ kind: 'class', class: expect.stringMatching(/^[012]$/) });
    const { y } = await runOnnx(modelBytes(spec('batch')), { input: rows });
    const [first] = free;
    expect(first?.kind === 'class' && first.probability).toBeCloseTo(
      Math.max(...toNumbers(y as TensorData).slice(0, 3)),
      6,
    );
    for (const batch of [1, 4]) {
      const found = await all(await loadModel(modelBytes(spec(batch))), points);
      expect(found.map((each) => each.kind === 'class' && each.class)).toEqual(
        free.map((each) => each.kind === 'class' && each.class),
      );
    }
  });

  it('say what does not fit', async () => {
    await expect(all(classifier, [[1, 2]])).rejects.toThrow(GraphError);
    await expect(all(classifier, { ...points, inputs: { ...points.inputs, shape: [3] } })).rejects.toThrow(OptionError);
    await expect(all(classifier, { ...points, inputs: null as never })).rejects.toThrow(
      /the inputs of 'points' are null/,
    );
    expect(() => predictions(classifier, points, { top: 0 })).toThrow('top of predictions is 0');
    const many = withMeaning(classifier, { classes: [...classes, 'dog'] });
    await expect(all(many, points)).rejects.toThrow(FileError);
    await expect(all(many, points)).rejects.toThrow(/name 4 classes, and its output has 3/);
    await expect(all(withMeaning(classifier, { task: 'regression', loss: 'unheard-of' }), points)).rejects.toThrow(
      /trained with the loss 'unheard-of', which this version of cgfac does not have/,
    );
  });
});

describe('evaluate', () => {
  it('takes labels by the names of the model, whatever their numbers in the file', async () => {
    const labels = Int32Array.from({ length: size }, (_, i) => i % 2);
    const set = dataset({ ...points, targets: { dtype: 'int64', shape: [], data: labels }, classes: ['cat', 'ant'] });
    const moved = { ...set, classes, targets: { ...set.targets, data: labels.map((label) => (label === 0 ? 2 : 0)) } };
    const options = { metrics: ['accuracy', 'confusion-matrix'] as const, engine };
    const found = await evaluate(classifier, set, options);
    expect(found).toMatchObject({ classes, examples: size });
    expect(found.values).toEqual((await evaluate(classifier, moved as typeof set, options)).values);
    await expect(evaluate(classifier, { ...set, classes: ['cat', 'cow'] }, options)).rejects.toThrow(
      /have the class 'cow', not among the model's: 'ant', 'bee', 'cat'/,
    );
  });
});

describe('a text that a model continues', () => {
  const vocabulary = [...' abcé😀'];
  const network = charTransformer({ vocabulary: 6, context: 5, width: 8, heads: 2, layers: 1, seed: 3 });
  // Larger weights than those of a new network, so that characters differ in probability.
  const head = network.parameters.get('head.weight')?.constant as TensorData;
  const large = { ...head, data: (head.data as Float32Array).map((x) => 60 * x) } as TensorData;
  const model = withMeaning(network.with(new Map([['head.weight', large]])), { text: { vocabulary, context: 5 } });
  const text = async (prompt: string, options: Parameters<typeof generateText>[2]) => {
    let found = '';
    for await (const character of generateText(model, prompt, { engine, ...options })) found += character;
    return found;
  };

  it.each([0, 0.5, 2])('is drawn from the softmax of its logits, at temperature %s', async (temperature) => {
    const tokens = [1, 2];
    for (let place = 0; place < 9; place++) {
      const seen = tokens.slice(-5);
      const input = tensorFrom('int64', [1, 5], [...seen, ...Array<number>(5 - seen.length).fill(3)]);
      const { output } = await runOnnx(model.encode(), { input });
      const logits = toNumbers(output as TensorData).slice(6 * (seen.length - 1), 6 * seen.length);
      if (temperature === 0) tokens.push(logits.indexOf(Math.max(...logits)));
      else {
        const powers = logits.map((logit) => Math.exp(logit / temperature));
        const uniform = random(7, 'generate', place).uniform() * powers.reduce((a, b) => a + b);
        const sums = powers.map((_, i) => powers.slice(0, i + 1).reduce((a, b) => a + b));
        tokens.push(sums.findIndex((sum) => sum > uniform));
      }
    }
    const expected = tokens
      .slice(2)
      .map((token) => vocabulary[token])
      .join('');
    const options = { length: 9, temperature, seed: 7 };
    expect(await text('ab', options)).toBe(expected);
    expect(await text('ab', options)).toBe(expected);
    if (temperature === 2) expect(await text('ab', { ...options, seed: 8 })).not.toBe(expected);
  });

  it('sees the last characters of a long one, and refuses those that the model does not know', async () => {
    const options = { length: 6, temperature: 0.7, seed: 2 };
    expect(await text('é😀abc ab', options)).toBe(await text('bc ab', options));
    await expect(text('abz', options)).rejects.toThrow(
      /the character "z" \(number 3 of the text\) is not among the 6 that model 'char-transformer' knows: write the text with {2}abcé😀/,
    );
    await expect(text('', options)).rejects.toThrow(
      /the text to continue is ''|is an empty text|at least one character/,
    );
    await expect(text('a', { temperature: -1 })).rejects.toThrow(/temperature is -1/);
    expect(() => generateText(network, 'a')).toThrow(/does not say which characters its tokens are/);
  });

  it('is refused if a model looks at what comes after it', async () => {
    const spec: ModelSpec = {
      opset: 17,
      inputs: { input: ['int64', ['batch', 3]] },
      initializers: { table: ramp([2, 2]), axes: tensorFrom('int64', [1], [1]) },
      nodes: [
        { op: 'Gather', inputs: ['table', 'input'], outputs: ['h'] },
        { op: 'ReduceSum', inputs: ['h', 'axes'], outputs: ['s'] },
        { op: 'Add', inputs: ['h', 's'], outputs: ['y'] },
      ],
      outputs: ['y'],
    };
    const both = withMeaning(await loadModel(modelBytes(spec)), { text: { vocabulary: ['a', 'b'], context: 3 } });
    const first = (prompt: string) => generateText(both, prompt, { engine, length: 1, temperature: 0 }).next();
    await expect(first('ab')).rejects.toThrow(/looks at later characters, so it continues only texts of at least 3/);
    expect((await first('aba')).done).toBe(false);
  });
});
