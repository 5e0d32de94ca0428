// The form of the CG-FAC paper: conjugate gradients for (A⊗G + λI)X = V with F[X] = aᵀ((a·X·gᵀ)g), without forming A or G.
// Their iterates are computed in coordinates: V is read three times in a solve, however many iterations it takes.
import { numberOfOne, numbersFor, stack, unstack } from '../../curvature/factors/matrices.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { checkedFlag, checkKeys } from '../../options.js';
import { type StepContext, states } from '../optimizer.js';
import { stateNames, stateParts, stateShapes } from '../steps/rule.js';
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
import { coordinateSolve } from './coordinate-solve.js';
import { type RowDamping, rootDampingOf } from './damping.js';
import { solvedInGroups } from './groups.js';
import { measuredNow } from './refresh.js';
import { batchOperator, RowCoordinates, stackedMaps } from './row-coordinates.js';

export interface PrimalOptions extends SolveOptions {
  /** Start each solve from the last step's solution, which costs a copy of the parameters; false by default. */
  readonly warmStart?: boolean;
}

/**
 * Return Tikhonov damping with this batch's rows alone, as in the paper (arXiv 2101.00218); each layer is a separate system.
 * Its small systems are in float64, which WebGPU does not have.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ damping: primal({ maxIterations: 20 }) });
 */
export function primal(options: PrimalOptions = {}): RowDamping {
  checkKeys('primal', options, { ...solveKeys, warmStart: true });
  const solve = checkedSolve(options);
  const warmStart = checkedFlag('warmStart', options.warmStart) ?? false;
  return {
    name: 'primal',
    usesRows: true,
    precondition({ context, measure, delta, tellsSolves = false }) {
      const { b } = context;
      const blocks = measuredNow(measure);
      const systems = blocks.map(({ rows, ...each }) => {
        const coordinates = new RowCoordinates(batchOperator(b, each.block, rows));
        return { each, coordinates, v: each.smoothed, delta: delta(b, coordinates.operator) };
      });
      const settings = { ...solve, apart: tellsSolves };
      const solved = warmStart ? warmSolve(context, systems, settings) : primalSolve(b, systems, settings);
      reportSolves(context, solved.solves, solve);
      return systems.map((system) => ({
        ...system.each,
        ...solved.ownSolveOf(system),
        direction: solved.solutionOf(system),
        rootDamping: rootDampingOf(b, system.delta, system.coordinates.operator),
      }));
    },
  };
}

export interface PrimalSystem {
  readonly coordinates: RowCoordinates;
  readonly v: LayerTensor;
  /** δ: λ is δ² times the mean eigenvalue of A⊗G. */
  readonly delta: Value;
  /** A vector of which a multiple is the start; zero by default. */
  readonly initial?: LayerTensor;
}

export interface PrimalSolutions<System> {
  /** Return λ·(A⊗G + λI)⁻¹·V. */
  readonly solutionOf: (system: System) => LayerTensor;
  readonly ownSolveOf: (system: System) => { readonly solve?: BlockSolve };
  readonly solves: readonly Solve[];
}

/**
 * How much ⟨V, V⟩ is raised: without it the products, which are rounded, could give a residual a negative square. It stands
 * for a part of V that F does not see, and does not change the solution.
 */
const marginOf = ({ dtype }: Value): number => 16 * (dtype === 'float64' ? 2 ** -52 : 2 ** -23);

