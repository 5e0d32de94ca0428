// Shape arithmetic shared by the operators: broadcasting, axes, sizes that may be symbolic.
import { GraphError } from '../errors.js';
import type { Dimension, Shape, Value } from '../graph/graph.js';
import { toNumbers } from '../graph/tensor.js';

export const formatShape = (shape: Shape): string => `[${shape.join(', ')}]`;

/** NumPy's broadcasting, as ONNX defines it: sizes agree or one of them is 1. */
export function broadcastShapes(...shapes: readonly Shape[]): Shape {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let size: Dimension = 1;
    for (const shape of shapes) {
      const next = shape[axis - rank + shape.length] ?? 1;
      if (next === 1 || next === size) continue;
      if (size === 1) size = next;
      // A symbol against a number: the program checks it when it runs, and the number is what it must be.
      else if (typeof size === 'string' || typeof next === 'string') size = typeof size === 'string' ? next : size;
      else throw new GraphError(`shapes ${shapes.map(formatShape).join(' and ')} do not broadcast`);
    }
    return size;
  });
}

/** An axis counted from the front; throws where it is out of range. */
export function normalizeAxis(axis: number, rank: number): number {
  if (axis < -rank || axis >= Math.max(rank, 1)) throw new GraphError(`axis ${axis} is out of range for rank ${rank}`);
  return axis < 0 ? axis + rank : axis;
}

/** The integers of a value that must be known when the graph is built. */
export function knownIntegers(value: Value, what: string): number[] {
  if (!value.constant) throw new GraphError(`${what} ('${value.name}') must be known when the graph is built`);
  return toNumbers(value.constant);
}

/** Product of sizes: a number, a single symbol, or a new symbol such as `batch*32`. */
export function productOf(sizes: Shape): Dimension {
  let number = 1;
  const symbols: string[] = [];
  for (const size of sizes) {
    if (typeof size === 'number') number *= size;
    else symbols.push(size);
  }
  if (symbols.length === 0 || number === 0) return number;
  return [...symbols.sort(), ...(number === 1 ? [] : [number])].join('*');
}

/** Number of elements; throws where a size is symbolic. */
export function sizeOf(value: Value): number {
  return value.dims.reduce((product, size) => product * size, 1);
}

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((size, i) => size === b[i]);
