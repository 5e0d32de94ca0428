// The reader of lengths of time in flags.
import { secondsOf } from '../duration.js';
import { OptionError } from '../errors.js';

/** Return a reader of a flag's length of time. @throws OptionError if it is none, or 0 */
export const duration =
  (flag: string): ((text: string) => number) =>
  (text) => {
    const seconds = secondsOf(text.trim());
    if (seconds !== undefined && seconds > 0) return seconds;
    throw new OptionError(`${flag} is '${text}'; write a length of time, such as 90s, 30m, 2h or 1h30m`);
  };
