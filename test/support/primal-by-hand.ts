// Conjugate gradients on X for (A⊗G + λI)X = V with F[X] = aᵀ((a·X·gᵀ)g), the paper's form, in float64 by hand.
import { type Matrix, minus, multiplied, plus, scaled, transposed } from './dense.js';

export interface PrimalByHand {
  /** The iterate. */
  readonly x: Matrix;
  /** ‖V − (F + λI)X‖/‖V‖ by the recurrence. */
  readonly residual: number;
}

const dot = (x: Matrix, y: Matrix): number => x.data.reduce((sum, element, i) => sum + element * (y.data[i] ?? 0), 0);

/** Return an iterate; the start is the best multiple of the given one, unless its residual exceeds that of zero. */
export function primalByHand(
  { a, g, v, start }: { readonly a: Matrix; readonly g: Matrix; readonly v: Matrix; readonly start?: Matrix },
  damping: number,
  iterations: number,
): PrimalByHand {
  const applied = (x: Matrix): Matrix =>
    plus(multiplied(transposed(a), multiplied(a, x, transposed(g)), g), scaled(x, damping));
  let x = scaled(v, 0);
  let r = v;
  if (start) {
    const image = applied(start);
    const multiple = dot(start, v) / dot(start, image);
    const residual = minus(v, scaled(image, multiple));
    if (dot(residual, residual) <= dot(v, v)) [x, r] = [scaled(start, multiple), residual];
  }
  let p = r;
  for (let k = 0; k < iterations; k++) {
    const image = applied(p);
    const step = dot(r, r) / dot(p, image);
    const next = minus(r, scaled(image, step));
    x = plus(x, scaled(p, step));
    p = plus(next, scaled(p, dot(next, next) / dot(r, r)));
    r = next;
  }
  return { x, residual: Math.sqrt(dot(r, r) / dot(v, v)) };
}
