// Tikhonov damping (A⊗G + λI)⁻¹ of factors with a floor: what rows do not tell of a factor is spread over all directions. By
// conjugate gradients in the Gram space of the two sides.
import { numbersFor, stack, unstack } from '../../curvature/factors/matrices.js';
import { estimatedShrinkage } from '../../curvature/factors/shrinkage.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { identityLike } from '../../ops/identity.js';
import { checkedFlag, checkedNumber, checkKeys } from '../../options.js';
import { conjugateGradient } from '../../solvers/conjugate-gradient.js';
import { type StepContext, states } from '../optimizer.js';
import type { BlockGradient } from './block.js';
import {
  type BlockSolve,
  checkedSolve,
  ownSolve,
  reportSolves,
  type Solve,
  type SolveOptions,
  type SolveSettings,
  solveKeys,
} from './convergence.js';
import { type ProductDamping, rootDampingOf } from './damping.js';
import { solvedInGroups } from './groups.js';
import {
  type DampedKernel,
  invertedDampers,
  invertedKernels,
  type KroneckerOperator,
  type PerSide,
} from './kronecker-operator.js';
import { measuredOperators } from './measured-operators.js';

export interface TikhonovOptions extends SolveOptions {
  /** Start each solve from the last step's solution; true by default. */
  readonly warmStart?: boolean;
  /**
   * s in [0, 1): a factor that is held as rows counts as (1 − s) times itself and s times its mean eigenvalue in all
   * directions. By default it is estimated (Ledoit & Wolf 2004); 0 takes the rows as they are.
   */
  readonly shrinkage?: number;
}

/**
 * Return the damping of the whole Kronecker product, solved by conjugate gradients in each step. They start from the last
 * step's solution and are preconditioned by the factored inverse.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ damping: tikhonov({ stopping: byResidual({ tolerance: 1e-4 }), maxIterations: 100 }) });
 */
export function tikhonov(options: TikhonovOptions = {}): ProductDamping {
  checkKeys('tikhonov', options, { ...solveKeys, warmStart: true, shrinkage: true });
  const solve = checkedSolve(options);
  const warmStart = checkedFlag('warmStart', options.warmStart) ?? true;
  const given = options.shrinkage;
  if (given !== undefined) checkedNumber('shrinkage', given, { atLeast: 0, below: 1 });
  return {
    name: 'tikhonov',
    ...(given !== undefined && { optionOfRows: 'shrinkage' }),
    precondition(input) {
      const { context, blocks, delta, tellsSolves = false } = input;
      const { b } = context;
      const { operators } = measuredOperators(input, () => new Map());
      const shrinkageOf = ({ rows: held, kernel }: KroneckerOperator['inputs'] | KroneckerOperator['outputs']) => {
        if (!held || given === 0) return undefined;
        const rows = kernel(b);
        return given === undefined ? estimatedShrinkage(b, rows) : b.scalar(given, rows.dtype);
      };
      const systems = blocks.map((each, i) => {
        const operator = operators[i] as KroneckerOperator; // one a block
        const shrinkage = { inputs: shrinkageOf(operator.inputs), outputs: shrinkageOf(operator.outputs) };
        return { each, v: each.smoothed, operator, delta: delta(b, operator), shrinkage };
      });
      // A⊗I + λI = (A + λI)⊗I is one inverse.
      const [iterated, direct] = [systems.filter(isIterated), systems.filter((system) => !isIterated(system))];
      const dampers = invertedDampers(b, direct);
      const directly = (system: (typeof direct)[number]) =>
        directed(b, system, system.operator.damped(system.v, dampers.get(system) as PerSide<Value>)); // one of those
      if (iterated.length === 0) return direct.map(directly);
      const settings = { ...solve, apart: tellsSolves };
      const solved = warmStart ? warmSolve(context, iterated, settings) : tikhonovSolve(b, iterated, settings);
      reportSolves(context, solved.solves, solve);
      return systems.map((system) =>
        isIterated(system)
          ? { ...directed(b, system, solved.directionOf(system)), ...solved.ownSolveOf(system) }
          : directly(system),
      );
    },
  };
}

