// Mixup (arXiv 1710.09412) and cutmix (arXiv 1905.04899): each row of a batch is mixed with another one, and so are the targets.
// The rows are mixed in pairs of one permutation and by one share, so that in sum each example counts as before.
import { mapInputs } from '../../graph/inputs.js';
import type { Random } from '../../random.js';
import type { Batch, BatchArray } from '../batches.js';
import type { PictureSize } from '../dataset.js';
import { shuffle } from '../sampling.js';
import { drawBeta } from './beta.js';

/**
 * What mixed targets are: probabilities of so many classes, made of labels; or the mean of numbers, such as probabilities
 * that the data have.
 */
export type MixedTargets = { readonly classes: number } | 'probabilities' | 'values';

/** Parameters α of the distributions Beta(α, α) of the shares; of two, each batch takes one at random. */
export interface Mixing {
  readonly mixup: number;
  readonly cutmix: number;
  readonly targets: MixedTargets;
  /** Of the one input, for cutmix. */
  readonly picture: PictureSize | undefined;
}

/** A rectangle of pictures; the edges at the right and below are outside. */
interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly below: number;
}

/** Return the batch with its rows mixed in pairs, by a stream. Rows without weight are left alone. */
export function mixed(batch: Batch, { mixup, cutmix, targets, picture }: Mixing, stream: Random): Batch {
  const weights = batch.weights && (Array.from(batch.weights.data, Number) as readonly number[]);
  const rows = batch.target.dims[0] ?? 0;
  const isCut = cutmix > 0 && picture !== undefined && (mixup === 0 || stream.sign() > 0);
  const drawn = drawBeta(stream, isCut ? cutmix : mixup);
  const box = isCut ? drawBox(stream, picture, drawn) : undefined;
  const share = box && picture ? 1 - areaOf(box) / (picture.width * picture.height) : drawn;
  const partners = partnersOf(rows, weights, stream);
  const shares = partners.map((partner, row) => sharesOf(share, weights?.[row] ?? 1, weights?.[partner] ?? 1));
  const changed = new Map<BatchArray, BatchArray>();
  const once = (array: BatchArray): BatchArray => {
    const known = changed.get(array);
    if (known) return known;
    const made = box && picture ? withBox(array, box, picture, partners) : blended(array, share, partners);
    changed.set(array, made);
    return made;
  };
  const inputs = mapInputs(batch.inputs, once);
  const target =
    typeof targets === 'object'
      ? probabilitiesOf(batch.target, targets.classes, partners, shares)
      : targets === 'probabilities'
        ? sharedTargets(batch.target, partners, shares)
        : once(batch.target);
  if (!weights) return { ...batch, inputs, target };
  const data = Float32Array.from(shares, ({ weight }) => weight);
  return { ...batch, inputs, target, weights: { dtype: 'float32', dims: [rows], data } };
}

/** Return the row that each row is mixed with: a permutation of those with weight. */
function partnersOf(rows: number, weights: readonly number[] | undefined, stream: Random): number[] {
  const all = Array.from({ length: rows }, (_, row) => row);
  const counted = weights ? all.filter((row) => Number(weights[row]) > 0) : all;
  const order = shuffle(Uint32Array.from(counted), stream);
  const partners = [...all];
  for (const [i, row] of counted.entries()) partners[row] = order[i] as number; // as many
  return partners;
}

/** How a row's targets are mixed, and how much the mixture counts. */
interface Shares {
  /** Of the row and of its partner; they sum to 1. */
  readonly own: number;
  readonly other: number;
  readonly weight: number;
}

/** Weights go with the targets: λ·w and (1 − λ)·w', in sum the weight of the mixture. */
function sharesOf(share: number, weight: number, partnerWeight: number): Shares {
  const [own, other] = [share * weight, (1 - share) * partnerWeight];
  const sum = own + other;
  return sum === 0 ? { own: share, other: 1 - share, weight: 0 } : { own: own / sum, other: other / sum, weight: sum };
}

function blended(array: BatchArray, share: number, partners: readonly number[]): BatchArray {
  if (array.dtype !== 'float32') throw new Error('only real numbers are mixed');
  const length = array.data.length / partners.length;
  const data = new Float32Array(array.data.length);
  for (const [row, partner] of partners.entries()) {
    const [to, from] = [row * length, partner * length];
    for (let i = 0; i < length; i++) {
      data[to + i] = share * (array.data[to + i] as number) + (1 - share) * (array.data[from + i] as number); // within
    }
  }
  return { ...array, data };
}

function withBox(array: BatchArray, box: Box, picture: PictureSize, partners: readonly number[]): BatchArray {
  if (array.dtype !== 'float32') throw new Error('only real numbers are mixed');
  const { width, height, channels } = picture;
  const data = array.data.slice();
  const area = width * height;
  for (const [row, partner] of partners.entries()) {
    for (let channel = 0; channel < channels; channel++) {
      const [to, from] = [row, partner].map((each) => (each * channels + channel) * area) as [number, number];
      for (let y = box.top; y < box.below; y++) {
        const [start, end] = [y * width + box.left, y * width + box.right];
        data.set(array.data.subarray(from + start, from + end), to + start);
      }
    }
  }
  return { ...array, data };
}

/** A box of about 1 − share of the area about a uniform centre, cut off at the borders. */
function drawBox(stream: Random, { width, height }: PictureSize, share: number): Box {
  const side = Math.sqrt(1 - share);
  const range = (size: number): readonly [number, number] => {
    const [length, centre] = [Math.round(size * side), stream.integer(size)];
    const start = centre - Math.floor(length / 2);
    return [Math.max(0, start), Math.min(size, start + length)];
  };
  const [[left, right], [top, below]] = [range(width), range(height)];
  return { left, right, top, below };
}

const areaOf = ({ left, right, top, below }: Box): number => (right - left) * (below - top);

/** Labels as probabilities of the classes. */
function probabilitiesOf(
  labels: BatchArray,
  classes: number,
  partners: readonly number[],
  shares: readonly Shares[],
): BatchArray {
  const data = new Float32Array(partners.length * classes);
  for (const [row, { own, other }] of shares.entries()) {
    for (const [from, share] of [
      [row, own],
      [partners[row] ?? row, other],
    ] as const) {
      const at = row * classes + Number(labels.data[from]);
      data[at] = (data[at] as number) + share; // labels are known to be within
    }
  }
  return { dtype: 'float32', dims: [partners.length, classes], data };
}

function sharedTargets(target: BatchArray, partners: readonly number[], shares: readonly Shares[]): BatchArray {
  if (target.dtype !== 'float32') throw new Error('probabilities are real numbers');
  const length = target.data.length / partners.length;
  const data = new Float32Array(target.data.length);
  for (const [row, { own, other }] of shares.entries()) {
    const from = (partners[row] ?? row) * length;
    for (let i = 0; i < length; i++) {
      const to = row * length + i;
      data[to] = own * (target.data[to] as number) + other * (target.data[from + i] as number); // within
    }
  }
  return { ...target, data };
}
