// The damped solves in float32 against float64, over all scales, ranks, numbers of rows and dampings: directions are finite
// and right to 1e-3 (or to what float32 can tell of an ill-conditioned block), whatever the units of a layer's activations,
// its gradients and the loss.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blockOf as kroneckerBlockOf } from '../../../test/support/blocks.js';
import {
  type DampedSolution,
  factoredOracle,
  meanEigenvalue,
  tikhonovOracle,
} from '../../../test/support/damped-oracle.js';
import { declaredStep } from '../../../test/support/declared-step.js';
import {
  generate,
  gram,
  type Matrix,
  multiplied,
  relativeError,
  scaled,
  transposed,
} from '../../../test/support/dense.js';
import { FedBuilder, randomMatrix } from '../../../test/support/fed-builder.js';
import { inputRowsOf, joinedOf, type Layout, layerTensorOf } from '../../../test/support/layer-tensors.js';
import {
  denseInputSide,
  denseOutputSide,
  diagonalInputSide,
  inputRowsSide,
  outputRowsSide,
} from '../../curvature/factors/sides.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import { dense } from '../../curvature/layers/dense.js';
import type { Value } from '../../graph/graph.js';
import type { DataType } from '../../graph/tensor.js';
import { random } from '../../random.js';
import { byResidual } from '../../solvers/stopping.js';
import type { StepContext } from '../optimizer.js';
import type { MeasuredBlock } from './block.js';
import { absolute, type BlockDamping, type Damping, type DampingInput, relative } from './damping.js';
import { factored } from './factored.js';
import type { Factors } from './factors.js';
import { KroneckerOperator } from './kronecker-operator.js';
import { primal } from './primal.js';
import { measuring } from './refresh.js';
import { tikhonov } from './tikhonov.js';

const runs = 40;
const converged = { maxIterations: 500, stopping: byResidual({ tolerance: 1e-6 }) };

class Float32Builder extends FedBuilder {
  override given(dims: readonly number[], elements: Iterable<number>, dtype: DataType = 'float32'): Value {
    return super.given(dims, elements, dtype);
  }
}

/** A direction that cancels in the gradient keeps as many digits as the condition leaves. */
function expectRight(found: Matrix | undefined, { direction, condition }: DampedSolution): void {
  const tolerance = Math.max(1e-3, 16 * 2 ** -24 * condition);
  expect(found && relativeError(found, direction)).toBeLessThan(tolerance);
}

const rounded = (x: Matrix): Matrix => ({ ...x, data: x.data.map(Math.fround) });

/** Factors of a block, as rows: A = aᵀa, G = gᵀg. */
interface Block {
  readonly layout: Layout;
  readonly held: readonly [inputs: 'rows' | 'dense' | 'diagonal', outputs: 'rows' | 'dense'];
  readonly a: Matrix;
  readonly g: Matrix;
  readonly v: Matrix;
}

/** Sizes, and exponents of ten: of a factor's scale (undefined for a factor of zeros), of V's, and of the damping. */
interface Draw {
  readonly seed: number;
  readonly layout: Layout;
  readonly held: Block['held'];
  readonly inputs: number;
  readonly outputs: number;
  readonly rows: number;
  readonly rank: number;
  readonly zeroRows: boolean;
  readonly scaleA: number | undefined;
  readonly scaleG: number | undefined;
  readonly scaleV: number;
  /** V is made of the rows, as a batch's gradient is. */
  readonly inRowSpace: boolean;
}

const exponent = fc.integer({ min: -30, max: 30 });
const scale = fc.option(exponent, { nil: undefined, freq: 10 });
const draws = fc.record<Draw>({
  seed: fc.nat(1e6),
  layout: fc.record({ outputsFirst: fc.boolean(), hasBias: fc.boolean() }),
  held: fc.tuple(fc.constantFrom('rows', 'dense', 'diagonal'), fc.constantFrom('rows', 'dense')),
  inputs: fc.integer({ min: 1, max: 20 }),
  outputs: fc.integer({ min: 1, max: 16 }),
  rows: fc.integer({ min: 1, max: 16 }),
  rank: fc.integer({ min: 1, max: 12 }),
  zeroRows: fc.boolean(),
  scaleA: scale,
  scaleG: scale,
  scaleV: fc.integer({ min: -15, max: 15 }),
  inRowSpace: fc.boolean(),
});
/** In units of a block's mean eigenvalue. */
const damping = fc.double({ min: -2, max: 3, noNaN: true }).map((power) => 10 ** power);