const isIterated = ({ operator }: TikhonovSystem): boolean => !operator.outputs.identity;

const directed = (b: Builder, system: TikhonovSystem & { readonly each: BlockGradient }, direction: LayerTensor) => ({
  ...system.each,
  direction,
  rootDamping: rootDampingOf(b, system.delta, system.operator),
});

export interface TikhonovSystem {
  readonly v: LayerTensor;
  readonly operator: KroneckerOperator;
  /** δ: λ is δ² times the mean eigenvalue of A⊗G. */
  readonly delta: Value;
  /** s and t, which mix the identity into A and G; undefined for none. */
  readonly shrinkage: PerSide<Value | undefined>;
  /** A multiple of it is where Z starts; zero by default. */
  readonly initial?: Value;
}

/**
 * Solve λ·(A_s⊗G_t + λI)⁻¹·V with A_s = (1 − s)·Â + s·I and G_t = (1 − t)·Ĝ + t·I. With μ = st + λ,
 * D_a = δ_a·(Â + δ_a I)⁻¹ for δ_a = μ/(t(1 − s)), and D_g alike,
 *
 *     μ·(A_s⊗G_t + λI)⁻¹·V = (D_a·V − (1 − s)(1 − t)·λ·L_a·Z·L_gᵀ)·D_g
 *     K_s·Z·K_t + λZ = (t(1 − s)·K̂_a + μ)⁻¹·P_a·V·P_gᵀ
 *
 * with K_s = (1 − s)·K̂_a + s and K_t alike: what the damped sides leave over is solved for in the Gram space of both, by
 * conjugate gradients, preconditioned by (K_s + δ)⁻¹ ⊗ (K_t + δ)⁻¹. Without shrinkage D = I and μ = λ. Blocks whose Gram
 * spaces have equal orders are solved together, as one batch.
 */
export function tikhonovSolve<System extends TikhonovSystem>(
  b: Builder,
  systems: readonly System[],
  options: SolveSettings,
): TikhonovSolutions<System> {
  const solves: Solve[] = [];
  const prepared = preparedSystems(b, systems);
  const shape = ({ system: { operator, initial }, target, shrunk }: Prepared<System>) =>
    [
      target.dims.slice(-2),
      operator.inputs.diagonal,
      initial !== undefined,
      shrunk.inputs.isShrunk,
      shrunk.outputs.isShrunk,
    ].join();
  const resultOf = solvedInGroups(prepared, shape, (group) => {
    const targets = group.map(({ target }) => target);
    const stacked = (of: (each: Prepared<System>) => Value) => stack(b, group.map(of));
    const diagonal = group.every(({ system }) => system.operator.inputs.diagonal);
    const column = (kernel: Value): Value => (diagonal ? b.unsqueeze(kernel, [1]) : kernel);
    const kernels = {
      inputs: stacked(({ shrunk }) => column(shrunk.inputs.kernel)),
      outputs: stacked(({ shrunk }) => shrunk.outputs.kernel),
    };
    const inverses = {
      inputs: stacked(({ preconditioner }) => column(preconditioner.inputs)),
      outputs: stacked(({ preconditioner }) => preconditioner.outputs),
    };
    // One λ for each system of the batch: [systems, 1, 1].
    const dampings = stacked(({ system, target }) => numbersFor(b, b.square(system.delta), target));
    const between = (inner: Builder, { inputs, outputs }: PerSide<Value>, s: Value): Value =>
      inner.matmul(diagonal ? inner.mul(inputs, s) : inner.matmul(inputs, s), outputs);
    const initial = group.flatMap(({ system }) => (system.initial ? [system.initial] : []));
    const { value, ...solve } = conjugateGradient(b, {
      operator: (inner, parts) => parts.map((s) => inner.add(between(inner, kernels, s), inner.mul(s, dampings))),
      preconditioner: (inner, parts) => parts.map((s) => between(inner, inverses, s)),
      rightHandSide: [stack(b, targets)],
      ...(initial.length > 0 && { initial: [stack(b, initial)] }),
      batched: true,
      ...options,
    });
    solves.push(solve);
    return value.flatMap((solution) =>
      group.map((_, i) => ({ solution: unstack(b, solution, targets, i), own: ownSolve(b, solve, targets, i) })),
    );
  });
  const found = new Map(
    prepared.map((each) => {
      const { solution, own } = resultOf(each);
      return [each.system, { solution, own, direction: directionOf(b, each, solution) }];
    }),
  );
  const of = (system: System) => {
    const result = found.get(system);
    if (!result) throw new Error('not one of the systems that were solved');
    return result;
  };
  return {
    directionOf: (system) => of(system).direction,
    solutionOf: (system) => of(system).solution,
    ownSolveOf: (system) => of(system).own,
    solves,
  };
}

