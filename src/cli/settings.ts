// Options given as JSON, as the words that a command line would have.
import { OptionError } from '../errors.js';
import { described } from '../options.js';

/**
 * Return the words of options by the names of their flags: true is the flag alone, false `--no-…`, a list the flag several times.
 * @param where the object, for messages
 * @throws OptionError for a value that no flag can have
 */
export function wordsOf(where: string, settings: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => {
    if (value === true) return [`--${name}`];
    if (value === false) return [`--no-${name}`];
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    return list.flatMap((each) => {
      if (typeof each === 'string' || typeof each === 'number') return [`--${name}=${each}`];
      throw new OptionError(
        `${where}.${name} holds ${described(each)}; give a text, a number, true, false, or a list of these`,
      );
    });
  });
}
