// Fine-tuning from the command line: an exported classifier goes in, a file that ONNX Runtime runs comes out.
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gatherBatch } from '../src/data/batches.js';
import { onlyInput } from '../src/data/dataset.js';
import { loadData } from '../src/data/spec.js';
import { withInputShape } from '../src/data/views.js';
import { tensorFrom } from '../src/graph/tensor.js';
import { modelFromBytes } from '../src/model/file-model.js';
import { semantics } from '../src/ops/table.js';
import { cgfac } from './support/command.js';
import { modelBytes, runOnnx } from './support/onnx-models.js';
import { exportedModels } from './support/outside.js';

const file = (name: string) => fileURLToPath(new URL(`${name}.onnx`, exportedModels));
const few = 'digits?train=200&test=40';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cgfac-fine-tuning-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Trains for three steps; returns the reported result and the bytes of the model. */
async function fineTune(name: string, flags: readonly string[]) {
  const out = join(folder, name);
  const { code, stdout, stderr } = await cgfac([
    ...['train', file('mlp-relu'), '--data', few, '--steps', '3', '--batch-size', '50', '--threads', '1'],
    ...['--out', out, '--json', ...flags],
  ]);
  expect(code, stderr).toBe(0);
  const result = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  return { result, stderr, bytes: readFileSync(join(out, 'model.onnx')) };
}

/** The mean cross-entropy of a file on the test set: a fresh session, the loss in float64. */
async function lossOf(bytes: Uint8Array): Promise<number> {
  const { test } = await loadData(few, { seed: 0 });
  const indices = Uint32Array.from({ length: test.size }, (_, i) => i);
  const batch = gatherBatch(withInputShape(test, [1, 28, 28]), indices);
  const { output } = await runOnnx(bytes, { input: onlyInput(batch) });
  let sum = 0;
  for (const [i, label] of Array.from(batch.target.data, Number).entries()) {
    const logits = Array.from(output?.data ?? [], Number).slice(10 * i, 10 * i + 10);
    sum += Math.log(logits.reduce((total, logit) => total + Math.exp(logit), 0)) - (logits[label] ?? Number.NaN);
  }
  return sum / test.size;
}

/** Names of the tensors of a file, and of those that are not the same bits as in the original. */
function comparedWithOriginal(bytes: Uint8Array) {
  const tensors = (encoded: Uint8Array) =>
    [...modelFromBytes(encoded, semantics).parameters].map(([name, { constant }]) => {
      const { buffer, byteOffset, byteLength } = constant?.data ?? new Float32Array();
      return [name, Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength).toString('base64')] as const;
    });
  const before = new Map(tensors(readFileSync(file('mlp-relu'))));
  const after = tensors(bytes);
  expect(after.map(([name]) => name)).toEqual([...before.keys()]);
  return after.filter(([name, bits]) => bits !== before.get(name)).map(([name]) => name);
}

describe('cgfac train FILE.onnx', () => {
  it.each([
    ['train', ['--train', 'l.5.*'], ['l.5.weight', 'l.5.bias']],
    ['freeze', ['--freeze', '*.weight', '--freeze', 'l.1.*', '--optimizer', 'adam'], ['l.3.bias', 'l.5.bias']],
    ['new-head', ['--new-head', '10', '--freeze', 'l.1.*', '--freeze', 'l.3.*'], ['l.5.weight', 'l.5.bias']],
    ['lora', ['--lora', '4', '--train', 'l.5.bias'], ['l.1.weight', 'l.3.weight', 'l.5.weight', 'l.5.bias']],
    ['lora-head', ['--lora', '4', '--new-head', '10', '--freeze', 'l.3.*'], ['l.1.weight', 'l.5.weight', 'l.5.bias']],
  ])(
    '%s: trains what it is to, keeps the bits of the rest, and writes what it evaluated',
    async (name, flags, moved) => {
      const { result, stderr, bytes } = await fineTune(name, flags);
      // The file is of a network as it was drawn.
      expect(stderr).toContain(
        name.endsWith('head')
          ? 'Behind the new last layer the loss does not show whether the other weights are trained: their loss on 200'
          : 'The weights do not look trained for these data: their loss on 200 training examples is ',
      );
      expect(comparedWithOriginal(bytes)).toEqual(moved);
      expect(Math.abs((await lossOf(bytes)) - result.test.loss)).toBeLessThan(1e-6);
    },
  );

  it('says what a name may be, and what does not fit', async () => {
    const run = async (...flags: string[]) =>
      cgfac(['train', file('mlp-relu'), '--data', few, '--steps', '1', '--out', join(folder, 'refused'), ...flags]);
    const unknown = await run('--train', 'head.*');
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toMatch(
      /^cgfac: 'head\.\*' matches no parameter of model 'mlp-relu.*'; it has l\.1\.weight/,
    );
    const tooFew = await run('--new-head', '5');
    expect(tooFew.code).toBe(2);
    expect(tooFew.stderr).toMatch(/fits neither .* --new-head 10$/m);
  });
});

