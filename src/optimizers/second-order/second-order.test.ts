// What second-order optimizers do with parameters outside all Kronecker blocks, and with models that have no block.
import { expect, test } from 'vitest';
import { normals } from '../../../test/support/fed-builder.js';
import { runner } from '../../../test/support/runner.js';
import { manyExamples } from '../../../test/support/setting.js';
import type { Fisher } from '../../curvature/fisher.js';
import { OptionError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';
import { type TensorData, tensorFrom, toNumbers } from '../../graph/tensor.js';
import { type LossWord, lossOf } from '../../losses/index.js';
import { builtModel, type Model } from '../../model/model.js';
import { Builder } from '../../ops/builder.js';
import { random } from '../../random.js';
import { buildStep, parameterKey, scalarFeeds } from '../../training/step-program.js';
import { adam } from '../adam.js';
import type { Optimizer } from '../optimizer.js';
import { sgd } from '../sgd.js';
import { normalized } from '../steps/normalized.js';
import { scheduled } from '../steps/scheduled.js';
import { cgfac } from './cgfac.js';
import { onesBasis } from './coarse-basis.js';
import { kfac } from './kfac.js';
import { twoLevel } from './two-level.js';

/** x·W (or x alone), scaled and shifted elementwise. */
function scaledModel(hasLayer: boolean): Model {
  const b = new Builder();
  const source = random(60);
  const parameters = new Map<string, Value>();
  const parameter = (name: string, dims: readonly number[]): Value => {
    const value = b.constant(
      tensorFrom(
        'float32',
        dims,
        normals(
          source,
          dims.reduce((product, size) => product * size, 1),
        ),
      ),
      name,
    );
    parameters.set(name, value);
    return value;
  };
  const x = b.input('input', 'float32', ['batch', 4]);
  const y = hasLayer ? b.matmul(x, parameter('weight', [4, 4])) : x;
  const output = b.mul(b.tanh(y), parameter('scale', [4]));
  return builtModel('scaled', b.build('scaled', { output }), parameters);
}

const [rows, loss] = [6, lossOf('mean-squared-error')];

/** Parameters after the first step. */
async function firstStep(model: Model, optimizer: Optimizer) {
  const type = { dtype: 'float32', shape: [rows, 4] } as const;
  const step = buildStep({
    model,
    loss,
    metric: loss.metric,
    optimizer,
    setting: manyExamples(loss),
    inputs: type,
    targets: type,
  });
  const source = random(61);
  const feeds: Record<string, TensorData> = { ...step.initialState };
  for (const name of ['input', 'target']) feeds[name] = tensorFrom('float32', type.shape, normals(source, rows * 4));
  for (const [name, { constant }] of model.parameters) if (constant) feeds[parameterKey(name)] = constant;
  Object.assign(feeds, scalarFeeds(step, 0, 0));
  for (const { name, dims } of step.noise) {
    feeds[name] = tensorFrom(
      'float32',
      dims,
      normals(
        source,
        dims.reduce((product, size) => product * size, 1),
      ),
    );
  }
  const program = await runner(step.graph);
  const results = await program.run(feeds);
  await program.release();
  return (name: string) => toNumbers(results[`next.parameter.${name}`] ?? tensorFrom('float32', [0], []));
}

test.each([
  ['cgfac', cgfac({ rest: adam({ learningRate: 0.02 }) })],
  ['cgfac, scheduled', cgfac({ step: scheduled(), rest: adam({ learningRate: 0.02 }) })],
  ['kfac', kfac({ rest: adam({ learningRate: 0.02 }) })],
])('%s trains parameters outside all blocks as Adam does', async (_name, optimizer) => {
  const model = scaledModel(true);
  const [ours, byAdam] = [await firstStep(model, optimizer), await firstStep(model, adam({ learningRate: 0.02 }))];
  expect(ours('scale')).toHaveLength(4);
  expect(ours('scale')).toEqual(byAdam('scale'));
  expect(ours('weight')).not.toEqual(byAdam('weight'));
  expect(ours('weight').every(Number.isFinite)).toBe(true);
});

test.each([cgfac(), kfac({ step: scheduled() })])('$name says why a model has no block', async (optimizer) => {
  const refused = firstStep(scaledModel(false), optimizer);
  await expect(refused).rejects.toThrow(OptionError);
  await expect(refused).rejects.toThrow(
    `${optimizer.name} finds no Kronecker block in 'scaled' (scale: a parameter of rank 1 outside a dense layer); use adam instead`,
  );
});

test('what to change names only what there is to change', () => {
  const remedy = (optimizer: Optimizer, name: LossWord = 'mean-squared-error') =>
    optimizer.remedy?.(manyExamples(name));
  for (const optimizer of [cgfac(), kfac()]) {
    expect(remedy(optimizer)).toMatch(/^Take larger batches/);
    expect(remedy(optimizer, 'softmax-cross-entropy')).toMatch(/^Take larger batches/);
  }
  expect(remedy(cgfac({ step: normalized({ learningRate: 0.01 }) }))).toMatch(/^Lower the learning rate/);
  expect(remedy(kfac({ step: scheduled() }))).toMatch(/^Lower the learning rate or raise the damping/);
  for (const optimizer of [adam(), sgd()]) expect(remedy(optimizer)).toMatch(/^Lower the learning rate/);
});

test('a Fisher matrix that draws twice has two draws, which are those of the step wherever it is measured', () => {
  const twoDraws: Fisher = {
    name: 'two draws',
    cotangents({ b, forward: { output }, noise }) {
      const signs = [noise(output.dims, 'sign'), noise(output.dims, 'sign')];
      return signs.map((sign) => b.mul(output, sign));
    },
  };
  const type = { dtype: 'float32', shape: [rows, 4] } as const;
  const optimizers = [
    cgfac({ fisher: twoDraws, step: scheduled() }),
    cgfac({
      fisher: twoDraws,
      step: normalized(),
      curvatureInterval: 1,
      acrossLayers: twoLevel({ basis: onesBasis() }),
    }),
  ];
  for (const optimizer of optimizers) {
    const step = buildStep({
      ...{ model: scaledModel(true), loss, metric: loss.metric, optimizer, setting: manyExamples(loss) },
      ...{ inputs: type, targets: type },
    });
    const names = step.noise.filter(({ distribution }) => distribution === 'sign').map(({ name }) => name);
    expect(names.filter((name) => name.includes('targets'))).toHaveLength(2);
  }
});
