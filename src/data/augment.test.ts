// Varied pictures are whole pictures moved and mirrored, drawn from the seed and the step; other data are refused.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OptionError } from '../errors.js';
import { inputNamed } from '../graph/inputs.js';
import { random } from '../random.js';
import { type Augmentation, variation } from './augment.js';
import { moved } from './augmentation/move.js';
import { trainingBatches } from './batches.js';
import { type Dataset, dataset, onlyInput, type PictureSize } from './dataset.js';
import { autoencoding, withInputShape } from './views.js';

const numbered = (length: number) => Float32Array.from({ length }, (_, index) => index + 1);

/** Ways of moving and mirroring by which a picture of the source becomes that of the result, pixel by pixel. */
function explanations(
  source: Float32Array,
  result: Float32Array,
  index: number,
  { width, height, channels }: PictureSize,
  { flip = false, crop = 0, fill = 0 }: Augmentation,
) {
  const length = channels * width * height;
  const moves = Array.from({ length: 2 * crop + 1 }, (_, i) => i - crop);
  const ways = moves.flatMap((dy) =>
    moves.flatMap((dx) => (flip ? [false, true] : [false]).map((mirrored) => ({ dy, dx, mirrored }))),
  );
  return ways.filter(({ dy, dx, mirrored }) =>
    Array.from({ length }, (_, at) => at).every((at) => {
      const [plane, y, x] = [
        Math.floor(at / (width * height)),
        Math.floor(at / width) % height,
        mirrored ? width - 1 - (at % width) : at % width,
      ];
      const [fromY, fromX] = [y + dy, x + dx];
      const inside = fromY >= 0 && fromY < height && fromX >= 0 && fromX < width;
      const expected = inside ? source[index * length + (plane * height + fromY) * width + fromX] : fill;
      return result[index * length + at] === expected;
    }),
  );
}

describe('moved', () => {
  it('moves and mirrors whole pictures, all channels alike', () => {
    const shapes = fc.record({
      channels: fc.integer({ min: 1, max: 3 }),
      width: fc.integer({ min: 1, max: 6 }),
      height: fc.integer({ min: 1, max: 6 }),
    });
    fc.assert(
      fc.property(shapes, fc.boolean(), fc.nat({ max: 5 }), fc.integer(), (picture, flip, wanted, seed) => {
        const augmentation = { flip, crop: Math.min(wanted, picture.width - 1, picture.height - 1), fill: -7 };
        const source = numbered(4 * picture.channels * picture.width * picture.height);
        const result = moved(source, picture, augmentation, random(seed));
        for (const index of [0, 1, 2, 3]) {
          expect(explanations(source, result, index, picture, augmentation).length).toBeGreaterThan(0);
        }
      }),
    );
  });

  it('takes every way there is', () => {
    const [picture, augmentation] = [
      { channels: 2, height: 3, width: 4 },
      { flip: true, crop: 1 },
    ];
    const source = numbered(300 * 24);
    const result = moved(source, picture, augmentation, random(1));
    const seen = Array.from({ length: 300 }, (_, i) =>
      JSON.stringify(explanations(source, result, i, picture, augmentation)),
    );
    expect(new Set(seen).size).toBe(18);
  });

  it('leaves its source alone, and pictures that are neither moved nor mirrored', () => {
    const source = numbered(48);
    const picture = { channels: 2, height: 3, width: 4 };
    moved(source, picture, { flip: true, crop: 2 }, random(5));
    expect(source).toEqual(numbered(48));
    expect(moved(source, picture, {}, random(5))).toEqual(source);
  });
});

const labelled = dataset({
  name: 'pictures',
  size: 12,
  inputs: { dtype: 'float32', shape: [2 * 3 * 4], data: numbered(12 * 24) },
  targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: 12 }, (_, i) => i) },
  picture: { channels: 2, height: 3, width: 4 },
});
const varied = { flip: true, crop: 1 };
const sequence = (set: Dataset, augmentation: Augmentation, seed = 1) => {
  const batches = trainingBatches(set, { batchSize: 6, seed });
  const vary = variation(set, augmentation, seed, () => ({ classes: 10 }));
  return { at: (step: number) => vary(batches.at(step), step) };
};

