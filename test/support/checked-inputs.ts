// Inputs of gradient checks: shapes with named sizes, and elements that keep away from kinks.

import type { Dimension } from '../../src/graph/graph.js';
import { type DataType, elementCount } from '../../src/graph/tensor.js';
import type { Random } from '../../src/random.js';

/** A size; `'batch=3'` is the symbolic size 'batch' that is 3 when the program runs. */
export type CheckedSize = number | `${string}=${number}`;

export interface InputSpec {
  readonly shape: readonly CheckedSize[];
  /** Elements are drawn uniformly between these; −1.5 and 1.5 by default. */
  readonly range?: readonly [number, number];
  /** Points that elements keep away from by 0.1: kinks and poles. */
  readonly avoid?: readonly number[];
  /** All elements differ by at least 0.1 (for Max, sorting, pooling); `range` is ignored. */
  readonly separated?: boolean;
  /** The elements themselves, row by row. */
  readonly values?: readonly number[];
  /** By default the case's own type; inputs of integers and booleans are not differentiated by. */
  readonly dtype?: DataType;
}

/** The size in the graph of case `c`, noted with what it is when the program runs. */
export function symbolOf(size: CheckedSize, c: number, sizes: Map<string, number>): Dimension {
  if (typeof size === 'number') return size;
  const [name = '', number = ''] = size.split('=');
  // Each case has symbols of its own: the runtime plans memory by them.
  sizes.set(`${name}${c}`, Number(number));
  return `${name}${c}`;
}

/** What a symbol is when the program runs, products (`batch*4`), sums and quotients of symbols included. */
export function sizeOfSymbol(symbol: string, sizes: ReadonlyMap<string, number>): number {
  const whole = sizes.get(symbol);
  if (whole !== undefined) return whole;
  if (/^\d+$/.test(symbol)) return Number(symbol);
  for (const operator of ['+', '/', '*']) {
    const at = symbol.lastIndexOf(operator);
    if (at < 0) continue;
    const left = sizeOfSymbol(symbol.slice(0, at), sizes);
    const right = sizeOfSymbol(symbol.slice(at + 1), sizes);
    return operator === '+' ? left + right : operator === '/' ? left / right : left * right;
  }
  throw new Error(`the size '${symbol}' is none of the case's`);
}

/** The elements of an input, row by row. */
export function elements(spec: InputSpec, dims: readonly number[], numbers: Random): number[] {
  const count = elementCount(dims);
  if (spec.values) {
    if (spec.values.length !== count) throw new Error(`${spec.values.length} values for the shape [${dims}]`);
    return [...spec.values];
  }
  if (spec.separated) {
    const grid = Array.from({ length: count }, (_, i) => ({ order: numbers.uniform(), value: (i - count / 2) * 0.13 }));
    return grid.sort((p, q) => p.order - q.order).map(({ value }) => value);
  }
  const [low, high] = spec.range ?? [-1.5, 1.5];
  return Array.from({ length: count }, () => {
    for (;;) {
      const value = low + (high - low) * numbers.uniform();
      if (!spec.avoid?.some((point) => Math.abs(point - value) < 0.1)) return value;
    }
  });
}
