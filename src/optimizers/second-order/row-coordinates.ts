// Coordinates of what conjugate gradients reach on a block with the rows of one batch. F[X] = A·X·G always is E_a·S·E_gᵀ with a
// small S: F̂ = E·C·Eᵀ for each side, E being the rows' transpose and C = I for few rows, E = I and C the factor itself if the
// side is not larger than the number of rows. So every iterate is ξ·V + E_a·S·E_gᵀ, and conjugate gradients for
// (F + λI)X = V work on (ξ, S), without a pass over X.
import { stack } from '../../curvature/factors/matrices.js';
import { joinedRows } from '../../curvature/factors/moving-average.js';
import {
  denseInputSide,
  denseOutputSide,
  diagonalInputSide,
  type InputSide,
  inputRowsSide,
  type OutputSide,
  outputRowsSide,
} from '../../curvature/factors/sides.js';
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import type { LayerRows } from '../../curvature/statistics.js';
import type { Value } from '../../graph/graph.js';
import type { DataType } from '../../graph/tensor.js';
import type { Builder } from '../../ops/builder.js';
import type { CoordinateSystems } from './coordinate-solve.js';
import { KroneckerOperator, type PerSide } from './kronecker-operator.js';

/** How a side is held: as `rows`, E being their transpose, or as the factor itself, a matrix (`dense`) or a `diagonal`. */
type Form = 'rows' | 'dense' | 'diagonal';

const formOf = ({ rows, diagonal }: InputSide | (OutputSide & { readonly diagonal: boolean })): Form => {
  if (rows) return 'rows';
  return diagonal ? 'diagonal' : 'dense';
};

/** Return the two sides of a block from the rows of one batch, each in the smaller form. */
export function batchOperator(
  b: Builder,
  block: KroneckerBlock,
  { inputs, outputs, diagonal }: LayerRows,
): KroneckerOperator {
  const size = block.inputs + (inputs.homogeneous ? 1 : 0);
  const factor = (rows: Value): Value => b.gemm(rows, rows, undefined, { transposeX: true });
  const isFew = ({ dims }: Value, columns: number): boolean => (dims.at(-2) ?? 1) < columns;
  const inputSide = (): InputSide => {
    if (diagonal) return diagonalInputSide(b, diagonal);
    return isFew(inputs.values, size)
      ? inputRowsSide(b, inputs, size)
      : denseInputSide(b, factor(joinedRows(b, inputs)));
  };
  return new KroneckerOperator(
    inputSide(),
    isFew(outputs, block.outputs) ? outputRowsSide(b, outputs) : denseOutputSide(b, factor(outputs)),
  );
}

/** The row spaces of the two sides of a block, each in units of its own mean eigenvalue. */
export class RowCoordinates {
  readonly operator: KroneckerOperator;
  readonly forms: { readonly inputs: Form; readonly outputs: Form };

  constructor(operator: KroneckerOperator) {
    this.operator = operator;
    this.forms = { inputs: formOf(operator.inputs), outputs: formOf(operator.outputs) };
  }

  /** Blocks of equal forms and equal orders are solved together. */
  get key(): string {
    const { inputs, outputs } = this.operator;
    return [this.forms.inputs, inputs.shape.at(-1), this.forms.outputs, outputs.shape.at(-1)].join();
  }

  /** Whether both E are the identity. */
  get isWhole(): boolean {
    return this.forms.inputs !== 'rows' && this.forms.outputs !== 'rows';
  }

  /** Return E_aᵀ·V·E_g. */
  project(v: LayerTensor): Value {
    return this.operator.project(v);
  }

  /** Return V + E_a·S·E_gᵀ. */
  plusLifted(b: Builder, v: LayerTensor, s: Value): LayerTensor {
    const { inputs, outputs } = this.operator;
    const lifted = this.forms.outputs === 'rows' ? outputs.lift(s) : s;
    if (this.forms.inputs === 'rows') return inputs.minusLifted(v, b.neg(lifted));
    return v.map((part, other) => b.add(part, other), v.split(b, lifted));
  }

  /** Return C or EᵀE of both sides, whichever is not the identity, so that maps of a batch can be made of them. */
  kernels(b: Builder): PerSide<Value> {
    const { inputs, outputs } = this.operator;
    const kernel = inputs.kernel(b);
    return {
      inputs: this.forms.inputs === 'diagonal' ? b.unsqueeze(kernel, [1]) : kernel,
      outputs: outputs.kernel(b),
    };
  }
}

/** Return the maps C_a·(…)·C_g and E_aᵀE_a·(…)·E_gᵀE_g of a batch of blocks whose keys are equal, on matrices of a type. */
export function stackedMaps(
  b: Builder,
  batch: readonly RowCoordinates[],
  dtype: DataType,
): Pick<CoordinateSystems, 'core' | 'gram'> {
  const kernels = batch.map((each) => each.kernels(b));
  const stacked = (of: (each: PerSide<Value>) => Value): Value => b.cast(stack(b, kernels.map(of)), dtype);
  const left = stacked(({ inputs }) => inputs);
  const right = stacked(({ outputs }) => outputs);
  const { inputs, outputs } = batch[0]?.forms ?? { inputs: 'rows', outputs: 'rows' };
  const fromLeft = (at: Builder, x: Value): Value => (inputs === 'diagonal' ? at.mul(left, x) : at.matmul(left, x));
  const map =
    (isGram: boolean) =>
    (at: Builder, x: Value): Value => {
      const half = (inputs === 'rows') === isGram ? fromLeft(at, x) : x;
      return (outputs === 'rows') === isGram ? at.matmul(half, right) : half;
    };
  return { core: map(false), gram: map(true) };
}
