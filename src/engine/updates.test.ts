// Updates that an output accepts or refuses, and updates that are taken back.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engines, numbers, valuesOf } from '../../test/support/engines.js';
import { OptionError } from '../errors.js';
import type { TensorType } from '../graph/graph.js';
import type { DataType } from '../graph/tensor.js';
import { Builder } from '../ops/builder.js';
import type { Engine, Program, ProgramOptions } from './engine.js';
import { EngineError } from './host/host.js';
import { SessionHost } from './host/session.js';
import type { OnnxRuntime } from './runtime-tensor.js';

/** w ← w + by and v ← v + 10·by, with an output that may decide. */
function adding(dtype: DataType = 'float32', dims: readonly (number | string)[] = []) {
  const b = new Builder();
  const by = b.input('by', 'float32', []);
  const [w, v] = [b.input('w', 'float32', [1]), b.input('v', 'float32', [1])];
  const decision = b.output(b.input('good', dtype, dims));
  return b.build('adding', { decision, nextW: b.add(w, by), nextV: b.add(v, b.mul(by, 10)) });
}
const updates = new Map([['nextW', 'w'], ['nextV', 'v']]); // biome-ignore format: pairs

describe.each(Object.entries(engines))('%s', (_, make) => {
  let root: Engine;
  beforeAll(async () => {
    root = await make();
  });
  afterAll(() => root.close());

  const begin = async (options: ProgramOptions, dtype?: DataType) => {
    const engine = root.open();
    const program = await engine.compile(adding(dtype), { updates, ...options });
    await engine.write({ w: numbers([1], [0]), v: numbers([1], [0]), good: numbers([], [1], dtype) });
    const add = (by: number, decision = 1) =>
      program.run({ by: numbers([], [by]), good: numbers([], [decision], dtype) });
    const state = async () => Object.values(await engine.read(['w', 'v'])).map((value) => valuesOf(value)[0]);
    return { engine, program, add, state };
  };

  it.each<[DataType, number, boolean]>([
    ['bool', 1, true],
    ['bool', 0, false],
    ['int64', -3, true],
    ['int64', 0, false],
    ['float32', 0.5, true],
    ['float32', Number.POSITIVE_INFINITY, true],
    ['float32', 0, false],
    ['float32', -0, false],
    ['float32', Number.NaN, false],
    ['float64', 1e-300, true],
    ['float64', Number.NaN, false],
  ])('a decision of %s %d: %s', async (dtype, decision, happens) => {
    const { engine, add, state } = await begin({ accept: 'decision' }, dtype);
    const result = await add(1, decision);
    expect(Object.keys(result)).toEqual(['decision']);
    expect(valuesOf(result.decision)).toEqual([decision]);
    expect(await state()).toEqual(happens ? [1, 10] : [0, 0]);
    await add(2, 1);
    expect(await state()).toEqual(happens ? [3, 30] : [2, 20]);
    await engine.close();
  });

  it('refuses a decision that is no output, an update, or not one number', async () => {
    const compile = (accept: string, dtype: DataType, dims: readonly (number | string)[] = [], more = updates) =>
      root.compile(adding(dtype, dims), { updates: more, accept });
    await expect(compile('absent', 'bool')).rejects.toThrow(
      "'absent' is to accept updates, but the graph 'adding' has no such output",
    );
    await expect(compile('nextW', 'bool')).rejects.toThrow("and itself updates 'w'");
    await expect(compile('decision', 'float32', [2])).rejects.toThrow(
      "'decision' is to accept the updates of the graph 'adding', but it is float32[2]: give an output of one element",
    );
    await expect(compile('decision', 'float16')).rejects.toThrow(OptionError);
    // One whose size is known when it runs only: the run fails and changes nothing.
    const engine = root.open();
    const program = await engine.compile(adding('float32', ['n']), { updates, accept: 'decision' });
    await engine.write({ w: numbers([1], [0]), v: numbers([1], [0]) });
    const run = (decision: readonly number[]) =>
      program.run({ by: numbers([], [1]), good: numbers([decision.length], decision) });
    await expect(run([1, 1])).rejects.toThrow('but it is float32[2]');
    await expect(run([])).rejects.toThrow('but it is float32[0]');
    expect(valuesOf((await engine.read(['w'])).w)).toEqual([0]);
    await run([1]);
    expect(valuesOf((await engine.read(['w'])).w)).toEqual([1]);
    await engine.close();
  });

  it('takes back the last run that had updates, once', async () => {
    const { engine, program, add, state } = await begin({ undoable: true, accept: 'decision' });
    await expect(program.undo()).rejects.toThrow("program 'adding' has no run to undo");
    await add(1);
    await add(2);
    await program.undo();
    expect(await state()).toEqual([1, 10]);
    await expect(program.undo()).rejects.toThrow(EngineError);
    expect(await state()).toEqual([1, 10]);
    // Runs go on from there, and those that had no updates do not count.
    await add(4);
    await add(8, 0);
    await expect(program.run({ by: numbers([2], [1, 1]) })).rejects.toThrow(OptionError);
    expect(await state()).toEqual([5, 50]);
    await program.undo();
    expect(await state()).toEqual([1, 10]);
    await program.release();
    await expect(program.undo()).rejects.toThrow(EngineError);
    await engine.close();
    await expect(program.undo()).rejects.toThrow('engine is closed');
  });

  it('puts back the very bits, and nothing where there was nothing', async () => {
    const engine = root.open();
    const b = new Builder();
    const x = b.input('x', 'float16', [2]);
    const program = await engine.compile(b.build('copy', { first: b.output(x), second: b.output(x) }), {
      updates: new Map([['first', 'x'], ['second', 'new']]), // biome-ignore format: pairs
      undoable: true,
    });
    const halves = (...bits: number[]) => ({ dtype: 'float16', dims: [2], data: Uint16Array.from(bits) }) as const;
    await engine.write({ x: halves(0x7e01, 0x8000) });
    await program.run({ x: halves(0x3c00, 0xc000) });
    expect((await engine.read(['new'])).new).toEqual(halves(0x3c00, 0xc000));
    await program.undo();
    expect((await engine.read(['x'])).x).toEqual(halves(0x7e01, 0x8000));
    await expect(engine.read(['new'])).rejects.toThrow("the store holds no tensor 'new'; it holds 'x'");
    await engine.close();
  });

  it('keeps nothing if it was not asked to', async () => {
    const { engine, program, add } = await begin({});
    await add(1);
    await expect(program.undo()).rejects.toThrow(OptionError);
    await expect(program.undo()).rejects.toThrow('compile it with { undoable: true }');
    await engine.close();
  });

  it('does not undo what was replaced since, unless that is undone first', async () => {
    const { engine, program, add, state } = await begin({ undoable: true });
    const refused = async (): Promise<void> => {
      const before = await state();
      const undone = program.undo();
      await expect(undone).rejects.toThrow(EngineError);
      await expect(undone).rejects.toThrow("the tensor 'v' was replaced or forgotten since");
      expect(await state()).toEqual(before);
    };
    await add(1);
    await engine.write({ v: numbers([1], [7]), other: numbers([1], [7]) });
    await refused();
    await add(1);
    await engine.write({ other: numbers([1], [8]) });
    await program.undo();
    expect(await state()).toEqual([1, 7]);

    const b = new Builder();
    const negating: Program = await engine.compile(b.build('negating', { next: b.neg(b.input('v', 'float32', [1])) }), {
      updates: new Map([['next', 'v']]),
      undoable: true,
    });
    await add(1);
    await negating.run({});
    expect(await state()).toEqual([2, -17]);
    await refused();
    await negating.undo();
    await program.undo();
    expect(await state()).toEqual([1, 7]);
    await add(1);
    await engine.forget(['v']);
    await expect(program.undo()).rejects.toThrow("the tensor 'v' was replaced or forgotten since");
    await engine.close();
  });
});

