// Ranks by a budget, and the memory of cgfac with them against Adam's on the models that come with the package.
import { describe, expect, test } from 'vitest';
import { manyExamples } from '../../../test/support/setting.js';
import { OptionError } from '../../errors.js';
import { elementCount } from '../../graph/tensor.js';
import { type LossWord, lossOf } from '../../losses/index.js';
import type { Model } from '../../model/model.js';
import { charTransformer } from '../../nn/char-transformer.js';
import { lenet } from '../../nn/lenet.js';
import { resnet20 } from '../../nn/resnet.js';
import { autoencoder, mlp } from '../../nn/zoo.js';
import { buildStep } from '../../training/step-program.js';
import { adam } from '../adam.js';
import type { Optimizer } from '../optimizer.js';
import { cgfac } from './cgfac.js';
import { sketches } from './factors.js';
import { byBudget, type RankRule } from './rank.js';

describe('by a budget', () => {
  test('the arithmetic and the memory of the sketches stay within their shares, above the least rank', () => {
    for (const time of [1 / 8, 1 / 4, 1]) {
      for (const memory of [1 / 8, 1 / 2]) {
        const rule = byBudget({ time, memory, least: 8, most: 512 });
        for (const inputs of [10, 300, 784, 4096]) {
          for (const outputs of [10, 500, 4096]) {
            for (const batchRows of [16, 128, 500, 1e5]) {
              const rank = rule.rankOf({ inputs, outputs, batchRows, measured: 32 });
              expect(rank % 8).toBe(0);
              expect(rank).toBeLessThanOrEqual(512);
              if (rank === 8) continue;
              const [half, size] = [rank - 4, inputs * outputs]; // ranks are rounded to multiples of 8
              expect(8 * half * size).toBeLessThanOrEqual(time * 6 * batchRows * size);
              expect(half * (inputs + outputs)).toBeLessThanOrEqual(memory * size);
            }
          }
        }
      }
    }
  });

  test('by default: by the batch and by the size of the layer, from the measured examples to 128', () => {
    const rule = byBudget();
    const wide = { inputs: 4096, outputs: 4096, measured: 16 };
    expect(rule.rankOf({ ...wide, batchRows: 128 })).toBe(24);
    expect(rule.rankOf({ ...wide, batchRows: 500 })).toBe(96);
    expect(rule.rankOf({ ...wide, batchRows: 1e4 })).toBe(128);
    expect(rule.rankOf({ ...wide, batchRows: 128, measured: 32 })).toBe(32);
    expect(rule.rankOf({ inputs: 500, outputs: 250, batchRows: 1e4, measured: 16 })).toBe(40);
    expect(rule.rankOf({ inputs: 64, outputs: 10, batchRows: 1e4, measured: 16 })).toBe(16);
    expect(byBudget({ least: 8 }).rankOf({ inputs: 64, outputs: 10, batchRows: 1e4, measured: 16 })).toBe(8);
  });

  test('options out of range, and own rules whose ranks are none, are refused', () => {
    expect(() => byBudget({ time: 0 })).toThrow(OptionError);
    expect(() => byBudget({ least: 32, most: 16 })).toThrow('least is 32');
    expect(() => byBudget({ share: 1 } as object)).toThrow("unknown option 'share'");
    expect(() => sketches({ rank: {} as RankRule })).toThrow('give byBudget()');
    const half: RankRule = { name: 'half', rankOf: ({ inputs }) => inputs / 2 };
    const optimizer = cgfac({ factors: sketches({ rank: half }) });
    expect(() => stepOf(mlp({ seed: 1, sizes: [5, 4] }), optimizer, [8, 5], [8])).toThrow('the rank of half() is 2.5');
  });
});

const stepOf = (
  model: Model,
  optimizer: Optimizer,
  input: readonly number[],
  target: readonly number[],
  word: LossWord = 'softmax-cross-entropy',
) => {
  const loss = lossOf(word);
  return buildStep({
    model,
    loss,
    metric: loss.metric,
    optimizer,
    setting: manyExamples(loss),
    inputs: { dtype: model.name === 'char-transformer' ? 'int64' : 'float32', shape: input },
    targets: { dtype: word === 'softmax-cross-entropy' ? 'int64' : 'float32', shape: target },
  });
};

type Entry = readonly [string, () => Model, readonly number[], readonly number[], LossWord];
const classified: LossWord = 'softmax-cross-entropy';

const zoo: readonly Entry[] = [
  ['autoencoder', () => autoencoder({ seed: 1 }), [500, 784], [500, 784], 'sigmoid-cross-entropy'],
  ['mlp', () => mlp({ seed: 1, sizes: [784, 256, 128, 10] }), [64, 784], [64], classified],
  ['wide mlp', () => mlp({ seed: 1, sizes: [784, 1024, 1024, 10] }), [128, 784], [128], classified],
  ['lenet', () => lenet({ seed: 1 }), [64, 1, 28, 28], [64], classified],
  ['resnet20', () => resnet20({ seed: 1 }), [16, 3, 32, 32], [16], classified],
  ['char-transformer', () => charTransformer({ seed: 1 }), [8, 64], [8, 64], classified],
];

/** Beside two copies of the parameters, as many as Adam has: the averaged gradient or last step, and the average of the iterates. */
test.each(zoo)(
  '%s: the sketches by budget take at most 0.7 copies of the parameters',
  (_name, make, input, target, loss) => {
    const model = make();
    const parameters = [...model.parameters.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);
    const copies = (optimizer: Optimizer) =>
      stepOf(model, optimizer, input, target, loss).stateBytes / 4 / parameters + (optimizer.iterateAveraging ? 1 : 0);
    const own = copies(cgfac({ factors: sketches({ rank: byBudget() }) }));
    const ofAdam = copies(adam());
    expect(ofAdam).toBeCloseTo(2, 1);
    expect(own).toBeLessThan(ofAdam + 0.7);
    expect(own).toBeLessThan(copies(cgfac()));
  },
);
