// The reader of numbers in flags.
import { OptionError } from '../errors.js';
import { checkedNumber, type Range } from '../options.js';

export const count: Range = { atLeast: 1, integer: true };

/** Return a reader of a flag's number. */
export function number(flag: string, range: Range): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (Number.isNaN(value) && text.toLowerCase() !== 'nan') {
      throw new OptionError(`${flag} is '${text}', which is not a number`);
    }
    return checkedNumber(flag, value, range);
  };
}
