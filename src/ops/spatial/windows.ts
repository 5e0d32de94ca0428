// Sliding windows: the positions of a kernel of a convolution or a pool on each spatial axis.
import { GraphError } from '../../errors.js';
import { type Dimension, intsAttribute, type Shape, stringAttribute } from '../../graph/graph.js';
import type { NodeDraft } from '../definition.js';

/** One spatial axis of a convolution or a pool; all sizes in elements. */
export interface WindowAxis {
  /** Size of the input. */
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Padding at the beginning and at the end. */
  readonly before: number;
  readonly after: number;
  /** Number of windows: the size of the output. */
  readonly count: number;
}

/** Return the elements from the first to the last that a dilated kernel covers. */
export const extent = ({ kernel, dilation }: Pick<WindowAxis, 'kernel' | 'dilation'>): number =>
  (kernel - 1) * dilation + 1;

/** Return the elements after the last window that no window covers. */
export const leftover = (axis: WindowAxis): number =>
  axis.size + axis.before + axis.after - extent(axis) - (axis.count - 1) * axis.stride;

/** Return the sizes of a kernel that has no weight. @throws GraphError if the node lacks them */
export function kernelShape(node: NodeDraft): readonly number[] {
  const kernel = intsAttribute(node, 'kernel_shape');
  if (!kernel) throw new GraphError("lacks the attribute 'kernel_shape'");
  return kernel;
}

/** Return an attribute with one number for each spatial axis. */
export function perAxis(node: NodeDraft, name: string, rank: number, fallback: number): readonly number[] {
  const values = intsAttribute(node, name) ?? new Array<number>(rank).fill(fallback);
  if (values.length !== rank) throw new GraphError(`'${name}' has ${values.length} numbers for ${rank} spatial axes`);
  return values;
}

/** Return the explicit padding at the beginning and at the end of each axis. */
export function explicitPads(node: NodeDraft, rank: number): { before: number; after: number }[] {
  const pads = intsAttribute(node, 'pads') ?? new Array<number>(2 * rank).fill(0);
  if (pads.length !== 2 * rank) throw new GraphError(`'pads' has ${pads.length} numbers for ${rank} spatial axes`);
  if (pads.some((pad) => pad < 0)) throw new GraphError(`'pads' [${pads.join(', ')}] has negative numbers`);
  return Array.from({ length: rank }, (_, i) => ({ before: pads[i] ?? 0, after: pads[i + rank] ?? 0 }));
}

/** Divide padding between both ends: SAME_UPPER puts an odd element at the end, SAME_LOWER at the beginning. */
export function sharePadding(total: number, lower: boolean): { before: number; after: number } {
  const half = Math.floor(total / 2);
  return lower ? { before: total - half, after: half } : { before: half, after: total - half };
}

/** Return the padding rule of a node. @throws GraphError for a rule that ONNX does not define */
export function paddingRule(node: NodeDraft): 'NOTSET' | 'VALID' | 'SAME_UPPER' | 'SAME_LOWER' {
  const rule = stringAttribute(node, 'auto_pad', 'NOTSET');
  if (rule === 'NOTSET' || rule === '' || rule === 'VALID') return rule === 'VALID' ? rule : 'NOTSET';
  if (rule === 'SAME_UPPER' || rule === 'SAME_LOWER') return rule;
  throw new GraphError(`auto_pad '${rule}' is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER`);
}

/**
 * Return the windows of a Conv or a pool on an input of known spatial sizes.
 * @param ceil count windows that begin in the input and end after it (pools with ceil_mode)
 * @throws GraphError if no window fits
 */
export function windowAxes(
  node: NodeDraft,
  sizes: readonly number[],
  kernel: readonly number[],
  ceil = false,
): WindowAxis[] {
  const rank = sizes.length;
  if (kernel.length !== rank) throw new GraphError(`a kernel of ${kernel.length} axes on ${rank} spatial axes`);
  const strides = perAxis(node, 'strides', rank, 1);
  const dilations = perAxis(node, 'dilations', rank, 1);
  const pads = explicitPads(node, rank);
  const rule = paddingRule(node);
  return sizes.map((size, i) => {
    const axis = { size, kernel: kernel[i] ?? 1, stride: strides[i] ?? 1, dilation: dilations[i] ?? 1 };
    if (rule === 'SAME_UPPER' || rule === 'SAME_LOWER') {
      const count = Math.ceil(size / axis.stride);
      const total = Math.max(0, (count - 1) * axis.stride + extent(axis) - size);
      return { ...axis, ...sharePadding(total, rule === 'SAME_LOWER'), count };
    }
    const { before, after } = rule === 'VALID' ? { before: 0, after: 0 } : (pads[i] ?? { before: 0, after: 0 });
    const last = size + before + after - extent(axis);
    if (last < 0) {
      throw new GraphError(
        `a kernel of ${extent(axis)} elements does not fit on spatial axis ${i} of ${size} elements and padding ${before}+${after}`,
      );
    }
    const count = Math.floor(last / axis.stride) + 1;
    // A further window is counted if it begins in the input or in the padding before it.
    const further = ceil && last % axis.stride !== 0 && count * axis.stride < size + before;
    return { ...axis, before, after, count: further ? count + 1 : count };
  });
}

/** Return the output sizes of the spatial axes; that of a symbolic input size is a symbol that says how it is computed. */
export function windowCounts(node: NodeDraft, spatial: Shape, kernel: readonly number[], ceil = false): Shape {
  const rank = spatial.length;
  // For a symbolic size one is assumed that the kernel fits on: only the counts of the other axes are used.
  const reach = kernel.map((size, i) => size * (perAxis(node, 'dilations', rank, 1)[i] ?? 1));
  const sizes = spatial.map((size, i) => (typeof size === 'number' ? size : (reach[i] ?? 1)));
  return windowAxes(node, sizes, kernel, ceil).map((axis, i): Dimension => {
    const size = spatial[i] ?? 1;
    if (typeof size === 'number') return axis.count;
    const pointwise = extent(axis) === 1 + axis.before + axis.after && axis.stride === 1;
    return pointwise || (axis.stride === 1 && paddingRule(node).startsWith('SAME'))
      ? size
      : `windows(${size},${[axis.kernel, axis.stride, axis.dilation, axis.before, axis.after].join()})`;
  });
}
