// Slice: parts of a tensor with any step. Its cotangent goes back to the elements it took; the others get zeros.
import { UnsupportedError } from '../../errors.js';
import { type Dimension, inputOf, type TensorType, type Value } from '../../graph/graph.js';
import type { Builder } from '../builder.js';
import { type GradientRule, type NodeDraft, noFlops, type OpFamily } from '../definition.js';
import { movableInputs, rearranged, stridedPositions, stridesOf } from '../shapes/folding.js';
import { dimensionsOf } from '../shapes/shape-values.js';
import { integersOf, inverse, normalizeAxis, range, sameShape } from '../shapes/shapes.js';

/** A sliced axis: `length` elements from `start` in steps of `step`, clamped as ONNX clamps them. */
interface Range {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
  readonly length: number;
}

/** A length that is only known when the program runs is a symbol. */
type OpenRange = Omit<Range, 'length' | 'start'> & { readonly start: Dimension; readonly length: Dimension };

function rangesOf(node: NodeDraft): readonly OpenRange[] | undefined {
  const x = inputOf(node, 0);
  const starts = dimensionsOf(inputOf(node, 1));
  const ends = dimensionsOf(inputOf(node, 2));
  const axes = node.inputs[3] ? integersOf(node.inputs[3]) : starts?.map((_, i) => i);
  const steps = node.inputs[4] ? integersOf(node.inputs[4]) : starts?.map(() => 1);
  if (!starts || !ends || !axes || !steps) return undefined;
  return starts.map((start, i) => {
    const axis = normalizeAxis(axes[i] ?? i, x.rank);
    return rangeOf(axis, x.shape[axis] ?? 1, start, ends[i] ?? 0, steps[i] ?? 1);
  });
}

function rangeOf(axis: number, size: Dimension, start: Dimension, end: Dimension, step: number): OpenRange {
  if (typeof size === 'number' && typeof start === 'number' && typeof end === 'number') {
    const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
    const clamp = (position: number, lowest: number) =>
      Math.min(Math.max(position < 0 ? position + size : position, lowest), high);
    const first = clamp(start, 0);
    return { axis, start: first, step, length: Math.max(0, Math.ceil((clamp(end, low) - first) / step)) };
  }
  // A named size with the whole axis, forwards or backwards; or from the front up to a named position.
  const beyond = 2 ** 31 - 1;
  if (step === 1 && start === 0 && (end === size || Number(end) >= beyond)) return { axis, start, step, length: size };
  if (step === -1 && Number(end) <= -beyond && (start === -1 || Number(start) >= beyond)) {
    return { axis, start, step, length: size };
  }
  if (step === 1 && start === 0 && typeof end === 'string') return { axis, start, step, length: end };
  return { axis, start, step, length: `${size}[${start}:${end}:${step}]` };
}

/** Return a range of numbers. @throws UnsupportedError if its start or length is a symbol */
function known({ axis, start, step, length }: OpenRange): Range {
  if (typeof start === 'number' && typeof length === 'number') return { axis, start, step, length };
  throw new UnsupportedError(`axis ${axis} is sliced to the symbolic size '${length}'; build it for fixed sizes`);
}

function inferSlice(node: NodeDraft): (TensorType | undefined)[] {
  const x = inputOf(node, 0);
  const ranges = rangesOf(node);
  if (!ranges) return [undefined];
  const shape = [...x.shape];
  for (const range of ranges) shape[range.axis] = range.length;
  return [{ dtype: x.dtype, shape }];
}

const sliceGradient: GradientRule = ({ b, node, x, dy, y }) => {
  const ranges = rangesOf(node);
  if (!ranges) throw new UnsupportedError('its limits are only known when the program runs');
  if (sameShape(y.shape, x(0).shape) && ranges.every(({ step }) => step === 1)) return [dy];
  if (ranges.every(({ axis, step, length }) => step === -1 && length === x(0).shape[axis])) {
    return [ranges.reduce((whole, { axis }) => b.reverse(whole, axis), dy)];
  }
  const before = new Array<number>(y.rank).fill(0);
  const after = new Array<number>(y.rank).fill(0);
  let spread = dy;
  for (const { axis, start, step, length } of ranges.map(known)) {
    const size = Number(x(0).shape[axis]);
    // Backwards is forwards from the last element.
    const first = step < 0 ? start + (length - 1) * step : start;
    if (step < 0) spread = b.reverse(spread, axis);
    const stride = length > 1 ? Math.abs(step) : 1;
    if (stride > 1) spread = interleaveZeros(b, spread, axis, stride);
    const extent = Math.max(0, (length - 1) * stride + 1);
    before[axis] = length === 0 ? 0 : first;
    after[axis] = size - (before[axis] ?? 0) - extent;
  }
  return [b.pad(spread, before, after)];
};

/** `stride − 1` zeros between neighbours along an axis of known size. */
function interleaveZeros(b: Builder, x: Value, axis: number, stride: number): Value {
  // The axis goes last, so that the zeros of a Reshape can copy the sizes of all others, known or not.
  const order = range(0, x.rank).filter((i) => i !== axis);
  const permutation = [...order, axis];
  const moved = b.unsqueeze(b.transpose(x, permutation), [x.rank]);
  const zeros = new Array<number>(moved.rank).fill(0);
  const padded = b.pad(moved, zeros, [...zeros.slice(1), stride - 1]);
  const length = Number(x.shape[axis]);
  const merged = b.op('Reshape', [padded, b.integers([...order.map(() => 0), length * stride])]);
  return b.slice(b.transpose(merged, inverse(permutation)), axis, 0, (length - 1) * stride + 1);
}

export type SlicingOp = 'Slice';

export const slicingOps: OpFamily<SlicingOp> = {
  Slice: {
    infer: inferSlice,
    gradient: sliceGradient,
    fold: (node) => {
      const [x] = movableInputs(node) ?? [];
      const ranges = x && rangesOf(node);
      if (!x || !ranges) return undefined;
      const dims = [...x.dims];
      const strides = stridesOf(x.dims);
      let offset = 0;
      for (const { axis, start, step, length } of ranges.map(known)) {
        offset += start * (strides[axis] ?? 1);
        strides[axis] = (strides[axis] ?? 1) * step;
        dims[axis] = length;
      }
      return [rearranged(x, dims, stridedPositions(dims, strides, offset))];
    },
    flops: noFlops,
    traits: { keepsClasses: true },
  },
};