describe('tensors on a device', () => {
  /** A runtime whose programs return a tensor on a device that counts upward, and tells which ones were freed. */
  const begin = async (undoable: boolean, type: TensorType = { dtype: 'float32', shape: [] }) => {
    const freed: number[] = [];
    let made = 0;
    let decision = 1;
    const next = () => {
      const number = ++made;
      return { type: 'float32', dims: [], location: 'gpu-buffer', dispose: () => freed.push(number) };
    };
    const answer = () => ({ type: 'float32', dims: [], location: 'cpu', data: Float32Array.of(decision) });
    const session = { run: async () => ({ next: next(), decision: answer() }), release: async () => undefined };
    const ort = { InferenceSession: { create: async () => session } } as unknown as OnnxRuntime;
    const host = new SessionHost(ort, () => ({}));
    const program = await host.compile({
      store: 0,
      name: 'counting',
      bytes: new Uint8Array(0),
      nodes: 1,
      inputs: new Map(),
      outputs: new Map([['next', type], ['decision', type]]), // biome-ignore format: pairs
      updates: new Map([['next', 'w']]),
      accept: 'decision',
      undoable,
    });
    const run = (accepted = true) => {
      decision = Number(accepted);
      return host.run(program, {});
    };
    return { host, program, run, freed };
  };

  it('are freed when they are replaced, and when their run is refused', async () => {
    const { host, run, freed } = await begin(false);
    await run();
    await run(false);
    expect(freed).toEqual([2]);
    await run();
    expect(freed).toEqual([2, 1]);
    await host.close();
    expect(freed).toEqual([2, 1, 3]);
  });

  it('are kept for one generation if their run can be undone', async () => {
    const { host, program, run, freed } = await begin(true);
    await run();
    await run();
    expect(freed).toEqual([]);
    await run();
    expect(freed).toEqual([1]);
    await run(false);
    expect(freed).toEqual([1, 4]);
    await host.undo(program);
    expect(freed).toEqual([1, 4, 3]);
    await run();
    await host.release(program);
    expect(freed).toEqual([1, 4, 3, 2]);
    await host.drop([0]);
    expect(freed).toEqual([1, 4, 3, 2, 5]);
  });
});
