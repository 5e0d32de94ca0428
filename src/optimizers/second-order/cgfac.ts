// CG-FAC (arXiv 2101.00218): natural gradients of Kronecker blocks without forming A, G or the Fisher matrix.

import {
  averaged,
  averageFactor,
  averageRows,
  type Decay,
  decayAt,
  factorDims,
  foldRows,
  joinedRows,
} from '../../curvature/factors/moving-average.js';
import {
  denseInputSide,
  denseOutputSide,
  diagonalInputSide,
  type InputSide,
  inputRowsSide,
  outputRowsSide,
  sideForms,
} from '../../curvature/factors/sides.js';
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { LayerRows } from '../../curvature/statistics.js';
import type { Value } from '../../graph/graph.js';
import { checkedFlag, checkedWord, checkKeys, type OptionKeys } from '../../options.js';
import { type Optimizer, remember, type StepContext } from '../optimizer.js';
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
import { primalPreconditioner } from './primal.js';
import { type SecondOrderOptions, schedules, secondOrder, secondOrderKeys } from './second-order.js';

/** Rows R that stand for a factor, if none are given. */
export const defaultRank = 128;

export interface CgfacOptions extends SecondOrderOptions {
  /**
   * `gram` (default): solves in the Gram space of R rows, with moving averages as sketches. `primal`: the paper's own
   * form, conjugate gradients on X with this batch's rows and Tikhonov damping.
   */
  readonly form?: 'gram' | 'primal';
  /** `factored` (default for the Gram form): (A + δ_A I)⁻¹ ⊗ (G + δ_G I)⁻¹. `tikhonov`: (A⊗G + λI)⁻¹ by CG. */
  readonly dampingKind?: 'factored' | 'tikhonov';
  /** Rows R that stand for a factor; a side with at most R rows and columns is held dense. 128 by default. */
  readonly rank?: number;
  /** Largest weight ρ of the past in the moving averages; 0 uses this batch alone. 0.95 by default. */
  readonly decay?: number;
  /** Limit and relative residual of the conjugate gradients (Tikhonov damping). */
  readonly maxIterations?: number;
  readonly tolerance?: number;
  /** Start the primal form's CG from the last step's solution; true by default. */
  readonly warmStart?: boolean;
}

const keys: OptionKeys<CgfacOptions> = {
  ...secondOrderKeys,
  form: true,
  dampingKind: true,
  rank: true,
  decay: true,
  maxIterations: true,
  tolerance: true,
  warmStart: true,
};

/**
 * The CG-FAC optimizer. With no options there is nothing to tune: the run (loss, data, batch size) decides the kind of step.
 * A step that raises the loss of its own batch beyond what noise explains is taken back.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * await train(autoencoder({ seed: 1 }), { data, optimizer: cgfac(), steps: 150, batchSize: 500 });
 */
export function cgfac(options: CgfacOptions = {}): Optimizer {
  checkKeys('cgfac', options, keys);
  refuseSchedules(options, schedules);
  checkedWord('form', options.form, ['gram', 'primal']);
  checkedFlag('warmStart', options.warmStart);
  checkedWord('dampingKind', options.dampingKind, ['factored', 'tikhonov']);
  const rank = checked('rank', options.rank ?? defaultRank, { atLeast: 1, integer: true });
  const decay = checked('decay', options.decay ?? 0.95, { atLeast: 0, below: 1 });
  const maxIterations = checked('maxIterations', options.maxIterations ?? 50, { atLeast: 1, integer: true });
  const tolerance = checked('tolerance', options.tolerance ?? 1e-3, { above: 0 });
  const solve = { maxIterations, tolerance };
  const preconditioner =
    options.form === 'primal'
      ? primalPreconditioner({ ...solve, warmStart: options.warmStart ?? true })
      : gramPreconditioner({ ...solve, rank, decay, tikhonov: options.dampingKind === 'tikhonov' });
  return secondOrder('cgfac', preconditioner, options);
}

interface GramOptions {
  readonly rank: number;
  readonly decay: number;
  readonly tikhonov: boolean;
  readonly maxIterations: number;
  readonly tolerance: number;
}

