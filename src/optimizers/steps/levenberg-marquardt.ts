// Levenberg–Marquardt damping: λ falls while the quadratic model predicts the loss well, and grows if it does not.
import { OptionError } from '../../errors.js';
import { checkedCount, checkedNumber } from '../../options.js';
import type { Setting, Steering } from '../optimizer.js';
import { StepWatch } from './acceptance.js';

export interface DampingOptions {
  /** λ at first; by default 0.03, or `minimumDamping` if that is larger. */
  readonly damping?: number;
  /** Steps between adaptations; 5 by default. */
  readonly dampingInterval?: number;
  /** Factor on λ for one step of good predictions; 0.95 by default (Martens & Grosse 2015: 19/20). */
  readonly dampingDecay?: number;
  /**
   * Lower bound on λ: below it, steps fit their batch's noise. By default 0.01 · max(1, 700/batch size), but not above a
   * given initial damping.
   */
  readonly minimumDamping?: number;
}

/** λ at first, unless the lower bound is larger. */
const usualDamping = 0.03;

/** Batch size from which noise does not raise the lower bound on λ. */
const quietBatch = 700;

/** Factor on λ after a step that was taken back. */
const rejected = 4;

/** Upper bound on λ, above any curvature in float32. */
const largestDamping = 1e30;

export interface LevenbergMarquardt extends Steering {
  /** λ of the next step. */
  readonly damping: number;
  readonly watch: StepWatch;
}

/**
 * Every T steps the reduction ratio ρ = actual/predicted change decides: ρ > ¾ multiplies λ by ωᵀ, ρ < ¼ divides it
 * (Martens & Grosse 2015, section 6.5).
 */
export function levenbergMarquardt(
  options: DampingOptions,
  { batchSize }: Pick<Setting, 'batchSize'>,
): LevenbergMarquardt {
  checkDamping(options);
  const noise = 0.01 * Math.max(1, quietBatch / batchSize);
  const { damping: given, dampingInterval: interval = 5, dampingDecay: decay = 0.95 } = options;
  const minimum = options.minimumDamping ?? Math.min(noise, given ?? noise);
  const initial = given ?? Math.max(usualDamping, minimum);
  const watch = new StepWatch(interval);
  let damping = initial;
  return {
    recovers: true,
    watch,
    get damping() {
      return damping;
    },
    observe(step, { predictedChange, actualChange, loss = Number.NaN, accepted }) {
      watch.observe(step, loss, accepted !== 0);
      if (accepted === 0) {
        damping = Math.min(damping * rejected, largestDamping);
        return;
      }
      if ((step + 1) % interval !== 0 || predictedChange === undefined || actualChange === undefined) return;
      const ratio = actualChange / predictedChange;
      if (ratio > 0.75) damping = Math.max(damping * decay ** interval, minimum);
      // Not "ratio < 0.25": a ratio that is not a number is a bad prediction, too.
      else if (!(ratio >= 0.25)) damping /= decay ** interval;
    },
    snapshot: () => ({ ...watch.snapshot(), damping }),
    restore: ({ damping: kept = initial, ...rest }) => {
      watch.restore(rest);
      damping = kept;
    },
  };
}

/** @throws OptionError for numbers out of range, and for schedules */
export function checkDamping(options: DampingOptions): void {
  const { damping, dampingInterval, dampingDecay, minimumDamping } = options;
  if (typeof damping === 'function') {
    throw new OptionError('self-tuning steps adapt their damping: give a number, not a schedule');
  }
  if (damping !== undefined) checkedNumber('damping', damping, { above: 0 });
  if (dampingInterval !== undefined) checkedCount('dampingInterval', dampingInterval);
  if (dampingDecay !== undefined) checkedNumber('dampingDecay', dampingDecay, { above: 0, below: 1 });
  if (minimumDamping !== undefined) checkedNumber('minimumDamping', minimumDamping, { above: 0 });
}
