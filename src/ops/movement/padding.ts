// Pad in its four modes and Trilu, which zeroes a triangle.
import { GraphError, UnsupportedError } from '../../errors.js';
import { inputOf, int, intAttribute, stringAttribute, type TensorType, type Value } from '../../graph/graph.js';
import type { Builder } from '../builder.js';
import { type GradientContext, type GradientRule, type NodeDraft, noFlops, type OpFamily } from '../definition.js';
import { integersOf, normalizeAxis, range } from '../shapes/shapes.js';

/** Elements added before and after each axis; a negative number cuts elements off. */
function paddingOf(node: NodeDraft): { before: number[]; after: number[] } | undefined {
  const { rank } = inputOf(node, 0);
  const pads = integersOf(inputOf(node, 1));
  const axes = node.inputs[3] ? integersOf(node.inputs[3]) : range(0, rank);
  if (!pads || !axes) return undefined;
  if (pads.length !== 2 * axes.length) throw new GraphError(`has ${pads.length} pads for ${axes.length} axes`);
  const before = new Array<number>(rank).fill(0);
  const after = new Array<number>(rank).fill(0);
  for (const [i, axis] of axes.entries()) {
    before[normalizeAxis(axis, rank)] = pads[i] ?? 0;
    after[normalizeAxis(axis, rank)] = pads[i + axes.length] ?? 0;
  }
  return { before, after };
}

function inferPad(node: NodeDraft): (TensorType | undefined)[] {
  const { dtype, shape } = inputOf(node, 0);
  const padding = paddingOf(node);
  if (!padding) return [undefined];
  const padded = shape.map((size, axis) => {
    const added = (padding.before[axis] ?? 0) + (padding.after[axis] ?? 0);
    if (added === 0) return size;
    return typeof size === 'number' ? Math.max(0, size + added) : `${size}+${added}`;
  });
  return [{ dtype, shape: padded }];
}

const padGradient: GradientRule = (context) => {
  const { b, node, dy, isWanted } = context;
  const padding = paddingOf(node);
  if (!padding) throw new UnsupportedError('its pads are only known when the program runs');
  const { before, after } = padding;
  const mode = stringAttribute(node, 'mode', 'constant');
  if (mode === 'constant') {
    const negative = (sizes: readonly number[]) => sizes.map((size) => -size);
    const inner = b.pad(dy, negative(before), negative(after));
    return [inner, undefined, isWanted(2) ? b.sub(b.sum(dy), b.sum(inner)) : undefined];
  }
  // Axes are padded one after another, so their cotangents are folded back in turn.
  return [
    before.reduce((folded, _, axis) => foldBack(context, folded, axis, mode, before[axis] ?? 0, after[axis] ?? 0), dy),
  ];
};

/** Add the cotangent of the padding of one axis to the elements that were copied into it. */
function foldBack(
  { b, x }: GradientContext,
  dy: Value,
  axis: number,
  mode: string,
  before: number,
  after: number,
): Value {
  if (before === 0 && after === 0) return dy;
  const size = x(0).shape[axis] ?? 1;
  if (typeof size !== 'number' || before < 0 || after < 0 || Math.max(before, after) > size) {
    throw new UnsupportedError(
      `mode '${mode}' pads axis ${axis} of size ${size} by ${before} and ${after}; padding is differentiated in this mode ` +
        `if the size is known and the padding is neither negative nor larger than the axis`,
    );
  }
  const inner = b.slice(dy, axis, before, before + size);
  const head = b.slice(dy, axis, 0, before);
  const tail = b.slice(dy, axis, before + size, before + size + after);
  const parts = [inner];
  if (before > 0) parts.push(placed(b, head, axis, { mode, size, count: before, isHead: true }));
  if (after > 0) parts.push(placed(b, tail, axis, { mode, size, count: after, isHead: false }));
  return parts.reduce((total, part) => b.add(total, part));
}

/** The padding at one end of an axis. */
interface Strip {
  readonly mode: string;
  readonly size: number;
  readonly count: number;
  readonly isHead: boolean;
}

/** Return the cotangent of a padded strip at the elements that it was copied from, zeros elsewhere. */
function placed(b: Builder, strip: Value, axis: number, { mode, size, count, isHead }: Strip): Value {
  const at = (value: Value, start: number, length: number) => {
    const before = new Array<number>(value.rank).fill(0);
    const after = new Array<number>(value.rank).fill(0);
    before[axis] = start;
    after[axis] = size - start - length;
    return b.pad(value, before, after);
  };
  switch (mode) {
    case 'edge': // all copies of the first or the last element
      return at(b.sum(strip, [axis], true), isHead ? 0 : size - 1, 1);
    case 'reflect': // mirrored at the first or the last element, which is not repeated
      return at(b.reverse(strip, axis), isHead ? 1 : size - 1 - count, count);
    case 'wrap': // the other end
      return at(strip, isHead ? size - count : 0, count);
    default:
      throw new UnsupportedError(`the padding mode '${mode}' is none of constant, edge, reflect, wrap`);
  }
}

export type PaddingOp = 'Pad' | 'Trilu';

export const paddingOps: OpFamily<PaddingOp> = {
  Pad: { infer: inferPad, gradient: padGradient, flops: noFlops, traits: { settings: [1, 2, 3] } },
  Trilu: {
    infer: (node) => [inputOf(node, 0).type],
    gradient: ({ b, node, dy }) => [
      b.op('Trilu', [dy, node.inputs[1]], { upper: int(intAttribute(node, 'upper', 1)) }),
      undefined,
    ],
    flops: noFlops,
  },
};
