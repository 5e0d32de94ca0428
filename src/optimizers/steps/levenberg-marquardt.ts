// Levenberg–Marquardt damping: λ falls while the quadratic model predicts the loss well, and grows if it does not.
import { OptionError } from '../../errors.js';
import { checkedCount, checkedNumber } from '../../options.js';
import type { Setting, Steering } from '../optimizer.js';
import { measuredRun, StepWatch } from './acceptance.js';

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
  /**
   * Steps at the start of a run, at most 10, in which λ is searched by factors of 4: it falls after good predictions and grows
   * after bad ones, until it has to turn. 0 by default: λ begins as given.
   */
  readonly calibrationSteps?: number;
}

/** λ at first, unless the lower bound is larger. */
const usualDamping = 0.03;

/** Batch size from which noise does not raise the lower bound on λ. */
const quietBatch = 700;

/** Factor on λ after a step that was taken back. */
const rejected = 4;

/** Factor on λ in a step of the search for the first λ. */
const searched = 4;

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
  const { calibrationSteps = 0 } = options;
  let damping = initial;
  /** Whether λ is still searched, and in which direction: −1 down, 1 up, 0 at first. */
  let [searching, direction] = [calibrationSteps > 0, 0];
  const search = (ratio: number): void => {
    // Not "ratio < 0.25": a ratio that is not a number is a bad prediction, too.
    const wanted = ratio > 0.75 ? -1 : ratio >= 0.25 ? 0 : 1;
    searching = wanted !== 0 && wanted !== -direction;
    direction = wanted;
    // A bad prediction that ends the search takes its last step back.
    if (searching || wanted > 0) damping = Math.max(damping * searched ** wanted, minimum);
  };
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
        direction = 1;
        return;
      }
      if (searching && step < calibrationSteps) {
        if (predictedChange !== undefined && actualChange !== undefined) search(actualChange / predictedChange);
        return;
      }
      if ((step + 1) % interval !== 0 || predictedChange === undefined || actualChange === undefined) return;
      const ratio = actualChange / predictedChange;
      if (ratio > 0.75) damping = Math.max(damping * decay ** interval, minimum);
      // Not "ratio < 0.25": a ratio that is not a number is a bad prediction, too.
      else if (!(ratio >= 0.25)) damping = Math.min(damping / decay ** interval, largestDamping);
    },
    snapshot: () => ({
      ...{ ...watch.snapshot(), damping },
      ...(calibrationSteps > 0 && { searching: Number(searching), direction }),
    }),
    restore: ({ damping: kept = initial, searching: open = 0, direction: last = 0, ...rest }) => {
      watch.restore(rest);
      damping = kept;
      [searching, direction] = [open === 1, last];
    },
  };
}

/** @throws OptionError for numbers out of range, and for schedules */
export function checkDamping(options: DampingOptions): void {
  const { damping, dampingInterval, dampingDecay, minimumDamping, calibrationSteps } = options;
  if (typeof damping === 'function') {
    throw new OptionError('self-tuning steps adapt their damping: give a number, not a schedule');
  }
  if (damping !== undefined) checkedNumber('damping', damping, { above: 0 });
  if (dampingInterval !== undefined) checkedCount('dampingInterval', dampingInterval);
  if (dampingDecay !== undefined) checkedNumber('dampingDecay', dampingDecay, { above: 0, below: 1 });
  if (minimumDamping !== undefined) checkedNumber('minimumDamping', minimumDamping, { above: 0 });
  if (calibrationSteps !== undefined) {
    checkedNumber('calibrationSteps', calibrationSteps, { integer: true, atLeast: 0, atMost: measuredRun });
  }
}
