// Engines opened from another: a store each on one runtime, however the calls are interleaved and whoever closes first.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engines, halving, numbers, valuesOf } from '../../test/support/engines.js';
import { slow, square } from '../../test/support/slow.js';
import type { Engine } from './engine.js';
import { EngineError } from './host/host.js';

const x = numbers([1, 2], [1, 0]);
const start = (first: number) => ({
  w: numbers([2, 3], [first, 0, 0, 0, 0, 0]),
  count: numbers([], [0], 'int64'),
});

describe.each(Object.entries(engines))('%s', (_, make) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await make();
  });
  afterAll(() => engine.close());

  const compiled = (on: Engine) => {
    const { graph, updates } = halving();
    return on.compile(graph, { updates });
  };
  const firstWeight = async (on: Engine) => valuesOf((await on.read(['w'])).w)[0];

  it('keeps tensors of equal names apart, with calls interleaved', async () => {
    const all = [engine, engine.open(), engine.open()];
    const programs = await Promise.all(all.map(compiled));
    await Promise.all(all.map((one, i) => one.write(start(8 * (i + 1)))));
    await Promise.all([0, 1, 2, 2, 1, 2].map((i) => programs[i]?.run({ x })));
    expect(await Promise.all(all.map(firstWeight))).toEqual([4, 4, 3]);
    await engine.forget(['w', 'count']);
    await expect(engine.read(['w'])).rejects.toThrow("the store holds no tensor 'w'; it holds none");
    expect(await Promise.all(all.slice(1).map(firstWeight))).toEqual([4, 3]);
    await Promise.all(all.slice(1).map((one) => one.close()));
    await programs[0]?.release();
  });

  it('closes alone, after the calls made before, and leaves the others as they are', async () => {
    const [closing, other] = [engine.open(), engine.open()];
    const [stopped, program] = [await compiled(closing), await compiled(other)];
    await Promise.all([closing.write(start(8)), other.write(start(16)), engine.write(start(32))]);
    const under = [stopped.run({ x }), program.run({ x })];
    await closing.close();
    await closing.close();
    expect((await Promise.all(under)).map(({ y }) => valuesOf(y)[0])).toEqual([8, 16]);
    await expect(stopped.run({ x })).rejects.toThrow(`the ${engine.name} engine is closed`);
    await expect(closing.read(['w'])).rejects.toThrow(EngineError);
    expect(() => closing.open()).toThrow(EngineError);
    await stopped.release();
    await closing.forget(['w']);
    expect(valuesOf((await program.run({ x })).y)[0]).toBe(9); // 16/2 + 1
    expect([await firstWeight(other), await firstWeight(engine)]).toEqual([4, 32]);
    // A later one does not find what a closed one left.
    const later = engine.open();
    await expect(later.read(['w'])).rejects.toThrow("the store holds no tensor 'w'");
    await Promise.all([other.close(), later.close(), engine.forget(['w', 'count'])]);
  });

  it('is not touched by a program of another that fails', async () => {
    const [failing, other] = [engine.open(), engine.open()];
    const [broken, program] = [await compiled(failing), await compiled(other)];
    await other.write(start(8));
    const outcomes = await Promise.allSettled([broken.run({ x }), program.run({ x }), broken.run({ x })]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
    expect(await firstWeight(other)).toBe(4);
    await Promise.all([failing.close(), other.close()]);
  });

  it('closes with what it was opened from', async () => {
    const root = await make();
    const child = root.open();
    const [grandchild, sibling] = [child.open(), root.open()];
    const program = await compiled(grandchild);
    await Promise.all([grandchild.write(start(8)), sibling.write(start(8))]);
    await child.close();
    await expect(program.run({ x })).rejects.toThrow(EngineError);
    await expect(grandchild.write({})).rejects.toThrow(EngineError);
    await grandchild.close();
    expect(await firstWeight(sibling)).toBe(8);
    await root.close();
    await expect(sibling.read(['w'])).rejects.toThrow(EngineError);
    await expect(sibling.compile(slow(1))).rejects.toThrow(EngineError);
    await sibling.close();
  });

  it('resolves its close if the one it was opened from closes meanwhile', async () => {
    const root = await make();
    const child = root.open();
    const program = await child.compile(slow(5));
    const running = Promise.allSettled([program.run({ x: square() })]);
    const closing = [child.close(), root.close()];
    await Promise.all(closing);
    await running;
    await expect(child.read([])).rejects.toThrow(EngineError);
  });
});
