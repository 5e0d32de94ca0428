// The check of gradients finds those that are wrong, and only those.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelBytes, ramp } from '../../test/support/onnx-models.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { modelFromBytes } from '../model/file-model.js';
import { mlp } from '../nn/zoo.js';
import { semantics } from '../ops/table.js';
import { checkGradients } from './check-gradients.js';
import { valueAndGradients } from './value-and-gradients.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const options = { batchSize: 8, sizes: {}, seed: 1 };
const verdicts = (checks: ReadonlyMap<string, { verdict: string }>) =>
  Object.fromEntries([...checks].map(([name, { verdict }]) => [name, verdict]));

/** Ways in which gradients go wrong, done to one of them. */
const mistakes: Readonly<Record<string, (elements: Float32Array) => void>> = {
  'a wrong factor': (elements) => {
    for (const [i, x] of elements.entries()) elements[i] = 1.2 * x;
  },
  'a wrong sign': (elements) => {
    for (const [i, x] of elements.entries()) elements[i] = -x;
  },
  'a wrong order': (elements) => elements.reverse(),
  'no gradient': (elements) => elements.fill(0),
};

describe('checkGradients', () => {
  it.each(Object.keys(mistakes))('finds %s in the parameter that has it', async (mistake) => {
    const model = mlp({ seed: 1, sizes: [6, 5, 4] });
    const { checks } = await checkGradients(engine, model, options, async (...request) => {
      const result = await valueAndGradients(...request);
      mistakes[mistake]?.(result.gradients.get('fc1.weight')?.data as Float32Array);
      return result;
    });
    expect(verdicts(checks)).toEqual({
      'fc1.weight': 'differs',
      'fc1.bias': 'agrees',
      'fc2.weight': 'agrees',
      'fc2.bias': 'agrees',
    });
  });

  it('looks up rows that a table has, and calls a shift before a normalization flat', async () => {
    const spec = {
      opset: 17,
      inputs: { tokens: ['int64', ['batch', 3]] },
      initializers: { table: ramp([5, 4]), 'body.shift': ramp([1]), 'norm.weight': ramp([4]), 'norm.bias': ramp([4]) },
      nodes: [
        { op: 'Gather', inputs: ['table', 'tokens'], outputs: ['e'] },
        { op: 'Add', inputs: ['e', 'body.shift'], outputs: ['h'] },
        { op: 'LayerNormalization', inputs: ['h', 'norm.weight', 'norm.bias'], outputs: ['y'] },
      ],
      outputs: ['y'],
    } as const;
    const { loss, checks } = await checkGradients(engine, modelFromBytes(modelBytes(spec), semantics), options);
    expect(loss.name).toBe('softmax-cross-entropy');
    expect(verdicts(checks)).toEqual({
      table: 'agrees',
      'body.shift': 'flat',
      'norm.weight': 'agrees',
      'norm.bias': 'agrees',
    });
  });
});
