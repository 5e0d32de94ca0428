// LeNet-5 for pictures of digits, with ReLU and maximum pooling.
import { OptionError } from '../errors.js';
import type { Model } from '../model/model.js';
import { checkedCount, checkKeys, type OptionKeys } from '../options.js';
import { he } from './initialization.js';
import { Network, type NetworkOptions } from './network.js';
import { checkedPicture } from './picture.js';

export interface LenetOptions extends NetworkOptions {
  /** Channels, height and width of a picture; [1, 28, 28] by default. Height and width are multiples of 4, at least 12. */
  readonly input?: readonly [number, number, number];
  /** 10 by default. */
  readonly classes?: number;
}

const keys: OptionKeys<LenetOptions> = { seed: true, input: true, classes: true };

/**
 * Return LeNet-5 (LeCun et al. 1998) with ReLU and maximum pooling: 5×5 convolution to 6 channels (padded by 2), pool, 5×5 convolution to
 * 16 channels, pool, dense 120, 84, classes; its output is the logits. 61,706 parameters for 28×28 digits. He's normal
 * initialization, zero biases. Parameters: `conv1`, `conv2`, `fc1`, `fc2`, `fc3`, each `.weight` and `.bias`.
 * @throws OptionError for unknown options, sizes below 1, and pictures that do not halve twice
 * @example
 * const model = lenet({ input: [3, 32, 32], classes: 5, seed: 1 });
 */
export function lenet(options: LenetOptions): Model {
  checkKeys('lenet', options, keys);
  const [channels, height, width] = checkedPicture('lenet', options.input ?? [1, 28, 28]);
  const classes = checkedCount('classes of lenet', options.classes ?? 10);
  if (Math.min(height, width) < 12 || height % 4 !== 0 || width % 4 !== 0) {
    throw new OptionError(
      `lenet takes pictures of sizes that are multiples of 4 and at least 12, not ${height}×${width}: scale them, as in images:DIR?size=28`,
    );
  }
  const network = new Network('lenet', { seed: options.seed });
  const { b } = network;
  let x = network.input('input', [channels, height, width]);
  x = network.maxPool2d(b.relu(network.conv2d(x, 'conv1', 6, { kernel: 5, padding: 2 })));
  x = network.maxPool2d(b.relu(network.conv2d(x, 'conv2', 16, { kernel: 5 })));
  x = b.op('Flatten', [x]);
  const initialization = he;
  x = b.relu(network.dense(x, 'fc1', 120, { initialization }));
  x = b.relu(network.dense(x, 'fc2', 84, { initialization }));
  return network.model(network.dense(x, 'fc3', classes, { initialization }));
}