describe('varied batches', () => {
  it('are a function of the seed and the step, in any order', () => {
    const [batches, again] = [sequence(labelled, varied), sequence(labelled, varied)];
    const inOrder = [0, 1, 2, 3].map((step) => batches.at(step));
    for (const step of [3, 0, 2]) expect(again.at(step)).toEqual(inOrder[step]);
    expect(inOrder[0]?.inputs).not.toEqual(trainingBatches(labelled, { batchSize: 6, seed: 1 }).at(0).inputs);
    expect(sequence(labelled, varied, 2).at(0).inputs).not.toEqual(inOrder[0]?.inputs);
  });

  it('keep labels, and shapes', () => {
    const set = withInputShape(labelled, [2, 3, 4]);
    const [plain, batch] = [trainingBatches(set, { batchSize: 6, seed: 1 }).at(0), sequence(set, varied).at(0)];
    expect(onlyInput(batch).dims).toEqual([6, 2, 3, 4]);
    expect(batch.target).toEqual(plain.target);
  });

  it('ask for the picture as it was varied, where it is autoencoded, also in another shape', () => {
    const { inputs, target } = sequence(autoencoding(labelled), varied).at(0);
    expect(target).toBe(inputs);
    const flat = { ...labelled, targets: { ...onlyInput(labelled), shape: [4, 6] } };
    const other = sequence(flat, varied).at(0);
    expect(other.target.dims).toEqual([6, 4, 6]);
    expect(other.target.data).toEqual(onlyInput(other).data);
  });

  it('vary the picture among several inputs, and nothing else', () => {
    const extra = { dtype: 'float32', shape: [2], data: numbered(24) } as const;
    const set = dataset({ ...labelled, inputs: { extra, picture: onlyInput(labelled) } });
    const [plain, found] = [trainingBatches(set, { batchSize: 6, seed: 1 }).at(0), sequence(set, varied).at(0)];
    expect(inputNamed(found.inputs, 'picture')).toEqual(sequence(labelled, varied).at(0).inputs);
    expect(inputNamed(found.inputs, 'extra')).toEqual(inputNamed(plain.inputs, 'extra'));
  });

  const { picture: _, ...rows } = labelled;
  const tokens = { dtype: 'int64', shape: [24], data: new Int32Array(12 * 24) } as const;
  const maps = { dtype: 'float32', shape: [3, 4], data: new Float32Array(12 * 12) } as const;
  it.each([
    [rows, varied, /inputs of 'pictures' are rows of numbers of shape \[24\]: only pictures can be flipped/],
    [{ ...rows, inputs: tokens }, varied, /tokens of text or other whole numbers of shape \[24\]/],
    [{ ...labelled, targets: maps }, varied, /targets of 'pictures' have the shape \[3,4\] and would have to move/],
    [
      { ...labelled, inputs: { a: onlyInput(labelled), b: onlyInput(labelled) } },
      varied,
      /the inputs 'a', 'b' could all be the pictures/,
    ],
    [
      { ...labelled, inputs: { a: onlyInput(labelled), b: maps } },
      varied,
      /the input 'b' of 'pictures' has the shape \[3,4\] and would have to move/,
    ],
    [{ ...labelled, inputs: { a: tokens } }, varied, /none of the inputs of 'pictures' are pictures/],
    [labelled, { crop: 3 }, /pictures of 4 × 3 cannot be cropped with a border of 3/],
    [labelled, { crop: 0.5 }, /a border of 0.5: expected a whole number/],
    [labelled, { fill: Number.NaN }, /cannot be filled with NaN/],
  ] as [Dataset, Augmentation, RegExp][])('refuse what cannot be varied so (%#)', (set, augmentation, message) => {
    expect(() => sequence(set, augmentation)).toThrow(OptionError);
    expect(() => sequence(set, augmentation)).toThrow(message);
  });
});
