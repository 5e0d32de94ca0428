// The web engine in a browser, on WebAssembly threads and on WebGPU: the numbers that the native engine computes.
import { describe, expect, it } from 'vitest';
import { findChromium, inBrowser } from './page.js';

const chromium = findChromium();
if (!chromium && process.env.CGFAC_REQUIRE_ALL === '1')
  throw new Error('no Chromium: install it or set CGFAC_CHROMIUM');
if (!chromium) console.warn('skipped: the web engine in a browser (no Chromium; install it or set CGFAC_CHROMIUM)');

/** Three steps of gradient descent on |x·w − 1|², its weights in the store; then the loss, the weights and the count. */
const descend = `
  const { Builder } = await import('cgfac/ops/builder.js');
  const b = new Builder();
  const x = b.input('x', 'float32', [2, 2]);
  const w = b.input('w', 'float32', [2, 1]);
  const count = b.input('count', 'int64', []);
  const residual = b.sub(b.matmul(x, w), 1);
  const slope = b.matmul(b.transpose(x), residual);
  const graph = b.build('descent', {
    loss: b.sum(b.square(residual)),
    nextW: b.sub(w, b.mul(slope, 0.1)),
    nextCount: b.add(count, b.scalar(1, 'int64')),
  });
  const program = await engine.compile(graph, { updates: new Map([['nextW', 'w'], ['nextCount', 'count']]) });
  await engine.write({
    w: { dtype: 'float32', dims: [2, 1], data: Float32Array.of(0, 0) },
    count: { dtype: 'int64', dims: [], data: BigInt64Array.of(0n) },
  });
  const feeds = { x: { dtype: 'float32', dims: [2, 2], data: Float32Array.of(1, 2, 3, 1) } };
  const losses = [];
  for (let step = 0; step < 3; step++) losses.push((await program.run(feeds)).loss.data[0]);
  const read = async () => {
    const state = await engine.read(['w', 'count']);
    return [...state.w.data, Number(state.count.data[0])];
  };
  const once = await read();
  const twice = await read();
  losses.push((await program.run(feeds)).loss.data[0]);
  const last = await read();
  await engine.close();
  return { losses, once, twice, last };`;

/** The same arithmetic in float64. */
function expected(steps: number): { losses: number[]; w: [number, number] } {
  let [w0, w1] = [0, 0];
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    const [r0, r1] = [w0 + 2 * w1 - 1, 3 * w0 + w1 - 1];
    losses.push(r0 * r0 + r1 * r1);
    [w0, w1] = [w0 - 0.1 * (r0 + 3 * r1), w1 - 0.1 * (2 * r0 + r1)];
  }
  return { losses, w: [w0, w1] };
}

