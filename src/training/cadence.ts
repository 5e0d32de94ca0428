// How often something is done during a run: every so many steps, seconds or passes over the training set.
import { OptionError } from '../errors.js';
import { checkedNumber, described, mostSteps } from '../options.js';

/** A number of steps (`100`), seconds (`'30s'`, `'5min'`, `'2h'`) or passes over the training set (`'1epoch'`, `'2epochs'`). */
export type Every = number | string;

export interface Cadence {
  /** Return whether it is due before the next step, and count from there if it is. */
  due(at: { readonly step: number; readonly epoch: number }): boolean;
}

const unitSeconds: Readonly<Record<string, number>> = { s: 1, sec: 1, min: 60, m: 60, h: 3600 };
const units = '100 (steps), 30s, 5min, 2h, 1epoch or 2epochs';

/**
 * Return a cadence, which counts from its first call.
 * @param name of the option, for messages
 * @param now milliseconds, monotonic
 * @throws OptionError if it is none
 */
export function cadence(name: string, every: Every, now: () => number = () => performance.now()): Cadence {
  const [, digits, unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/.exec(String(every)) ?? [];
  const amount = Number(digits);
  const wrong = new OptionError(`${name} is ${described(every)}; it must be a number of ${units}`);
  if ((typeof every !== 'number' && typeof every !== 'string') || !(amount > 0)) throw wrong;
  if (unit === '' || unit === 'step' || unit === 'steps') {
    checkedNumber(name, amount, { atLeast: 1, atMost: mostSteps, integer: true });
    return crossing(({ step }) => step / amount);
  }
  if (unit === 'epoch' || unit === 'epochs') return crossing(({ epoch }) => epoch / amount);
  const seconds = Object.hasOwn(unitSeconds, unit) ? unitSeconds[unit] : undefined;
  if (seconds === undefined) throw wrong;
  let last: number | undefined;
  return {
    due() {
      const isDue = last !== undefined && now() - last >= 1000 * amount * seconds;
      if (last === undefined || isDue) last = now();
      return isDue;
    },
  };
}

/** Due whenever a number reaches another whole one: late if it was not asked in time, as while something else is written. */
function crossing(numberAt: (at: { readonly step: number; readonly epoch: number }) => number): Cadence {
  let last: number | undefined;
  return {
    due(at) {
      const reached = Math.floor(numberAt(at));
      // The first call may be at the end of the first round.
      const isDue = last === undefined ? at.step === 1 && reached === 1 : reached > last;
      last = reached;
      return isDue;
    },
  };
}
