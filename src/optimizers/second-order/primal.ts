// The form of the CG-FAC paper: conjugate gradients for (A⊗G + λI)X = V with F[X] = aᵀ((a·X·gᵀ)g), without forming A or G.
import { scaledInputRows, scaledOutputRows } from '../../curvature/factors/sides.js';
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import { LayerTensor } from '../../curvature/layer-tensor.js';
import type { LayerRows } from '../../curvature/statistics.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { checkedFlag, checkKeys } from '../../options.js';
import { conjugateGradient } from '../../solvers/conjugate-gradient.js';
import { type StepContext, states } from '../optimizer.js';
import { stateNames, stateParts, stateShapes } from '../steps/rule.js';
import type { BlockGradient } from './block.js';
import { checkedSolve, reportSolves, type Solve, type SolveOptions } from './convergence.js';
import { type RowDamping, rootDampingOf } from './damping.js';

export interface PrimalOptions extends SolveOptions {
  /** Start each solve from the last step's solution; true by default. */
  readonly warmStart?: boolean;
}

/**
 * Return Tikhonov damping with this batch's rows alone, as in the paper (arXiv 2101.00218); each layer is a separate system.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ damping: primal({ maxIterations: 20 }) });
 */
export function primal(options: PrimalOptions = {}): RowDamping {
  checkKeys('primal', options, { maxIterations: true, tolerance: true, warmStart: true });
  const solve = checkedSolve(options);
  const warmStart = checkedFlag('warmStart', options.warmStart) ?? true;
  return {
    name: 'primal',
    usesRows: true,
    precondition({ context, measure, delta }) {
      const { b } = context;
      const { blocks } = measure((_, measured) => ({ blocks: measured, keeps: new Map() })).made;
      const solved = blocks.map(({ rows, ...each }) => {
        const scaled = scaledRows(b, rows, each.block);
        const own = delta(b, scaled);
        const system = { ...scaled, v: each.smoothed, ratio: b.square(own) };
        const run = warmStart ? warmSolve(context, each, system, solve) : primalSolve(b, system, solve);
        const direction = run.solution.map((part) => b.mul(part, system.ratio));
        return { run, directed: { ...each, direction, rootDamping: rootDampingOf(b, own, scaled) } };
      });
      reportSolves(
        context,
        solved.map(({ run }) => run),
        solve,
      );
      return solved.map(({ directed }) => directed);
    },
  };
}

interface PrimalSystem {
  readonly rows: LayerRows;
  readonly v: LayerTensor;
  /** δ²: λ in units of the mean eigenvalue. */
  readonly ratio: Value;
}

type PrimalSolve = Solve & { readonly solution: LayerTensor };

function primalSolve(
  b: Builder,
  { rows, v, ratio }: PrimalSystem,
  options: Required<SolveOptions>,
  initial?: LayerTensor,
): PrimalSolve {
  const partsOf = ({ weight, bias }: LayerTensor) => (bias ? [weight, bias] : [weight]);
  const tensorOf = ([weight, bias]: readonly Value[]) => {
    if (!weight) throw new Error('the solution has no weight');
    return new LayerTensor(weight, bias, v.outputsFirst);
  };
  const { value, iterations, residual } = conjugateGradient(b, {
    operator: (inner, x) => partsOf(dampedFisher(inner, tensorOf(x), rows, ratio)),
    rightHandSide: partsOf(v),
    ...options,
    ...(initial && { initial: partsOf(initial) }),
  });
  return { solution: tensorOf(value), iterations, residual };
}

/** A solve that starts from the last step's solution. */
function warmSolve(
  context: StepContext,
  { block }: BlockGradient,
  system: PrimalSystem,
  options: Required<SolveOptions>,
): PrimalSolve {
  const names = stateNames('solution', block);
  const { v } = system;
  return states(context, new Map(stateShapes('solution', block, v)), (old) => {
    const initial = v.mapNamed((_, kind) => old(names[kind]));
    const solve = primalSolve(context.b, system, options, initial);
    return { ...solve, next: new Map(stateParts('solution', block, solve.solution)) };
  });
}

/** The rows of a layer, those of each side in units of its own mean eigenvalue. */
function scaledRows(b: Builder, { inputs, outputs }: LayerRows, block: KroneckerBlock) {
  const left = scaledInputRows(b, inputs, block.inputs + (inputs.homogeneous ? 1 : 0));
  const right = scaledOutputRows(b, outputs);
  return { inputs: left, outputs: right, rows: { inputs: left.rows, outputs: right.rows } };
}

/**
 * Return A·X·G + λX, as aᵀ((a·X·gᵀ)·g) + λX in 4Nmn + 4N²n operations; with more rows than inputs (convolutions, sequences)
 * as aᵀ(a·((X·gᵀ)·g)) + λX in 8Nmn operations, without a matrix of rows × rows.
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