describe.skipIf(!chromium)('webEngine in a browser', () => {
  it.each([
    ['wasm', "{ provider: 'wasm', threads: 2 }"],
    ['webgpu', "{ provider: 'webgpu' }"],
  ])('%s: trains with its state kept from run to run', async (_, options) => {
    const start = `const { webEngine } = await import('cgfac/web.js'); const engine = await webEngine(${options});`;
    const result = (await inBrowser(chromium ?? '', start + descend)) as Record<string, number[]>;
    const close = (found: number[] | undefined, wanted: number[]) => {
      expect(found).toHaveLength(wanted.length);
      for (const [i, value] of wanted.entries()) expect(found?.[i]).toBeCloseTo(value, 5);
    };
    close(result.losses, expected(4).losses);
    close(result.once, [...expected(3).w, 3]);
    expect(result.twice).toEqual(result.once);
    close(result.last, [...expected(4).w, 4]);
  });

  it('is what functions make that are given no engine: training, prediction and figures as in Node', async () => {
    const source = `
      const data = await loadData('digits?train=60&test=20');
      const given = mlp({ sizes: [784, 8, 10], seed: 1 });
      const { model, record } = await train(given, { data, optimizer: adam(), batchSize: 20, steps: 3 });
      const { output } = await predict(model, new Float32Array(2 * 784).fill(0.5));
      const { values } = await evaluate(model, data.test, { metrics: ['accuracy'] });
      return { losses: record.steps.map(({ loss }) => loss), output: [...output.data], values };`;
    const names = 'adam, evaluate, loadData, mlp, predict, train';
    const found = await inBrowser(chromium ?? '', `const { ${names} } = await import('cgfac/web.js'); ${source}`);
    const inNode = new Function('library', `return (async () => { const { ${names} } = library; ${source} })();`);
    const wanted = await inNode(await import('../../src/node.js'));
    const flat = ({ losses, output, values }: typeof wanted) => [...losses, ...output, values.loss, values.accuracy];
    const numbers = flat(found as typeof wanted);
    expect(numbers).toHaveLength(3 + 2 * 10 + 2);
    for (const [i, number] of flat(wanted).entries()) expect(numbers[i]).toBeCloseTo(number, 4);
  });

  it('webgpu: floating-point state stays on the device', async () => {
    // Listens to what the runtime returns, since the engine hides where a tensor is.
    const listen = `
      const { InferenceSession } = await import('onnxruntime-web/webgpu');
      const places = new Set();
      const create = InferenceSession.create;
      InferenceSession.create = async (...args) => {
        const session = await create.apply(InferenceSession, args);
        const run = session.run.bind(session);
        session.run = async (...args) => {
          const outputs = await run(...args);
          for (const [name, { location }] of Object.entries(outputs)) places.add(name + ' ' + location);
          return outputs;
        };
        return session;
      };
      const { webEngine } = await import('cgfac/web.js');
      const engine = await webEngine({ provider: 'webgpu' });`;
    const script = `${listen} await (async () => {${descend}})(); return [...places].sort();`;
    expect(await inBrowser(chromium ?? '', script)).toEqual(['loss cpu', 'nextCount cpu', 'nextW gpu-buffer']);
  });

  it.each(['wasm', 'webgpu'])('%s: takes a run back, and refuses one', async (provider) => {
    const script = `
      const { webEngine } = await import('cgfac/web.js');
      const { Builder } = await import('cgfac/ops/builder.js');
      const engine = await webEngine({ provider: '${provider}' });
      const b = new Builder();
      const [w, by] = [b.input('w', 'float32', [2]), b.input('by', 'float32', [])];
      const graph = b.build('adding', { good: b.less(by, 100), next: b.add(w, by) });
      const program = await engine.compile(graph, { updates: new Map([['next', 'w']]), accept: 'good', undoable: true });
      const own = engine.open();
      const tensor = (dims, ...values) => ({ dtype: 'float32', dims, data: Float32Array.from(values) });
      const add = (value) => program.run({ by: tensor([], value) });
      await engine.write({ w: tensor([2], 0, 1) });
      await own.write({ w: tensor([2], -1, -1) });
      await add(2);
      await add(4);
      await add(8);
      await add(100);
      await program.undo();
      await add(16);
      await program.undo();
      const refusal = await program.undo().catch((error) => error.name);
      await add(32);
      const { w: found } = await engine.read(['w']);
      const { w: others } = await own.read(['w']);
      await own.close();
      await add(1);
      const { w: last } = await engine.read(['w']);
      await engine.close();
      return { found: [...found.data], others: [...others.data], last: [...last.data], refusal };`;
    expect(await inBrowser(chromium ?? '', script)).toEqual({
      found: [38, 39],
      others: [-1, -1],
      last: [39, 40],
      refusal: 'EngineError',
    });
  });

  it('names what fails', async () => {
    const script = `const { webEngine } = await import('cgfac/web.js');
      const engine = await webEngine({ provider: 'wasm' });
      return engine.read(['absent']).catch((error) => error.name + ': ' + error.message);`;
    expect(await inBrowser(chromium ?? '', script)).toBe(
      "OptionError: the store holds no tensor 'absent'; it holds none",
    );
  });
});