/** Solve systems by conjugate gradients; those of equal orders are one batch. */
export function primalSolve<System extends PrimalSystem>(
  b: Builder,
  systems: readonly System[],
  options: SolveSettings,
): PrimalSolutions<System> {
  const solves: Solve[] = [];
  const resultOf = solvedInGroups(
    systems,
    ({ coordinates: { key }, initial }) => `${key} ${initial !== undefined}`,
    (group) => {
      const prepared = group.map((system) => {
        const { coordinates, v, initial, delta } = system;
        const image = coordinates.project(v);
        const vectors = initial ? [v, initial] : [v];
        const product = (x: LayerTensor, y: LayerTensor): Value =>
          x === y ? b.mul(x.dots(b, y), 1 + marginOf(image)) : x.dots(b, y);
        const products = coordinates.isWhole ? [] : vectors.map((x) => vectors.map((y) => product(x, y)));
        return {
          image,
          images: initial ? [image, coordinates.project(initial)] : [image],
          numbers: [b.square(delta), ...products.flat()].map((number) => numbersFor(b, number, image)),
        };
      });
      // A vector that the rows span has two sets of coordinates, and its square cancels: float32 would resolve no residual below
      // √ε·‖V‖. If S alone is X, nothing cancels.
      const given = prepared[0]?.image.dtype ?? 'float64';
      const dtype = group.every(({ coordinates }) => coordinates.isWhole) ? given : 'float64';
      const stacked = (lists: readonly (readonly Value[])[]) => stackedLists(b, lists).map((x) => b.cast(x, dtype));
      const images = stacked(prepared.map((each) => each.images));
      const [damping, ...products] = stacked(prepared.map(({ numbers }) => numbers));
      if (!damping) throw new Error('a group of systems is not empty');
      const count = Math.sqrt(products.length);
      const { coefficients, s, solve } = coordinateSolve(
        b,
        {
          ...{ images, damping },
          products: Array.from({ length: count }, (_, k) => products.slice(k * count, (k + 1) * count)),
          ...stackedMaps(
            b,
            group.map(({ coordinates }) => coordinates),
            dtype,
          ),
        },
        options,
      );
      const like = prepared.map(({ image }) => image);
      const { iterations, systems: each } = solve;
      const told: Solve = {
        ...{ iterations, residual: b.cast(solve.residual, given), measure: b.cast(solve.measure, given) },
        ...(each && {
          systems: { iterations: b.cast(each.iterations, given), residual: b.cast(each.residual, given) },
        }),
      };
      solves.push(told);
      return group.map(({ v, initial, coordinates, delta }, i) => {
        const ratio = b.cast(b.square(delta), dtype);
        const lifted = b.cast(b.mul(unstack(b, s, like, i), ratio), given);
        const [ofV, ofInitial] = coefficients.map((xi) =>
          b.cast(b.mul(numberOfOne(b, unstack(b, xi, like, i)), ratio), given),
        );
        const own = ownSolve(b, told, like, i);
        if (!ofV) return { solution: v.split(b, lifted), own };
        const inSpan =
          initial && ofInitial
            ? v.map((part, other) => b.add(b.mul(part, ofV), b.mul(other, ofInitial)), initial)
            : v.map((part) => b.mul(part, ofV));
        return { solution: coordinates.plusLifted(b, inSpan, lifted), own };
      });
    },
  );
  return {
    solutionOf: (system) => resultOf(system).solution,
    ownSolveOf: (system) => resultOf(system).own,
    solves,
  };
}

/** Lists of equal length as one list, whose parts are batches. */
const stackedLists = (b: Builder, lists: readonly (readonly Value[])[]): Value[] =>
  (lists[0] ?? []).map((_, k) =>
    stack(
      b,
      lists.map((list) => list[k] as Value), // lists are of one length
    ),
  );

/** Solve from the last step's solutions. */
function warmSolve<System extends PrimalSystem & { readonly each: BlockGradient }>(
  context: StepContext,
  systems: readonly System[],
  options: SolveSettings,
): PrimalSolutions<System> {
  const shapes = systems.flatMap(({ each: { block }, v }) => stateShapes('solution', block, v));
  return states(context, new Map(shapes), (old) => {
    const begun = systems.map((system) => {
      const names = stateNames('solution', system.each.block);
      return { system, ...system, initial: system.v.mapNamed((_, kind) => old(names[kind])) };
    });
    const { solutionOf, ownSolveOf, solves } = primalSolve(context.b, begun, options);
    const found = new Map(begun.map((each) => [each.system, solutionOf(each)]));
    const own = new Map(begun.map((each) => [each.system, ownSolveOf(each)]));
    const next = begun.flatMap(({ system }) =>
      stateParts('solution', system.each.block, found.get(system) as LayerTensor),
    );
    return {
      solves,
      next: new Map(next),
      solutionOf: (system: System) => found.get(system) as LayerTensor, // one a system
      ownSolveOf: (system: System) => own.get(system) ?? {},
    };
  });
}
