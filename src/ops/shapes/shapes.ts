// Shape arithmetic shared by the operators: broadcasting, axes, sizes that may be symbolic.
import { GraphError } from '../../errors.js';
import type { Dimension, Shape, Value } from '../../graph/graph.js';
import { toNumbers } from '../../graph/tensor.js';

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
  const integers = integersOf(value);
  if (!integers) throw new GraphError(`${what} ('${value.name}') must be whole numbers`);
  return integers;
}

/** The integers of a value where they are known, and where they are integers. */
export function integersOf(value: Value): number[] | undefined {
  const numbers = value.constant && toNumbers(value.constant);
  return numbers?.every(Number.isInteger) ? numbers : undefined;
}

/** Product of sizes: a number, a single symbol, or a new symbol such as `batch*32`. */
export function productOf(sizes: Shape): Dimension {
  const { number, symbols } = factorsOf(sizes);
  if (symbols.length === 0 || number === 0) return number;
  // A sum in a product would be read as another expression.
  const [first, ...others] = symbols.sort();
  if (others.length === 0 && number === 1) return first ?? 1;
  return [...symbols, ...(number === 1 ? [] : [number])].map(grouped).join('*');
}

const grouped = (factor: Dimension): string => (/[+/-]/.test(`${factor}`) ? `(${factor})` : `${factor}`);

/** What remains of a product of sizes after dividing by others: `[batch, 4, 8] / [32]` is `batch`. */
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
