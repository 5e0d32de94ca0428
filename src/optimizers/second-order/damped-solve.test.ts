// Every way to solve with a damped Kronecker block, run to convergence, against one dense float64 solve.
import { describe, expect, test } from 'vitest';
import { blockOf } from '../../../test/support/blocks.js';
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
import { primalByHand } from '../../../test/support/primal-by-hand.js';
import {
  denseInputSide,
  denseOutputSide,
  diagonalInputSide,
  inputRowsSide,
  outputRowsSide,
} from '../../curvature/factors/sides.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import { dense } from '../../curvature/layers/dense.js';
import type { LayerRows } from '../../curvature/statistics.js';
import type { Value } from '../../graph/graph.js';
import { type Random, random } from '../../random.js';
import { byResidual } from '../../solvers/stopping.js';
import { absolute } from './damping.js';
import { invertedKernels, KroneckerOperator } from './kronecker-operator.js';
import { primalSolve } from './primal.js';
import { batchOperator, RowCoordinates } from './row-coordinates.js';
import { tikhonovSolve } from './tikhonov.js';

const tight = 1e-10;
const converged = { maxIterations: 500, stopping: byResidual({ tolerance: 1e-14 }) };

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
  const { inputs, outputs } = operator.dampedKernels(b, delta);
  const inverseOf = invertedKernels(b, [inputs, outputs]);
  return operator.factoredSolve(v, delta, { inputs: inverseOf(inputs), outputs: inverseOf(outputs) });
}

/** Factors as they are. */
const none = { inputs: undefined, outputs: undefined };

const scalar = (b: FedBuilder, x: number): Value => b.reshape(b.given([1], [x]), []);
const damping = 0.05;
const deltaOf = (b: FedBuilder, operator: KroneckerOperator): Value => absolute(scalar(b, damping))(b, operator);

