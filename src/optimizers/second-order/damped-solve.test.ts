// Every way to solve with a damped Kronecker block, run to convergence, against one dense float64 solve.
import { describe, expect, test } from 'vitest';
import {
  generate,
  gram,
  identity,
  inverted,
  kronecker,
  type Matrix,
  matrixOf,
  multiplied,
  relativeError,
  scaled,
  shifted,
  solved,
  trace,
  vectorized,
} from '../../../test/support/dense.js';
import { FedBuilder, randomMatrix } from '../../../test/support/fed-builder.js';
import { inputRowsOf, joinedOf, type Layout, layerTensorOf, layouts } from '../../../test/support/layer-tensors.js';
import {
  denseInputSide,
  denseOutputSide,
  diagonalInputSide,
  inputRowsSide,
  outputRowsSide,
} from '../../curvature/factors/sides.js';
import { LayerTensor } from '../../curvature/layer-tensor.js';
import type { LayerRows } from '../../curvature/statistics.js';
import type { Value } from '../../graph/graph.js';
import { type Random, random } from '../../random.js';
import { conjugateGradient } from '../../solvers/conjugate-gradient.js';
import { absolute } from './damping.js';
import { invertedKernels, KroneckerOperator } from './kronecker-operator.js';
import { dampedFisher } from './primal.js';
import { tikhonovSolve } from './tikhonov.js';

const tight = 1e-10;
const converged = { maxIterations: 500, tolerance: 1e-14 };

interface System {
  readonly layout: Layout;
  /** Rows with A = aᵀa and G = gᵀg. */
  readonly a: Matrix;
  readonly g: Matrix;
  readonly v: Matrix;
}

function drawSystem(layout: Layout, source: Random, [inputs, outputs]: readonly [number, number], rows = 3): System {
  const size = inputs + Number(layout.hasBias);
  return {
    layout,
    a: randomMatrix(source, rows, size),
    g: randomMatrix(source, rows, outputs),
    v: randomMatrix(source, size, outputs),
  };
}

/** (A⊗G + λI)⁻¹·vec(V) */
function denseTikhonov({ a, g, v }: System, damping: number): Matrix {
  const solution = solved(shifted(kronecker(gram(a), gram(g)), damping), vectorized(v));
  return matrixOf(v.rows, v.columns, solution.data);
}

type Held = 'rows' | 'dense';
const combinations: readonly (readonly [Held, Held])[] = [
  ['rows', 'rows'],
  ['dense', 'rows'],
  ['rows', 'dense'],
  ['dense', 'dense'],
];

function operatorOf(
  b: FedBuilder,
  { a, g, layout }: System,
  [inputs, outputs]: readonly [Held, Held],
): KroneckerOperator {
  return new KroneckerOperator(
    inputs === 'dense' ? denseInputSide(b, b.matrix(gram(a))) : inputRowsSide(b, inputRowsOf(b, a, layout), a.columns),
    outputs === 'dense' ? denseOutputSide(b, b.matrix(gram(g))) : outputRowsSide(b, b.matrix(g)),
  );
}

/** λ·(A + π√λ I)⁻¹·V·(G + √λ/π I)⁻¹ */
function factoredDirection(b: FedBuilder, operator: KroneckerOperator, v: LayerTensor, delta: Value): LayerTensor {
  const kernels = operator.dampedKernels(b, delta);
  const inverseOf = invertedKernels(b, [kernels.inputs, kernels.outputs]);
  const inverses = { inputs: inverseOf(kernels.inputs), outputs: inverseOf(kernels.outputs) };
  return operator.damped(v, operator.dampers(b, kernels, inverses));
}

const scalar = (b: FedBuilder, x: number): Value => b.reshape(b.given([1], [x]), []);
const damping = 0.05;
const deltaOf = (b: FedBuilder, operator: KroneckerOperator): Value => absolute(scalar(b, damping))(b, operator);

