// What a run reports of each layer, against float64 by hand; and that a step that is not asked computes nothing for it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Matrix, matrixOf, minus, multiplied, norm, plus, scaled, trace } from '../../../test/support/dense.js';
import {
  backwardByHand,
  curvatureByHand,
  denseNetwork,
  examplesFor,
  forwardByHand,
  outputCotangent,
} from '../../../test/support/dense-network.js';
import { stepOnce } from '../../../test/support/optimizer-step.js';
import { primalByHand } from '../../../test/support/primal-by-hand.js';
import { manyExamples } from '../../../test/support/setting.js';
import { empirical, inputOnly } from '../../curvature/fisher.js';
import { dataset } from '../../data/dataset.js';
import type { Engine } from '../../engine/engine.js';
import { nodeEngine } from '../../engine/node.js';
import { type Graph, subgraphs } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import { lossOf } from '../../losses/index.js';
import { Network } from '../../nn/network.js';
import { mlp } from '../../nn/zoo.js';
import { random } from '../../random.js';
import { byResidual } from '../../solvers/stopping.js';
import { buildStep } from '../../training/step-program.js';
import { train } from '../../training/trainer.js';
import type { Optimizer } from '../optimizer.js';
import { normalized } from '../steps/normalized.js';
import { scheduled } from '../steps/scheduled.js';
import { selfTuning } from '../steps/self-tuning.js';
import { cgfac } from './cgfac.js';
import { type Diagnostics, layerDiagnostics } from './diagnostics.js';
import { eigenCorrected, eigenvalues } from './eigen-damping.js';
import { dense, sketches } from './factors.js';
import { hessianFree } from './hessian-free.js';
import { inverseFree } from './inverse-free.js';
import { kfac } from './kfac.js';
import { diagonal } from './measured-forms.js';
import { naturalGradient } from './natural-gradient.js';
import { primal } from './primal.js';
import { type SecondOrderOptions, secondOrderKeys } from './second-order.js';
import { tikhonov } from './tikhonov.js';

const loss = 'softmax-cross-entropy';
const [damping, rate, tolerance, count] = [0.07, 0.3, 1e-5, 4];
const diagnosed = {
  step: scheduled({ learningRate: rate, momentum: 0, klClip: 0, damping }),
  fisher: empirical(),
  diagnostics: layerDiagnostics(),
} satisfies SecondOrderOptions;
const solve = { stopping: byResidual({ tolerance }), maxIterations: 400 };

const dot = (x: Matrix, y: Matrix): number =>
  x.data.reduce((sum, each, i) => sum + each * (y.data[i] ?? Number.NaN), 0);
const effectiveRank = (factor: Matrix): number => trace(factor) ** 2 / dot(factor, factor);
const meanEigenvalue = (factor: Matrix): number => trace(factor) / factor.rows;

/** Layers whose rows are equally many are one batch of solves; the last layer's outputs are fewer than the rows. */
const network = denseNetwork([6, 5, 5, 3], { outputsFirst: true, hasBias: true, activation: 'tanh', seed: 50 });
const examples = examplesFor(network, loss, count, random(51));

/** Each layer's reports, curvature and step. */
async function layersOf(optimizer: Optimizer) {
  const outcome = await stepOnce({ network, loss, examples, optimizer, step: 0 });
  const layers = curvatureByHand(network, loss, examples).map((factors, i) => ({
    ...factors,
    told: (measure: string) => outcome.diagnostics[`${measure}[layer${i}.weight]`] ?? Number.NaN,
    step: minus(outcome.network.layers[i] ?? factors.gradient, network.layers[i] ?? factors.gradient),
    state: outcome.state,
    name: `layer${i}.weight`,
  }));
  return { ...outcome, layers };
}

