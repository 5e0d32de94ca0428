// Whether a step is kept: not if it is not finite, nor if it raises the loss of its own batch beyond what noise explains.
import type { Value } from '../../graph/graph.js';
import { Objective } from '../../losses/objective.js';
import type { Builder } from '../../ops/builder.js';
import type { StepContext } from '../optimizer.js';
import type { Watch } from './rule.js';

/** A rise of the batch's loss by this share of it is no reason to take a step back. */
const allowedShare = 0.1;

export interface Acceptance {
  /** A bool scalar. */
  readonly accept: Value;
  /** The change of the batch's mean loss by the step; NaN at steps that do not measure it. */
  readonly change: Value;
}

/**
 * Return whether a step is kept: measure the loss of its own batch after the step, which is another forward pass, at the
 * steps that the watch asks for.
 * @param next the new parameters
 * @param finite a bool scalar: whether the whole step is finite
 */
export function acceptanceOf(
  context: StepContext,
  watch: Watch,
  next: ReadonlyMap<string, Value>,
  finite: Value,
): Acceptance {
  const { b, objective, forward, parameters } = context;
  const measured = context.scalar('measureChange', (step) => (watch.measures(step) ? 1 : 0));
  const [change] = b.branch(
    b.greater(measured, 0.5),
    (inner) => {
      const after = Objective.within(objective, inner).evaluate(
        new Map([...forward.parameters, ...parameters, ...next]),
      );
      return [inner.sub(after.loss, forward.loss)];
    },
    (inner) => [inner.scalar(Number.NaN, forward.loss.dtype)],
  );
  if (!change) throw new Error('the branch has no result');
  const allowed = b.max(
    context.scalar('allowedRise', () => watch.allowedRise),
    b.mul(forward.loss, allowedShare),
  );
  // Comparisons with NaN are false: a step whose measured change is NaN is not kept.
  const tolerable = b.op('Or', [b.less(measured, 0.5), b.greaterOrEqual(allowed, change)]);
  return { accept: b.and(finite, tolerable), change };
}

/** Return whether a scalar is finite: x − x is 0 if it is, and NaN if not. */
export const isFiniteScalar = (b: Builder, x: Value): Value => b.equal(b.sub(x, x), 0);

/** Number of steps at the start of a run, and after one that was taken back, that are all measured. */
export const measuredRun = 10;

/** Largest weight of the past in the average of squared rises from loss to loss. */
const decay = 0.9;

/** The state of a watch: plain numbers, for checkpoints. */
interface WatchState {
  /** Every step before this one is measured. */
  readonly measureUntil: number;
  /** The last loss; NaN before the first. */
  readonly last: number;
  /** Average square of the rises from loss to loss, a fall counting as 0; and the number of differences. */
  readonly squares: number;
  readonly count: number;
}

/** Decides from the losses so far which steps to measure and how much their loss may rise. */
export class StepWatch implements Watch {
  readonly #interval: number;
  #state: WatchState = { measureUntil: measuredRun, last: Number.NaN, squares: 0, count: 0 };

  /** @param interval steps between measurements while no step is taken back */
  constructor(interval: number) {
    this.#interval = interval;
  }

  measures(step: number): boolean {
    return step < this.#state.measureUntil || (step + 1) % this.#interval === 0;
  }

  /**
   * The largest allowed rise of the loss in a step. If the losses of batches have the deviation σ, the mean square of the
   * rises over all differences is σ²: a rise of 2σ is allowed.
   */
  get allowedRise(): number {
    return 2 * Math.sqrt(this.#state.squares);
  }

  /** @param accepted whether the step was kept */
  observe(step: number, loss: number, accepted: boolean): void {
    const { last, squares, count } = this.#state;
    const measureUntil = accepted ? this.#state.measureUntil : step + 1 + measuredRun;
    if (!Number.isFinite(loss)) this.#state = { ...this.#state, measureUntil };
    else if (Number.isNaN(last)) this.#state = { ...this.#state, measureUntil, last: loss };
    else {
      const keep = Math.min(1 - 1 / (count + 1), decay);
      this.#state = {
        measureUntil,
        last: loss,
        squares: keep * squares + (1 - keep) * Math.max(0, loss - last) ** 2,
        count: count + 1,
      };
    }
  }

  snapshot(): Record<string, number> {
    const { last, ...rest } = this.#state;
    return Number.isNaN(last) ? rest : { ...rest, last };
  }

  restore(snapshot: Readonly<Record<string, number>>): void {
    this.#state = { ...this.#state, ...snapshot };
  }
}