describe.each(layouts)('outputs first: $outputsFirst, bias: $hasBias', (layout) => {
  const system = drawSystem(layout, random(20, String(layout.outputsFirst), String(layout.hasBias)), [5, 4]);
  const { a, g, v } = system;
  const exact = denseTikhonov(system, damping);

  // With more rows than inputs the operator multiplies in another order.
  test.each([3, 9])('primal conjugate gradients, %d rows', async (count) => {
    const b = new FedBuilder();
    const system = drawSystem(layout, random(21, String(layout.outputsFirst), String(layout.hasBias)), [5, 4], count);
    const { a, g, v } = system;
    const exact = denseTikhonov(system, damping);
    const gradient = layerTensorOf(b, v, layout);
    const rows: LayerRows = { inputs: inputRowsOf(b, a, layout), outputs: b.matrix(g) };
    const lambda = scalar(b, damping);
    const tensorOf = ([weight, bias]: readonly Value[]) =>
      new LayerTensor(weight ?? gradient.weight, bias, layout.outputsFirst);
    const partsOf = (x: LayerTensor) => (x.bias ? [x.weight, x.bias] : [x.weight]);
    const solve = conjugateGradient(b, {
      operator: (inner, x) => partsOf(dampedFisher(inner, tensorOf(x), rows, lambda)),
      rightHandSide: partsOf(gradient),
      ...converged,
    });
    const results = await b.matrices({
      applied: joinedOf(b, dampedFisher(b, gradient, rows, lambda)),
      solution: joinedOf(b, tensorOf(solve.value)),
    });
    const applied = multiplied(shifted(kronecker(gram(a), gram(g)), damping), vectorized(v));
    expect(relativeError(vectorized(results.applied), applied)).toBeLessThan(1e-13);
    expect(relativeError(results.solution, exact)).toBeLessThan(tight);
  });

  test.each(combinations)('Gram-space conjugate gradients, %s × %s', async (...held) => {
    const b = new FedBuilder();
    const operator = operatorOf(b, system, held);
    const given = { v: layerTensorOf(b, v, layout), operator, delta: deltaOf(b, operator) };
    const { solutionOf, solves } = tikhonovSolve(b, [given], converged);
    const [solve] = solves;
    if (!solve) throw new Error('one solve');
    const results = await b.matrices({
      direction: joinedOf(b, solutionOf(given)),
      residual: b.reshape(solve.residual, [1, 1]),
      iterations: b.reshape(b.cast(solve.iterations, 'float64'), [1, 1]),
    });
    expect(relativeError(results.direction, scaled(exact, damping))).toBeLessThan(tight);
    expect(results.residual.data[0]).toBeLessThan(1e-12);
    expect(results.iterations.data[0]).toBeGreaterThan(3);
  });

  test.each(combinations)('factored damping, %s × %s', async (...held) => {
    const b = new FedBuilder();
    const operator = operatorOf(b, system, held);
    const delta = deltaOf(b, operator);
    const results = await b.matrices({
      direction: joinedOf(b, factoredDirection(b, operator, layerTensorOf(b, v, layout), delta)),
      delta: b.reshape(delta, [1, 1]),
    });
    const [factorA, factorG] = [gram(a), gram(g)];
    const pi = Math.sqrt(trace(factorA) / a.columns / (trace(factorG) / g.columns));
    const [deltaA, deltaG] = [pi * Math.sqrt(damping), Math.sqrt(damping) / pi];
    // The same number for both sides, in units of each side's mean eigenvalue.
    expect(results.delta.data[0]).toBeCloseTo(deltaA / (trace(factorA) / a.columns), 12);
    expect(results.delta.data[0]).toBeCloseTo(deltaG / (trace(factorG) / g.columns), 12);
    const dense = multiplied(inverted(shifted(factorA, deltaA)), v, inverted(shifted(factorG, deltaG)));
    expect(relativeError(results.direction, scaled(dense, damping))).toBeLessThan(tight);
  });
});

test('blocks of equal Gram orders are solved together, each to its own solution', async () => {
  const source = random(21);
  const shapes: readonly (readonly [number, number])[] = [
    [5, 4],
    [6, 3],
    [2, 7],
    [5, 4],
  ];
  const systems = shapes.map((shape, i) => drawSystem({ outputsFirst: i % 2 === 0, hasBias: i < 2 }, source, shape));
  const held: readonly (readonly [Held, Held])[] = [
    ['rows', 'rows'],
    ['rows', 'rows'], // the same orders as the first: one batch
    ['dense', 'rows'],
    ['rows', 'rows'],
  ];
  const b = new FedBuilder();
  const given = systems.map((system, i) => {
    const operator = operatorOf(b, system, held[i] ?? ['rows', 'rows']);
    return { v: layerTensorOf(b, system.v, system.layout), operator, delta: deltaOf(b, operator) };
  });
  const { solutionOf, solves } = tikhonovSolve(b, given, converged);
  expect(solves).toHaveLength(2);
  const results = await b.matrices(
    Object.fromEntries(given.map((each, i) => [`direction${i}`, joinedOf(b, solutionOf(each))])),
  );
  for (const [i, system] of systems.entries()) {
    const found = results[`direction${i}`] ?? system.v;
    expect(relativeError(found, scaled(denseTikhonov(system, damping), damping))).toBeLessThan(tight);
  }
});

