// A line search for the strong Wolfe conditions (Nocedal & Wright 2006, algorithms 3.5 and 3.6, with the cubic interpolation and
// the safeguards of PyTorch's L-BFGS), in one loop of the program with one evaluation a round.
import type { Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';

/** A function of one number, at one: all are scalars. */
interface Point {
  readonly at: Value;
  readonly value: Value;
  readonly slope: Value;
}

export interface LineSearchOptions {
  /** φ(t) and φ′(t), given the builder of the body in which they are evaluated. */
  readonly evaluate: (b: Builder, at: Value) => Omit<Point, 'at'>;
  /** φ(0) and φ′(0). The search ends at 0 at once unless φ′(0) < 0. */
  readonly start: Omit<Point, 'at'>;
  /** The first t. */
  readonly first: Value;
  readonly maxEvaluations: number;
  /** An interval that is narrower than this is not searched. */
  readonly narrowest: Value;
}

interface LineSearchResult {
  /** The t that was found, a scalar with φ(t) ≤ φ(0): 0 if there is no lower value. */
  readonly at: Value;
  /** Number of evaluations, an int64 scalar. */
  readonly evaluations: Value;
}

/** c₁: the share of the first slope by which the value has to fall; c₂: that which may be left of it. */
const [sufficientDecrease, leftSlope] = [1e-4, 0.9];

/**
 * Return a t > 0 with φ(t) ≤ φ(0) + c₁tφ′(0) and |φ′(t)| ≤ c₂|φ′(0)|; if it does not find one, that of the lowest value it saw.
 * The first phase extends the interval until it brackets such a t, the second makes it narrower. A value that is NaN counts as
 * too high.
 */
export function lineSearch(b: Builder, options: LineSearchOptions): LineSearchResult {
  const { evaluate, start, first, maxEvaluations, narrowest } = options;
  const origin: Point = { at: b.scalar(0, start.value.dtype), ...start };
  const no = b.constant(tensorFrom('bool', [], [0]));
  const initial = {
    at: first,
    low: values(origin),
    other: values(origin),
    narrows: no,
    closeToEnd: no,
    evaluations: b.scalar(0, 'int64'),
  };
  const last = b.loop(
    maxEvaluations,
    initial,
    (inner, iteration, carried) => {
      const logic = logicOf(inner);
      const found: Point = { at: carried.at, ...evaluate(inner, carried.at) };
      // While the interval grows, `low` is the trial before; then its end of the lower value.
      const [low, other] = [pointOf(carried.low), pointOf(carried.other)];
      const { narrows } = carried;
      const fall = inner.mul(inner.mul(found.at, start.slope), sufficientDecrease);
      const isHigh = logic.not(inner.greaterOrEqual(inner.add(start.value, fall), found.value));
      const isFlat = inner.greaterOrEqual(inner.mul(start.slope, -leftSlope), inner.abs(found.slope));
      const isNotLower = inner.greaterOrEqual(found.value, low.value);
      const isLower = inner.less(found.value, low.value);
      const isLater = inner.greater(iteration, inner.scalar(1, 'int64'));
      // A trial that is too high is a new end of the interval.
      const isBeyond = logic.or(isHigh, inner.and(logic.or(narrows, isLater), isNotLower));
      const rises = inner.and(logic.not(isFlat), inner.greaterOrEqual(found.slope, 0));
      const isEnd = logic.or(isBeyond, inner.and(logic.not(narrows), rises));
      const isDone = inner.and(logic.not(isBeyond), isFlat);
      const nextNarrows = logic.or(narrows, isEnd);
      const width = inner.sub(other.at, low.at);
      const crosses = inner.greaterOrEqual(inner.mul(found.slope, width), 0);
      const keepsLow = inner.and(isEnd, logic.not(isLower));
      const keepsOther = inner.and(inner.and(narrows, logic.not(crosses)), logic.not(isEnd));
      const nextLow = select(inner, keepsLow, low, found);
      const nextOther = select(inner, keepsLow, found, select(inner, keepsOther, other, low));
      const trial = nextTrial(inner, { low: nextLow, other: nextOther, narrows: nextNarrows }, carried.closeToEnd);
      const isNarrow = inner.less(inner.abs(inner.sub(nextOther.at, nextLow.at)), narrowest);
      return {
        ...{ at: trial.at, low: values(nextLow), other: values(nextOther) },
        ...{ narrows: nextNarrows, closeToEnd: trial.closeToEnd },
        evaluations: inner.add(iteration, inner.scalar(1, 'int64')),
        again: inner.and(logic.not(isDone), logic.not(inner.and(nextNarrows, isNarrow))),
      };
    },
    b.less(start.slope, 0),
  );
  return { at: pointOf(last.low).at, evaluations: last.evaluations };
}

const values = ({ at, value, slope }: Point): readonly Value[] => [at, value, slope];

const pointOf = ([at, value, slope]: readonly Value[]): Point => ({ at, value, slope }) as Point; // what `values` made

const logicOf = (b: Builder) => ({
  not: (x: Value): Value => b.op('Not', [x]),
  or: (x: Value, y: Value): Value => b.op('Or', [x, y]),
});

function select(b: Builder, condition: Value, x: Point, y: Point): Point {
  const one = (of: keyof Point): Value => b.where(condition, x[of], y[of]);
  return { at: one('at'), value: one('value'), slope: one('slope') };
}

/** The next t: inside an interval that gets narrower, but not twice near the same end; else beyond it, at most tenfold. */
function nextTrial(
  b: Builder,
  { low, other, narrows }: { readonly low: Point; readonly other: Point; readonly narrows: Value },
  wasCloseToEnd: Value,
): { readonly at: Value; readonly closeToEnd: Value } {
  const logic = logicOf(b);
  const [left, right] = [b.min(low.at, other.at), b.max(low.at, other.at)];
  const beyond = b.add(low.at, b.mul(b.sub(low.at, other.at), 0.01));
  const bounds = { from: b.where(narrows, left, beyond), to: b.where(narrows, right, b.mul(low.at, 10)) };
  const at = cubicMinimum(b, low, other, bounds);
  const margin = b.mul(b.sub(right, left), 0.1);
  const isClose = b.less(b.min(b.sub(right, at), b.sub(at, left)), margin);
  const isOutside = logic.or(b.greaterOrEqual(at, right), b.greaterOrEqual(left, at));
  const isMoved = b.and(b.and(narrows, isClose), logic.or(wasCloseToEnd, isOutside));
  const isRight = b.less(b.abs(b.sub(at, right)), b.abs(b.sub(at, left)));
  const moved = b.where(isRight, b.sub(right, margin), b.add(left, margin));
  return {
    at: b.where(isMoved, moved, at),
    closeToEnd: b.and(b.and(narrows, isClose), logic.not(isMoved)),
  };
}

/** The minimum of the cubic polynomial with the values and slopes of two points, within bounds; their middle if it has none. */
function cubicMinimum(
  b: Builder,
  x: Point,
  y: Point,
  { from, to }: { readonly from: Value; readonly to: Value },
): Value {
  const isOrdered = b.greaterOrEqual(y.at, x.at);
  const [left, right] = [select(b, isOrdered, x, y), select(b, isOrdered, y, x)];
  const width = b.sub(right.at, left.at);
  const chord = b.div(b.sub(right.value, left.value), width);
  const d1 = b.sub(b.add(left.slope, right.slope), b.mul(chord, 3));
  const square = b.sub(b.square(d1), b.mul(left.slope, right.slope));
  const d2 = b.sqrt(b.max(square, 0));
  const share = b.div(b.sub(b.add(right.slope, d2), d1), b.add(b.sub(right.slope, left.slope), b.mul(d2, 2)));
  const minimum = b.sub(right.at, b.mul(width, share));
  const hasOne = b.and(b.greaterOrEqual(square, 0), b.equal(minimum, minimum)); // NaN is not equal to itself
  return b.where(hasOne, b.min(b.max(minimum, from), to), b.mul(b.add(from, to), 0.5));
}