describe('cgfac inspect FILE.onnx', () => {
  it.each([
    ['mlp-relu', /109,386 parameters/, 'l.1.weight + bias'],
    ['lenet', /61,706 parameters/, 'f1.weight + bias'],
    ['resnet-groupnorm', /19,698 parameters/, 'fc.weight + bias'],
    ['gpt', /30,656 parameters/, 'onnx::MatMul_243 + u.0.bias'],
  ])('%s: counts the parameters and shows their blocks', async (name, counted, block) => {
    const { code, stdout, stderr } = await cgfac(['inspect', file(name)]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(counted);
    expect(stdout).toContain(block);
  });
});

describe('cgfac check FILE.onnx', () => {
  it.each(['mlp-relu', 'gpt'])('%s: the gradients agree with the loss', async (name) => {
    const { code, stdout, stderr } = await cgfac(['check', file(name), '--batch-size', '4', '--json']);
    expect(code, stderr).toBe(0);
    const { loss, ok, parameters } = JSON.parse(stdout);
    expect({ loss, ok }).toEqual({ loss: 'softmax-cross-entropy', ok: true });
    const { parameters: expected } = modelFromBytes(readFileSync(file(name)), semantics);
    expect(parameters.map((parameter: { name: string }) => parameter.name)).toEqual([...expected.keys()]);
  });

  it('shows what does not agree and ends with 1: at its kink, Relu has no derivative', async () => {
    const zeros = (...dims: number[]) => tensorFrom('float32', dims, Array(dims.reduce((a, b) => a * b, 1)).fill(0));
    const path = join(folder, 'kink.onnx');
    const spec = {
      opset: 17,
      inputs: { x: ['float32', ['batch', 'width']] },
      initializers: {
        'fc1.bias': zeros(3),
        'fc2.weight': tensorFrom('float32', [3, 2], [1, -1, 2, 1, 0, 3]),
        'fc2.bias': zeros(2),
      },
      nodes: [
        { op: 'Sub', inputs: ['x', 'x'], outputs: ['zero'] },
        { op: 'Add', inputs: ['zero', 'fc1.bias'], outputs: ['h'] },
        { op: 'Relu', inputs: ['h'], outputs: ['r'] },
        { op: 'Gemm', inputs: ['r', 'fc2.weight', 'fc2.bias'], outputs: ['y'] },
      ],
      outputs: ['y'],
    } as const;
    await writeFile(path, modelBytes(spec));
    const { code, stdout } = await cgfac(['check', path, '--size', 'width=3']);
    expect(code).toBe(1);
    expect(stdout).toMatch(/fc1\.bias .* NO\n/);
    expect(stdout).toMatch(/fc2\.bias .* yes\n/);
    const unsized = await cgfac(['check', path]);
    expect(unsized.code).toBe(2);
    expect(unsized.stderr).toContain("give the size of 'width' (--size width=N)");
  });
});
