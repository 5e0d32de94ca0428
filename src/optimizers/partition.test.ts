// Parts of a network under optimizers of their own: which parameters a rule takes, names that do not collide, refusals.
import { describe, expect, test } from 'vitest';
import { largestDifference, replayed, traceNamed } from '../../test/support/optimizer-trace.js';
import { manyExamples } from '../../test/support/setting.js';
import { dense } from '../curvature/layers/dense.js';
import { OptionError } from '../errors.js';
import { constantsOf, type Shape, type TensorType } from '../graph/graph.js';
import { lossOf } from '../losses/index.js';
import type { Model } from '../model/model.js';
import { charTransformer } from '../nn/char-transformer.js';
import { lenet } from '../nn/lenet.js';
import { mlp } from '../nn/zoo.js';
import { buildStep } from '../training/step-program.js';
import { adamw } from './adam.js';
import { lion } from './lion.js';
import { muon } from './muon.js';
import type { Optimizer, StepContext } from './optimizer.js';
import {
  isEmbedding,
  isKernel,
  isMatrix,
  isVector,
  type ParameterInfo,
  type ParameterRule,
  parameterRule,
  parametersOf,
} from './parameters.js';
import { partition } from './partition.js';
import { cgfac } from './second-order/cgfac.js';
import { kfac } from './second-order/kfac.js';
import { sgd } from './sgd.js';
import { scheduled } from './steps/scheduled.js';

const network = mlp({ seed: 1, sizes: [4, 3, 2] });

const rows: TensorType = { dtype: 'float32', shape: [8, 4] };

const stepOf = (optimizer: Optimizer, model: Model = network, inputs = rows, labels: Shape = [8]) =>
  buildStep({
    model,
    loss: lossOf('softmax-cross-entropy'),
    metric: lossOf('softmax-cross-entropy').metric,
    optimizer,
    setting: manyExamples('softmax-cross-entropy'),
    inputs,
    targets: { dtype: 'int64', shape: labels },
  });

describe('kinds of parameters', () => {
  /** What an optimizer sees of a model's parameters. */
  const seen = (model: Model, inputs?: TensorType, labels?: Shape): readonly ParameterInfo[] => {
    let found: readonly ParameterInfo[] = [];
    const build = (context: StepContext) => {
      found = parametersOf(context);
      return context.parameters;
    };
    stepOf({ name: 'observer', build }, model, inputs, labels);
    return found;
  };
  const taken = (parameters: readonly ParameterInfo[], rule: ParameterRule) =>
    parameterRule(rule)(parameters).map(({ name }) => name);
  const plain = seen(network);

  test('dense weights and biases', () => {
    expect(taken(plain, isMatrix)).toEqual(['fc1.weight', 'fc2.weight']);
    expect(taken(plain, isVector)).toEqual(['fc1.bias', 'fc2.bias']);
    expect(plain[0]).toEqual({ name: 'fc1.weight', dims: [4, 3], layers: [dense], outputsFirst: false });
  });

  test('kernels', () => {
    const parameters = seen(lenet({ seed: 1 }), { dtype: 'float32', shape: [2, 1, 28, 28] }, [2]);
    expect(taken(parameters, isKernel)).toEqual(['conv1.weight', 'conv2.weight']);
    expect(parameters.find(({ name }) => name === 'conv2.weight')?.outputsFirst).toBe(true);
  });

  test('embeddings, and scales among the vectors', () => {
    const model = charTransformer({ seed: 1, vocabulary: 5, context: 6, layers: 1, width: 8, heads: 2 });
    const parameters = seen(model, { dtype: 'int64', shape: [2, 6] }, [2, 6]);
    expect(taken(parameters, isEmbedding)).toEqual(['token.weight']);
    for (const rule of [isMatrix, isVector]) expect(taken(parameters, rule)).not.toContain('position.weight');
    const vectors = parameters.filter(({ dims }) => dims.length === 1).map(({ name }) => name);
    expect(taken(parameters, isVector)).toEqual(vectors);
  });

  test('globs', () => {
    expect(taken(plain, '*.bias')).toEqual(['fc1.bias', 'fc2.bias']);
    expect(taken(plain, 'fc?.weight')).toEqual(['fc1.weight', 'fc2.weight']);
    expect(() => taken(plain, 'head.*')).toThrow(
      "'head.*' matches no parameter that is trained; they are fc1.weight, fc1.bias, fc2.weight, fc2.bias",
    );
  });
});

