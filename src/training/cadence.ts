// How often something is done during a run: every so many steps, seconds or passes over the training set.
import { secondsOf } from '../duration.js';
import { OptionError } from '../errors.js';
import { checkedNumber, described, mostSteps } from '../options.js';

/** A number of steps (`100`), a time (`'30s'`, `'5m'`, `'1h30m'`) or passes over the training set (`'1epoch'`, `'2epochs'`). */
export type Every = number | string;

export interface Cadence {
  /** Return whether it is due before the next step, and count from there if it is. */
  due(at: { readonly step: number; readonly epoch: number }): boolean;
}

/**
 * Return a cadence, which counts from its first call.
 * @param name of the option, for messages
 * @param now milliseconds, monotonic
 * @throws OptionError if it is none
 */
export function cadence(name: string, every: Every, now: () => number = () => performance.now()): Cadence {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?) ?(|steps?|epochs?)$/.exec(String(every)) ?? [];
  const seconds = digits === undefined && typeof every === 'string' ? secondsOf(every) : undefined;
  if (seconds !== undefined && seconds > 0) return timer(1000 * seconds, now);
  const amount = Number(digits);
  if (!(amount > 0)) {
    throw new OptionError(
      `${name} is ${described(every)}; write a number of steps, or such as 30s, 5m, 1h30m or 2epochs`,
    );
  }
  if (unit.startsWith('epoch')) return crossing(({ epoch }) => epoch / amount);
  checkedNumber(name, amount, { atLeast: 1, atMost: mostSteps, integer: true });
  return crossing(({ step }) => step / amount);
}

function timer(milliseconds: number, now: () => number): Cadence {
  let last: number | undefined;
  return {
    due() {
      const isDue = last !== undefined && now() - last >= milliseconds;
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
