// Conjugate gradients for A·x = b in one loop of the program, with early exit: on one system made of several tensors,
// or on a batch of systems that step together and freeze one by one as they converge.
import { GraphError } from '../errors.js';
import { formatType, type Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import type { Stopping } from './stopping.js';

/** A linear map on lists of tensors, given the builder of the graph or body in which it is applied. */
type LinearMap = (b: Builder, x: readonly Value[]) => readonly Value[];

type InnerProduct = (b: Builder, x: readonly Value[], y: readonly Value[]) => Value;

export interface ConjugateGradientOptions {
  /**
   * A, symmetric positive definite. It is applied inside a loop: what does not depend on x, such as a transposed factor, is
   * computed only once if it is made outside, with the outer builder.
   */
  readonly operator: LinearMap;
  /** b: the tensors that make up a vector, such as weights and bias. */
  readonly rightHandSide: readonly Value[];
  /**
   * M⁻¹ of a symmetric positive definite M like A, by which the solve is preconditioned: the better it inverts A, the fewer
   * iterations.
   */
  readonly preconditioner?: LinearMap;
  /**
   * The inner product in which A is symmetric: bilinear, a scalar, or `[systems]` of a batch; the sum of products of elements
   * by default.
   */
  readonly inner?: InnerProduct;
  /**
   * The start, shaped as b, up to a factor: its best multiple, which minimizes φ(x) = ½·xᵀAx − bᵀx, is taken; zero by
   * default. A start whose residual exceeds that of zero, or is NaN, is not used.
   */
  readonly initial?: readonly Value[];
  /** Most applications of A after the first residual. */
  readonly maxIterations: number;
  /** When the solve ends before. */
  readonly stopping: Stopping;
  /** Whether the leading axis of all tensors counts systems, each with its own step sizes and its own end. */
  readonly batched?: boolean;
  /** Whether to tell what each system of a batch took, too. */
  readonly apart?: boolean;
}

/** A solve that runs out of iterations has a result, too. */
interface ConjugateGradientSolution {
  /** x, shaped as b. Zero if b is zero (or ‖b‖² underflows). */
  readonly value: readonly Value[];
  /** Passes of the loop, an int64 scalar: those of the slowest system of a batch. */
  readonly iterations: Value;
  /** ‖b − A·x‖/‖b‖ by the solver's recurrence, a scalar: the largest of a batch. */
  readonly residual: Value;
  /** What the stopping rule measured at the end, a scalar: the largest of a batch. */
  readonly measure: Value;
  /** What each system of the batch took, if asked for: `[systems]`, of the type of b. */
  readonly systems?: SystemSolves;
}

export interface SystemSolves {
  /** Passes of the loop until the system froze. */
  readonly iterations: Value;
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
  const { rightHandSide, batched = false, apart = false } = options;
  const [first] = rightHandSide;
  if (!first) throw new GraphError('conjugate gradients: the right-hand side has no tensors');
  const space = vectorSpace(batched, options.inner);
  const apply = checkedMap('operator', options.operator, rightHandSide);
  const precondition = options.preconditioner && checkedMap('preconditioner', options.preconditioner, rightHandSide);
  const { stopping, maxIterations } = options;
  const smallest = first.dtype === 'float64' ? 1e-300 : 1e-36;
  /** M⁻¹r, and ⟨r, M⁻¹r⟩ in a list; without a preconditioner r itself, and nothing, for ⟨r, r⟩ is known. */
  const preconditioned = (at: Builder, r: readonly Value[]) => {
    if (!precondition) return { z: r, rz: [] };
    const z = precondition(at, r);
    return { z, rz: [space.inner(at, r, z)] };
  };

  // b is scaled to length 1: residuals are then relative, and do not underflow on the way.
  const squaredLength = space.inner(b, rightHandSide, rightHandSide);
  const nonzero = b.greater(squaredLength, 0);
  const length = b.where(nonzero, b.sqrt(squaredLength), 1);
  const unit = space.divide(b, rightHandSide, length);
  const start = startingPoint(b, options, space, apply, { unit, length, nonzero });
  const { squaredResidual } = start;
  const begun = stopping.begin(b, {
    squaredResidual,
    // φ = −½(⟨r, x⟩ + ⟨b, x⟩)
    quadratic: () =>
      b.mul(
        space.inner(
          b,
          pairwise(start.residual, unit, (r, part) => b.add(r, part)),
          start.value,
        ),
        -0.5,
      ),
    maxIterations,
  });

  const opening = preconditioned(b, start.residual);
  const initial = {
    x: start.value,
    r: start.residual,
    p: opening.z,
    rr: squaredResidual,
    rz: opening.rz,
    running: begun.running,
    memory: begun.memory,
    iterations: b.scalar(0, 'int64'),
    counts: apart ? [b.zerosLike(squaredResidual)] : [],
  };
  const last = b.loop(
    maxIterations,
    initial,
    (inner, iteration, { x, r, p, rr, rz: [ofPreconditioned], running, memory, counts }) => {
      const rz = ofPreconditioned ?? rr;
      const image = apply(inner, p);
      const curvature = space.inner(inner, p, image);
      const positive = inner.and(inner.greater(curvature, smallest), inner.greater(rz, smallest));
      const usable = inner.and(running, positive);
      const step = inner.where(usable, inner.div(rz, curvature), 0);
      const nextR = space.addScaled(inner, r, inner.neg(step), image);
      const squaredR = space.inner(inner, nextR, nextR);
      // Comparisons with NaN are false: a step of NaN is not taken either.
      const taken = inner.and(usable, inner.less(squaredR, largestSquaredResidual));
      const length = inner.where(taken, step, 0);
      const nextX = space.addScaled(inner, x, length, p);
      const nextRr = inner.where(taken, squaredR, rr);
      const next = preconditioned(inner, nextR);
      const [nextRz = nextRr] = next.rz;
      const nextP = space.addScaled(inner, next.z, inner.where(taken, inner.div(nextRz, rz), 0), p);
      const stopped = stopping.next(inner, {
        iteration,
        squaredResidual: nextRr,
        decrease: () => inner.mul(inner.mul(length, rz), 0.5),
        memory,
      });
      const nextRunning = inner.and(taken, stopped.running);
      return {
        ...{ x: nextX, r: nextR, p: nextP, rr: nextRr, rz: next.rz, running: nextRunning, memory: stopped.memory },
        iterations: inner.add(iteration, inner.scalar(1, 'int64')),
        counts: counts.map((count) => inner.add(count, inner.cast(running, count.dtype))),
        again: space.any(inner, nextRunning),
      };
    },
    space.any(b, begun.running),
  );
  const worst = (measure: Value): Value => (batched ? b.reduceMax(measure) : measure);
  const residual = b.sqrt(worst(last.rr));
  const [count] = last.counts;
  return {
    value: space.multiply(b, last.x, length),
    iterations: last.iterations,
    residual,
    measure: stopping.measured ? worst(stopping.measured(last.memory)) : residual,
    ...(count && { systems: { iterations: count, residual: b.sqrt(last.rr) } }),
  };
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
  const direction = space.divide(b, initial, length);
  const unscaled = apply(b, direction);
  // φ(c·x) is least at c = ⟨x, b⟩/⟨x, A·x⟩.
  const multiple = b.div(space.inner(b, direction, unit), space.inner(b, direction, unscaled));
  const [warm, image] = [space.multiply(b, direction, multiple), space.multiply(b, unscaled, multiple)];
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

function vectorSpace(batched: boolean, given: InnerProduct | undefined): VectorSpace {
  /** A coefficient of each system, broadcast over the system's elements. */
  const over = (b: Builder, c: Value, part: Value): Value => (batched ? b.unsqueeze(c, elementAxes(part)) : c);
  /** Sums of products of elements: a matrix product of a row and a column takes the runtime four times as long. */
  const dot: InnerProduct = (b, x, y) =>
    pairwise(x, y, (part, other) => b.sum(b.mul(part, other), batched ? elementAxes(part) : undefined)).reduce(
      (total, term) => b.add(total, term),
    );
  return {
    inner: given ?? dot,
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