describe('parts', () => {
  test('of one optimizer are that optimizer', async () => {
    for (const name of ['adamw-mlp', 'adamw-mlp-mse']) {
      const trace = traceNamed(name);
      const part = () => adamw({ learningRate: 0.01, weightDecay: 0.1 });
      const parts = partition([
        [isVector, part()],
        ['0.*', part()],
        ['*', part()],
      ]);
      expect(largestDifference(trace, await replayed(trace, parts, 'float64'))).toBeLessThan(
        1e-13 * trace.amplification,
      );
    }
  });

  test('the first rule that takes a parameter has it', () => {
    const { updates } = stepOf(
      partition([
        ['fc1.*', sgd({ momentum: 0.9 })],
        [isMatrix, lion()],
        ['*', adamw()],
      ]),
    );
    expect([...updates.values()].filter((key) => key.startsWith('state.')).sort()).toEqual([
      'state.adamw.mean.fc2.bias',
      'state.adamw.square.fc2.bias',
      'state.lion.momentum.fc2.weight',
      'state.velocity.fc1.bias',
      'state.velocity.fc1.weight',
    ]);
  });

  test('reports and names tell the parts apart', () => {
    const parts = partition([
      ['fc1.*', sgd()],
      ['fc2.weight', sgd()],
      ['*', lion()],
    ]);
    expect(parts.name).toBe('sgd+sgd2+lion');
    expect(stepOf(parts).diagnostics).toEqual(['learningRate', 'sgd2.learningRate', 'lion.learningRate']);
    expect(parts.remedy?.(manyExamples('softmax-cross-entropy'))).toBe('Lower the learning rate');
  });

  test('a rule whose parameters are all taken is refused, unless it is for the rest', () => {
    const shadowed = partition([
      ['fc1.*', sgd()],
      ['fc1.bias', lion()],
      ['*', adamw()],
    ]);
    expect(() => stepOf(shadowed)).toThrow(
      'rule 2 of partition gets no parameter: the rules before it take all that it matches; put it before them, or leave it out',
    );
    const twice = partition([
      ['*', sgd()],
      ['*', lion()],
    ]);
    expect(() => stepOf(twice)).toThrow(/rule 2 of partition gets no parameter/);
    const all = partition([
      [() => true, sgd({ learningRate: 0.1 })],
      ['*', lion()],
    ]);
    expect(stepOf(all).diagnostics).toEqual(['learningRate']);
  });

  test('a rule is a pair', () => {
    expect(() => partition([['*', sgd(), { frozen: true }] as never])).toThrow(
      "rule 1 of partition is an array of 3; give a pair such as ['*', adamw()]",
    );
    expect(() => partition([sgd() as never])).toThrow(/rule 1 of partition is an object with name/);
  });

  test('has no remedy if no part has one, and the warnings of all parts', () => {
    const plain: Optimizer = { name: 'plain', build: ({ parameters }) => parameters };
    expect(partition([['*', plain]]).remedy).toBeUndefined();
    const parts = partition([
      ['*.bias', plain],
      ['*', cgfac()],
    ]);
    const [warning, ...others] = parts.warnings?.(manyExamples('huber')) ?? [];
    expect(warning).toMatch(/huber has no likelihood/);
    expect(others).toEqual([]);
  });

  test('a predicate may take nothing: its optimizer is then not there', () => {
    const parts = partition([
      [isKernel, muon()],
      ['*', sgd({ learningRate: 0.1 })],
    ]);
    expect(stepOf(parts).diagnostics).toEqual(['sgd.learningRate']);
  });

  test('second order in a part measures the network as it is, not as it began', () => {
    const parts = partition([
      ['fc1.*', sgd()],
      ['*', cgfac()],
    ]);
    const begun = network.parameters.get('fc1.weight')?.dims.join();
    const shapes = [...constantsOf(stepOf(parts).graph)].map(({ dims }) => dims.join());
    expect(shapes).not.toContain(begun);
    expect(parts.iterateAveraging).toBe(0.99);
  });

  test('what second order leaves over goes to its rest, in a scope of its own', () => {
    const model = mlp({ seed: 1, sizes: [4, 3, 2] });
    const parts = partition([
      ['fc2.*', kfac({ step: scheduled(), rest: lion() })],
      ['*', lion()],
    ]);
    expect([...stepOf(parts, model).updates.values()]).toContain('state.lion.momentum.fc1.weight');
  });
});

describe('refusals', () => {
  const wrong: readonly (readonly [string, () => unknown])[] = [
    ["the rules of partition are an array of 0; give pairs such as ['*', adamw()]", () => partition([])],
    [
      'rule 1 of partition gives the function sgd; it must give an optimizer',
      () => partition([['*', sgd as unknown as Optimizer]]),
    ],
    [
      "a rule for parameters is 3; give a glob such as '*.weight', or a function of a parameter such as isMatrix",
      () => partition([[3 as unknown as string, sgd()]]),
    ],
    [
      "no rule of partition takes fc1.bias, fc2.bias; end with a rule for '*'",
      () => stepOf(partition([[isMatrix, sgd()]])),
    ],
    [
      "'fc3.*' matches no parameter that is trained; they are fc1.weight, fc1.bias, fc2.weight, fc2.bias",
      () =>
        stepOf(
          partition([
            ['fc3.*', sgd()],
            ['*', lion()],
          ]),
        ),
    ],
  ];

  test.each(wrong)('%s', (message, make) => {
    expect(make).toThrow(OptionError);
    expect(make).toThrow(message);
  });
});
