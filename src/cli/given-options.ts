// The options of a command as they were typed: they can be written down, compared, and given again.
import type { Command } from 'commander';
import { isRecord } from '../options.js';

/** Words by the names of options without dashes; true for an option without a word, a list for one that was given several times. */
export type GivenOptions = Readonly<Record<string, string | true | readonly string[]>>;

/** Return a function that tells which options a command was given, once it has been parsed. */
export function recordGiven(command: Command): () => GivenOptions {
  const given: Record<string, string | true | readonly string[]> = {};
  for (const option of command.options) {
    const name = option.name();
    command.on(`option:${name}`, (word: string | null | undefined) => {
      const before = given[name];
      if (typeof word !== 'string') given[name] = true;
      // Given again in the same order, they mean the same, whether the last one counts or all.
      else if (typeof before === 'string' || Array.isArray(before)) given[name] = [before, word].flat();
      else given[name] = word;
    });
  }
  return () => given;
}

/** Return whether a value of JSON is options as they were given. */
export const areGivenOptions = (value: unknown): value is GivenOptions =>
  isRecord(value) &&
  Object.values(value).every(
    (word) =>
      word === true ||
      typeof word === 'string' ||
      (Array.isArray(word) && word.every((each) => typeof each === 'string')),
  );