const forms: readonly (readonly [string, Optimizer])[] = [
  ['cgfac, all rows', cgfac({ ...diagnosed, factors: sketches({ rank: 4, decay: 0 }) })],
  ['cgfac, some sides dense', cgfac({ ...diagnosed, factors: sketches({ rank: 5, decay: 0 }) })],
  ['tikhonov', cgfac({ ...diagnosed, factors: sketches({ rank: 4, decay: 0 }), damping: tikhonov(solve) })],
  ['primal', cgfac({ ...diagnosed, damping: primal(solve) })],
  ['primal, warm', cgfac({ ...diagnosed, damping: primal({ ...solve, warmStart: true }) })],
  ['inverse-free', cgfac({ ...diagnosed, damping: inverseFree() })],
  ['kfac', kfac({ ...diagnosed, factors: dense({ decay: 0 }) })],
  ['kfac, eigenvalues', kfac({ ...diagnosed, factors: dense({ decay: 0 }), damping: eigenvalues() })],
  ['kfac, eigenvalue-corrected', kfac({ ...diagnosed, factors: dense({ decay: 0 }), damping: eigenCorrected() })],
];

test.each(forms)(
  '%s: π, effective ranks, damping, length, cosine and predicted change of each layer',
  async (_name, optimizer) => {
    const { layers } = await layersOf(optimizer);
    for (const { a, g, gradient, step, told } of layers) {
      const expected = {
        pi: Math.sqrt(meanEigenvalue(a) / meanEigenvalue(g)),
        'effectiveRank.A': effectiveRank(a),
        'effectiveRank.G': effectiveRank(g),
        dampingRatio: damping / (meanEigenvalue(a) * meanEigenvalue(g)),
        damping,
        stepLength: norm(step) / Math.sqrt(step.data.length),
        cosine: -dot(gradient, step) / (norm(gradient) * norm(step)),
        linearChange: dot(gradient, step),
      };
      for (const [measure, number] of Object.entries(expected)) {
        expect(told(measure) / number, measure).toBeCloseTo(1, 9);
      }
      expect(told('effectiveRank.A')).toBeGreaterThanOrEqual(1);
      expect(told('cosine')).toBeGreaterThan(0);
    }
  },
);

describe('iterations and residuals', () => {
  const rows = (): { a: Matrix; g: Matrix }[] => {
    const { activations, output } = forwardByHand(network, examples.inputs);
    const gradients = backwardByHand(network, activations, outputCotangent(loss, output, examples.targets));
    return gradients.map((g, i) => ({
      a: scaled(activations[i] ?? g, count ** -0.5),
      g: scaled(g, count ** -0.5),
    }));
  };

  test('of each layer in the primal form: its own solve, though layers are solved as one batch', async () => {
    const { layers, diagnostics } = await layersOf(cgfac({ ...diagnosed, damping: primal(solve) }));
    const own = rows();
    for (const [i, { gradient, told }] of layers.entries()) {
      const system = { a: own[i]?.a ?? gradient, g: own[i]?.g ?? gradient, v: gradient };
      const iterations = told('iterations');
      expect(told('residual') / primalByHand(system, damping, iterations).residual).toBeCloseTo(1, 4);
      expect(told('residual')).toBeLessThanOrEqual(tolerance);
      expect(primalByHand(system, damping, iterations - 1).residual).toBeGreaterThan(tolerance);
    }
    const all = layers.map(({ told }) => told('iterations'));
    expect(new Set(all).size).toBeGreaterThan(1);
    expect(Math.max(...all)).toBe(diagnostics.iterations);
    expect(Math.max(...layers.map(({ told }) => told('residual')))).toBe(diagnostics.residual);
  });

  test('of each layer with Tikhonov damping: the residual of what the solve found', async () => {
    const few = { maxIterations: 3, stopping: byResidual({ tolerance: 1e-12 }) };
    const { layers, state, diagnostics } = await layersOf(
      kfac({ ...diagnosed, factors: dense({ decay: 0 }), damping: tikhonov(few) }),
    );
    // (Â⊗Ĝ + δ²I)Z = V in units of the mean eigenvalues.
    const residuals = layers.map(({ a, g, gradient, told, name }) => {
      const [left, right] = [scaled(a, 1 / meanEigenvalue(a)), scaled(g, 1 / meanEigenvalue(g))];
      const z = matrixOf(gradient.rows, gradient.columns, state[`solution.${name}`] ?? []);
      const image = plus(multiplied(left, z, right), scaled(z, damping / (meanEigenvalue(a) * meanEigenvalue(g))));
      const residual = norm(minus(gradient, image)) / norm(gradient);
      expect(told('iterations')).toBe(3);
      return [told('residual'), residual] as const;
    });
    for (const [told, residual] of residuals) expect(told / residual).toBeCloseTo(1, 6);
    expect(Math.max(...residuals.map(([told]) => told))).toBe(diagnostics.residual);
  });

  test('are left out where no conjugate gradients solve a layer for itself; so are factors where there are none', async () => {
    const { fisher: _, ...sampled } = diagnosed;
    const noise = (_name: string, dims: readonly number[]) => Array.from({ length: elementCount(dims) }, () => 0.4);
    const told = async (optimizer: Optimizer) =>
      Object.keys((await stepOnce({ network, loss, examples, optimizer, step: 0, noise })).diagnostics);
    for (const optimizer of [cgfac(diagnosed), hessianFree(sampled), naturalGradient(diagnosed)]) {
      const names = await told(optimizer);
      expect(names).toContain('cosine[layer0.weight]');
      expect(names).not.toContain('residual[layer0.weight]');
    }
    expect(await told(naturalGradient(diagnosed))).not.toContain('pi[layer0.weight]');
  });
});

