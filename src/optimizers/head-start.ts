// What a run that continues a trained model is spared: its schedules and averages do not begin at their beginning.
import type { Setting } from './optimizer.js';

/** The longest head start: steps a tenth as long as at the beginning, which are short enough for the best of models. */
const longest = 100;

/**
 * Return the head start s of a run, from 1 for new weights to 100: chance/loss, the loss of a constant output over that of the model
 * at the start. Rates of c/√(1 + k/n) are c/√(s + k/n) then, and averages that reach back over a share of all steps begin with s
 * times as many. Near a minimum, steps of the length η keep the loss about ½η²·tr(H) above it: the rate c/√s bounds that rise by
 * the same share of the loss as c does at the beginning of a run from new weights.
 */
export const headStart = ({ startLoss = 1 }: Pick<Setting, 'startLoss'>): number =>
  Math.min(Math.max(1 / startLoss, 1), longest);
