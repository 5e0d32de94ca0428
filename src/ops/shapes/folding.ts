// Evaluates small nodes when the graph is built: the shape arithmetic that exporters write, and scalars of floats if the
// result has the very bits that the runtime would compute. Parameters (named floating-point constants) stay.
import { GraphError } from '../../errors.js';
import { stringAttribute, type Value } from '../../graph/graph.js';
import {
  allocate,
  type DataType,
  elementCount,
  isFloatingPoint,
  type TensorData,
  tensorFrom,
  toNumbers,
} from '../../graph/tensor.js';
import type { NodeDraft } from '../definition.js';
import { broadcastShapes } from './shapes.js';

/** Elements of integers that are folded: shapes have few. Large tensors are the engine's to compute. */
const largestFolded = 1024;
const largestFloatFolded = 8;

/** How an operator of one or two operands is folded. */
interface Folding {
  readonly compute: (x: number, y: number) => number;
  /**
   * Folded for floats: the result is exact in float64, and correctly rounded if rounded once more to float32, as IEEE 754
   * demands of the runtime.
   */
  readonly exact?: true;
  /** Not for integers. */
  readonly onlyFloat?: true;
  /** The result is a boolean. */
  readonly truth?: true;
}

const foldings = {
  Add: { compute: (x, y) => x + y, exact: true },
  Sub: { compute: (x, y) => x - y, exact: true },
  Mul: { compute: (x, y) => x * y, exact: true },
  Div: { compute: (x, y) => x / y, exact: true },
  Mod: { compute: (x, y) => x - y * Math.floor(x / y) },
  Max: { compute: Math.max },
  Min: { compute: Math.min },
  Neg: { compute: (x) => -x, exact: true },
  Abs: { compute: Math.abs, exact: true },
  Sign: { compute: Math.sign },
  Sqrt: { compute: Math.sqrt, exact: true, onlyFloat: true },
  Floor: { compute: Math.floor, exact: true, onlyFloat: true },
  Ceil: { compute: Math.ceil, exact: true, onlyFloat: true },
  Cast: { compute: (x) => x, exact: true },
  Equal: { compute: (x, y) => Number(x === y), truth: true },
  Less: { compute: (x, y) => Number(x < y), truth: true },
  LessOrEqual: { compute: (x, y) => Number(x <= y), truth: true },
  Greater: { compute: (x, y) => Number(x > y), truth: true },
  GreaterOrEqual: { compute: (x, y) => Number(x >= y), truth: true },
  And: { compute: (x, y) => x & y, truth: true },
  Or: { compute: (x, y) => x | y, truth: true },
  Xor: { compute: (x, y) => x ^ y, truth: true },
  Not: { compute: (x) => 1 - x, truth: true },
} satisfies Record<string, Folding>;

/** Operators of one or two operands that are folded. */
export type FoldedOp = keyof typeof foldings;

/** Whether a value is a constant that is not to be trained, since it has no name of its own: the builder names such 'constant'. */
export const isAnonymous = (value: Value): boolean => value.constant !== undefined && value.name === 'constant';

/** Return the known integer (or boolean) inputs of a node; undefined if one is not known, floating or large. */
export function foldableInputs(node: NodeDraft): TensorData[] | undefined {
  const known: TensorData[] = [];
  for (const input of node.inputs) {
    const constant = input?.constant;
    if (!constant || isFloatingPoint(constant.dtype) || constant.data.length > largestFolded) return undefined;
    known.push(constant);
  }
  return known;
}

/** Return the known inputs of a node that only moves elements: small integers, or a few nameless floats, as scales are. */
export function movableInputs(node: NodeDraft): TensorData[] | undefined {
  const known: TensorData[] = [];
  for (const input of node.inputs) {
    const constant = input?.constant;
    if (!constant) return undefined;
    const isFloat = isFloatingPoint(constant.dtype);
    if (isFloat && !(isAnonymous(input) && /^float(32|64)$/.test(constant.dtype))) return undefined;
    if (constant.data.length > (isFloat ? largestFloatFolded : largestFolded)) return undefined;
    known.push(constant);
  }
  return known;
}

/** The known inputs of an elementwise node: small integers, or a few nameless floats. */
function elementwiseInputs({ exact, onlyFloat }: Folding, node: NodeDraft): TensorData[] | undefined {
  const isFloat = node.inputs.some((input) => input?.constant && isFloatingPoint(input.constant.dtype));
  if (!isFloat) return onlyFloat ? undefined : foldableInputs(node);
  if (!exact) return undefined;
  const known = node.inputs.flatMap((input) => (input && isAnonymous(input) && input.constant ? [input.constant] : []));
  const fits = known.every(({ dtype, data }) => /^float(32|64)$/.test(dtype) && data.length <= largestFloatFolded);
  return fits && known.length === node.inputs.length ? known : undefined;
}

