// Layers of windows: convolutions, transposed convolutions and pooling.
import { GraphError } from '../errors.js';
import { type Attribute, formatType, int, ints, type Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import { checkedCount, checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { he, type WeightInitialization } from './initialization.js';
import {
  biasOf,
  checkedGroups,
  checkedInput,
  checkedRank,
  checkedSizes,
  checkedWindows,
  knownSize,
  layerOf,
  type Sizes,
  weightDraw,
} from './layer-checks.js';
import type { Network } from './network.js';

/** Sizes in elements: a number for all axes, or one for each. */
export interface ConvolutionOptions {
  readonly kernel: Sizes;
  /** 1 by default. */
  readonly stride?: Sizes;
  /** Number of zeros on each side; 0 by default. */
  readonly padding?: Sizes;
  /** Distance between the elements of a window; 1 by default. */
  readonly dilation?: Sizes;
  /** Number of separate groups of channels; 1 by default. With as many as channels it is a depthwise convolution. */
  readonly groups?: number;
  /** Whether the layer has a bias; true by default. */
  readonly bias?: boolean;
  /** Initialization of the weight; He's normal by default. */
  readonly initialization?: WeightInitialization;
}

export interface TransposedConvolutionOptions extends Omit<ConvolutionOptions, 'dilation'> {
  /** Rows and columns added at the end; 0 by default. */
  readonly outputPadding?: Sizes;
}

export interface PoolingOptions {
  /** 2 by default. */
  readonly kernel?: Sizes;
  /** As the kernel by default: windows do not overlap. */
  readonly stride?: Sizes;
  /** 0 by default. */
  readonly padding?: Sizes;
}

const convolutionKeys: OptionKeys<ConvolutionOptions> = {
  kernel: true,
  stride: true,
  padding: true,
  dilation: true,
  groups: true,
  bias: true,
  initialization: true,
};
const transposedKeys: OptionKeys<TransposedConvolutionOptions> = {
  kernel: true,
  stride: true,
  padding: true,
  groups: true,
  bias: true,
  initialization: true,
  outputPadding: true,
};
const poolingKeys: OptionKeys<PoolingOptions> = { kernel: true, stride: true, padding: true };

/** A convolution over the given axes: see `Network.conv2d`. */
export function convolution(
  network: Network,
  x: Value,
  name: string,
  outputs: number,
  options: ConvolutionOptions,
  axes: readonly string[],
): Value {
  const what = layerOf('convolution', name, x);
  checkKeys(what, options, convolutionKeys);
  checkedRank(what, x, ['batch', 'channels', ...axes]);
  checkedCount(`outputs of ${what}`, outputs);
  const count = axes.length;
  const kernel = checkedSizes(`kernel of ${what}`, options.kernel, count);
  const stride = checkedSizes(`stride of ${what}`, options.stride ?? 1, count);
  const padding = checkedSizes(`padding of ${what}`, options.padding ?? 0, count, 0);
  const dilation = checkedSizes(`dilation of ${what}`, options.dilation ?? 1, count);
  checkedWindows(what, x, kernel, padding, dilation);
  const channels = knownSize(what, x, 1);
  const groups = checkedGroups(what, options.groups ?? 1, channels, outputs);
  const [inputs, window] = [channels / groups, elementCount(kernel)];
  const draw = weightDraw(what, options.initialization ?? he, inputs * window, (outputs / groups) * window);
  const weight = network.parameter(`${name}.weight`, [outputs, inputs, ...kernel], draw);
  const attributes: Record<string, Attribute> = { strides: ints(stride), pads: ints([...padding, ...padding]) };
  if (groups > 1) attributes.group = int(groups);
  if (dilation.some((distance) => distance > 1)) attributes.dilations = ints(dilation);
  const shift = biasOf(network, what, name, outputs, options.bias);
  return network.b.op('Conv', [x, weight, ...(shift ? [shift] : [])], attributes, { name });
}

/** A transposed convolution: see `Network.convTranspose2d`. */
export function transposedConvolution(
  network: Network,
  x: Value,
  name: string,
  outputs: number,
  options: TransposedConvolutionOptions,
): Value {
  const what = layerOf('convTranspose2d', name, x);
  checkKeys(what, options, transposedKeys);
  checkedRank(what, x, ['batch', 'channels', 'height', 'width']);
  checkedCount(`outputs of ${what}`, outputs);
  const kernel = checkedSizes(`kernel of ${what}`, options.kernel, 2);
  const stride = checkedSizes(`stride of ${what}`, options.stride ?? 1, 2);
  const padding = checkedSizes(`padding of ${what}`, options.padding ?? 0, 2, 0);
  const added = checkedSizes(`outputPadding of ${what}`, options.outputPadding ?? 0, 2, 0);
  for (const [axis, size] of added.entries()) {
    checkedNumber(`outputPadding of ${what}`, size, { atLeast: 0, below: stride[axis] ?? 1 });
  }
  for (const [axis, size] of x.shape.slice(2).entries()) {
    const [window = 1, distance = 1, cut = 0, more = 0] = [kernel[axis], stride[axis], padding[axis], added[axis]];
    if (typeof size === 'string' || (size - 1) * distance + window + more > 2 * cut) continue;
    throw new GraphError(
      `${what} cuts all of axis ${axis + 2} off by a padding of ${cut}: its input is ${formatType(x.type)}`,
    );
  }
  const channels = knownSize(what, x, 1);
  const groups = checkedGroups(what, options.groups ?? 1, channels, outputs);
  // An element of the output is computed from as many inputs as windows that cover it.
  const covering = Math.max(1, Math.round(elementCount(kernel) / elementCount(stride)));
  const draw = weightDraw(
    what,
    options.initialization ?? he,
    (channels / groups) * covering,
    (outputs / groups) * elementCount(kernel),
  );
  const weight = network.parameter(`${name}.weight`, [channels, outputs / groups, ...kernel], draw);
  const attributes: Record<string, Attribute> = { strides: ints(stride), pads: ints([...padding, ...padding]) };
  if (groups > 1) attributes.group = int(groups);
  if (added.some((size) => size > 0)) attributes.output_padding = ints(added);
  const shift = biasOf(network, what, name, outputs, options.bias);
  return network.b.op('ConvTranspose', [x, weight, ...(shift ? [shift] : [])], attributes, { name });
}

/** The largest element or the mean of each window: see `Network.maxPool2d`. */
export function pooling(
  network: Network,
  op: 'AveragePool' | 'MaxPool',
  what: string,
  x: Value,
  options: PoolingOptions,
): Value {
  checkedInput(what, x);
  checkKeys(what, options, poolingKeys);
  checkedRank(what, x, ['batch', 'channels', 'height', 'width']);
  const kernel = checkedSizes(`kernel of ${what}`, options.kernel ?? 2, 2);
  const stride = checkedSizes(`stride of ${what}`, options.stride ?? kernel, 2);
  const padding = checkedSizes(`padding of ${what}`, options.padding ?? 0, 2, 0);
  for (const [axis, size] of padding.entries()) {
    checkedNumber(`padding of ${what}`, size, { atLeast: 0, below: kernel[axis] ?? 1 });
  }
  checkedWindows(what, x, kernel, padding, [1, 1]);
  const pads = padding.some((size) => size > 0) ? { pads: ints([...padding, ...padding]) } : {};
  return network.b.op(op, [x], { kernel_shape: ints(kernel), strides: ints(stride), ...pads });
}
