// Graphs with a symbolic batch bound to concrete inputs: shape arithmetic and guarded branches disappear.
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Builder } from '../ops/builder.js';
import { semantics } from '../ops/table.js';
import { Value } from './graph.js';
import { inline } from './inline.js';
import { decodeModel } from './onnx-reader.js';
import { encodeModel } from './onnx-writer.js';
import { tensorFrom } from './tensor.js';
import { modelBytes, ramp, runOnnx } from './testing/onnx-models.js';

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
    const [y] = b.loop(3, [x], (inner, _, [carried]) => ({
      carried: [inner.mul(inner.add(carried ?? x, doubled), weight)],
    }));
    const graph = b.build('looping', { y: y ?? x });
    const program = new Builder();
    const input = program.input('input', 'float32', [2, 2]);
    const one = program.input('one', 'float32', [2]);
    const { outputs } = inline(
      program,
      graph,
      new Map([
        [x, input],
        [weight, one],
      ]),
    );
    const bytes = encodeModel(program.build('program', Object.fromEntries(outputs)));
    const numbers = tensorFrom('float32', [2, 2], [1, 2, 3, 4]);
    const result = await runOnnx(bytes, { input: numbers, one: tensorFrom('float32', [2], [1, 1]) });
    expect([...(result.y?.data ?? [])]).toEqual([7, 14, 21, 28]);
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

  const shared = new URL('../../../shared/models/', import.meta.url);
  const available = existsSync(shared) || process.env.CGFAC_REQUIRE_ALL === '1';
  if (!available) console.warn(`skipped: static shapes of exported models (there is no folder ${shared.pathname})`);
  it.skipIf(!available).each(['mlp-relu', 'lenet', 'resnet-groupnorm', 'gpt'])(
    '%s: every value has a static type once the input is bound',
    (name) => {
      const { graph } = decodeModel(readFileSync(new URL(`${name}.onnx`, shared)), semantics);
      const { input } = JSON.parse(readFileSync(new URL(`${name}.reference.json`, shared), 'utf8'));
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
