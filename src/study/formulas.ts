// Operations and memory of a step by formula (docs/mathematics.md): multiplications and additions of a chain of dense layers, and
// bytes of what an optimizer keeps beside parameters and gradients.
import { measureInterval } from '../optimizers/second-order/cgfac.js';
import { byBudget, fixedRank, type RankRule } from '../optimizers/second-order/rank.js';
import { mostMeasured } from '../optimizers/second-order/second-order.js';

/** A dense layer: m inputs, its bias's 1 among them, and n outputs; N examples, r of which measure the curvature. */
interface DenseShape {
  readonly m: number;
  readonly n: number;
  readonly N: number;
  readonly r: number;
}

/** FLOPs beyond the gradient, and float32 numbers, of one layer. */
export interface LayerCost {
  readonly flops: (layer: DenseShape) => number;
  readonly numbers: (layer: DenseShape) => number;
}

/** Formulas in words, for the page, and in numbers. */
export interface CostFormula extends LayerCost {
  readonly flopsText: string;
  readonly numbersText: string;
}

const gradientFlops = ({ m, n, N }: DenseShape): number => 6 * N * m * n;

export const sgdCost: CostFormula = {
  flops: ({ m, n }) => 4 * m * n,
  numbers: ({ m, n }) => m * n,
  flopsText: '4mn',
  numbersText: 'mn',
};

export const adamCost: CostFormula = {
  flops: ({ m, n }) => 12 * m * n,
  numbers: ({ m, n }) => 2 * m * n,
  flopsText: '12mn',
  numbersText: '2mn',
};

/** The network on the examples that measure: forward, and back without gradients of weights. */
const sampleFlops = ({ m, n, r }: DenseShape): number => 4 * r * m * n;

/** K-FAC with statistics every step and an inverse every T steps. */
export const kfacCost = (interval: number): CostFormula => ({
  flops: (layer) => {
    const { m, n, r } = layer;
    return sampleFlops(layer) + 2 * r * (m ** 2 + n ** 2) + (m ** 3 + n ** 3) / interval + 2 * m * n * (m + n);
  },
  numbers: ({ m, n }) => 2 * (m ** 2 + n ** 2),
  flopsText: `4rmn + 2r(m²+n²) + (m³+n³)${interval === 1 ? '' : `/${interval}`} + 2mn(m+n)`,
  numbersText: '2(m²+n²)',
});

/** The paper's count of its form: k iterations of conjugate gradients, each with F[X] = aᵀ((a·X·gᵀ)g) on the weights' matrix. */
export const publishedCost = (iterations: number): CostFormula => ({
  flops: (layer) => {
    const { m, n, r } = layer;
    return sampleFlops(layer) + iterations * (4 * r * m * n + 4 * r ** 2 * n);
  },
  numbers: ({ m, n, r }) => r * (m + n) + r ** 2 + 3 * m * n,
  flopsText: `4rmn + ${iterations}(4rmn + 4r²n)`,
  numbersText: 'r(m+n) + r² + 3mn',
});

/**
 * The same iterates in coordinates: V is projected once and X lifted once, 4rmn + 4r²n; an iteration multiplies matrices of the
 * order of the smaller of rows and side, here r × r. Three vectors of two such matrices, and a kernel for each side.
 */
export const primalCost = (iterations: number): CostFormula => ({
  flops: (layer) => {
    const { m, n, r } = layer;
    const [a, g] = [Math.min(m, r), Math.min(n, r)];
    const kernels = 2 * r * (m * a + n * g);
    const projected = (a < m ? 4 * a * m * n : 0) + (g < n ? 4 * a * g * n : 0);
    return sampleFlops(layer) + kernels + projected + iterations * 2 * a * g * (a + g);
  },
  numbers: ({ m, n, r }) => {
    const [a, g] = [Math.min(m, r), Math.min(n, r)];
    return r * (m + n) + a ** 2 + g ** 2 + 6 * a * g;
  },
  flopsText: `8rmn + 2r²(m+3n) + ${iterations}·4r³`,
  numbersText: 'r(m+n) + 8r²',
});

/** CG-FAC on sketches of R rows with factored damping; a side of at most R keeps its matrix instead. */
const sketchesCost = (rule: RankRule, words: string): CostFormula => {
  const rankOf = ({ m, n, N, r }: DenseShape) => rule.rankOf({ inputs: m - 1, outputs: n, batchRows: N, measured: r });
  return {
    flops(layer) {
      const { m, n } = layer;
      const rank = rankOf(layer);
      const applied = sum([m, n].map((side) => (side <= rank ? 2 * side : 4 * rank) * m * n));
      const measured = sampleFlops(layer) + sum([m, n].map((side) => sideFlops(side, layer, rank)));
      return applied + measured / measureInterval;
    },
    numbers(layer) {
      const rank = rankOf(layer);
      return sum([layer.m, layer.n].map((side) => (side <= rank ? 2 * side ** 2 : rank * side + rank ** 2 / 2)));
    },
    flopsText: `8Rmn + (4rmn + 2R²(m+n) + 2R³)/${measureInterval}, ${words}`,
    numbersText: `R(m+n) + R², ${words}`,
  };
};
export const sketchCost = (rank: number): CostFormula => sketchesCost(fixedRank(rank), `R = ${rank}`);
export const budgetCost: CostFormula = sketchesCost(byBudget(), 'R ≈ min(3N/16, mn/4(m+n), 128), at least r');

/** Measure a side: its matrix, or the Gram matrix of its rows, and the inverse. */
function sideFlops(side: number, { r }: DenseShape, rank: number): number {
  if (side <= rank) return 2 * r * side ** 2 + side ** 3;
  return 2 * rank ** 2 * side + rank ** 3;
}

/** Return the FLOPs of a step, with its gradient, and the bytes that the optimizer keeps. */
export function chainCost(
  { flops, numbers }: LayerCost,
  sizes: readonly number[],
  batchSize: number,
): { readonly flops: number; readonly bytes: number } {
  const layers = sizes.slice(1).map(
    (n, i): DenseShape => ({
      ...{ m: (sizes[i] ?? 0) + 1, n, N: batchSize },
      r: Math.min(mostMeasured, batchSize),
    }),
  );
  return {
    flops: sum(layers.map((layer) => gradientFlops(layer) + flops(layer))),
    bytes: 4 * sum(layers.map(numbers)),
  };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
