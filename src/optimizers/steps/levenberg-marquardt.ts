// Levenberg–Marquardt damping: λ falls while the quadratic model predicts the loss well, and grows where it does not.
import type { Controller, Setting } from '../optimizer.js';
import { checked } from '../options.js';
import { StepWatch } from './judge.js';

export interface DampingOptions {
  /** Steps between adaptations; 5 by default. */
  readonly dampingInterval?: number;
  /** Factor on λ for one step of good predictions; 0.95 by default (Martens & Grosse 2015: 19/20). */
  readonly dampingDecay?: number;
  /**
   * λ stays above: below it, steps fit their batch's noise. By default 0.01 for batches of 700 examples or more, and as
   * many times that as a batch is smaller, but not above an initial damping that is given.
   */
  readonly minimumDamping?: number;
}

/** λ at first, where a batch's noise does not ask for more. */
const usualDamping = 0.03;

/** Examples of a batch whose noise asks for no more damping. */
const quietBatch = 700;

/** Factor on λ after a step that was taken back. */
const rejected = 4;

/**
 * Every T steps the reduction ratio ρ = actual/predicted change decides: ρ > ¾ multiplies λ by ωᵀ, ρ < ¼ divides it
 * (Martens & Grosse 2015, section 6.5).
 */
export function levenbergMarquardt(
  options: DampingOptions & { readonly damping?: number },
  { batchSize }: Pick<Setting, 'batchSize'>,
): Controller {
  const noise = 0.01 * Math.max(1, quietBatch / batchSize);
  const interval = checked('dampingInterval', options.dampingInterval ?? 5, { atLeast: 1, integer: true });
  const decay = checked('dampingDecay', options.dampingDecay ?? 0.95, { above: 0, below: 1 });
  const given = options.damping === undefined ? undefined : checked('damping', options.damping, { above: 0 });
  const minimum = checked('minimumDamping', options.minimumDamping ?? Math.min(noise, given ?? noise), { above: 0 });
  const initial = given ?? Math.max(usualDamping, minimum);
  const watch = new StepWatch(interval);
  let damping = initial;
  return {
    recovers: true,
    scalars: (step) => ({ ...watch.scalars(step), damping }),
    observe(step, { predictedChange, actualChange, loss = Number.NaN, accepted }) {
      watch.observe(step, loss, accepted !== 0);
      if (accepted === 0) {
        damping *= rejected;
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