test('inverses of many orders, and of one kernel with two dampings', async () => {
  const source = random(22);
  const b = new FedBuilder();
  const factors = [4, 7, 4, 1].map((order) => gram(randomMatrix(source, 3, order)));
  const kernels = factors.map((factor) => b.matrix(factor));
  const [first, firstFactor] = [kernels[0], factors[0]];
  if (!first || !firstFactor) throw new Error('a first kernel');
  const dampings = [0.1, 0.2, 0.3, 0.4, 0.5];
  const given = [...kernels, first].map((kernel, i) => ({ kernel, delta: scalar(b, dampings[i] ?? 0) }));
  const inverseOf = invertedKernels(b, given);
  const results = await b.matrices(Object.fromEntries(given.map((each, i) => [`inverse${i}`, inverseOf(each)])));
  for (const [i, factor] of [...factors, firstFactor].entries()) {
    const damped = shifted(factor, dampings[i] ?? 0);
    const product = multiplied(results[`inverse${i}`] ?? factor, damped);
    expect(relativeError(product, identity(factor.rows))).toBeLessThan(1e-12);
  }
});

test('the damping of a dead layer stays finite and carries the whole block', async () => {
  const b = new FedBuilder();
  const source = random(23);
  const layout = { outputsFirst: false, hasBias: false };
  const dead = { values: b.given([3, 4], new Float64Array(12)), homogeneous: undefined };
  const live = randomMatrix(source, 3, 4);
  const zeros = b.given([3, 2], new Float64Array(6));
  const v = randomMatrix(source, 4, 2);
  const directions = [
    { inputs: inputRowsSide(b, inputRowsOf(b, live, layout), 4), outputs: outputRowsSide(b, zeros) },
    { inputs: inputRowsSide(b, dead, 4), outputs: outputRowsSide(b, b.matrix(randomMatrix(source, 3, 2))) },
    { inputs: inputRowsSide(b, dead, 4), outputs: outputRowsSide(b, zeros) },
    {
      inputs: denseInputSide(b, b.given([4, 4], new Float64Array(16))),
      outputs: denseOutputSide(b, b.given([2, 2], new Float64Array(4))),
    },
  ].map(({ inputs, outputs }) => {
    const operator = new KroneckerOperator(inputs, outputs);
    return factoredDirection(b, operator, layerTensorOf(b, v, layout), deltaOf(b, operator));
  });
  const results = await b.matrices(Object.fromEntries(directions.map((x, i) => [`direction${i}`, joinedOf(b, x)])));
  for (const i of directions.keys()) expect(relativeError(results[`direction${i}`] ?? v, v)).toBeLessThan(1e-5);
});

test('a diagonal side solves as a dense one of the same factor, beside others of its order', async () => {
  const source = random(23);
  const layout = { outputsFirst: false, hasBias: false };
  const diagonal = [0.5, 0, 2, 0.25, 1];
  const a = generate(5, 5, (i, j) => (i === j ? Math.sqrt(diagonal[i] ?? 0) : 0));
  const system = { ...drawSystem(layout, source, [5, 4]), a };
  const other = drawSystem(layout, source, [5, 4]);
  const b = new FedBuilder();
  const operators = [
    new KroneckerOperator(diagonalInputSide(b, b.given([5], diagonal)), outputRowsSide(b, b.matrix(system.g))),
    operatorOf(b, other, ['dense', 'rows']),
  ];
  const given = operators.map((operator, i) => {
    const v = layerTensorOf(b, (i === 0 ? system : other).v, layout);
    return { v, operator, delta: deltaOf(b, operator), kernels: operator.dampedKernels(b, deltaOf(b, operator)) };
  });
  const { solutionOf } = tikhonovSolve(b, given, converged);
  const inverseOf = invertedKernels(
    b,
    given.flatMap(({ kernels }) => [kernels.inputs, kernels.outputs]),
  );
  const outputs: Record<string, Value> = {};
  for (const [i, each] of given.entries()) {
    const { v, operator, kernels } = each;
    const inverses = { inputs: inverseOf(kernels.inputs), outputs: inverseOf(kernels.outputs) };
    outputs[`tikhonov${i}`] = joinedOf(b, solutionOf(each));
    outputs[`factored${i}`] = joinedOf(b, operator.damped(v, operator.dampers(b, kernels, inverses)));
  }
  const results = await b.matrices(outputs);
  for (const [i, { a, g, v }] of [system, other].entries()) {
    const tikhonov = scaled(denseTikhonov({ layout, a, g, v }, damping), damping);
    expect(relativeError(results[`tikhonov${i}`] ?? v, tikhonov)).toBeLessThan(tight);
    const [factorA, factorG] = [gram(a), gram(g)];
    const pi = Math.sqrt(trace(factorA) / a.columns / (trace(factorG) / g.columns));
    const left = inverted(shifted(factorA, pi * Math.sqrt(damping)));
    const dense = multiplied(left, v, inverted(shifted(factorG, Math.sqrt(damping) / pi)));
    expect(relativeError(results[`factored${i}`] ?? v, scaled(dense, damping))).toBeLessThan(tight);
  }
});
