// The size of the pictures that a model of the zoo is made for.
import { OptionError } from '../errors.js';
import { checkedCount, described } from '../options.js';

/** Channels, height and width of a model's pictures. @throws OptionError */
export function checkedPicture(
  model: string,
  input: readonly [number, number, number],
): readonly [number, number, number] {
  const given: unknown = input;
  if (!Array.isArray(given) || given.length !== 3) {
    throw new OptionError(
      `input of ${model} is ${described(given)}; it must be channels, height and width, such as [1, 28, 28]`,
    );
  }
  for (const [i, what] of ['channels', 'height', 'width'].entries()) {
    checkedCount(`input of ${model}: its ${what}`, given[i]);
  }
  return input;
}
