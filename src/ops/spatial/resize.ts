// Resize: interpolation along each axis. Its gradient is the transposed interpolation, a product with a matrix per axis.
import { GraphError, UnsupportedError } from '../../errors.js';
import {
  type Dimension,
  floatAttribute,
  inputOf,
  intAttribute,
  intsAttribute,
  type Shape,
  stringAttribute,
  type TensorType,
  type Value,
} from '../../graph/graph.js';
import { toNumbers } from '../../graph/tensor.js';
import type { GradientContext, NodeDraft, OpFamily } from '../definition.js';
import { dimensionsOf } from '../shapes/shape-values.js';
import { normalizeAxis, range } from '../shapes/shapes.js';
import { type AxisMatrix, applyTransposed } from './separable.js';

/** An input that may be left out, or be an empty tensor. */
const given = (value: Value | undefined): Value | undefined => (value && value.shape[0] !== 0 ? value : undefined);

const resizedAxes = (node: NodeDraft): number[] => {
  const { rank } = inputOf(node, 0);
  const axes = intsAttribute(node, 'axes') ?? range(0, rank);
  return axes.map((axis) => normalizeAxis(axis, rank));
};

/** The size of an axis in the output, and its ratio to that in the input, if it is known. */
interface Resized {
  readonly size: Dimension;
  readonly scale: number | undefined;
}

function resized(node: NodeDraft): Resized[] {
  const x = inputOf(node, 0);
  const axes = resizedAxes(node);
  const result = x.shape.map((size): Resized => ({ size, scale: 1 }));
  const [scales, sizes] = [given(node.inputs[2]), given(node.inputs[3])];
  if (!scales === !sizes) throw new GraphError('needs either scales or sizes');
  const chosen = scales ? scalesOf(scales) : sizesOf(sizes as Value); // one of them is there
  for (const [i, axis] of axes.entries()) {
    const [size = 1, wanted] = [x.shape[axis], chosen[i]];
    if (wanted === undefined) throw new GraphError(`gives ${chosen.length} sizes or scales for ${axes.length} axes`);
    if (scales) result[axis] = { size: scaled(size, Number(wanted)), scale: Number(wanted) };
    else result[axis] = { size: wanted, scale: ratio(wanted, size) };
  }
  return scales ? result : keepingAspect(node, x.shape, axes, result);
}

function scalesOf(scales: Value): readonly number[] {
  if (!scales.constant) throw new GraphError(`the scales ('${scales.name}') must be known when the graph is built`);
  return toNumbers(scales.constant);
}

function sizesOf(sizes: Value): readonly Dimension[] {
  const known = dimensionsOf(sizes);
  if (!known) throw new GraphError(`the sizes ('${sizes.name}') do not follow from shapes`);
  return known;
}

function scaled(size: Dimension, scale: number): Dimension {
  if (typeof size === 'number') return Math.floor(size * scale);
  return scale === 1 ? size : `scaled(${size},${scale})`;
}

const ratio = (size: Dimension, before: Dimension): number | undefined =>
  typeof size === 'number' && typeof before === 'number' ? float32(size / before) : size === before ? 1 : undefined;

/** With a policy the sizes are bounds, and one scale serves all axes. */
function keepingAspect(
  node: NodeDraft,
  before: Shape,
  axes: readonly number[],
  resized: readonly Resized[],
): Resized[] {
  const policy = stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch');
  if (policy === 'stretch') return [...resized];
  const scales = axes.map((axis) => resized[axis]?.scale ?? Number.NaN);
  const scale = policy === 'not_larger' ? Math.min(...scales) : Math.max(...scales);
  return resized.map((one, axis) => {
    if (!axes.includes(axis)) return one;
    const size = before[axis] ?? 1;
    const known = typeof size === 'number' && !Number.isNaN(scale);
    return known ? { size: Math.round(size * scale), scale } : { size: `scaled(${size},${policy})`, scale: undefined };
  });
}

const float32 = Math.fround;