/** Return the folding of an operator of one or two operands, with broadcasting. */
export function foldElementwise(op: FoldedOp): (node: NodeDraft) => TensorData[] | undefined {
  const folding: Folding = foldings[op];
  return (node) => {
    const inputs = elementwiseInputs(folding, node);
    const [x, y] = inputs ?? [];
    if (!inputs || !x || inputs.length > 2 || inputs.some(({ dtype }) => dtype !== x.dtype)) return undefined;
    const dims = broadcastShapes(x.dims, y?.dims ?? []) as number[]; // constants have numeric sizes
    if (elementCount(dims) > largestFolded) return undefined;
    const dtype = folding.truth ? 'bool' : op === 'Cast' ? stringAttribute(node, 'to', '') : x.dtype;
    if (!isFoldedType(dtype)) return undefined;
    const [xs, ys] = [broadcastTo(x, dims), y ? broadcastTo(y, dims) : []];
    const convert = op === 'Cast' && dtype === 'bool' ? (value: number) => Number(value !== 0) : folding.compute;
    const results = xs.map((value, i) => convert(value, ys[i] ?? 0));
    return known(dtype, dims, isFloatingPoint(dtype) ? results : results.map(Math.trunc), [...xs, ...ys]);
  };
}

const isFoldedType = (dtype: string): dtype is 'int64' | 'int32' | 'bool' | 'float32' | 'float64' =>
  ['int64', 'int32', 'bool', 'float32', 'float64'].includes(dtype);

/** Return the result; undefined if an integer does not fit its type or a JavaScript number. */
function known(dtype: DataType, dims: readonly number[], results: readonly number[], operands: readonly number[]) {
  const isExact = isFloatingPoint(dtype)
    ? operands.every((value) => !Number.isInteger(value) || Number.isSafeInteger(value))
    : [...results, ...operands].every((value) => Math.abs(value) < 2 ** (dtype === 'int64' ? 53 : 31));
  return isExact ? [tensorFrom(dtype, dims, results)] : undefined;
}

/** Return the elements of tensors of one type one after another, as a vector. */
export function joinedTensors(parts: readonly TensorData[], dtype: DataType): TensorData {
  const data = allocate(
    dtype,
    parts.reduce((total, part) => total + part.data.length, 0),
  );
  let at = 0;
  for (const part of parts) {
    (data as Float64Array).set(part.data as Float64Array, at); // both arrays are of the same class, whichever it is
    at += part.data.length;
  }
  return { dtype, dims: [data.length], data };
}

/** Return a tensor of elements of another one, given by their positions in it; copied, not converted. */
export function rearranged(x: TensorData, dims: readonly number[], positions: readonly number[]): TensorData {
  const data = allocate(x.dtype, positions.length) as Float64Array; // as in `joined`
  for (const [i, position] of positions.entries()) {
    const element = x.data[position];
    if (element === undefined) {
      throw new GraphError(`reads element ${position} of a tensor with ${x.data.length} elements`);
    }
    data[i] = element as number;
  }
  return { dtype: x.dtype, dims, data };
}

/** Return the flat positions of a tensor's elements repeated into a broadcast shape, row by row. */
export function broadcastPositions(from: readonly number[], dims: readonly number[]): number[] {
  const lead = dims.length - from.length;
  const strides = new Array<number>(dims.length).fill(0);
  let stride = 1;
  for (let axis = dims.length - 1; axis >= lead; axis--) {
    const size = from[axis - lead] ?? 1;
    strides[axis] = size === 1 ? 0 : stride;
    stride *= size;
  }
  return stridedPositions(dims, strides);
}

/** Return the flat positions offset + Σ index·stride of all indices of a shape, row by row. */
export function stridedPositions(dims: readonly number[], strides: readonly number[], offset = 0): number[] {
  return Array.from({ length: elementCount(dims) }, (_, flat) => {
    let rest = flat;
    let position = offset;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      const size = dims[axis] ?? 1;
      position += (rest % size) * (strides[axis] ?? 0);
      rest = Math.floor(rest / size);
    }
    return position;
  });
}

/** Return the number of elements between neighbours along each axis. */
export function stridesOf(dims: readonly number[]): number[] {
  return dims.map((_, axis) => elementCount(dims.slice(axis + 1)));
}

function broadcastTo(value: TensorData, dims: readonly number[]): number[] {
  const numbers = toNumbers(value);
  return broadcastPositions(value.dims, dims).map((position) => numbers[position] ?? 0);
}
