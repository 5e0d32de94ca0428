// Checks of the inputs and sizes of layers, whose messages name the layer, and their common bias.
import { GraphError, OptionError } from '../errors.js';
import { formatType, type Value } from '../graph/graph.js';
import { checkedCount, checkedFlag, checkedNumber, described } from '../options.js';
import { zeros } from './initialization.js';
import type { Network } from './network.js';

/** @throws GraphError unless the value has these axes */
export function checkedRank(what: string, x: Value, axes: readonly string[]): void {
  if (x.rank === axes.length) return;
  throw new GraphError(`${what} takes [${axes.join(', ')}], and its input is ${formatType(x.type)}`);
}

/** @throws GraphError if the size of the axis is only known when the program runs */
export function knownSize(what: string, x: Value, axis: number): number {
  const size = x.shape.at(axis);
  if (typeof size === 'number') return size;
  throw new GraphError(
    `${what} needs a known size on ${axis < 0 ? 'the last axis' : `axis ${axis}`}, and its input is ${formatType(x.type)}`,
  );
}

/** One number for all axes, or one for each. */
export type Sizes = number | readonly number[];

/** @throws OptionError unless there is one size, or one for each axis, and each is a whole number of at least `least` */
export function checkedSizes(what: string, given: Sizes, axes: number, least: 0 | 1 = 1): readonly number[] {
  const list: unknown = typeof given === 'number' ? Array(axes).fill(given) : given;
  if (!Array.isArray(list) || list.length !== axes) {
    throw new OptionError(`${what} is ${described(given)}; give a number${axes > 1 ? `, or ${axes} of them` : ''}`);
  }
  return list.map((size: number) =>
    least === 1 ? checkedCount(what, size) : checkedNumber(what, size, { atLeast: 0, integer: true }),
  );
}

/** @throws OptionError unless the groups divide both numbers of channels */
export function checkedGroups(what: string, groups: number, ...channels: readonly number[]): number {
  checkedCount(`groups of ${what}`, groups);
  for (const count of channels) {
    if (count % groups !== 0) throw new OptionError(`${groups} groups do not divide the ${count} channels of ${what}`);
  }
  return groups;
}

/** @throws GraphError if a window is larger than what it slides over */
export function checkedWindows(
  what: string,
  x: Value,
  kernel: readonly number[],
  padding: readonly number[],
  dilation: readonly number[],
): void {
  for (const [axis, size] of x.shape.slice(2).entries()) {
    const window = (dilation[axis] ?? 1) * ((kernel[axis] ?? 1) - 1) + 1;
    if (typeof size === 'string' || size + 2 * (padding[axis] ?? 0) >= window) continue;
    throw new GraphError(
      `${what} has windows of ${window} on axis ${axis + 2}, and its input is ${formatType(x.type)} with a padding of ${padding[axis] ?? 0}`,
    );
  }
}

/** Return the parameter `<name>.bias`, which begins at 0; undefined for a layer without bias. */
export function biasOf(
  network: Network,
  what: string,
  name: string,
  outputs: number,
  bias: boolean | undefined,
): Value | undefined {
  checkedFlag(`bias of ${what}`, bias);
  return bias === false ? undefined : network.parameter(`${name}.bias`, [outputs], zeros);
}
