// A builder whose inputs come with their elements, for tests: nothing is folded, everything is computed by the runtime.

import type { Value } from '../../src/graph/graph.js';
import { type DataType, type TensorData, tensorFrom, toNumbers } from '../../src/graph/tensor.js';
import { Builder } from '../../src/ops/builder.js';
import type { Random } from '../../src/random.js';
import { type Matrix, matrixOf } from './dense.js';
import { evaluate } from './evaluate.js';

export class FedBuilder extends Builder {
  readonly feeds: Record<string, TensorData> = {};

  /** An input with its elements, float64 by default. */
  given(dims: readonly number[], elements: Iterable<number>, dtype: DataType = 'float64'): Value {
    return this.named(`given${Object.keys(this.feeds).length}`, dims, elements, dtype);
  }

  named(name: string, dims: readonly number[], elements: Iterable<number>, dtype: DataType = 'float64'): Value {
    this.feeds[name] = tensorFrom(dtype, dims, elements);
    return this.input(name, dtype, dims);
  }

  matrix(x: Matrix): Value {
    return this.given([x.rows, x.columns], x.data);
  }

  /** The elements of values by name, as numbers. */
  async compute<Name extends string>(outputs: Readonly<Record<Name, Value>>): Promise<Record<Name, number[]>> {
    const results = await evaluate(outputs, this, this.feeds);
    const entries = Object.entries(results).map(([name, data]) => [name, toNumbers(data)] as const);
    return Object.fromEntries(entries) as Record<Name, number[]>;
  }

  /** Two-dimensional values as matrices. */
  async matrices<Name extends string>(outputs: Readonly<Record<Name, Value>>): Promise<Record<Name, Matrix>> {
    const elements = await this.compute(outputs);
    const entries = Object.entries<Value>(outputs).map(([name, { dims }]) => {
      const [rows = 1, columns = 1] = dims;
      return [name, matrixOf(rows, columns, elements[name as Name])] as const;
    });
    return Object.fromEntries(entries) as Record<Name, Matrix>;
  }
}

/** Standard normal numbers. */
export const normals = (source: Random, count: number): number[] =>
  Array.from({ length: count }, () => source.normal());

export const randomMatrix = (source: Random, rows: number, columns: number): Matrix =>
  matrixOf(rows, columns, normals(source, rows * columns));
