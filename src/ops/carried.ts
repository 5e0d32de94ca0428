// What a loop carries from round to round: named values and lists of values, and the flat list that a Loop node has of them.
import { GraphError } from '../errors.js';
import { Value } from '../graph/graph.js';

/** What a loop carries from round to round, by name. */
export type Carried = Readonly<Record<string, Value | readonly Value[]>>;

/** Other values in place of those that a loop begins with. */
export type CarriedLike<Initial extends Carried> = {
  readonly [Name in keyof Initial]: Initial[Name] extends Value ? Value : readonly Value[];
};

/**
 * Return the values with names of their own, in the order of what the loop begins with.
 * @throws GraphError if they are not those that it begins with
 */
export function flatten(
  carried: Carried,
  initial: Carried,
): readonly { readonly name: string; readonly value: Value }[] {
  return Object.entries(initial).flatMap(([name, first]) => {
    const given = carried[name];
    if (first instanceof Value) {
      if (given instanceof Value) return [{ name, value: given }];
    } else if (Array.isArray(given) && given.length === first.length) {
      return given.map((value: Value, i) => ({ name: `${name}${i}`, value }));
    }
    throw new GraphError(`a round of a loop has to return '${name}' as it was given`);
  });
}

/** Return values in the names and lists of what the loop begins with. */
export function likewise<Initial extends Carried>(initial: Initial, values: readonly Value[]): CarriedLike<Initial> {
  let at = 0;
  const entries = Object.entries(initial).map(([name, first]) => {
    const count = first instanceof Value ? 1 : first.length;
    const part = values.slice(at, at + count);
    at += count;
    return [name, first instanceof Value ? part[0] : part] as const;
  });
  return Object.fromEntries(entries) as CarriedLike<Initial>; // one entry for each of its names
}