test('G = I has neither π nor rank', async () => {
  const { diagnostics } = await stepOnce({
    ...{ network, loss, examples, step: 0 },
    optimizer: kfac({ ...diagnosed, fisher: inputOnly() }),
  });
  const told = Object.keys(diagnostics);
  expect(told).toContain('effectiveRank.A[layer0.weight]');
  expect(told).not.toContain('effectiveRank.G[layer0.weight]');
  expect(told).not.toContain('pi[layer0.weight]');
});

function stepGraph(optimizer: Optimizer): Graph {
  const own = lossOf(loss);
  return buildStep({
    model: mlp({ seed: 1, sizes: [20, 9, 9, 4] }),
    loss: own,
    metric: own.metric,
    optimizer,
    setting: manyExamples(own),
    inputs: { dtype: 'float32', shape: [8, 20] },
    targets: { dtype: 'int64', shape: [8] },
  }).graph;
}

/** The operators of a graph and of its bodies; in order, for equal expressions stand where the first of them was made. */
const nodesOf = (graph: Graph): string[] =>
  graph.nodes.flatMap((node) => [node.op, ...subgraphs(node).flatMap(nodesOf)]).sort();

/** Looks at everything, and reports nothing. */
const silent: Diagnostics = { name: 'silent', factors: () => undefined, step: () => undefined };

const optionsOf: Readonly<Record<string, (options: SecondOrderOptions) => Optimizer>> = {
  cgfac: (options) => cgfac(options),
  'self-tuning': (options) => cgfac({ ...options, step: selfTuning() }),
  normalized: (options) => cgfac({ ...options, step: normalized() }),
  tikhonov: (options) => cgfac({ ...options, damping: tikhonov() }),
  primal: (options) => cgfac({ ...options, damping: primal() }),
  'primal, warm': (options) => cgfac({ ...options, damping: primal({ warmStart: true }) }),
  kfac: (options) => kfac(options),
  'blocks of other forms': (options) => cgfac({ ...options, blocks: [['*1*', diagonal()]] }),
};

