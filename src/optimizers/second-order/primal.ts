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
        const products = coordinates.isWhole ? [] : vectors.map((x) => vectors.map((y) => x.dots(b, y)));
        return {
          image,
          images: initial ? [image, coordinates.project(initial)] : [image],
          numbers: [b.square(delta), ...products.flat()].map((number) => numbersFor(b, number, image)),
        };
      });
      const images = stackedLists(
        b,
        prepared.map((each) => each.images),
      );
      const [damping, ...products] = stackedLists(
        b,
        prepared.map(({ numbers }) => numbers),
      );
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
          ),
        },
        options,
      );
      const like = prepared.map(({ image }) => image);
      solves.push(solve);
      return group.map(({ v, initial, coordinates, delta }, i) => {
        const ratio = b.square(delta);
        const lifted = b.mul(unstack(b, s, like, i), ratio);
        const [ofV, ofInitial] = coefficients.map((xi) => b.mul(numberOfOne(b, unstack(b, xi, like, i)), ratio));
        const own = ownSolve(b, solve, like, i);
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