function blockOf(draw: Draw): Block {
  const { held, inputs, outputs, rows, rank, zeroRows, scaleA, scaleG, scaleV, inRowSpace } = draw;
  const source = random(draw.seed, 'damped solve');
  // A diagonal side is an embedding's, which has no bias.
  const layout = { ...draw.layout, hasBias: draw.layout.hasBias && held[0] !== 'diagonal' };
  const size = inputs + Number(layout.hasBias);
  const factorRows = (columns: number, power: number | undefined): Matrix => {
    const lowRank = multiplied(randomMatrix(source, rows, rank), randomMatrix(source, rank, columns));
    const factor = power === undefined ? 0 : 10 ** (power / 2) / Math.sqrt(rows * rank);
    return rounded(
      generate(rows, columns, (i, j) => {
        const element = lowRank.data[i * columns + j] ?? 0;
        return zeroRows && i % 3 === 1 ? 0 : factor * element;
      }),
    );
  };
  const diagonal = (x: Matrix) => generate(size, size, (i, j) => (i === j ? (x.data[i] ?? 0) : 0));
  const [a, g] = [factorRows(size, scaleA), factorRows(outputs, scaleG)];
  const free = randomMatrix(source, size, outputs);
  const inside = multiplied(transposed(a), randomMatrix(source, rows, rows), g);
  const chosen = inRowSpace && inside.data.some((x) => x !== 0) ? inside : free;
  const largest = Math.max(...chosen.data.map(Math.abs)) || 1;
  const v = rounded(scaled(chosen, 10 ** scaleV / largest));
  return { layout, held, a: held[0] === 'diagonal' ? diagonal(a) : a, g, v };
}

/** The factors that the program holds, rounded where it is given them. */
const factorsOf = ({ a, g, held }: Block): { readonly a: Matrix; readonly g: Matrix } => ({
  a: held[0] === 'rows' ? gram(a) : rounded(gram(a)),
  g: held[1] === 'rows' ? gram(g) : rounded(gram(g)),
});

function operatorOf(b: FedBuilder, block: Block): KroneckerOperator {
  const { a, g } = factorsOf(block);
  const inputs = {
    rows: () => inputRowsSide(b, inputRowsOf(b, block.a, block.layout), block.a.columns),
    dense: () => denseInputSide(b, b.matrix(a)),
    diagonal: () =>
      diagonalInputSide(
        b,
        b.given(
          [a.rows],
          Array.from({ length: a.rows }, (_, i) => a.data[i * (a.rows + 1)] ?? 0),
        ),
      ),
  }[block.held[0]];
  return new KroneckerOperator(
    inputs(),
    block.held[1] === 'rows' ? outputRowsSide(b, b.matrix(block.g)) : denseOutputSide(b, b.matrix(g)),
  );
}

type Solve = (b: FedBuilder, blocks: readonly Block[], delta: BlockDamping) => LayerTensor[];

/** Blocks as an optimizer has them. */
const gradientsOf = (b: FedBuilder, blocks: readonly Block[]): MeasuredBlock[] =>
  blocks.map(({ a, g, v, layout }, i) => {
    const gradient = layerTensorOf(b, v, layout);
    const inputs = a.columns - Number(layout.hasBias);
    const block = kroneckerBlockOf(`layer${i}`, [dense], { inputs, outputs: g.columns, layout });
    const rows = { inputs: inputRowsOf(b, a, layout), outputs: b.matrix(g) };
    return { block, rows, gradient, smoothed: gradient };
  });

/** Directions by a kind of damping, from factors that are given. */
const solvedBy =
  (damping: Damping): Solve =>
  (b, blocks, delta) => {
    const gradients = gradientsOf(b, blocks);
    const given = new Map(gradients.map((each, i) => [each, operatorOf(b, blocks[i] as Block)])); // one a block
    const factors: Factors = {
      name: 'given',
      begin: () => (each) => given.get(each as MeasuredBlock) as KroneckerOperator, // one of these
    };
    const declared = declaredStep(b, { step: 0 });
    const context = { b, ...declared.declare } as unknown as StepContext; // damping asks for no more
    const measure = measuring(context, { interval: 1, burnIn: 1 }, () => gradients);
    const input = { context, blocks: gradients, factors, delta, measure } as unknown as DampingInput; // nor for a sample
    return damping.precondition(input).map(({ direction }) => direction);
  };

