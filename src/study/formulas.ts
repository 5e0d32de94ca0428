// Operations and memory of a step by formula (docs/mathematics.md): multiplications and additions of a chain of dense layers, and
// bytes of what an optimizer keeps beside parameters and gradients.

/** A dense layer: m inputs, its bias's 1 among them, and n outputs; N examples. */
interface DenseShape {
  readonly m: number;
  readonly n: number;
  readonly N: number;
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

/** K-FAC with an inverse every T steps. */
export const kfacCost = (interval: number): CostFormula => ({
  flops: ({ m, n, N }) => 2 * N * (m ** 2 + n ** 2) + (m ** 3 + n ** 3) / interval + 2 * m * n * (m + n),
  numbers: ({ m, n }) => 2 * (m ** 2 + n ** 2),
  flopsText: `2N(m²+n²) + (m³+n³)${interval === 1 ? '' : `/${interval}`} + 2mn(m+n)`,
  numbersText: '2(m²+n²)',
});

/** CG-FAC as published: k iterations of conjugate gradients on the gradient's matrix. */
export const primalCost = (iterations: number): CostFormula => ({
  flops: ({ m, n, N }) => iterations * (4 * N * m * n + 4 * N ** 2 * n),
  numbers: ({ m, n, N }) => N * (m + n) + N ** 2 + 3 * m * n,
  flopsText: `${iterations}(4Nmn + 4N²n)`,
  numbersText: 'N(m+n) + N² + 3mn',
});

/** CG-FAC on sketches of R rows with factored damping; a side of at most R keeps its matrix instead. */
export const sketchCost = (rank: number): CostFormula => ({
  flops: ({ m, n, N }) => sum([m, n].map((side) => sideFlops(side, { m, n, N }, rank))),
  numbers: ({ m, n }) => sum([m, n].map((side) => (side <= rank ? 2 * side ** 2 : rank * side + rank ** 2 / 2))),
  flopsText: `8Rmn + 2R²(m+n) + 2R³, R = ${rank}`,
  numbersText: `R(m+n) + R², R = ${rank}`,
});

function sideFlops(side: number, { m, n, N }: DenseShape, rank: number): number {
  if (side <= rank) return 2 * N * side ** 2 + side ** 3 + 2 * m * n * side;
  return 4 * rank * m * n + 2 * rank ** 2 * side + rank ** 3;
}

/** Return the FLOPs of a step, with its gradient, and the bytes that the optimizer keeps. */
export function chainCost(
  { flops, numbers }: LayerCost,
  sizes: readonly number[],
  batchSize: number,
): { readonly flops: number; readonly bytes: number } {
  const layers = sizes.slice(1).map((n, i): DenseShape => ({ m: (sizes[i] ?? 0) + 1, n, N: batchSize }));
  return {
    flops: sum(layers.map((layer) => gradientFlops(layer) + flops(layer))),
    bytes: 4 * sum(layers.map(numbers)),
  };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