export interface TikhonovSolutions<System> {
  readonly directionOf: (system: System) => LayerTensor;
  /** Z in the Gram space. */
  readonly solutionOf: (system: System) => Value;
  readonly ownSolveOf: (system: System) => { readonly solve?: BlockSolve };
  readonly solves: readonly Solve[];
}

/** A kernel that is mixed with the identity, (1 − s)·K̂ + s. */
interface ShrunkKernel {
  readonly isShrunk: boolean;
  readonly kernel: Value;
  /** 1 − s; undefined for 1. */
  readonly share: Value | undefined;
}

interface Prepared<System extends TikhonovSystem> {
  readonly system: System;
  readonly shrunk: PerSide<ShrunkKernel>;
  /** (t(1 − s)·K̂_a + μ)⁻¹·P_a·V·P_gᵀ, up to the factor `weight`. */
  readonly target: Value;
  /** What Z is multiplied by beside the target: (1 − s)(1 − t)·λ over the target's factor. */
  readonly weight: Value | undefined;
  /** (K̂_a + δ_a)⁻¹·P_a·V if G has a floor. */
  readonly left: Value | undefined;
  /** δ_g with (K̂_g + δ_g)⁻¹ if A has a floor. */
  readonly right: { readonly delta: Value; readonly inverse: Value } | undefined;
  /** λ/μ; undefined for 1. */
  readonly scale: Value | undefined;
  readonly preconditioner: PerSide<Value>;
}

function preparedSystems<System extends TikhonovSystem>(
  b: Builder,
  systems: readonly System[],
): readonly Prepared<System>[] {
  const begun = systems.map((system) => {
    const { operator, delta, shrinkage } = system;
    const { inputs: s, outputs: t } = shrinkage;
    const kernels = { inputs: operator.inputs.kernel(b), outputs: operator.outputs.kernel(b) };
    const shrunk = { inputs: shrunkKernel(b, kernels.inputs, s), outputs: shrunkKernel(b, kernels.outputs, t) };
    const damping = b.square(delta);
    const mu = s && t ? b.add(b.mul(s, t), damping) : damping;
    /** The floor that one side's shrinkage puts under the other: δ = μ/(t(1 − s)). */
    const floor = (kernel: Value, floorOf: Value | undefined, share: Value | undefined): DampedKernel | undefined =>
      floorOf && { kernel, delta: b.div(b.div(mu, floorOf), share ?? 1) };
    const shifted = (kernel: Value, own: Value | undefined, share: Value | undefined): DampedKernel => ({
      kernel,
      delta: share && own ? b.div(b.add(own, delta), share) : delta,
    });
    return {
      ...{ system, shrunk, damping, mu },
      left: floor(kernels.inputs, t, shrunk.inputs.share),
      right: floor(kernels.outputs, s, shrunk.outputs.share),
      preconditioner: {
        inputs: shifted(kernels.inputs, s, shrunk.inputs.share),
        outputs: shifted(kernels.outputs, t, shrunk.outputs.share),
      },
    };
  });
  const inverseOf = invertedKernels(
    b,
    begun.flatMap(({ left, right, preconditioner: { inputs, outputs } }) => [
      ...(left ? [left] : []),
      ...(right ? [right] : []),
      ...[inputs, outputs],
    ]),
  );
  return begun.map(({ system, shrunk, damping, mu, left, right, preconditioner }) => {
    const { operator, v, shrinkage } = system;
    const projected = operator.inputs.project(v);
    const solved = left && leftProduct(b, inverseOf(left), projected, operator.inputs.diagonal);
    const [ofInputs, ofOutputs] = [shrunk.inputs.share, shrunk.outputs.share];
    return {
      ...{ system, shrunk, left: solved },
      target: operator.outputs.project(solved ?? projected),
      weight: shrinkage.outputs ? b.mul(b.div(damping, shrinkage.outputs), ofOutputs ?? 1) : ofInputs,
      right: right && { delta: right.delta, inverse: inverseOf(right) },
      scale: shrinkage.inputs && shrinkage.outputs && b.div(damping, mu),
      preconditioner: { inputs: inverseOf(preconditioner.inputs), outputs: inverseOf(preconditioner.outputs) },
    };
  });
}

