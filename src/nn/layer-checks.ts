// Checks of the inputs and sizes of layers, whose messages name the layer, and their common bias.
import { GraphError, OptionError } from '../errors.js';
import { formatType, Value } from '../graph/graph.js';
import { isFloatingPoint, isInteger } from '../graph/tensor.js';
import { checkedCount, checkedFlag, checkedNumber, described } from '../options.js';
import type { Random } from '../random.js';
import { type Initialization, normal, uniform, type WeightInitialization, zeros } from './initialization.js';
import type { Network } from './network.js';

/** A name of a layer, a parameter or an input. @throws OptionError */
export function checkedName(what: string, name: string): string {
  const given: unknown = name;
  if (typeof given === 'string' && given !== '') return name;
  throw new OptionError(`the name of ${what} is ${described(given)}; give a text such as 'hidden'`);
}

/**
 * What layers say that they are in messages, once their input is one.
 * @throws OptionError for a name that is none, GraphError for an input that is no value or of other elements
 */
export function layerOf(kind: string, name: string, x: Value, elements: 'numbers' | 'integers' = 'numbers'): string {
  const what = `the layer '${checkedName(`a layer (${kind})`, name)}'`;
  checkedInput(what, x, elements);
  return what;
}

/** @throws GraphError unless it is a value of real numbers, or of integers */
export function checkedInput(what: string, x: Value, elements: 'numbers' | 'integers' = 'numbers'): void {
  const given: unknown = x;
  if (!(given instanceof Value)) {
    throw new GraphError(
      `the input of ${what} is ${described(given)}; give a value: an input of the network, or what a layer returned`,
    );
  }
  const fits = elements === 'numbers' ? isFloatingPoint(x.dtype) : isInteger(x.dtype);
  if (fits) return;
  const advice = elements === 'numbers' ? 'real numbers: cast it (b.cast), or look it up (embedding)' : 'integers';
  throw new GraphError(`${what} takes ${advice}, and its input is ${formatType(x.type)}`);
}

/**
 * How a layer's weight is drawn.
 * @throws OptionError if that is no function of the numbers of inputs and outputs
 */
export function weightDraw(what: string, given: WeightInitialization, inputs: number, outputs: number): Initialization {
  const makers = new Map<unknown, string>([
    [normal, 'normal(0.02)'],
    [uniform, 'uniform(0.1)'],
  ]);
  const maker = makers.get(given);
  if (maker) throw new OptionError(`the initialization of ${what} is not called; give () => initializations.${maker}`);
  const draw: unknown = typeof given === 'function' ? given(inputs, outputs) : undefined;
  if (typeof draw === 'function') return draw as Initialization;
  const found =
    typeof given === 'function' ? `${described(given)}, which returns ${described(draw)}` : described(given);
  throw new OptionError(
    `the initialization of ${what} is ${found}; give initializations.he or glorot, or a function such as () => initializations.normal(0.02)`,
  );
}

/** Draw the elements of a parameter. @throws OptionError if the initialization does not do that */
export function drawInto(what: string, given: Initialization, source: Random, elements: Float32Array): void {
  const result: unknown = typeof given === 'function' ? given(source, elements) : 0;
  if (typeof result !== 'function' && typeof result !== 'number') return;
  const found =
    typeof given === 'function' ? `${described(given)}, which returns ${described(result)}` : described(given);
  throw new OptionError(
    `the initialization of ${what} is ${found}; give a function that fills the elements, such as initializations.ones or initializations.normal(0.02)`,
  );
}

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
