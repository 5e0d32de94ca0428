// Graphs with a symbolic batch bound to concrete inputs: shape arithmetic and guarded branches disappear.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeModel } from '../../test/support/decode-model.js';
import { modelBytes, ramp, runOnnx } from '../../test/support/onnx-models.js';
import { exportedModels } from '../../test/support/outside.js';
import { encodeModel } from '../onnx/encode/writer.js';
import { Builder } from '../ops/builder.js';
import { semantics } from '../ops/table.js';
import { body, text, Value } from './graph.js';
import { inline } from './inline.js';
import { tensorFrom } from './tensor.js';

describe('a model in a program', () => {
  const guarded = () => {
    const b = new Builder();
    const x = b.input('x', 'float32', ['batch', 3]);
    const condition = b.equal(b.gather(b.op('Shape', [x]), b.scalar(0, 'int64')), b.scalar(1, 'int64'));
    const [y] = b.branch(
      condition,
      (inner) => [inner.neg(x)],
      (inner) => [inner.mul(x, 2)],
    );
    return { x, graph: b.build('guarded', { y: y ?? x }) };
  };

  it.each([
    [1, 'Neg'],
    [4, 'Mul'],
  ] as const)('takes the branch that its batch of %i decides: %s', (batch, op) => {
    const { x, graph } = guarded();
    const b = new Builder();
    const input = b.input('input', 'float32', [batch, 3]);
    const { outputs } = inline(b, graph, new Map([[x, input]]));
    const built = b.build('bound', Object.fromEntries(outputs));
    expect(built.nodes.map((node) => node.op).filter((name) => name !== 'Identity')).toEqual([op]);
  });

  it('copies bodies with what they capture', async () => {
    const b = new Builder();
    const x = b.input('x', 'float32', ['batch', 2]);
    const weight = b.constant(ramp([2]), 'weight');
    const doubled = b.mul(x, 2);
    const limit = b.input('limit', 'int64', []);
    const { y } = b.loop(limit, { y: x }, (inner, _, carried) => ({
      y: inner.mul(inner.add(carried.y, doubled), weight),
    }));
    const graph = b.build('looping', { y });
    const program = new Builder();
    const input = program.input('input', 'float32', [2, 2]);
    const one = program.input('one', 'float32', [2]);
    const { outputs } = inline(
      program,
      graph,
      new Map([
        [x, input],
        [limit, program.input('limit', 'int64', [])],
        [weight, one],
      ]),
    );
    const bytes = encodeModel(program.build('program', Object.fromEntries(outputs)));
    const numbers = tensorFrom('float32', [2, 2], [1, 2, 3, 4]);
    const limits = { limit: tensorFrom('int64', [], [3]) };
    const result = await runOnnx(bytes, { input: numbers, one: tensorFrom('float32', [2], [1, 1]), ...limits });
    expect([...(result.y?.data ?? [])]).toEqual([7, 14, 21, 28]);
  });

  it('unrolls a loop of a known number of rounds, scan outputs and early exit included', async () => {
    const b = new Builder();
    const x = b.input('x', 'float32', ['batch', 2]);
    const inner = new Builder(b);
    const [iteration, condition] = [inner.input('i', 'int64', []), inner.input('again', 'bool', [])];
    const carried = inner.input('carried', 'float32', ['batch', 2]);
    const next = inner.add(carried, x);
    const outputs = { again: inner.less(iteration, inner.scalar(2, 'int64')), next, scanned: inner.output(next) };
    const round = inner.build('body', outputs, [iteration, condition, carried]);
    const start = b.constant(tensorFrom('bool', [], [1]));
    const attributes = { body: body(round) };
    const [last, all] = b.node('Loop', [b.scalar(5, 'int64'), start, x], attributes, { outputs: ['last', 'all'] });
    const graph = b.build('looping', { last: last ?? x, all: all ?? x });
    const program = new Builder();
    const inlined = inline(program, graph, new Map([[x, program.input('x', 'float32', [1, 2])]]));
    const built = program.build('program', Object.fromEntries(inlined.outputs));
    expect(built.nodes.map(({ op }) => op)).not.toContain('Loop');
    const numbers = { x: tensorFrom('float32', [1, 2], [1, 2]) };
    const found = await runOnnx(encodeModel(built), numbers);
    expect([...(found.last?.data ?? [])]).toEqual([4, 8]);
    expect(found.all?.dims).toEqual([3, 1, 2]);
    expect(found).toEqual(await runOnnx(encodeModel(graph), numbers));
  });

  it('takes sequences apart: split, stack and cat as exporters write them', async () => {
    const nodes = [
      { op: 'SplitToSequence', inputs: ['x', 'two'], outputs: ['parts'], attributes: { axis: 1 } },
      { op: 'SplitToSequence', inputs: ['x'], outputs: ['columns'], attributes: { axis: 1, keepdims: 0 } },
      { op: 'SequenceAt', inputs: ['parts', 'last'], outputs: ['end'] },
      { op: 'SequenceAt', inputs: ['columns', 'zero'], outputs: ['first'] },
      { op: 'SequenceConstruct', inputs: ['first', 'first'], outputs: ['pair'] },
      { op: 'ConcatFromSequence', inputs: ['pair'], outputs: ['stacked'], attributes: { axis: 1, new_axis: 1 } },
      { op: 'SequenceInsert', inputs: ['parts', 'stacked', 'zero'], outputs: ['more'] },
      { op: 'SequenceErase', inputs: ['more', 'last'], outputs: ['fewer'] },
      { op: 'ConcatFromSequence', inputs: ['fewer'], outputs: ['y'], attributes: { axis: 1 } },
      { op: 'SequenceLength', inputs: ['fewer'], outputs: ['length'] },
    ];
    const scalars = { two: 2, last: -1, zero: 0 };
    const bytes = modelBytes({
      opset: 17,
      inputs: { x: ['float32', ['batch', 5]] },
      initializers: Object.fromEntries(
        Object.entries(scalars).map(([name, value]) => [name, tensorFrom('int64', [], [value])]),
      ),
      nodes,
      outputs: ['y', 'end', 'length'],
    });
    const { graph } = decodeModel(bytes, semantics);
    const b = new Builder();
    const [x] = graph.inputs;
    if (!x) throw new Error('no input');
    const inlined = inline(b, graph, new Map([[x, b.input('x', 'float32', [2, 5])]]));
    const built = b.build('program', Object.fromEntries(inlined.outputs));
    for (const { value } of built.outputs) expect(value.dims).toBeDefined();
    const numbers = { x: ramp([2, 5]) };
    expect(await runOnnx(encodeModel(built), numbers)).toEqual(await runOnnx(bytes, numbers));
  });

  it('names the node that reads a sequence at a position known only when the program runs', () => {
    const bytes = modelBytes({
      opset: 17,
      inputs: { x: ['float32', ['batch', 4]], i: ['int64', []] },
      nodes: [
        { op: 'SplitToSequence', inputs: ['x'], outputs: ['parts'], attributes: { axis: 1 } },
        { op: 'SequenceAt', name: '/chosen', inputs: ['parts', 'i'], outputs: ['y'] },
      ],
      outputs: ['y'],
    });
    const { graph } = decodeModel(bytes, semantics);
    const b = new Builder();
    const [x, i] = graph.inputs;
    if (!x || !i) throw new Error('no inputs');
    const bound = new Map([
      [x, b.input('x', 'float32', [2, 4])],
      [i, b.input('i', 'int64', [])],
    ]);
    expect(() => inline(b, graph, bound)).toThrow(/SequenceAt node '\/chosen' reads a position that is only known/);
  });

  it('drops casts to the type that a value has', () => {
    const b = new Builder();
    const x = b.input('x', 'float32', ['batch', 2]);
    const cast = b.op('CastLike', [b.op('Cast', [x], { to: text('float32') }), x]);
    const graph = b.build('cast', { y: b.relu(cast) });
    const program = new Builder();
    const input = program.input('x', 'float32', [3, 2]);
    const { outputs } = inline(program, graph, new Map([[x, input]]));
    expect(outputs.get('y')?.producer?.inputs).toEqual([input]);
  });

  it('keeps what the runtime writes to, in batch normalization that trains, away from other readers', async () => {
    const bytes = modelBytes({
      opset: 17,
      inputs: { x: ['float32', ['batch', 2]] },
      initializers: {
        scale: tensorFrom('float32', [2], [1, 1]),
        zero: tensorFrom('float32', [2], [0, 0]),
        one: tensorFrom('float32', [2], [1, 1]),
      },
      // The shift is the old mean and the scale has the old variance's elements, as exporters store equal tensors once.
      nodes: [
        {
          op: 'BatchNormalization',
          inputs: ['x', 'scale', 'zero', 'zero', 'one'],
          outputs: ['y', 'mean', 'variance'],
          attributes: { training_mode: 1 },
        },
      ],
      outputs: ['y'],
    });
    const { graph } = decodeModel(bytes, semantics);
    const b = new Builder();
    const [x] = graph.inputs;
    if (!x) throw new Error('no input');
    const { outputs } = inline(b, graph, new Map([[x, b.input('x', 'float32', [4, 2])]]));
    const program = encodeModel(b.build('program', Object.fromEntries(outputs)));
    const { y } = await runOnnx(program, { x: tensorFrom('float32', [4, 2], [1, 2, 3, 4, 5, 6, 7, 8]) });
    const normal = [-3, -1, 1, 3].map((distance) => distance / Math.sqrt(5 + 1e-5));
    for (const [i, element] of Array.from(y?.data as Float32Array).entries()) {
      expect(element).toBeCloseTo(normal[Math.floor(i / 2)] ?? 0, 5);
    }
  });

  it('gives unknown operators the types that the file declares, at the batch that is bound', () => {
    const x = new Value('x', { dtype: 'float32', shape: ['batch', 3] });
    const y = new Value('y', { dtype: 'float32', shape: ['batch', 5] });
    const node = { op: 'Mystery', domain: 'com.example', name: '', inputs: [x], outputs: [y], attributes: {} };
    const b = new Builder();
    const input = b.input('input', 'float32', [7, 3]);
    const graph = { name: 'unknown', inputs: [x], outputs: [{ name: 'y', value: y }], nodes: [node] };
    expect(inline(b, graph, new Map([[x, input]])).outputs.get('y')?.shape).toEqual([7, 5]);
  });

  it.each(['mlp-relu', 'lenet', 'resnet-groupnorm', 'gpt'])(
    '%s: every value has a static type once the input is bound',
    (name) => {
      const { graph } = decodeModel(readFileSync(new URL(`${name}.onnx`, exportedModels)), semantics);
      const { input } = JSON.parse(readFileSync(new URL(`${name}.reference.json`, exportedModels), 'utf8'));
      const [declared] = graph.inputs;
      if (!declared) throw new Error('no input');
      const b = new Builder();
      const { outputs } = inline(b, graph, new Map([[declared, b.input('input', input.dtype, input.shape)]]));
      const { nodes } = b.build('bound', Object.fromEntries(outputs));
      expect(nodes.filter(({ op }) => op === 'Shape')).toEqual([]);
      for (const node of nodes) for (const output of node.outputs) expect(output.dims).toBeDefined();
      expect(nodes.length).toBeLessThanOrEqual(graph.nodes.length);
    },
  );
});
