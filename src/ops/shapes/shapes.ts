// Shape arithmetic shared by the operators: broadcasting, axes, sizes that may be symbolic.
import { GraphError } from '../../errors.js';
import type { Dimension, Shape, Value } from '../../graph/graph.js';
import { toNumbers } from '../../graph/tensor.js';

/** The whole numbers from `start` to before `end`: axes, positions. */
export const range = (start: number, end: number): number[] => Array.from({ length: end - start }, (_, i) => start + i);

/** Return the permutation that undoes another. */
export const inverse = (permutation: readonly number[]): number[] =>
  permutation.map((_, axis) => permutation.indexOf(axis));

/** Return the number of elements of a shape, symbolic sizes counted as 1. */
export const knownCount = (shape: Shape): number =>
  shape.reduce<number>((product, size) => product * (typeof size === 'number' ? size : 1), 1);

export const formatShape = (shape: Shape): string => `[${shape.join(', ')}]`;

/**
 * Return the shape that shapes broadcast to, as NumPy and ONNX define it: sizes agree or one of them is 1.
 * @throws GraphError if they do not broadcast
 */
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

/** Return an axis counted from the front. @throws GraphError if it is out of range */
export function normalizeAxis(axis: number, rank: number): number {
  if (axis < -rank || axis >= Math.max(rank, 1)) throw new GraphError(`axis ${axis} is out of range for rank ${rank}`);
  return axis < 0 ? axis + rank : axis;
}

/**
 * Return the integers of a value that must be known when the graph is built.
 * @throws GraphError if they are not, or are not whole
 */
export function knownIntegers(value: Value, what: string): number[] {
  if (!value.constant) throw new GraphError(`${what} ('${value.name}') must be known when the graph is built`);
  const integers = integersOf(value);
  if (!integers) throw new GraphError(`${what} ('${value.name}') must be whole numbers`);
  return integers;
}

/** Return the integers of a value; undefined if it is not known, or has numbers that are not whole. */
export function integersOf(value: Value): number[] | undefined {
  const numbers = value.constant && toNumbers(value.constant);
  return numbers?.every(Number.isInteger) ? numbers : undefined;
}

/** Return the product of sizes: a number, a single symbol, or a new symbol such as `batch*32`. */
export function productOf(sizes: Shape): Dimension {
  const { number, symbols } = factorsOf(sizes);
  if (symbols.length === 0 || number === 0) return number;
  // A sum in a product would be read as another expression.
  const [first, ...others] = symbols.sort();
  if (others.length === 0 && number === 1) return first ?? 1;
  return [...symbols, ...(number === 1 ? [] : [number])].map(grouped).join('*');
}

const grouped = (factor: Dimension): string => (/[+/-]/.test(`${factor}`) ? `(${factor})` : `${factor}`);

/** Return the product of sizes divided by that of others: `[batch, 4, 8] / [32]` is `batch`. */
export function quotientOf(sizes: Shape, divisors: Shape): Dimension {
  const [over, under] = [factorsOf(sizes), factorsOf(divisors)];
  const number = over.number / under.number;
  for (const symbol of under.symbols) {
    const at = over.symbols.indexOf(symbol);
    if (at < 0) return `${productOf(sizes)}/${productOf(divisors)}`;
    over.symbols.splice(at, 1);
  }
  return Number.isInteger(number) ? productOf([...over.symbols, number]) : `${productOf(sizes)}/${productOf(divisors)}`;
}

/** Symbols and numbers of a product, products written as one symbol (`batch*4`) taken apart. */
function factorsOf(sizes: Shape): { number: number; symbols: string[] } {
  const factors = sizes.flatMap((size): Dimension[] => {
    if (typeof size === 'number' || !/^[^+/-]*$/.test(size)) return [size];
    return size.split('*').map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  });
  const number = factors.reduce<number>((product, part) => (typeof part === 'number' ? product * part : product), 1);
  return { number, symbols: factors.filter((part) => typeof part === 'string') };
}

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((size, i) => size === b[i]);
