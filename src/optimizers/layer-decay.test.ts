// Learning rates by layer: the heights of parameters in networks of several kinds, and what becomes of their rates.
import { describe, expect, test } from 'vitest';
import { replayed, traceNamed } from '../../test/support/optimizer-trace.js';
import { manyExamples } from '../../test/support/setting.js';
import type { Shape, TensorType } from '../graph/graph.js';
import { lossOf } from '../losses/index.js';
import type { Model } from '../model/model.js';
import { charTransformer } from '../nn/char-transformer.js';
import { lenet } from '../nn/lenet.js';
import { buildStep } from '../training/step-program.js';
import { adamw } from './adam.js';
import { parameterGroups } from './groups.js';
import { heightsOf, layerwiseDecay } from './layer-decay.js';
import type { StepContext } from './optimizer.js';
import { cgfac } from './second-order/cgfac.js';
import { selfTuning } from './steps/self-tuning.js';

function heights(model: Model, inputs: TensorType, labels: Shape): Record<string, number> {
  let found: ReadonlyMap<string, number> = new Map();
  const build = ({ parameters, forward }: StepContext) => {
    found = heightsOf(parameters, forward.output);
    return parameters;
  };
  const loss = lossOf('softmax-cross-entropy');
  buildStep({
    ...{
      model,
      loss,
      metric: loss.metric,
      optimizer: { name: 'observer', build },
      setting: manyExamples(loss),
      inputs,
    },
    targets: { dtype: 'int64', shape: labels },
  });
  return Object.fromEntries(found);
}

describe('heights', () => {
  test('of a row of layers: biases are as high as their weights', () => {
    const found = heights(lenet({ seed: 1 }), { dtype: 'float32', shape: [4, 1, 28, 28] }, [4]);
    expect(found).toEqual(
      Object.fromEntries(
        ['conv1', 'conv2', 'fc1', 'fc2', 'fc3'].flatMap((layer, i) => [
          [`${layer}.weight`, i + 1],
          [`${layer}.bias`, i + 1],
        ]),
      ),
    );
  });

  test('of a transformer: queries, keys and values are parallel, later blocks are higher', () => {
    const model = charTransformer({ seed: 1, vocabulary: 10, context: 8, width: 16, layers: 2, heads: 2 });
    const found = heights(model, { dtype: 'int64', shape: [4, 8] }, [4, 8]);
    expect(Object.keys(found).sort()).toEqual([...model.parameters.keys()].sort());
    expect(found).toMatchInlineSnapshot(`
      {
        "head.bias": 11,
        "head.weight": 11,
        "layer1.attention.key.bias": 3,
        "layer1.attention.key.weight": 3,
        "layer1.attention.norm.scale": 2,
        "layer1.attention.norm.shift": 2,
        "layer1.attention.output.bias": 4,
        "layer1.attention.output.weight": 4,
        "layer1.attention.query.bias": 3,
        "layer1.attention.query.weight": 3,
        "layer1.attention.value.bias": 3,
        "layer1.attention.value.weight": 3,
        "layer1.feedforward.down.bias": 6,
        "layer1.feedforward.down.weight": 6,
        "layer1.feedforward.norm.scale": 4,
        "layer1.feedforward.norm.shift": 4,
        "layer1.feedforward.up.bias": 5,
        "layer1.feedforward.up.weight": 5,
        "layer2.attention.key.bias": 7,
        "layer2.attention.key.weight": 7,
        "layer2.attention.norm.scale": 6,
        "layer2.attention.norm.shift": 6,
        "layer2.attention.output.bias": 8,
        "layer2.attention.output.weight": 8,
        "layer2.attention.query.bias": 7,
        "layer2.attention.query.weight": 7,
        "layer2.attention.value.bias": 7,
        "layer2.attention.value.weight": 7,
        "layer2.feedforward.down.bias": 10,
        "layer2.feedforward.down.weight": 10,
        "layer2.feedforward.norm.scale": 8,
        "layer2.feedforward.norm.shift": 8,
        "layer2.feedforward.up.bias": 9,
        "layer2.feedforward.up.weight": 9,
        "norm.scale": 10,
        "norm.shift": 10,
        "position.weight": 2,
        "token.weight": 1,
      }
    `);
  });
});

describe('rates', () => {
  const trace = traceNamed('adamw-mlp');
  const run = (optimizer: Parameters<typeof replayed>[1]) => replayed(trace, optimizer, 'float64');

  test('are those of groups of layers', async () => {
    const decayed = await run(layerwiseDecay(adamw(), 0.5));
    const grouped = await run(parameterGroups(adamw(), [['0.*', { learningRate: { times: 0.5 } }]]));
    expect(decayed.after).toEqual(grouped.after);
    expect((await run(layerwiseDecay(adamw(), 1))).after).toEqual((await run(adamw())).after);
  });

  test('of both kinds multiply', async () => {
    const both = await run(parameterGroups(layerwiseDecay(adamw(), 0.5), [['2.*', { learningRate: { times: 0.25 } }]]));
    const plain = await run(
      parameterGroups(adamw(), [
        ['0.*', { learningRate: { times: 0.5 } }],
        ['2.*', { learningRate: { times: 0.25 } }],
      ]),
    );
    expect(both.after).toEqual(plain.after);
  });

  test('are refused where there are none, and for factors that are no decay', async () => {
    expect(() => layerwiseDecay(adamw(), 1.5)).toThrow('the factor of layerwiseDecay is 1.5');
    const attempt = run(layerwiseDecay(cgfac({ step: selfTuning(), curvatureRows: 4 }), 0.5));
    await expect(attempt).rejects.toThrow(/layerwiseDecay has no effect on cgfac: self-tuning steps/);
  });
});
