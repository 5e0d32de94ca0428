// Times spdInverse against the runtime's LU inverse, its own blocked way, and a plain Cholesky inverse in TypeScript.
// Run: npx tsc -p tsconfig.benchmarks.json && node dist-bench/benchmarks/solvers.js

import { nodeEngine } from '../src/engine/node.js';
import type { Value } from '../src/graph/graph.js';
import { type TensorData, tensor, toNumbers } from '../src/graph/tensor.js';
import { Builder } from '../src/ops/builder.js';
import { random } from '../src/random.js';
import { inverseCholeskyFactor } from '../src/solvers/cholesky.js';
import { gramOfTriangle, spdInverse } from '../src/solvers/spd-inverse.js';

const threads = 2;
const damping = 1e-3;
const sizes = [
  [1, 32],
  [14, 32],
  [1, 64],
  [14, 64],
  [1, 128],
  [14, 128],
  [14, 192],
  [14, 256],
  [1, 256],
  [1, 384],
  [1, 512],
  [1, 1024],
] as const;

type Invert = (matrices: TensorData) => Promise<TensorData>;

const graphs: Record<string, (b: Builder, matrix: Value) => Value> = {
  spdInverse,
  'com.microsoft.Inverse': (b, matrix) => b.op('com.microsoft.Inverse', [matrix]),
  'blocks at any order': (b, matrix) => gramOfTriangle(b, inverseCholeskyFactor(b, matrix)),
};

/** A batch of RᵀR/r + δI with r = n/2 random rows. */
function lowRankPlusDamping(batch: number, order: number): TensorData {
  const rank = order / 2;
  const data = new Float32Array(batch * order * order);
  const rows = new Float32Array(rank * order);
  for (let system = 0; system < batch; system++) {
    random(system, 'solvers', order).fillNormal(rows);
    const matrix = new Float64Array(order * order);
    for (let k = 0; k < rank; k++) {
      const row = rows.subarray(k * order, (k + 1) * order);
      for (const [i, x] of row.entries()) {
        for (const [j, y] of row.entries()) matrix[i * order + j] = (matrix[i * order + j] ?? 0) + (x * y) / rank;
      }
    }
    for (let i = 0; i < order; i++) matrix[i * (order + 1)] = (matrix[i * (order + 1)] ?? 0) + damping;
    data.set(matrix, system * order * order);
  }
  return tensor('float32', [batch, order, order], data);
}

/** LLᵀ, then L⁻¹, then L⁻ᵀL⁻¹, in float64 and one thread. */
async function plainCholesky({ dims, data }: TensorData): Promise<TensorData> {
  const [batch = 1, n = 1] = dims;
  const result = new Float32Array(data.length);
  for (let system = 0; system < batch; system++) {
    const l = Float64Array.from(data.subarray(system * n * n, (system + 1) * n * n) as Float32Array);
    const at = (matrix: Float64Array, i: number) => matrix[i] as number; // indices are within the matrix
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = at(l, i * n + j);
        for (let k = 0; k < j; k++) sum -= at(l, i * n + k) * at(l, j * n + k);
        l[i * n + j] = i === j ? Math.sqrt(sum) : sum / at(l, j * (n + 1));
      }
    }
    // Rows of the transposed L⁻¹ are contiguous in the inner loops.
    const y = new Float64Array(n * n);
    for (let j = 0; j < n; j++) {
      for (let i = j; i < n; i++) {
        let sum = i === j ? 1 : 0;
        for (let k = j; k < i; k++) sum -= at(l, i * n + k) * at(y, j * n + k);
        y[j * n + i] = sum / at(l, i * (n + 1));
      }
    }
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = 0;
        for (let k = i; k < n; k++) sum += at(y, i * n + k) * at(y, j * n + k);
        result[(system * n + i) * n + j] = sum;
        result[(system * n + j) * n + i] = sum;
      }
    }
  }
  return tensor('float32', dims, result);
}

/** max |A·X − I| over some rows of the first system. */
function residual(matrices: TensorData, inverses: TensorData): number {
  const order = matrices.dims[1] ?? 1;
  const [a, x] = [toNumbers(matrices), toNumbers(inverses)];
  let largest = 0;
  for (let i = 0; i < order; i += Math.ceil(order / 32)) {
    const row = new Float64Array(order);
    for (let k = 0; k < order; k++) {
      for (let j = 0; j < order; j++) row[j] = (row[j] ?? 0) + (a[i * order + k] ?? 0) * (x[k * order + j] ?? 0);
    }
    row[i] = (row[i] ?? 0) - 1;
    for (const element of row) largest = Math.max(largest, Math.abs(element));
  }
  return largest;
}

const median = (times: readonly number[]): number => [...times].sort((x, y) => x - y)[times.length >> 1] ?? Number.NaN;

const engine = await nodeEngine({ worker: false, threads });
console.log(`RᵀR/r + ${damping}·I with r = n/2, float32, ${threads} threads; medians of interleaved rounds\n`);
console.log('| batch × order | way | ms | lowest | of spdInverse | max abs of AX − I |');
console.log('|---|---|---:|---:|---:|---:|');
for (const [batch, order] of sizes) {
  const matrices = lowRankPlusDamping(batch, order);
  // A single matrix is inverted as a matrix, as the optimizers do, and not as a batch of one.
  const fed = batch === 1 ? { ...matrices, dims: [order, order] } : matrices;
  const ways = new Map<string, Invert>();
  const programs = [];
  for (const [name, make] of Object.entries(graphs)) {
    const b = new Builder();
    const program = await engine.compile(b.build(name, { inverse: make(b, b.input('matrix', 'float32', fed.dims)) }));
    programs.push(program);
    ways.set(name, async () => (await program.run({ matrix: fed })).inverse as TensorData); // the output just named
  }
  ways.set('TypeScript, float64', plainCholesky);
  const times = new Map<string, number[]>();
  const rounds = batch * order ** 3 > 1e8 ? 7 : 21;
  for (let round = -2; round < rounds; round++) {
    // Each round begins with another way: what runs after the slow one finds cold caches.
    const turns = [...ways];
    for (const [name, invert] of turns.splice((round + 2) % ways.size).concat(turns)) {
      if (round > 0 && name.startsWith('TypeScript') && batch * order ** 3 > 1e8) continue; // seconds
      const start = performance.now();
      await invert(matrices);
      if (round >= 0) times.set(name, [...(times.get(name) ?? []), performance.now() - start]);
    }
  }
  const reference = median(times.get('spdInverse') ?? []);
  for (const [name, invert] of ways) {
    const measured = times.get(name) ?? [];
    const middle = median(measured);
    const columns = [
      `${batch} × ${order}`,
      name,
      middle.toFixed(3),
      Math.min(...measured).toFixed(3),
      (middle / reference).toFixed(2),
      residual(matrices, await invert(matrices)).toExponential(1),
    ];
    console.log(`| ${columns.join(' | ')} |`);
  }
  for (const program of programs) await program.release();
}
await engine.close();
