// Lengths of time as one types them: 90s, 30m, 2h, 1h30m.
import { OptionError } from '../errors.js';

const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };

/**
 * Return the seconds of a length of time; undefined if the text has not that form.
 * @example secondsOf('1h30m') // 5400
 */
export function secondsOf(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s)?$/.test(text) || text === '') return undefined;
  const parts = [...text.matchAll(/([\d.]+)([hms])/g)];
  return parts.reduce((sum, [, count, unit = 's']) => sum + Number(count) * (units[unit] ?? 1), 0);
}

/** Return a reader of a flag's length of time. @throws OptionError if it is none, or 0 */
export const duration =
  (flag: string): ((text: string) => number) =>
  (text) => {
    const seconds = secondsOf(text.trim());
    if (seconds !== undefined && seconds > 0) return seconds;
    throw new OptionError(`${flag} is '${text}'; write a length of time, such as 90s, 30m, 2h or 1h30m`);
  };
