// Evaluates small integer nodes when the graph is built: the shape arithmetic that exporters write.
import { stringAttribute } from '../graph/graph.js';
import {
  type DataType,
  elementCount,
  isDataType,
  isFloatingPoint,
  type TensorData,
  tensorFrom,
  toNumbers,
} from '../graph/tensor.js';
import type { NodeDraft } from './definition.js';
import { broadcastShapes } from './shapes.js';

/** Only what shapes are made of: large tensors are the engine's to compute. */
const largestFolded = 1024;

const functions: Readonly<Record<string, (x: number, y: number) => number>> = {
  Add: (x, y) => x + y,
  Sub: (x, y) => x - y,
  Mul: (x, y) => x * y,
  Div: (x, y) => Math.trunc(x / y),
  Max: Math.max,
  Min: Math.min,
  Neg: (x) => -x,
  Cast: (x) => x,
  Equal: (x, y) => Number(x === y),
  Less: (x, y) => Number(x < y),
  LessOrEqual: (x, y) => Number(x <= y),
  Greater: (x, y) => Number(x > y),
  GreaterOrEqual: (x, y) => Number(x >= y),
  And: (x, y) => x & y,
  Or: (x, y) => x | y,
};

const comparisons = new Set(['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual', 'And', 'Or']);

/** The known integer (or boolean) inputs of a node; undefined where one is not known, floating or large. */
export function foldableInputs(node: NodeDraft): TensorData[] | undefined {
  const known: TensorData[] = [];
  for (const input of node.inputs) {
    const constant = input?.constant;
    if (!constant || isFloatingPoint(constant.dtype) || constant.data.length > largestFolded) return undefined;
    known.push(constant);
  }
  return known;
}

/** Folding of one- and two-operand integer operators with broadcasting. */
export function foldElementwise(op: string): (node: NodeDraft) => TensorData[] | undefined {
  const compute = functions[op];
  if (!compute) throw new Error(`no integer folding for ${op}`);
  return (node) => {
    const inputs = foldableInputs(node);
    const [x, y] = inputs ?? [];
    if (!inputs || !x || inputs.length > 2) return undefined;
    const dims = broadcastShapes(x.dims, y?.dims ?? []) as number[]; // constants have numeric sizes
    if (elementCount(dims) > largestFolded) return undefined;
    const dtype = resultType(op, node, x.dtype);
    if (!dtype) return undefined;
    const [xs, ys] = [broadcastTo(x, dims), y ? broadcastTo(y, dims) : []];
    return [
      tensorFrom(
        dtype,
        dims,
        xs.map((value, i) => compute(value, ys[i] ?? 0)),
      ),
    ];
  };
}

function resultType(op: string, node: NodeDraft, dtype: DataType): DataType | undefined {
  if (comparisons.has(op)) return 'bool';
  if (op !== 'Cast') return dtype;
  const to = stringAttribute(node, 'to', '');
  return isDataType(to) && !isFloatingPoint(to) && to !== 'bool' ? to : undefined;
}

/** The elements of a tensor repeated into a broadcast shape, row by row. */
export function broadcastTo(value: TensorData, dims: readonly number[]): number[] {
  const numbers = toNumbers(value);
  const lead = dims.length - value.dims.length;
  const strides = new Array<number>(dims.length).fill(0);
  let stride = 1;
  for (let axis = dims.length - 1; axis >= lead; axis--) {
    const size = value.dims[axis - lead] ?? 1;
    strides[axis] = size === 1 ? 0 : stride;
    stride *= size;
  }
  return Array.from({ length: elementCount(dims) }, (_, flat) => {
    let rest = flat;
    let position = 0;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      const size = dims[axis] ?? 1;
      position += (rest % size) * (strides[axis] ?? 0);
      rest = Math.floor(rest / size);
    }
    return numbers[position] ?? 0;
  });
}