function gramPreconditioner(options: GramOptions): Preconditioner {
  return {
    build(input) {
      const state = new Map<string, Value>();
      const sides = input.blocks.map((block, i) => {
        const rows = input.rows[i];
        if (!rows) throw new Error(`no rows for the layer of ${block.weight}`);
        return sketchedSides(input.context, block, rows, options, state);
      });
      return { ...(options.tikhonov ? tikhonov(input, sides, options) : factored(input, sides)), state };
    },
    scalars: (step) => {
      const keep = decayAt(step, options.decay);
      return options.decay > 0 ? { keep, take: 1 - keep } : {};
    },
  };
}

function factored(
  { context: { b }, gradient, damping }: PreconditionerInput,
  sides: readonly BlockSides[],
): Omit<Preconditioned, 'state'> {
  const deltas = sides.map((side) => damping(b, side));
  const inverses = dampedInverses(
    b,
    sides.flatMap((side, i) => dampedKernels(b, side, deltas[i] as Value)), // one δ a block
  );
  const directions = gradient.map((v, i) => {
    const [side, delta, inputs, outputs] = [sides[i], deltas[i], inverses[2 * i], inverses[2 * i + 1]];
    if (!side || !delta || !inputs || !outputs) throw new Error('each gradient has two sides');
    return factoredDirection(v, side, delta, { inputs, outputs });
  });
  return { directions, rootDampings: rootDampingsOf(b, deltas, sides), diagnostics: new Map() };
}

function tikhonov(
  { context: { b }, gradient, damping }: PreconditionerInput,
  sides: readonly BlockSides[],
  options: GramOptions,
): Omit<Preconditioned, 'state'> {
  const deltas = sides.map((side) => damping(b, side));
  const { directions, iterations, residual } = tikhonovDirections(b, gradient, sides, deltas, options);
  return {
    directions,
    rootDampings: rootDampingsOf(b, deltas, sides),
    diagnostics: new Map([
      ['iterations', iterations],
      ['residual', residual],
    ]),
  };
}

/** The two sides of a block after this step's rows have joined their moving averages. */
function sketchedSides(
  context: StepContext,
  block: KroneckerBlock,
  rows: LayerRows,
  options: GramOptions,
  state: Map<string, Value>,
): BlockSides {
  const { b } = context;
  const { rank } = options;
  const forms = sideForms(block, rank);
  const averaging = options.decay > 0;
  const decay = (): Decay => ({ keep: context.scalar('keep'), take: context.scalar('take') });
  // The sides have rows of their own: the exact Fisher gives several gradients for each example.
  const signs = (side: string, values: Value) =>
    context.noise(`signs.${side}.${block.weight}`, [values.dims.at(-2) ?? 1, 1], 'sign');
  const average = (name: string, dims: readonly number[], next: (old: Value) => Value): Value =>
    remember(context, state, `${name}.${block.weight}`, dims, next);
  const dense = (name: string, values: Value): Value => {
    if (!averaging) return b.gemm(values, values, undefined, { transposeX: true });
    return average(name, factorDims(values), (old) => averageFactor(b, old, values, decay()));
  };
  const sketch = (name: string, values: Value, side: string): Value => {
    if (!averaging)
      return (values.dims.at(-2) ?? 1) <= rank ? values : foldRows(b, b.mul(values, signs(side, values)), rank);
    return average(name, [...values.dims.slice(0, -2), rank, values.dims.at(-1) ?? 1], (old) =>
      averageRows(b, old, values, signs(side, values), decay()),
    );
  };
  const diagonal = (name: string, values: Value): Value =>
    averaging ? average(name, values.dims, (old) => averaged(b, old, values, decay())) : values;
  const inputSide = (): InputSide => {
    if (rows.diagonal) return diagonalInputSide(b, diagonal('A', rows.diagonal));
    if (forms.inputs === 'dense') return denseInputSide(b, dense('A', joinedRows(b, rows.inputs)));
    const { values, homogeneous } = rows.inputs;
    const sketched = {
      values: sketch('activations', values, 'inputs'),
      homogeneous: homogeneous && sketch('homogeneous', homogeneous, 'inputs'),
    };
    return inputRowsSide(b, sketched, block.inputs + (homogeneous ? 1 : 0));
  };
  const outputs =
    forms.outputs === 'dense'
      ? denseOutputSide(b, dense('G', rows.outputs))
      : outputRowsSide(b, sketch('gradients', rows.outputs, 'outputs'));
  return { inputs: inputSide(), outputs };
}
