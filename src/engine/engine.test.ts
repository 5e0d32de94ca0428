import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engines, halving, numbers, valuesOf } from '../../test/support/engines.js';
import { slow, square } from '../../test/support/slow.js';
import { GraphError, OptionError, UnsupportedError } from '../errors.js';
import { int, type Node, Value } from '../graph/graph.js';
import { allocate, type TensorData, tensor } from '../graph/tensor.js';
import { Builder } from '../ops/builder.js';
import type { Engine } from './engine.js';
import { EngineError } from './host/host.js';

// What every engine does, whichever runtime it is built on.
describe.each(Object.entries(engines))('%s', (kind, make) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await make();
  });
  afterAll(() => engine.close());

  it('runs a graph with the values fed', async () => {
    const b = new Builder();
    const x = b.input('x', 'float64', ['n']);
    const program = await engine.compile(b.build('affine', { y: b.add(b.mul(x, 3), 1), n: b.shapeOf(x) }));
    const { y, n } = await program.run({ x: numbers([4], [1, 2, 3, 0.5], 'float64') });
    expect(y).toEqual(numbers([4], [4, 7, 10, 2.5], 'float64'));
    expect(n).toEqual(numbers([1], [4], 'int64'));
    const { y: shorter } = await program.run({ x: numbers([1], [1 / 3], 'float64') });
    expect(valuesOf(shorter)).toEqual([2]);
    await program.release();
  });

  it('keeps state over runs and shares it with other programs', async () => {
    const { graph, updates } = halving();
    const train = await engine.compile(graph, { updates });
    const b = new Builder();
    const judge = await engine.compile(b.build('judge', { total: b.sum(b.input('w', 'float32', [2, 3])) }));
    await engine.write({ w: numbers([2, 3], [8, 16, 24, 32, 40, 48]), count: numbers([], [0], 'int64') });
    const x = numbers([1, 2], [1, 1]);
    expect(Object.keys(await train.run({ x }))).toEqual(['y']);
    expect(valuesOf((await judge.run({})).total)).toEqual([84]);
    expect(valuesOf((await train.run({ x })).y)).toEqual([21, 29, 37]);
    const { w, count } = await engine.read(['w', 'count']);
    expect(w).toEqual(numbers([2, 3], [2, 4, 6, 8, 10, 12]));
    expect(count).toEqual(numbers([], [2], 'int64'));
    await train.release();
    expect(valuesOf((await judge.run({})).total)).toEqual([42]);
    await engine.forget(['w', 'count']);
    await expect(engine.read(['w'])).rejects.toThrow("the store holds no tensor 'w'; it holds none");
  });

  it('is fed what arrays held when run was called, and leaves them to the caller', async () => {
    const b = new Builder();
    const program = await engine.compile(b.build('twice', { y: b.mul(b.input('x', 'float32', [3]), 2) }));
    const memory = Float32Array.of(9, 1, 2, 3, 9);
    const running = program.run({ x: tensor('float32', [3], memory.subarray(1, 4)) });
    memory.fill(0);
    expect(valuesOf((await running).y)).toEqual([2, 4, 6]);
    expect(memory.length).toBe(5);
    const w = tensor('float32', [3], Float32Array.of(1, 1, 1));
    await engine.write({ w });
    (w.data as Float32Array).fill(0);
    const { w: read } = await engine.read(['w']);
    expect(valuesOf(read)).toEqual([1, 1, 1]);
    if (read) (read.data as Float32Array).fill(7);
    expect(valuesOf((await engine.read(['w'])).w)).toEqual([1, 1, 1]);
    await engine.forget(['w']);
  });

  it('runs calls in the order in which they are made', async () => {
    const { graph, updates } = halving();
    const program = await engine.compile(graph, { updates });
    const x = numbers([1, 2], [1, 0]);
    const [, first, second, state] = await Promise.all([
      engine.write({ w: numbers([2, 3], [4, 0, 0, 0, 0, 0]), count: numbers([], [0], 'int64') }),
      program.run({ x }),
      program.run({ x }),
      engine.read(['w']),
    ]);
    expect([valuesOf(first.y)[0], valuesOf(second.y)[0], valuesOf(state.w)[0]]).toEqual([4, 3, 1]);
    await program.release();
    await expect(program.run({ x })).rejects.toThrow(EngineError);
    await engine.forget(['w', 'count']);
  });

  it('carries each element type', async () => {
    const samples: Record<string, TensorData> = {
      float16: tensor('float16', [2], Uint16Array.of(0x3c00, 0xc000)),
      bool: tensor('bool', [3], Uint8Array.of(1, 0, 1)),
      empty: tensor('float32', [0, 4], new Float32Array(0)),
    };
    for (const dtype of [
      'float32',
      'float64',
      'int8',
      'int16',
      'int32',
      'int64',
      'uint8',
      'uint16',
      'uint32',
      'uint64',
    ] as const) {
      samples[dtype] = numbers([1, 2], [1, 100], dtype);
    }
    for (const [name, sample] of Object.entries(samples)) {
      const b = new Builder();
      const x = b.input(name, sample.dtype, sample.dims);
      const graph = b.build('copy', { y: b.output(x), next: b.output(x) });
      const program = await engine.compile(graph, { updates: new Map([['next', name]]) });
      await engine.write({ [name]: sample });
      await program.run({});
      expect((await program.run({})).y, name).toEqual(sample);
      expect((await engine.read([name]))[name], name).toEqual(sample);
      await program.release();
    }
    await engine.forget(Object.keys(samples));
    const halves = { x: tensor('bfloat16', [1], allocate('bfloat16', 1)) };
    await expect(engine.write(halves)).rejects.toThrow(UnsupportedError);
  });

  it('names inputs that are missing, unknown, or of another type', async () => {
    const { graph, updates } = halving();
    const program = await engine.compile(graph, { updates });
    const x = numbers([1, 2], [1, 1]);
    const w = numbers([2, 3], [1, 1, 1, 1, 1, 1]);
    const count = numbers([], [0], 'int64');
    await expect(program.run({ x, w })).rejects.toThrow(
      "input 'count' of program 'halving' is neither fed nor stored: feed int64[], or write 'count' to the store",
    );
    await expect(program.run({ x, w, count, weight: w })).rejects.toThrow(
      "program 'halving' has no input 'weight'; it has 'x', 'w', 'count'",
    );
    await expect(program.run({ x: numbers([2], [1, 1]), w, count })).rejects.toThrow(
      "input 'x' of program 'halving' is float32[rows, 2], but got float32[2]",
    );
    await expect(program.run({ x: numbers([1, 2], [1, 1], 'float64'), w, count })).rejects.toThrow(OptionError);
    await program.release();
  });

  it('refuses updates that no output feeds, or that two outputs feed', async () => {
    const { graph } = halving();
    const compile = (updates: Record<string, string>) =>
      engine.compile(graph, { updates: new Map(Object.entries(updates)) });
    await expect(compile({ nextV: 'v' })).rejects.toThrow(
      "'nextV' is to update 'v', but the graph 'halving' has no such output",
    );
    await expect(compile({ nextW: 'w', y: 'w' })).rejects.toThrow(OptionError);
  });

  it('wraps what the runtime says about a graph that it refuses or that fails', async () => {
    const x = new Value('x', { dtype: 'float32', shape: ['n'] });
    const y = new Value('y', { dtype: 'float32', shape: ['n'] });
    const node: Node = { op: 'NoSuchOperator', domain: '', name: '', inputs: [x], outputs: [y], attributes: {} };
    const refused = engine.compile({ name: 'wrong', inputs: [x], outputs: [{ name: 'y', value: y }], nodes: [node] });
    await expect(refused).rejects.toThrow(GraphError);
    await expect(refused).rejects.toThrow(/the graph 'wrong'.*NoSuchOperator/s);

    const b = new Builder();
    const table = b.input('table', 'float32', [2]);
    const index = b.input('index', 'int64', [1]);
    const graph = b.build('lookup', { y: b.op('Gather', [table, index], { axis: int(0) }), next: b.neg(table) });
    const program = await engine.compile(graph, { updates: new Map([['next', 'table']]) });
    await engine.write({ table: numbers([2], [1, 2]) });
    await expect(program.run({ index: numbers([1], [5], 'int64') })).rejects.toThrow(
      /program 'lookup' failed.*Gather/s,
    );
    // A failed run changes nothing, and the next one works.
    expect(valuesOf((await engine.read(['table'])).table)).toEqual([1, 2]);
    expect(valuesOf((await program.run({ index: numbers([1], [1], 'int64') })).y)).toEqual([2]);
    await engine.forget(['table']);
  });

  it('leaves a Loop early', async () => {
    const b = new Builder();
    const limit = b.input('limit', 'float32', []);
    const initial = { doubled: b.scalar(1, 'float32'), rounds: b.scalar(0, 'int64') };
    const last = b.loop(50, initial, (inner, i, carried) => {
      const doubled = inner.mul(carried.doubled, 2);
      return { doubled, rounds: inner.add(i, inner.scalar(1, 'int64')), again: inner.less(doubled, limit) };
    });
    const program = await engine.compile(b.build('doubling', last));
    const result = await program.run({ limit: numbers([], [1000]) });
    expect([valuesOf(result.doubled), valuesOf(result.rounds)]).toEqual([[1024], [10]]);
    const whole = await program.run({ limit: numbers([], [Number.POSITIVE_INFINITY]) });
    expect(valuesOf(whole.rounds)).toEqual([50]);
  });

  it('computes the branch of an If that is chosen', async () => {
    const b = new Builder();
    const x = b.input('x', 'float32', []);
    const [y] = b.branch(
      b.less(x, 0),
      (inner) => [inner.neg(x)],
      (inner) => [inner.sqrt(x)],
    );
    const program = await engine.compile(b.build('choice', { y: y as Value }));
    expect(valuesOf((await program.run({ x: numbers([], [-7]) })).y)).toEqual([7]);
    expect(valuesOf((await program.run({ x: numbers([], [49]) })).y)).toEqual([7]);
  });

  it('ends calls with a typed error after it is closed, and closes twice', async () => {
    const closed = await make();
    const { graph, updates } = halving();
    const program = await closed.compile(graph, { updates });
    await closed.close();
    await closed.close();
    await expect(program.run({ x: numbers([1, 2], [1, 1]) })).rejects.toThrow(`the ${closed.name} engine is closed`);
    await expect(closed.write({})).rejects.toThrow(EngineError);
    await expect(closed.compile(graph)).rejects.toThrow(EngineError);
    await program.release();
    await closed.forget(['w']);
  });

  it('is closed while a program runs', async () => {
    const closing = await make();
    const program = await closing.compile(slow(30));
    // The worker answers calls in their order: after the answer to the writing it has begun with the run behind it.
    const before = kind === 'node in a worker' ? [program.run({ x: square() }), closing.write({})] : [];
    const running = program.run({ x: square() });
    const waiting = program.run({ x: square() });
    const outcome = Promise.allSettled([running, waiting]);
    if (before.length > 0) await before.at(-1);
    await closing.close();
    expect(await outcome).toMatchObject([
      { status: 'rejected', reason: expect.any(EngineError) },
      { status: 'rejected', reason: expect.any(EngineError) },
    ]);
  });
});
