import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Builder } from '../../ops/builder.js';
import { HostEngine } from '../host-engine.js';
import { EngineError } from './host.js';
import { startWorkerHost } from './worker.js';

describe('a worker that ends by itself', () => {
  const empty = new Builder().build('empty', {});
  const script = (onMessage: string) => {
    const source = `import { parentPort } from 'node:worker_threads';
      parentPort.postMessage({ ready: true });
      parentPort.on('message', () => { ${onMessage} });`;
    return new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  };

  it.each([
    ['throws', "throw new Error('out of memory')", 'worker thread crashed: out of memory'],
    ['exits', 'process.exit(3)', 'worker thread ended with code 3'],
  ])('%s: all calls are rejected with a typed error, and close resolves', async (_, onMessage, message) => {
    const engine = new HostEngine('test', await startWorkerHost(script(onMessage), {}));
    const calls = await Promise.allSettled([engine.read(['x']), engine.write({}), engine.compile(empty)]);
    for (const call of calls) {
      expect(call).toMatchObject({ status: 'rejected', reason: { message: expect.stringContaining(message) } });
      expect(call.status === 'rejected' && call.reason).toBeInstanceOf(EngineError);
    }
    await expect(engine.read(['x'])).rejects.toThrow(message);
    await engine.close();
  });

  it('does not start: the error names the script', async () => {
    const absent = new URL('./absent.js', import.meta.url);
    await expect(startWorkerHost(absent, {})).rejects.toThrow(/did not start from .*absent\.js/);
  });
});

describe('a process that trains', () => {
  // Runs the built package in a process of its own: the event loop of a test runner never ends.
  const outcome = async (end: string): Promise<string> => {
    const dist = new URL('../../../dist/', import.meta.url);
    const source = `
      const { nodeEngine } = await import('${dist}engine/node.js');
      const { Builder } = await import('${dist}ops/builder.js');
      const engine = await nodeEngine({ threads: 1 });
      const b = new Builder();
      const x = b.input('x', 'float32', [400, 400]);
      const { y } = b.loop(40, { y: x }, (inner, i, { y }) => ({ y: inner.matmul(y, x) }));
      const program = await engine.compile(b.build('slow', { y: b.sum(y) }));
      const x400 = { dtype: 'float32', dims: [400, 400], data: new Float32Array(160_000).fill(0.0025) };
      process.on('exit', (code) => console.log('exit ' + code));
      ${end}`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', source]);
    return stdout.trim();
  };

  it('ends though an engine is left open', async () => {
    expect(await outcome('')).toBe('exit 0');
  });

  it('does not end while a program runs', async () => {
    const end = 'program.run({ x: x400 }).then(({ y }) => console.log(Math.round(y.data[0])));';
    expect(await outcome(end)).toBe('400\nexit 0');
  });

  it('ends at once on process.exit, and on close, while a program runs', async () => {
    // The worker answers calls in their order: after the answer to the writing it has begun with the run behind it.
    const exit = 'program.run({ x: x400 }); const written = engine.write({}); program.run({ x: x400 });';
    expect(await outcome(`${exit} await written; process.exit(0);`)).toBe('exit 0');
    const close = 'program.run({ x: x400 }).catch((error) => console.log(error.name)); await engine.close();';
    expect(await outcome(close)).toBe('EngineError\nexit 0');
  });
});