/**
 * The point of the input that an output element is interpolated at (ONNX, Resize, coordinate_transformation_mode).
 * Rounded to float32 as the runtime computes it: which neighbour is nearest can depend on the last bit.
 */
function sourceOf(mode: string, output: number, count: number, size: number, scale: number): number {
  const half = float32(float32((output + 0.5) / scale) - 0.5);
  switch (mode) {
    case 'half_pixel':
      return half;
    case 'half_pixel_symmetric':
      return float32((size / 2) * (1 - float32(count / (scale * size))) + half);
    case 'pytorch_half_pixel':
      return count > 1 ? half : 0;
    case 'align_corners':
      return count > 1 ? float32((output * (size - 1)) / (count - 1)) : 0;
    case 'asymmetric':
      return float32(output / scale);
    default:
      throw new UnsupportedError(`the coordinate transformation '${mode}' has no gradient rule; use half_pixel`);
  }
}

const roundings: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** Weights of the four neighbours of a point a fraction t after the second (Keys 1981). */
function cubicWeights(t: number, a: number): number[] {
  const near = (d: number) => (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
  const far = (d: number) => a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}

/** The input elements that an output element is a sum of: positions, which may lie outside the input, and weights. */
function taps(node: NodeDraft, source: number, size: number): { position: number; weight: number }[] {
  const mode = stringAttribute(node, 'mode', 'nearest');
  if (mode === 'nearest') {
    const round = roundings[stringAttribute(node, 'nearest_mode', 'round_prefer_floor')];
    if (!round) throw new GraphError(`nearest_mode is none of ${Object.keys(roundings).join(', ')}`);
    return [{ position: round(source), weight: 1 }];
  }
  if (mode === 'linear') {
    const inside = Math.min(Math.max(source, 0), size - 1);
    const low = Math.floor(inside);
    return [
      { position: low, weight: 1 - (inside - low) },
      { position: low + 1, weight: inside - low },
    ];
  }
  if (mode !== 'cubic') throw new GraphError(`mode '${mode}' is none of nearest, linear, cubic`);
  const low = Math.floor(source);
  const weights = cubicWeights(source - low, floatAttribute(node, 'cubic_coeff_a', -0.75));
  const all = weights.map((weight, i) => ({ position: low - 1 + i, weight }));
  if (intAttribute(node, 'exclude_outside', 0) === 0) return all;
  const inside = all.filter(({ position }) => position >= 0 && position < size);
  const total = inside.reduce((sum, { weight }) => sum + weight, 0);
  return inside.map(({ position, weight }) => ({ position, weight: weight / total }));
}

function axisMatrix(node: NodeDraft, size: number, count: number, scale: number): AxisMatrix {
  if (size === count && scale === 1) return undefined;
  const mode = stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel');
  return Array.from({ length: count }, (_, output) => {
    const row = new Array<number>(size).fill(0);
    for (const { position, weight } of taps(node, sourceOf(mode, output, count, size, scale), size)) {
      const clamped = Math.min(Math.max(position, 0), size - 1);
      row[clamped] = (row[clamped] ?? 0) + weight;
    }
    return row;
  });
}

function resizeGradient({ b, node, x, dy }: GradientContext): (Value | undefined)[] {
  if (intAttribute(node, 'antialias', 0) === 1)
    throw new UnsupportedError('antialias has no gradient rule; leave it out');
  const matrices = resized(node).map(({ scale }, axis) =>
    axisMatrix(node, x(0).dims[axis] ?? 1, dy.dims[axis] ?? 1, scale ?? 1),
  );
  return [applyTransposed(b, dy, matrices)];
}

export type ResizeOp = 'Resize';

export const resizeOps: OpFamily<ResizeOp> = {
  Resize: {
    infer: (node): TensorType[] => [{ dtype: inputOf(node, 0).dtype, shape: resized(node).map(({ size }) => size) }],
    gradient: resizeGradient,
    traits: { settings: [1, 2, 3], keepsClasses: true },
  },
};