const asRows = (block: Block): Block => ({ ...block, held: ['rows', 'rows'] });
const solves = [
  { name: 'factored', solve: solvedBy(factored()), oracle: factoredOracle, change: (block: Block) => block },
  {
    name: 'Tikhonov by CG in Gram space',
    solve: solvedBy(tikhonov({ ...converged, shrinkage: 0, warmStart: false })),
    oracle: tikhonovOracle,
    change: (block: Block) => block,
  },
  {
    name: 'primal CG',
    // Its small matrices are in float64: the residual falls further than float32 could tell.
    solve: solvedBy(primal({ maxIterations: 200, stopping: byResidual({ tolerance: 1e-10 }) })),
    oracle: tikhonovOracle,
    change: asRows,
  },
];

/** V is made of one direction of the rows, which takes nearly all of it away: what is left is a small difference. */
const cancelling: [Draw[], number] = [
  [
    {
      ...{ seed: 0, layout: { outputsFirst: false, hasBias: false }, held: ['rows', 'rows'] },
      ...{ inputs: 1, outputs: 5, rows: 2, rank: 6, zeroRows: false, inRowSpace: true },
      ...{ scaleA: -1, scaleG: 15, scaleV: 3 },
    },
  ],
  0.0135,
];

const scalar = (b: FedBuilder, x: number): Value => b.reshape(b.given([1], [x]), []);

describe.each(solves)('$name', ({ solve, oracle, change }) => {
  const directionsOf = async (blocks: readonly Block[], damping: (b: FedBuilder) => BlockDamping) => {
    const b = new Float32Builder();
    const directions = solve(b, blocks, damping(b));
    const results = await b.matrices(Object.fromEntries(directions.map((x, i) => [String(i), joinedOf(b, x)])));
    return blocks.map((_, i) => results[String(i)]);
  };

  test('relative damping, blocks of any sizes together', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(draws, { minLength: 1, maxLength: 3 }), damping, async (drawn, epsilon) => {
        const blocks = drawn.map((draw) => change(blockOf(draw)));
        const found = await directionsOf(blocks, (b) => relative(scalar(b, epsilon)));
        for (const [i, block] of blocks.entries()) {
          expectRight(found[i], oracle({ ...factorsOf(block), v: block.v, delta: Math.sqrt(epsilon) }));
        }
      }),
      { numRuns: runs, examples: [cancelling] },
    );
  });

  test('absolute damping', async () => {
    await fc.assert(
      fc.asyncProperty(draws, damping, async (draw, epsilon) => {
        const block = change(blockOf(draw));
        const { a, g } = factorsOf(block);
        const lambda = Math.fround(epsilon * meanEigenvalue(a) * meanEigenvalue(g));
        fc.pre(lambda > 1e-30 && lambda < 1e30);
        const delta = Math.sqrt(lambda / meanEigenvalue(a) / meanEigenvalue(g));
        const [found] = await directionsOf([block], (b) => absolute(scalar(b, lambda)));
        expectRight(found, oracle({ a, g, v: block.v, delta }));
      }),
      { numRuns: runs },
    );
  });

  test('absolute damping where a factor is zero: the gradient itself', async () => {
    await fc.assert(
      fc.asyncProperty(draws, fc.integer({ min: -6, max: 3 }), fc.boolean(), async (draw, power, isInputs) => {
        // Beside factors above 1e12 a zero is told from 1e-36 times as much no longer.
        const moderate = (exponent = 0) => Math.max(-12, Math.min(12, exponent));
        const scales = isInputs
          ? { scaleA: undefined, scaleG: moderate(draw.scaleG) }
          : { scaleA: moderate(draw.scaleA), scaleG: undefined };
        const block = change(blockOf({ ...draw, ...scales }));
        const [found] = await directionsOf([block], (b) => absolute(scalar(b, 10 ** power)));
        expectRight(found, { direction: block.v, condition: 1 });
      }),
      { numRuns: runs },
    );
  });
});
