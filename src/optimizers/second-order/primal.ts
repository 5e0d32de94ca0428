// The paper's own form: conjugate gradients on X for (A⊗G + λI)X = V with F[X] = aᵀ((a·X·gᵀ)g), nothing larger formed.

import { scaledInputRows, scaledOutputRows } from '../../curvature/factors/sides.js';
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import { LayerTensor } from '../../curvature/layer-tensor.js';
import type { LayerRows } from '../../curvature/statistics.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { conjugateGradient } from '../../solvers/conjugate-gradient.js';
import { type BlockScales, type Preconditioner, rootDampingsOf } from './preconditioner.js';

interface PrimalOptions {
  readonly maxIterations: number;
  readonly tolerance: number;
  readonly warmStart: boolean;
}

/** Tikhonov damping, this batch's rows alone; each layer is a system of its own. */
export function primalPreconditioner(options: PrimalOptions): Preconditioner {
  return {
    build({ context: { b, state }, blocks, rows, gradient, damping }) {
      const states = new Map<string, Value>();
      const iterations: Value[] = [];
      const residuals: Value[] = [];
      const deltas: { delta: Value; scaled: BlockScales }[] = [];
      const directions = gradient.map((v, i) => {
        const [layer, block] = [rows[i], blocks[i]];
        if (!layer || !block) throw new Error('each gradient has a block and rows');
        const { outputsFirst } = v;
        const scaled = scaledRows(b, layer, block);
        const delta = damping(b, scaled);
        const ratio = b.square(delta);
        const tensorOf = ([weight, bias]: readonly Value[]) => new LayerTensor(weight ?? v.weight, bias, outputsFirst);
        const partsOf = (x: LayerTensor) => (x.bias ? [x.weight, x.bias] : [x.weight]);
        const names = [`solution.${block.weight}`, ...(block.bias === undefined ? [] : [`solution.${block.bias}`])];
        const solve = conjugateGradient(b, {
          operator: (inner, x) => partsOf(dampedFisher(inner, tensorOf(x), scaled.rows, ratio)),
          rightHandSide: partsOf(v),
          maxIterations: options.maxIterations,
          tolerance: options.tolerance,
          ...(options.warmStart ? { initial: partsOf(v).map((part, k) => state(names[k] ?? '', part.dims)) } : {}),
        });
        if (options.warmStart) for (const [k, name] of names.entries()) states.set(name, solve.value[k] ?? v.weight);
        iterations.push(b.cast(solve.iterations, delta.dtype));
        deltas.push({ delta, scaled });
        residuals.push(solve.residual);
        return tensorOf(solve.value).map((part) => b.mul(part, ratio));
      });
      const diagnostics = new Map([
        ['iterations', iterations.reduce((x, y) => b.max(x, y))],
        ['residual', residuals.reduce((x, y) => b.max(x, y))],
      ]);
      const rootDampings = rootDampingsOf(
        b,
        deltas.map(({ delta }) => delta),
        deltas.map(({ scaled }) => scaled),
      );
      return { directions, rootDampings, state: states, diagnostics };
    },
    scalars: () => ({}),
  };
}

/** A layer's rows, each side's in units of its own mean eigenvalue. */
function scaledRows(b: Builder, { inputs, outputs }: LayerRows, block: KroneckerBlock) {
  const left = scaledInputRows(b, inputs, block.inputs + (inputs.homogeneous ? 1 : 0));
  const right = scaledOutputRows(b, outputs);
  return { inputs: left, outputs: right, rows: { inputs: left.rows, outputs: right.rows } };
}

/**
 * A·X·G + λX as aᵀ((a·X·gᵀ)·g) + λX: 4Nmn + 4N²n operations. With more rows than inputs (convolutions, sequences) as
 * aᵀ(a·((X·gᵀ)·g)) + λX: 8Nmn operations, and no matrix of rows × rows.
 */
export function dampedFisher(b: Builder, x: LayerTensor, { inputs, outputs }: LayerRows, damping: Value): LayerTensor {
  const [rows = 1, size = 1] = inputs.values.dims.slice(-2);
  const columns = () => {
    if (rows <= size)
      return b.matmul(b.gemm(x.contractInputs(b, inputs), outputs, undefined, { transposeY: true }), outputs);
    const zero = x.map((part) => b.zerosLike(part));
    return zero.plusProduct(b, x.contractOutputs(b, outputs), outputs).contractInputs(b, inputs);
  };
  return x.map((part) => b.mul(part, damping)).plusProduct(b, inputs, columns());
}
