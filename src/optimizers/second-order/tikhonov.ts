// Tikhonov damping (A⊗G + λI)⁻¹ by conjugate gradients in the Gram space of the two sides.
import { stack, unstack } from '../../curvature/factors/matrices.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { checkKeys } from '../../options.js';
import { conjugateGradient } from '../../solvers/conjugate-gradient.js';
import { checkedSolve, reportSolves, type Solve, type SolveOptions } from './convergence.js';
import { type ProductDamping, rootDampingOf } from './damping.js';
import { solvedInGroups } from './groups.js';
import type { KroneckerOperator } from './kronecker-operator.js';
import { measuredOperators } from './measured-operators.js';

/**
 * Return the damping of the whole Kronecker product, solved by conjugate gradients in each step.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ damping: tikhonov({ tolerance: 1e-4, maxIterations: 100 }) });
 */
export function tikhonov(options: SolveOptions = {}): ProductDamping {
  checkKeys('tikhonov', options, { maxIterations: true, tolerance: true });
  const solve = checkedSolve(options);
  return {
    name: 'tikhonov',
    precondition(input) {
      const { context, blocks, delta } = input;
      const { b } = context;
      const { operators } = measuredOperators(input, () => new Map());
      const systems = blocks.map((each, i) => {
        const operator = operators[i] as KroneckerOperator; // one a block
        return { ...each, v: each.smoothed, operator, delta: delta(b, operator) };
      });
      const { solutionOf, solves } = tikhonovSolve(b, systems, solve);
      reportSolves(context, solves, solve);
      return systems.map((system) => {
        const { v, operator, delta: own, ...block } = system;
        return { ...block, direction: solutionOf(system), rootDamping: rootDampingOf(b, own, operator) };
      });
    },
  };
}

export interface TikhonovSystem {
  readonly v: LayerTensor;
  readonly operator: KroneckerOperator;
  /** δ: λ is δ² times the mean eigenvalue of A⊗G. */
  readonly delta: Value;
}

/**
 * Solve λ·(A⊗G + λI)⁻¹·V = V − L_a·S·L_gᵀ; S is the solution of K̂_a·S·K̂_g + δ²S = P_a·V·P_gᵀ by conjugate gradients.
 * Blocks whose Gram spaces have equal orders are solved together, as one batch.
 */
export function tikhonovSolve<System extends TikhonovSystem>(
  b: Builder,
  systems: readonly System[],
  options: Required<SolveOptions>,
): { readonly solutionOf: (system: System) => LayerTensor; readonly solves: readonly Solve[] } {
  const solves: Solve[] = [];
  const targets = new Map(systems.map((system) => [system, system.operator.project(system.v)]));
  const targetOf = (system: System): Value => {
    const target = targets.get(system);
    if (!target) throw new Error('not one of the systems to solve');
    return target;
  };
  const shape = (system: System) =>
    [...targetOf(system).dims.slice(-2), system.operator.inputs.diagonal, system.operator.outputs.identity].join();
  const solutionOf = solvedInGroups(systems, shape, (group) => {
    const ends = group.map(targetOf);
    const diagonal = group.every(({ operator }) => operator.inputs.diagonal);
    const identity = group.every(({ operator }) => operator.outputs.identity);
    const stacked = (of: (system: System) => Value) => stack(b, group.map(of));
    const inputKernels = stacked(({ operator: { inputs } }) =>
      diagonal ? b.unsqueeze(inputs.kernel(b), [1]) : inputs.kernel(b),
    );
    const outputKernels = identity ? undefined : stacked(({ operator }) => operator.outputs.kernel(b));
    // One δ² for each system of the batch: [systems, 1, 1].
    const dampings = b.concat(
      group.map((system) => forEach(b, b.square(system.delta), targetOf(system))),
      0,
    );
    const fromLeft = (inner: Builder, s: Value) =>
      diagonal ? inner.mul(inputKernels, s) : inner.matmul(inputKernels, s);
    const fromRight = (inner: Builder, s: Value) => (outputKernels ? inner.matmul(s, outputKernels) : s);
    const { value, iterations, residual } = conjugateGradient(b, {
      operator: (inner, parts) =>
        parts.map((s) => inner.add(fromRight(inner, fromLeft(inner, s)), inner.mul(s, dampings))),
      rightHandSide: [stack(b, ends)],
      batched: true,
      ...options,
    });
    solves.push({ iterations, residual });
    return value.flatMap((solution) =>
      group.map(({ v, operator }, i) => operator.minusLifted(v, unstack(b, solution, ends, i))),
    );
  });
  return { solutionOf, solves };
}

/** A block's number, repeated for each matrix of its batch: `[matrices, 1, 1]`. */
const forEach = (b: Builder, number: Value, { rank, dims: [matrices = 1] }: Value): Value =>
  number.rank === 0 && rank === 3
    ? b.op('Expand', [number, b.integers([matrices, 1, 1])])
    : b.reshape(number, [rank === 3 ? matrices : 1, 1, 1]);
