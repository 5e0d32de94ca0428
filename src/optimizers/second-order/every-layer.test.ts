// Every kind of layer takes every form of a block, every damping and every curvature that does not refuse it: whole runs of a
// transformer (tables, norms, sequences) and of a network of grouped, depthwise and transposed convolutions.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { curvaturePropagation, inputOnly } from '../../curvature/fisher.js';
import { dataset } from '../../data/dataset.js';
import type { Engine } from '../../engine/engine.js';
import { nodeEngine } from '../../engine/node.js';
import { charTransformer } from '../../nn/char-transformer.js';
import { Network } from '../../nn/network.js';
import { random } from '../../random.js';
import { train } from '../../training/trainer.js';
import type { Optimizer } from '../optimizer.js';
import { isEmbedding, isMatrix } from '../parameters.js';
import { scheduled } from '../steps/scheduled.js';
import { type BlockForm, kronecker, none, reduced } from './block-form.js';
import { cgfac } from './cgfac.js';
import { eigenCorrected, eigenvalues } from './eigen-damping.js';
import { factored } from './factored.js';
import { inverseFree } from './inverse-free.js';
import { kfac } from './kfac.js';
import { diagonal, full, scaledIdentity } from './measured-forms.js';
import { gradientMoments } from './moments.js';
import { primal } from './primal.js';
import { tikhonov } from './tikhonov.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const source = random(70, 'layers');
const draw = (count: number, one: () => number) => Array.from({ length: count }, one);

const integers = (shape: readonly number[], data: readonly number[]) =>
  ({ dtype: 'int64', shape, data: Int32Array.from(data) }) as const;

/** A small transformer on random texts. */
function transformer() {
  const [size, context, vocabulary] = [24, 5, 7];
  const tokens = draw(size * context, () => source.integer(vocabulary));
  const next = tokens.map((token) => (token + 1) % vocabulary);
  return {
    model: charTransformer({ vocabulary, context, width: 8, layers: 1, heads: 2, seed: 1 }),
    data: dataset({ name: 'texts', size, inputs: integers([context], tokens), targets: integers([context], next) }),
  };
}

/** Pictures through grouped, depthwise and transposed convolutions. */
function pictures() {
  const [size, classes] = [24, 3];
  const network = new Network('convolutions', { seed: 1 });
  const { b } = network;
  let x = network.input('input', [2, 4, 4]);
  x = b.relu(network.conv2d(x, 'plain', 4, { kernel: 3, padding: 1 }));
  x = b.relu(network.conv2d(x, 'grouped', 4, { kernel: 3, padding: 1, groups: 2 }));
  x = network.batchNorm(network.conv2d(x, 'depthwise', 4, { kernel: 3, padding: 1, groups: 4 }), 'norm');
  x = b.relu(network.convTranspose2d(x, 'transposed', 2, { kernel: 2, stride: 2 }));
  const model = network.model(network.dense(b.op('Flatten', [x]), 'head', classes));
  const pixels = Float32Array.from({ length: size * 32 }, () => source.normal());
  const labels = draw(size, () => source.integer(classes));
  const inputs = { dtype: 'float32', shape: [2, 4, 4], data: pixels } as const;
  return { model, data: dataset({ name: 'pictures', size, inputs, targets: integers([], labels) }) };
}

const problems = { transformer: transformer(), pictures: pictures() };

const optimizers: Readonly<Record<string, Optimizer>> = {
  eigenvalues: kfac({ damping: eigenvalues({ interval: 2, burnIn: 1 }) }),
  'eigenvalues of cgfac, power −½': cgfac({ damping: eigenvalues({ power: -0.5 }) }),
  'eigenCorrected with gradient moments': kfac({
    damping: eigenCorrected({ moments: gradientMoments(), interval: 2 }),
  }),
  eigenCorrected: kfac({ damping: eigenCorrected({ interval: 2 }) }),
  diagonal: cgfac({ blocks: [['*', diagonal()]] }),
  'inverse-free': cgfac({ damping: inverseFree() }),
  'π = 1': kfac({ damping: factored({ pi: 1 }) }),
  'scaled identity': kfac({ blocks: [['*', scaledIdentity()]] }),
  'curvature propagation': cgfac({ fisher: curvaturePropagation({ samples: 2 }) }),
  'inputs alone': cgfac({ fisher: inputOnly() }),
  'inputs alone, kept inverses': kfac({ fisher: inputOnly() }),
  'inputs alone, tikhonov': cgfac({ fisher: inputOnly(), damping: tikhonov() }),
  'inputs alone, primal': cgfac({ fisher: inputOnly(), damping: primal() }),
  'inputs alone, eigenvalues': kfac({ fisher: inputOnly(), damping: eigenvalues() }),
};

