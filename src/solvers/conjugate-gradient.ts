// Conjugate gradients for A·x = b in one loop of the program, with early exit: on one system made of several tensors,
// or on a batch of systems that step together and freeze one by one as they converge.
import { GraphError } from '../errors.js';
import { formatType, type Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';

/** A linear map on lists of tensors, given the builder of the graph or body in which it is applied. */
type LinearMap = (b: Builder, x: readonly Value[]) => readonly Value[];

export interface ConjugateGradientOptions {
  /**
   * A, symmetric positive definite. It is applied inside a loop: what does not depend on x, such as a transposed factor, is
   * computed only once if it is made outside, with the outer builder.
   */
  readonly operator: LinearMap;
  /** b: the tensors that make up a vector, such as weights and bias. */
  readonly rightHandSide: readonly Value[];
  /** The start, shaped as b; zero by default. A start whose residual exceeds that of zero, or is NaN, is not used. */
  readonly initial?: readonly Value[];
  /** Most applications of A after the first residual. */
  readonly maxIterations: number;
  /** The solve ends when ‖b − A·x‖ ≤ tolerance·‖b‖. */
  readonly tolerance: number;
  /** Whether the leading axis of all tensors counts systems, each with its own step sizes and its own end. */
  readonly batched?: boolean;
}

/** A solve that runs out of iterations has a result, too. */
interface ConjugateGradientSolution {
  /** x, shaped as b. Zero if b is zero (or ‖b‖² underflows). */
  readonly value: readonly Value[];
  /** Passes of the loop, an int64 scalar: those of the slowest system of a batch. */
  readonly iterations: Value;
  /** ‖b − A·x‖/‖b‖ by the solver's recurrence, a scalar: the largest of a batch. */
  readonly residual: Value;
}

/** In units of ‖b‖². In exact arithmetic it stays below the condition number: a larger one means that A is not positive definite. */
const largestSquaredResidual = 1e16;

/**
 * Solve A·x = b (Hestenes & Stiefel 1952).
 *
 * A breakdown (⟨p, A·p⟩ ≤ 0, since A is not positive definite or only rounding is left, or a residual that explodes) ends
 * the system's solve with the x before it: as long as the operator returns finite numbers, so does the solve.
 * @throws GraphError if operator or initial do not have the shapes of the right-hand side
 */
export function conjugateGradient(b: Builder, options: ConjugateGradientOptions): ConjugateGradientSolution {
  const { rightHandSide, batched = false } = options;
  const [first] = rightHandSide;
  if (!first) throw new GraphError('conjugate gradients: the right-hand side has no tensors');
  const space = vectorSpace(batched);
  const apply = checkedMap('operator', options.operator, rightHandSide);
  const target = b.square(b.scalar(options.tolerance, first.dtype));
  const smallest = first.dtype === 'float64' ? 1e-300 : 1e-36;

  // b is scaled to length 1: residuals are then relative, and do not underflow on the way.
  const squaredLength = space.inner(b, rightHandSide, rightHandSide);
  const nonzero = b.greater(squaredLength, 0);
  const length = b.where(nonzero, b.sqrt(squaredLength), 1);
  const unit = space.divide(b, rightHandSide, length);
  const start = startingPoint(b, options, space, apply, { unit, length, nonzero });
  const active = b.greater(start.squaredResidual, target);

  const initial = {
    x: start.value,
    r: start.residual,
    p: start.residual,
    rr: start.squaredResidual,
    running: active,
    iterations: b.scalar(0, 'int64'),
  };
  const last = b.loop(
    options.maxIterations,
    initial,
    (inner, iteration, { x, r, p, rr, running }) => {
      const image = apply(inner, p);
      const curvature = space.inner(inner, p, image);
      const positive = inner.and(inner.greater(curvature, smallest), inner.greater(rr, smallest));
      const usable = inner.and(running, positive);
      const step = inner.where(usable, inner.div(rr, curvature), 0);
      const nextR = space.addScaled(inner, r, inner.neg(step), image);
      const squaredR = space.inner(inner, nextR, nextR);
      // Comparisons with NaN are false: a step of NaN is not taken either.
      const taken = inner.and(usable, inner.less(squaredR, largestSquaredResidual));
      const nextX = space.addScaled(inner, x, inner.where(taken, step, 0), p);
      const nextRr = inner.where(taken, squaredR, rr);
      const nextP = space.addScaled(inner, nextR, inner.where(taken, inner.div(nextRr, rr), 0), p);
      const nextRunning = inner.and(taken, inner.greater(nextRr, target));
      return {
        ...{ x: nextX, r: nextR, p: nextP, rr: nextRr, running: nextRunning },
        iterations: inner.add(iteration, inner.scalar(1, 'int64')),
        again: space.any(inner, nextRunning),
      };
    },
    space.any(b, active),
  );
  const worst = batched ? b.reduceMax(last.rr) : last.rr;
  return { value: space.multiply(b, last.x, length), iterations: last.iterations, residual: b.sqrt(worst) };
}

/** The start in units of ‖b‖: its value, its residual b − A·x and ‖b − A·x‖². */
function startingPoint(
  b: Builder,
  { initial }: ConjugateGradientOptions,
  space: VectorSpace,
  apply: LinearMap,
  scaled: { readonly unit: readonly Value[]; readonly length: Value; readonly nonzero: Value },
): { readonly value: readonly Value[]; readonly residual: readonly Value[]; readonly squaredResidual: Value } {
  const { unit, length, nonzero } = scaled;
  const zero = unit.map((part) => b.zerosLike(part));
  const ofZero = b.cast(nonzero, length.dtype);
  if (!initial) return { value: zero, residual: unit, squaredResidual: ofZero };
  checkShapes('initial', initial, unit);
  const warm = space.divide(b, initial, length);
  const image = apply(b, warm);
  const residual = pairwise(unit, image, (part, other) => b.sub(part, other));
  const squaredResidual = space.inner(b, residual, residual);
  // A start worse than zero (or NaN, for which every comparison is false) would cost iterations; it also covers b = 0.
  const better = b.greaterOrEqual(ofZero, squaredResidual);
  return {
    value: space.select(b, better, warm, zero),
    residual: space.select(b, better, residual, unit),
    squaredResidual: b.where(better, squaredResidual, ofZero),
  };
}

/** Vector arithmetic with coefficients that are scalars, or `[batch]` with one for each system. */
interface VectorSpace {
  inner(b: Builder, x: readonly Value[], y: readonly Value[]): Value;
  /** Return x + c·y. */
  addScaled(b: Builder, x: readonly Value[], c: Value, y: readonly Value[]): Value[];
  multiply(b: Builder, x: readonly Value[], c: Value): Value[];
  divide(b: Builder, x: readonly Value[], c: Value): Value[];
  select(b: Builder, condition: Value, x: readonly Value[], y: readonly Value[]): Value[];
  /** Return whether the condition holds for any system, a bool scalar. */
  any(b: Builder, condition: Value): Value;
}

function vectorSpace(batched: boolean): VectorSpace {
  /** A coefficient of each system, broadcast over the system's elements. */
  const over = (b: Builder, c: Value, part: Value): Value => (batched ? b.unsqueeze(c, elementAxes(part)) : c);
  return {
    // A product and a sum: a matrix product of a row and a column takes the runtime four times as long.
    inner: (b, x, y) =>
      pairwise(x, y, (part, other) => b.sum(b.mul(part, other), batched ? elementAxes(part) : undefined)).reduce(
        (total, term) => b.add(total, term),
      ),
    addScaled: (b, x, c, y) => pairwise(x, y, (part, other) => b.add(part, b.mul(other, over(b, c, other)))),
    multiply: (b, x, c) => x.map((part) => b.mul(part, over(b, c, part))),
    divide: (b, x, c) => x.map((part) => b.div(part, over(b, c, part))),
    select: (b, condition, x, y) => pairwise(x, y, (part, other) => b.where(over(b, condition, part), part, other)),
    any: (b, condition) => (batched ? b.cast(b.reduceMax(b.cast(condition, 'int32')), 'bool') : condition),
  };
}

/** A function of each tensor of x with that of y; both have the same number of tensors, see `checkShapes`. */
const pairwise = (x: readonly Value[], y: readonly Value[], f: (x: Value, y: Value) => Value): Value[] =>
  x.map((part, i) => f(part, y[i] as Value));

/** All axes but the batch's. */
const elementAxes = (part: Value): number[] => Array.from({ length: part.rank - 1 }, (_, axis) => axis + 1);

function checkedMap(what: string, map: LinearMap, like: readonly Value[]): LinearMap {
  return (b, x) => {
    const result = map(b, x);
    checkShapes(what, result, like);
    return result;
  };
}

function checkShapes(what: string, given: readonly Value[], like: readonly Value[]): void {
  const list = (values: readonly Value[]) => values.map((value) => formatType(value.type)).join(', ');
  if (list(given) !== list(like)) {
    throw new GraphError(
      `conjugate gradients: the ${what} has (${list(given)}), expected the right-hand side's (${list(like)})`,
    );
  }
}
