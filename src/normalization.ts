// A normalization: the means and deviations by which a model normalizes its input.
import { OptionError } from './errors.js';
import { checkKeys, described, type OptionKeys } from './options.js';

/** One number per channel; values become (value − mean) / deviation. */
export interface Normalization {
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

const keys: OptionKeys<Normalization> = { mean: true, deviation: true };

/**
 * Check a normalization that is given: two lists of numbers.
 * @throws OptionError if they are not, if a mean is not finite, and if a deviation is not above 0
 */
export function checkNormalization(normalization: Normalization): void {
  checkKeys('a normalization', normalization, keys);
  for (const name of ['mean', 'deviation'] as const) {
    const given: unknown = normalization[name];
    if (Array.isArray(given) && given.length > 0 && given.every((number) => typeof number === 'number')) continue;
    throw new OptionError(
      `the ${name} of a normalization is ${described(given)}; give an array of numbers, one for each channel or column`,
    );
  }
  const { mean, deviation } = normalization;
  const broken = [...mean, ...deviation].find((number) => !Number.isFinite(Math.fround(number)));
  const wrong = broken ?? deviation.find((number) => !(Math.fround(number) > 0));
  if (wrong === undefined) return;
  throw new OptionError(
    `a normalization by mean [${mean}] and deviation [${deviation}] cannot be done: ${wrong} is not a ${broken === undefined ? 'deviation above 0' : 'finite number'}`,
  );
}

/** Return `mean 0.1307, deviation 0.3081`, of the first few channels. */
export function describeNormalization({ mean, deviation }: Normalization): string {
  const listed = (numbers: readonly number[]) => {
    const distinct = numbers.every((number) => number === numbers[0]) ? numbers.slice(0, 1) : numbers;
    const shown = distinct.slice(0, 3).map((number) => Number(number.toPrecision(4)));
    return distinct.length > 3 ? `${shown.join(', ')}, … (${distinct.length} of them)` : shown.join(', ');
  };
  return `mean ${listed(mean)}, deviation ${listed(deviation)}`;
}
