// Arrays of numbers with axes, for formulas of layers in float64.
import { elementCount } from '../../src/graph/tensor.js';

/** A tensor of numbers with access by position. */
export class Numbers {
  readonly dims: readonly number[];
  readonly elements: readonly number[];
  constructor(dims: readonly number[], elements: readonly number[]) {
    this.dims = dims;
    this.elements = elements;
  }
  at(...position: readonly number[]): number {
    let index = 0;
    for (const [axis, p] of position.entries()) {
      const size = this.dims[axis] ?? 0;
      if (p < 0 || p >= size) return 0; // what is padded
      index = index * size + p;
    }
    return this.elements[index] ?? Number.NaN;
  }
  static of(dims: readonly number[], element: (...position: number[]) => number): Numbers {
    const elements = Array.from({ length: elementCount(dims) }, (_, i) => {
      let rest = i;
      const position = [...dims].reverse().map((size) => {
        const p = rest % size;
        rest = (rest - p) / size;
        return p;
      });
      return element(...position.reverse());
    });
    return new Numbers(dims, elements);
  }
}