/** Those that name the layers of a problem. */
const own: Readonly<Record<keyof typeof problems, Readonly<Record<string, Optimizer>>>> = {
  transformer: {
    full: cgfac({
      blocks: [
        [isMatrix, full()],
        [isEmbedding, none()],
      ],
    }),
    reduced: kfac({ blocks: [[isMatrix, reduced()]], damping: eigenCorrected() }),
  },
  pictures: {
    full: cgfac({
      blocks: [
        ['*ed.weight', full()],
        ['head.*', full()],
      ],
    }),
    reduced: kfac({ blocks: [['*', reduced()]] }),
  },
};

const runs = (['transformer', 'pictures'] as const).flatMap((problem) =>
  Object.entries({ ...optimizers, ...own[problem] }).map(([name, optimizer]) => ({ problem, name, optimizer })),
);

test.each(runs)('$name on $problem', async ({ problem, optimizer }) => {
  const { model, data } = problems[problem];
  const { record } = await train(model, {
    engine,
    data: { train: data, test: data },
    optimizer,
    ...{ batchSize: 8, steps: 3, seed: 1, evaluateEvery: 3 },
  });
  const losses = record.steps.map(({ loss }) => loss);
  expect(losses).toHaveLength(3);
  for (const loss of losses) expect(loss).toBeLessThan(10);
});

/** The losses of three steps on pictures, all of which measure the curvature. */
async function losses(curvatureInterval: number, form: BlockForm) {
  const { model, data } = problems.pictures;
  const optimizer = cgfac({ step: scheduled({ learningRate: 0.5 }), curvatureInterval, blocks: [['*', form]] });
  const { record } = await train(model, {
    engine,
    data: { train: data, test: data },
    optimizer,
    ...{ batchSize: 8, steps: 3, seed: 1, evaluateEvery: 3 },
  });
  return record.steps.map(({ loss }) => loss);
}

test.each([reduced(), diagonal(), scaledIdentity()])('$name in steps that measure in a branch', async (form) => {
  const [each, inBranch, product] = [await losses(1, form), await losses(5, form), await losses(5, kronecker())];
  for (const [k, loss] of inBranch.entries()) expect(loss).toBeCloseTo(each[k] ?? 0, 4);
  expect(Math.abs((inBranch[2] ?? 0) - (product[2] ?? 0))).toBeGreaterThan(0.001);
});

/** A part of the network whose units are all dead: of its second layer, both factors are 0. */
function dead() {
  const network = new Network('dead', { seed: 1 });
  const { b } = network;
  const x = network.input('input', [4]);
  let none = b.relu(b.sub(network.dense(x, 'first', 3, { bias: false }), b.scalar(1e4, 'float32')));
  for (const name of ['second', 'third']) none = b.relu(network.dense(none, name, 3, { bias: false }));
  const model = network.model(network.dense(b.concat([b.relu(network.dense(x, 'own', 8)), none], 1), 'head', 2));
  const numbers = Float32Array.from({ length: 32 * 4 }, () => source.normal());
  const labels = Array.from({ length: 32 }, (_, i) => Number((numbers[4 * i] ?? 0) > 0));
  const inputs = { dtype: 'float32', shape: [4], data: numbers } as const;
  return { model, data: dataset({ name: 'signs', size: 32, inputs, targets: integers([], labels) }) };
}

const onDead: Readonly<Record<string, Optimizer>> = {
  ...optimizers,
  'power −2': kfac({ damping: eigenvalues({ power: -2 }) }),
  ...Object.fromEntries(
    [tikhonov(), eigenvalues(), eigenCorrected()].map((damping) => [
      `scheduled, ${damping.name}`,
      kfac({ step: scheduled(), damping }),
    ]),
  ),
  scheduled: kfac({ step: scheduled() }),
  'scheduled, primal': cgfac({ step: scheduled(), damping: primal() }),
  'scheduled, diagonal': cgfac({ step: scheduled(), blocks: [['*', diagonal()]] }),
};

test.each(Object.entries(onDead))('%s with layers whose curvature is 0', async (_name, optimizer) => {
  const { model, data } = dead();
  const { record } = await train(model, {
    ...{ engine, data: { train: data, test: data }, optimizer },
    ...{ batchSize: 16, steps: 8, seed: 1, evaluateEvery: 8 },
  });
  expect(record.steps.map(({ optimizer: { accepted = 1 } }) => accepted)).toEqual(Array(8).fill(1));
  expect(record.train.loss).toBeLessThan(record.steps[0]?.loss ?? 0);
});