function shrunkKernel(b: Builder, kernel: Value, shrinkage: Value | undefined): ShrunkKernel {
  if (!shrinkage) return { isShrunk: false, kernel, share: undefined };
  const share = b.sub(1, shrinkage);
  const shrunk = b.add(b.mul(kernel, share), b.mul(identityLike(b, kernel), shrinkage));
  return { isShrunk: true, kernel: shrunk, share };
}

const leftProduct = (b: Builder, inverse: Value, y: Value, diagonal: boolean): Value =>
  diagonal ? b.mul(b.unsqueeze(inverse, [1]), y) : b.matmul(inverse, y);

/** (λ/μ)·(V − L_a·((K̂_a + δ_a)⁻¹·P_a·V + weight·Z·L_gᵀ))·D_g */
function directionOf<System extends TikhonovSystem>(b: Builder, each: Prepared<System>, solution: Value): LayerTensor {
  const { system, left, weight, right, scale } = each;
  const { operator, v } = system;
  const lifted = operator.outputs.lift(weight ? b.mul(solution, weight) : solution);
  const first = operator.inputs.minusLifted(v, left ? b.add(left, lifted) : lifted);
  const second = right ? operator.outputs.damp(first, operator.outputs.damper(b, right.inverse, right.delta)) : first;
  return scale ? second.map((part) => b.mul(part, scale)) : second;
}

/** Solve from the last step's solutions: sketches move slowly, and so does Z in their Gram space. */
function warmSolve<System extends TikhonovSystem & { readonly each: BlockGradient }>(
  context: StepContext,
  systems: readonly System[],
  options: SolveSettings,
): TikhonovSolutions<System> {
  const nameOf = ({ each: { block } }: System): string => `solution.${block.weight}`;
  const shapes = systems.map((system): [string, readonly number[]] => {
    const { inputs, outputs } = system.operator;
    return [nameOf(system), [...outputs.shape.slice(0, -2), inputs.shape.at(-1) ?? 1, outputs.shape.at(-1) ?? 1]];
  });
  return states(context, new Map(shapes), (old) => {
    const begun = systems.map((system) => ({ ...system, system, initial: old(nameOf(system)) }));
    const solved = tikhonovSolve(context.b, begun, options);
    const own = new Map(begun.map((each) => [each.system, each]));
    const of = (system: System) => own.get(system) as (typeof begun)[number]; // one of each
    return {
      solves: solved.solves,
      next: new Map(systems.map((system) => [nameOf(system), solved.solutionOf(of(system))])),
      directionOf: (system: System) => solved.directionOf(of(system)),
      solutionOf: (system: System) => solved.solutionOf(of(system)),
      ownSolveOf: (system: System) => solved.ownSolveOf(of(system)),
    };
  });
}
