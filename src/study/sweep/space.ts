// What a sweep varies: for each option its choices, or a range of numbers; all their combinations, or random draws.
import { OptionError } from '../../errors.js';
import { formatNumber } from '../../format.js';
import { checkedCount, checkedNumber, checkKeys, described, isRecord } from '../../options.js';
import { random } from '../../random.js';

export type Choice = string | number | boolean;

/** Numbers from one to another, both included. */
export interface NumberRange {
  readonly from: number;
  readonly to: number;
  /** `log`: equal ratios are equally likely. `linear` by default. */
  readonly scale: 'log' | 'linear';
  readonly integer: boolean;
  /** Values of a grid; undefined if the range is for draws alone. */
  readonly count: number | undefined;
}

/** One option, by the name of its flag without the hyphens in front. */
export interface Dimension {
  readonly name: string;
  readonly values: readonly Choice[] | NumberRange;
}

export type Settings = Readonly<Record<string, Choice>>;

export const isRange = (values: Dimension['values']): values is NumberRange => !Array.isArray(values);

/** Return a value as people read it. */
export const choiceText = (value: Choice | undefined): string =>
  typeof value === 'number' ? formatNumber(value) : String(value ?? '–');

/** Return the dimensions of JSON. @throws OptionError that names what cannot be read */
export function dimensionsOf(given: unknown): Dimension[] {
  if (!isRecord(given) || Object.keys(given).length === 0) {
    throw new OptionError(
      `vary is ${described(given)}; give an object such as { "optimizer": ["cgfac", "adam"], "learning-rate": { "from": 1e-4, "to": 0.1, "scale": "log" } }`,
    );
  }
  return Object.entries(given).map(([name, values]) => ({ name, values: valuesOf(name, values) }));
}

function valuesOf(name: string, given: unknown): Dimension['values'] {
  if (Array.isArray(given)) {
    const wrong = given.find((value) => !['string', 'number', 'boolean'].includes(typeof value));
    if (given.length === 0 || wrong !== undefined) {
      throw new OptionError(
        `vary.${name} ${given.length === 0 ? 'is empty' : `holds ${described(wrong)}`}; list texts, numbers, true or false`,
      );
    }
    if (new Set(given).size < given.length) throw new OptionError(`vary.${name} holds a value twice; list each once`);
    return given as Choice[];
  }
  if (!isRecord(given)) {
    throw new OptionError(
      `vary.${name} is ${described(given)}; give a list, or a range such as { "from": 1e-4, "to": 0.1, "scale": "log" }`,
    );
  }
  const keys = { from: true, to: true, scale: true, integer: true, count: true } as const;
  checkKeys(`vary.${name}`, given, keys);
  const from = checkedNumber(`vary.${name}.from`, given.from as number, {});
  const to = checkedNumber(`vary.${name}.to`, given.to as number, { above: from });
  const { scale = 'linear', integer = false, count } = given;
  if (scale !== 'log' && scale !== 'linear') {
    throw new OptionError(`vary.${name}.scale is ${described(scale)}; it must be 'log' or 'linear'`);
  }
  if (scale === 'log') checkedNumber(`vary.${name}.from`, from, { above: 0 });
  if (typeof integer !== 'boolean') {
    throw new OptionError(`vary.${name}.integer is ${described(integer)}; it must be true or false`);
  }
  if (integer) {
    for (const end of ['from', 'to'] as const) checkedNumber(`vary.${name}.${end}`, given[end] as number, { integer });
  }
  if (count !== undefined) checkedCount(`vary.${name}.count`, count as number);
  return { from, to, scale, integer, count: count as number | undefined };
}

/** The number at a share of a range, 0 at its start and 1 at its end. */
function numberAt({ from, to, scale, integer }: NumberRange, share: number): number {
  const exact = scale === 'log' ? from * (to / from) ** share : from + (to - from) * share;
  if (integer) return Math.min(to, Math.max(from, Math.round(exact)));
  // Three digits say enough of a number that is tried; the ends stay as they are.
  return share === 0 ? from : share === 1 ? to : Number(exact.toPrecision(3));
}

/** Return all combinations, the last dimension fastest. @throws OptionError for a range without a count */
export function gridOf(dimensions: readonly Dimension[]): Settings[] {
  let found: Settings[] = [{}];
  for (const { name, values } of dimensions) {
    const choices = isRange(values) ? spaced(name, values) : values;
    found = found.flatMap((settings) => choices.map((choice) => ({ ...settings, [name]: choice })));
  }
  return found;
}

function spaced(name: string, range: NumberRange): number[] {
  const { count } = range;
  if (count === undefined) {
    throw new OptionError(
      `vary.${name} is a range, and a grid needs the number of its values: give its count, a list, or the search 'random'`,
    );
  }
  const values = Array.from({ length: count }, (_, i) => numberAt(range, count === 1 ? 0.5 : i / (count - 1)));
  return [...new Set(values)];
}

/**
 * Draw combinations so that each dimension is covered evenly: one value from each of as many equal parts of it as there are trials,
 * in random order (Latin hypercube sampling; McKay, Beckman & Conover 1979). Of a list each value is drawn equally often, but for one.
 * @param round further rounds are other draws
 */
export function drawn(dimensions: readonly Dimension[], trials: number, seed: number, round = 0): Settings[] {
  const columns = dimensions.map(({ name, values }) => {
    const source = random(seed, 'sweep', name, round);
    const parts = Array.from({ length: trials }, (_, part) => part);
    for (let last = trials - 1; last > 0; last--) {
      const other = source.integer(last + 1);
      [parts[last], parts[other]] = [parts[other] ?? 0, parts[last] ?? 0];
    }
    const shares = parts.map((part) => (part + source.uniform()) / trials);
    const choice = (share: number): Choice =>
      isRange(values) ? numberAt(values, share) : (values[Math.floor(share * values.length)] as Choice); // a share is below 1
    return { name, choices: shares.map(choice) };
  });
  return Array.from({ length: trials }, (_, trial) =>
    Object.fromEntries(columns.map(({ name, choices }) => [name, choices[trial] as Choice])),
  );
}

/** Return whether a value is at an end of its range. */
export function isAtEdge({ values }: Dimension, value: Choice | undefined): boolean {
  if (typeof value !== 'number') return false;
  if (isRange(values)) {
    const { from, to, scale } = values;
    const share = scale === 'log' ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from);
    return share < 0.02 || share > 0.98;
  }
  const numbers = values.filter((each) => typeof each === 'number');
  return numbers.length > 2 && (value === Math.min(...numbers) || value === Math.max(...numbers));
}
