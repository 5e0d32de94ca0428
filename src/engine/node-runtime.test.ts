import { expect, it } from 'vitest';
import { OptionError } from '../errors.js';
import { nodeEngine } from './node.js';
import { describeRuntime, loadNodeRuntime } from './node-runtime.js';

it('checks its options', async () => {
  await expect(nodeEngine({ threads: 0 })).rejects.toThrow('threads is 0; it must be a whole number, at least 1');
  await expect(nodeEngine({ threads: 1.5 })).rejects.toThrow(OptionError);
  await expect(nodeEngine({ executionProviders: [] })).rejects.toThrow(OptionError);
});

it('says how to install a runtime that is missing, and why one does not load', async () => {
  const missing = 'onnxruntime-node-of-no-registry';
  await expect(loadNodeRuntime(() => import(missing))).rejects.toThrow('npm install onnxruntime-node');
  const broken = loadNodeRuntime(() => Promise.reject(new Error('no binary')));
  await expect(broken).rejects.toThrow(`onnxruntime-node does not load on ${process.platform}-${process.arch}`);
});

it('describes the runtime', async () => {
  expect(await describeRuntime()).toMatchObject({
    runtime: 'onnxruntime-node',
    version: expect.stringMatching(/^1\.\d+\.\d+/),
  });
});