describe.each(layouts)('outputs first: $outputsFirst, bias: $hasBias', (layout) => {
  const system = drawSystem(layout, random(20, String(layout.outputsFirst), String(layout.hasBias)), [5, 4]);
  const { a, g, v } = system;
  const exact = denseTikhonov(system, damping);

  /** The system as the primal form has it. */
  function primalOf(b: FedBuilder, { a, g, v }: System, initial?: Matrix) {
    const block = blockOf('layer', [dense], { inputs: a.columns - Number(layout.hasBias), outputs: g.columns, layout });
    const rows: LayerRows = { inputs: inputRowsOf(b, a, layout), outputs: b.matrix(g) };
    const coordinates = new RowCoordinates(batchOperator(b, block, rows));
    const delta = absolute(scalar(b, damping))(b, coordinates.operator);
    const given = { coordinates, v: layerTensorOf(b, v, layout), delta };
    return initial ? { ...given, initial: layerTensorOf(b, initial, layout) } : given;
  }

  // Few rows on both sides, on one side, on none; the sides of a block may have unequal numbers of rows.
  test.each([
    [3, 3],
    [9, 9],
    [3, 9],
    [9, 2],
    [5, 4],
  ])('the primal form, %d and %d rows: the iterates of conjugate gradients on X', async (ofInputs, ofOutputs) => {
    const source = random(21, String(layout.outputsFirst), String(layout.hasBias));
    const size = 5 + Number(layout.hasBias);
    const system: System = {
      layout,
      a: randomMatrix(source, ofInputs, size),
      g: randomMatrix(source, ofOutputs, 4),
      v: randomMatrix(source, size, 4),
    };
    const { a, g, v } = system;
    const start = randomMatrix(source, size, 4);
    for (const iterations of [1, 2, 5]) {
      const options = { maxIterations: iterations, stopping: converged.stopping };
      const b = new FedBuilder();
      const [cold, warm] = [primalOf(b, system), primalOf(b, system, start)];
      const [first, second] = [primalSolve(b, [cold], options), primalSolve(b, [warm], options)];
      const [solve] = first.solves;
      if (!solve) throw new Error('one solve');
      const results = await b.matrices({
        cold: joinedOf(b, first.solutionOf(cold)),
        warm: joinedOf(b, second.solutionOf(warm)),
        residual: b.reshape(solve.residual, [1, 1]),
      });
      // The units of the sides divide F and λ by one number.
      const expected = primalByHand({ a, g, v }, damping, iterations);
      expect(relativeError(results.cold, scaled(expected.x, damping))).toBeLessThan(tight);
      expect(results.residual.data[0]).toBeCloseTo(expected.residual, 10);
      const fromStart = primalByHand({ a, g, v, start }, damping, iterations);
      expect(relativeError(results.warm, scaled(fromStart.x, damping))).toBeLessThan(tight);
    }
    const b = new FedBuilder();
    const [cold, warm] = [primalOf(b, system), primalOf(b, system, start)];
    const { solutionOf } = primalSolve(b, [cold, warm], converged);
    const results = await b.matrices({ cold: joinedOf(b, solutionOf(cold)), warm: joinedOf(b, solutionOf(warm)) });
    const exact = scaled(denseTikhonov(system, damping), damping);
    expect(relativeError(results.cold, exact)).toBeLessThan(tight);
    expect(relativeError(results.warm, exact)).toBeLessThan(tight);
  });

  test.each(combinations)('Gram-space conjugate gradients, %s × %s', async (...held) => {
    const b = new FedBuilder();
    const operator = operatorOf(b, system, held);
    const given = { v: layerTensorOf(b, v, layout), operator, delta: deltaOf(b, operator), shrinkage: none };
    const { directionOf, solves } = tikhonovSolve(b, [given], converged);
    const [solve] = solves;
    if (!solve) throw new Error('one solve');
    const results = await b.matrices({
      direction: joinedOf(b, directionOf(given)),
      residual: b.reshape(solve.residual, [1, 1]),
      iterations: b.reshape(b.cast(solve.iterations, 'float64'), [1, 1]),
    });
    expect(relativeError(results.direction, scaled(exact, damping))).toBeLessThan(tight);
    expect(results.residual.data[0]).toBeLessThan(1e-12);
    expect(results.iterations.data[0]).toBeGreaterThan(3);
  });

  // Shares of the identity in rows on both sides, on one, and in small shares.
  test.each([
    [0.3, 0.2],
    [0.4, undefined],
    [undefined, 0.1],
    [1e-3, 0.9],
  ])('Gram-space conjugate gradients with %s and %s of the identity', async (s, t) => {
    const b = new FedBuilder();
    const held = [s === undefined ? 'dense' : 'rows', t === undefined ? 'dense' : 'rows'] as const;
    const operator = operatorOf(b, system, held);
    const share = (x: number | undefined) => (x === undefined ? undefined : scalar(b, x));
    const shrinkage = { inputs: share(s), outputs: share(t) };
    const given = { v: layerTensorOf(b, v, layout), operator, delta: deltaOf(b, operator), shrinkage };
    const warm = {
      ...given,
      initial: b.matrix(randomMatrix(random(24), s === undefined ? a.columns : 3, t === undefined ? 4 : 3)),
    };
    const { directionOf } = tikhonovSolve(b, [given, warm], converged);
    const results = await b.matrices({
      direction: joinedOf(b, directionOf(given)),
      warm: joinedOf(b, directionOf(warm)),
    });
    const mixed = (rows: Matrix, x = 0) => {
      const factor = gram(rows);
      return shifted(scaled(factor, 1 - x), (x * trace(factor)) / rows.columns);
    };
    const dense = solved(shifted(kronecker(mixed(a, s), mixed(g, t)), damping), vectorized(v));
    const exact = scaled(matrixOf(v.rows, v.columns, dense.data), damping);
    expect(relativeError(results.direction, exact)).toBeLessThan(tight);
    expect(relativeError(results.warm, exact)).toBeLessThan(tight);
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

  test('factored damping of both sides in one product', async () => {
    const b = new FedBuilder();
    const operator = operatorOf(b, system, ['rows', 'rows']);
    const { inputs, outputs } = operator.dampedKernels(b, deltaOf(b, operator));
    const inverseOf = invertedKernels(b, [inputs, outputs]);
    const inverses = { inputs: inverseOf(inputs), outputs: inverseOf(outputs) };
    const { rows } = operator.outputs;
    const both = rows && operator.inputs.dampBoth?.(layerTensorOf(b, v, layout), rows, inverses);
    if (!both) throw new Error('rows on both sides');
    const one = factoredDirection(b, operator, layerTensorOf(b, v, layout), deltaOf(b, operator));
    const results = await b.matrices({ both: joinedOf(b, both), one: joinedOf(b, one) });
    expect(relativeError(results.both, results.one)).toBeLessThan(1e-13);
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
    return {
      v: layerTensorOf(b, system.v, system.layout),
      operator,
      delta: deltaOf(b, operator),
      shrinkage: none,
    };
  });
  const { directionOf, solves } = tikhonovSolve(b, given, converged);
  expect(solves).toHaveLength(2);
  const results = await b.matrices(
    Object.fromEntries(given.map((each, i) => [`direction${i}`, joinedOf(b, directionOf(each))])),
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
    const delta = deltaOf(b, operator);
    return { v, operator, delta, kernels: operator.dampedKernels(b, delta), shrinkage: none };
  });
  const { directionOf } = tikhonovSolve(b, given, converged);
  const inverseOf = invertedKernels(
    b,
    given.flatMap(({ kernels }) => [kernels.inputs, kernels.outputs]),
  );
  const outputs: Record<string, Value> = {};
  for (const [i, each] of given.entries()) {
    const { v, operator, delta, kernels } = each;
    const inverses = { inputs: inverseOf(kernels.inputs), outputs: inverseOf(kernels.outputs) };
    outputs[`tikhonov${i}`] = joinedOf(b, directionOf(each));
    outputs[`factored${i}`] = joinedOf(b, operator.factoredSolve(v, delta, inverses));
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
