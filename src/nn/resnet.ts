// The residual network of 20 layers for small pictures, with group normalization (no running averages, any batch size)
// or, as it was published, with batch normalization.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import type { Model } from '../model/model.js';
import { checkedCount, checkedWord, checkKeys, type OptionKeys } from '../options.js';
import { Network, type NetworkOptions } from './network.js';
import { checkedPicture } from './picture.js';

export interface ResnetOptions extends NetworkOptions {
  /** Channels, height and width of a picture; [3, 32, 32] by default. */
  readonly input?: readonly [number, number, number];
  /** 10 by default. */
  readonly classes?: number;
  /** Channels of the first stage; the second and third have twice and four times as many. 16 by default. */
  readonly width?: number;
  /** The normalization after each convolution; 'group' by default. */
  readonly norm?: 'group' | 'batch';
  /** Groups of each group normalization; 8 by default. */
  readonly groups?: number;
}

const keys: OptionKeys<ResnetOptions> = {
  seed: true,
  input: true,
  classes: true,
  width: true,
  norm: true,
  groups: true,
};

/**
 * Return the residual network of He et al. 2016, section 4.2, with group normalization (Wu & He 2018) or the batch
 * normalization of the paper: a 3×3 convolution, three stages of three residual blocks of two 3×3 convolutions, the mean over
 * all positions, a dense layer. If channels double and sizes halve, the shortcut is a 1×1 convolution of stride 2 (option B).
 * He's normal initialization, no biases before normalizations, scales 1 and shifts 0; Glorot's uniform for the dense layer.
 * (With initial scales of 0 the convolutions before them would have neither gradient nor curvature.)
 * Parameters: `stem`, `stage1.block1.conv1`, `stage1.block1.norm1`, …, `head`; running averages of batch normalization
 * (`model.statistics`): `stem.norm.mean`, `stem.norm.variance`, ….
 * @throws OptionError for unknown options and sizes below 1, and if the groups do not divide the width or are given for batch
 *   normalization
 * @example
 * const model = resnet20({ width: 8, norm: 'batch', seed: 1 });
 */
export function resnet20(options: ResnetOptions): Model {
  checkKeys('resnet20', options, keys);
  const input = checkedPicture('resnet20', options.input ?? [3, 32, 32]);
  const classes = checkedCount('classes of resnet20', options.classes ?? 10);
  const width = checkedCount('width of resnet20', options.width ?? 16);
  const network = new Network('resnet20', { seed: options.seed });
  const { b } = network;
  const norm = normalization(network, width, options);
  let x = network.input('input', input);
  x = b.relu(norm(convolution(network, x, 'stem', width, 3, 1), 'stem.norm'));
  for (const stage of [1, 2, 3]) {
    const channels = width * 2 ** (stage - 1);
    for (const block of [1, 2, 3]) {
      const stride = stage > 1 && block === 1 ? 2 : 1;
      x = residualBlock(network, x, `stage${stage}.block${block}`, { channels, stride, norm });
    }
  }
  return network.model(network.dense(network.globalAveragePool(x), 'head', classes));
}

type Normalize = (x: Value, name: string) => Value;

function normalization(network: Network, width: number, { norm = 'group', groups }: ResnetOptions): Normalize {
  checkedWord('norm of resnet20', norm, ['group', 'batch']);
  if (norm === 'batch') {
    if (groups !== undefined) throw new OptionError('groups are of group normalization; resnet20 has norm batch');
    return (x, name) => network.batchNorm(x, name);
  }
  const count = checkedCount('groups of resnet20', groups ?? 8);
  if (width % count !== 0) throw new OptionError(`${count} groups do not divide the ${width} channels of resnet20`);
  return (x, name) => network.groupNorm(x, name, count);
}

function residualBlock(
  network: Network,
  x: Value,
  name: string,
  { channels, stride, norm }: { readonly channels: number; readonly stride: number; readonly norm: Normalize },
): Value {
  const { b } = network;
  const first = b.relu(norm(convolution(network, x, `${name}.conv1`, channels, 3, stride), `${name}.norm1`));
  const second = norm(convolution(network, first, `${name}.conv2`, channels, 3, 1), `${name}.norm2`);
  const short =
    stride === 1 ? x : norm(convolution(network, x, `${name}.shortcut`, channels, 1, stride), `${name}.shortcut.norm`);
  return b.relu(b.add(second, short));
}

const convolution = (network: Network, x: Value, name: string, outputs: number, kernel: number, stride: number) =>
  network.conv2d(x, name, outputs, { kernel, stride, padding: (kernel - 1) / 2, bias: false });
