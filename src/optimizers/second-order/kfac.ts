// K-FAC (Martens & Grosse 2015): moving averages of the Kronecker factors A and G, inverted every T steps.
import { averaged, averageFactor, decayAt, joinedRows } from '../../curvature/factors/moving-average.js';
import { denseInputSide, denseOutputSide, diagonalInputSide } from '../../curvature/factors/sides.js';
import type { Value } from '../../graph/graph.js';
import { checkedWord, checkKeys, type OptionKeys } from '../../options.js';
import { type Optimizer, remember } from '../optimizer.js';
import { checked, refuseSchedules } from '../options.js';
import {
  type BlockSides,
  dampedInverses,
  dampedKernels,
  factoredDirection,
  tikhonovDirections,
} from './damped-solve.js';
import {
  type Preconditioned,
  type Preconditioner,
  type PreconditionerInput,
  rootDampingsOf,
} from './preconditioner.js';
import { type SecondOrderOptions, schedules, secondOrder, secondOrderKeys } from './second-order.js';

export interface KfacOptions extends SecondOrderOptions {
  /** `factored` (default): (A + π√λ I)⁻¹ ⊗ (G + √λ/π I)⁻¹. `tikhonov`: (A⊗G + λI)⁻¹ by CG each step. */
  readonly dampingKind?: 'factored' | 'tikhonov';
  /** Largest weight ρ of the past in the moving averages; 0.95 by default. */
  readonly decay?: number;
  /** Steps between inversions (after the first three, which invert each time); 20 by default. */
  readonly inverseInterval?: number;
  /** Limit and relative residual of the conjugate gradients (Tikhonov damping). */
  readonly maxIterations?: number;
  readonly tolerance?: number;
}

const keys: OptionKeys<KfacOptions> = {
  ...secondOrderKeys,
  dampingKind: true,
  decay: true,
  inverseInterval: true,
  maxIterations: true,
  tolerance: true,
};

/**
 * The K-FAC optimizer, with the same kinds of steps as `cgfac`.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * await train(autoencoder({ seed: 1 }), { data, optimizer: kfac(), steps: 150, batchSize: 500 });
 */
export function kfac(options: KfacOptions = {}): Optimizer {
  checkKeys('kfac', options, keys);
  refuseSchedules(options, schedules);
  checkedWord('dampingKind', options.dampingKind, ['factored', 'tikhonov']);
  const decay = checked('decay', options.decay ?? 0.95, { atLeast: 0, below: 1 });
  const interval = checked('inverseInterval', options.inverseInterval ?? 20, { atLeast: 1, integer: true });
  const solve = {
    maxIterations: checked('maxIterations', options.maxIterations ?? 50, { atLeast: 1, integer: true }),
    tolerance: checked('tolerance', options.tolerance ?? 1e-3, { above: 0 }),
  };
  const tikhonov = options.dampingKind === 'tikhonov';
  const preconditioner: Preconditioner = {
    build(input) {
      const state = new Map<string, Value>();
      const sides = averagedSides(input, state);
      if (!tikhonov) return cachedInverses(input, sides, state);
      const { b } = input.context;
      const deltas = sides.map((side) => input.damping(b, side));
      const { directions, iterations, residual } = tikhonovDirections(b, input.gradient, sides, deltas, solve);
      const diagnostics = new Map([
        ['iterations', iterations],
        ['residual', residual],
      ]);
      return { directions, rootDampings: rootDampingsOf(b, deltas, sides), state, diagnostics };
    },
    scalars: (step) => {
      const keep = decayAt(step, decay);
      return { keep, take: 1 - keep, ...(tikhonov ? {} : { refresh: step < 3 || step % interval === 0 ? 1 : 0 }) };
    },
  };
  return secondOrder('kfac', preconditioner, options);
}

/** The factors of each block, after this step's rows have joined their moving averages. */
function averagedSides({ context, blocks, rows }: PreconditionerInput, state: Map<string, Value>): BlockSides[] {
  const { b } = context;
  const decay = { keep: context.scalar('keep'), take: context.scalar('take') };
  const dense = (name: string, values: Value): Value => {
    const size = values.dims[1] ?? 1;
    return remember(context, state, name, [size, size], (old) => averageFactor(b, old, values, decay));
  };
  const diagonal = (name: string, values: Value): Value =>
    remember(context, state, name, values.dims, (old) => averaged(b, old, values, decay));
  return blocks.map((block, i) => {
    const layer = rows[i];
    if (!layer) throw new Error(`no rows for the layer of ${block.weight}`);
    return {
      inputs: layer.diagonal
        ? diagonalInputSide(b, diagonal(`A.${block.weight}`, layer.diagonal))
        : denseInputSide(b, dense(`A.${block.weight}`, joinedRows(b, layer.inputs))),
      outputs: denseOutputSide(b, dense(`G.${block.weight}`, layer.outputs)),
    };
  });
}

/** Factored damping with inverses that are computed anew only when the controller asks for it. */
function cachedInverses(
  { context, blocks, gradient, damping }: PreconditionerInput,
  sides: readonly BlockSides[],
  state: Map<string, Value>,
): Preconditioned {
  const { b } = context;
  const held = blocks.map((block, i) => {
    const side = sides[i];
    if (!side) throw new Error('each block has two sides');
    const shapeOf = ({ order, diagonal }: BlockSides['inputs' | 'outputs']) => (diagonal ? [order] : [order, order]);
    const names = [`inverse.A.${block.weight}`, `inverse.G.${block.weight}`, `inverse.rootDamping.${block.weight}`];
    const dims = [shapeOf(side.inputs), shapeOf(side.outputs), []];
    return { side, names, old: names.map((name, k) => context.state(name, dims[k] ?? [])) };
  });
  const next = b.branch(
    b.greater(context.scalar('refresh'), 0.5),
    (inner) => {
      const deltas = held.map(({ side }) => damping(inner, side));
      const systems = held.flatMap(({ side }, i) => dampedKernels(inner, side, deltas[i] as Value)); // one δ a block
      const inverses = dampedInverses(inner, systems);
      const roots = rootDampingsOf(inner, deltas, sides);
      // δ(F̂ + δI)⁻¹ is held: it has no scale.
      return held.flatMap((_, i) => [
        ...inverses.slice(2 * i, 2 * i + 2).map((inverse) => inner.mul(inverse, deltas[i] as Value)),
        roots[i] as Value,
      ]);
    },
    () => held.flatMap(({ old }) => old),
  );
  const solved = held.map(({ side, names }, i) => {
    const values = next.slice(3 * i, 3 * i + 3);
    for (const [k, name] of names.entries()) state.set(name, values[k] as Value);
    const [[inputs, outputs, root], v] = [values as [Value, Value, Value], gradient[i]];
    if (!v) throw new Error('each block has a gradient');
    return { direction: factoredDirection(v, side, b.scalar(1, root.dtype), { inputs, outputs }), root };
  });
  return {
    directions: solved.map(({ direction }) => direction),
    rootDampings: solved.map(({ root }) => root),
    state,
    diagnostics: new Map(),
  };
}