describe.each(Object.entries(optionsOf))('%s', (name, make) => {
  test('what is not asked for costs no node', () => {
    expect(nodesOf(stepGraph(make({ diagnostics: silent })))).toEqual(nodesOf(stepGraph(make({}))));
    const asked = nodesOf(stepGraph(make({ diagnostics: layerDiagnostics() })));
    expect(asked.length).toBeGreaterThan(nodesOf(stepGraph(make({}))).length);
  });

  test('reports change no bit of a run', async () => {
    const run = async (options: SecondOrderOptions) => {
      const { record, model } = await train(small(), {
        ...{ engine, data: { train: data, test: data }, optimizer: make(options) },
        ...{ batchSize: 8, steps: 7, seed: 1, evaluateEvery: 7 },
      });
      const elements = [...model.parameters.values()].map(({ constant }) => constant?.data);
      return { steps: record.steps, losses: record.steps.map(({ loss: each }) => each), elements };
    };
    const [plain, reported] = [await run({}), await run({ diagnostics: layerDiagnostics() })];
    expect(reported.losses).toEqual(plain.losses);
    expect(reported.elements).toEqual(plain.elements);
    const last = reported.steps.at(-1)?.optimizer ?? {};
    expect(last['cosine[head.weight]'], name).toBeGreaterThan(0);
    expect(Object.values(last).every(Number.isFinite)).toBe(true);
    expect(Object.keys(plain.steps.at(-1)?.optimizer ?? {}).filter((each) => each.includes('['))).toEqual([]);
  });
});

test('factors are reported at steps that measure them alone', async () => {
  const { record } = await train(small(), {
    ...{ engine, data: { train: data, test: data }, batchSize: 8, steps: 5, seed: 1, evaluateEvery: 5 },
    optimizer: cgfac({ curvatureInterval: 2, curvatureBurnIn: 1, diagnostics: layerDiagnostics() }),
  });
  const has = (measure: string) => record.steps.map(({ optimizer }) => `${measure}[head.weight]` in optimizer);
  const taken = record.steps.every(({ optimizer }) => optimizer.accepted !== 0);
  expect(taken).toBe(true);
  expect(has('pi')).toEqual([true, false, true, false, true]);
  expect(has('cosine')).toEqual([true, true, true, true, true]);
});

test('grouped convolutions report means over their groups', async () => {
  const network = new Network('grouped', { seed: 1 });
  const x = network.b.relu(network.conv2d(network.input('input', [4, 5, 5]), 'conv', 4, { kernel: 3, groups: 2 }));
  const model = network.model(network.dense(network.b.op('Flatten', [x]), 'head', 3));
  const source = random(60);
  const pixels = Float32Array.from({ length: 16 * 100 }, () => source.normal());
  const labels = Int32Array.from({ length: 16 }, () => source.integer(3));
  const pictures = dataset({
    ...{ name: 'pictures', size: 16 },
    inputs: { dtype: 'float32', shape: [4, 5, 5], data: pixels },
    targets: { dtype: 'int64', shape: [], data: labels },
  });
  for (const options of [{}, { damping: tikhonov() }, { damping: primal() }]) {
    const { record } = await train(model, {
      ...{ engine, data: { train: pictures, test: pictures }, batchSize: 8, steps: 2, seed: 1, evaluateEvery: 2 },
      optimizer: cgfac({ ...options, diagnostics: layerDiagnostics() }),
    });
    const told = (measure: string) => record.steps[0]?.optimizer[`${measure}[conv.weight]`] ?? Number.NaN;
    const rank = told('effectiveRank.A');
    expect(rank).toBeGreaterThanOrEqual(1);
    expect(rank).toBeLessThanOrEqual(2 * 9 + 1);
    expect(told('stepLength')).toBeGreaterThan(0);
  }
});

test('anything but diagnostics is refused', () => {
  for (const given of [true, 'layerDiagnostics', {}]) {
    const options = { diagnostics: given as unknown as Diagnostics };
    expect(() => cgfac(options)).toThrow(/layerDiagnostics\(\)/);
  }
  expect(Object.keys(secondOrderKeys)).toContain('diagnostics');
});

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const source = random(61);
const data = dataset({
  ...{ name: 'drawn', size: 40 },
  inputs: { dtype: 'float32', shape: [2, 3, 3], data: Float32Array.from({ length: 720 }, () => source.normal()) },
  targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: 40 }, () => source.integer(3)) },
});

/** Two layers on small pictures. */
function small() {
  const network = new Network('small', { seed: 2 });
  const x = network.dense(network.b.op('Flatten', [network.input('input', [2, 3, 3])]), 'fc1', 12);
  return network.model(network.dense(network.b.tanh(x), 'head', 3));
}
