import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { besideCheckout, runsWith } from '../../../test/support/outside.js';
import { FileError } from '../../errors.js';
import { gatherBatch } from '../batches.js';
import { onlyInput } from '../dataset.js';
import { parseIdx } from './idx.js';
import { readMnist } from './mnist.js';

function idx(shape: readonly number[], elements: Uint8Array): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length));
  header.setUint32(0, 0x0800 + shape.length);
  for (const [axis, extent] of shape.entries()) header.setUint32(4 + 4 * axis, extent);
  return Uint8Array.from([...new Uint8Array(header.buffer), ...elements]);
}

const images = (count: number) =>
  idx(
    [count, 2, 3],
    Uint8Array.from({ length: 6 * count }, (_, index) => index),
  );
const labels = (count: number) =>
  idx(
    [count],
    Uint8Array.from({ length: count }, (_, index) => index),
  );

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'cgfac-mnist-'));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

async function folder(files: Record<string, Uint8Array>): Promise<string> {
  const path = await mkdtemp(join(root, 'set-'));
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(path, name), bytes);
  return path;
}

const good = {
  'train-images-idx3-ubyte': images(4),
  'train-labels.idx1-ubyte': labels(4),
  't10k-images.idx3-ubyte.gz': gzipSync(images(2)),
  't10k-labels-idx1-ubyte.gz': gzipSync(labels(2)),
};

describe('readMnist', () => {
  it('reads plain and compressed files under both spellings', async () => {
    const { train, test } = await readMnist(await folder(good));
    expect([train.size, test.size]).toEqual([4, 2]);
    expect(train.picture).toEqual({ width: 3, height: 2, channels: 1 });
    const { inputs, target } = gatherBatch(train, [1]);
    expect(inputs).toEqual({
      dtype: 'float32',
      dims: [1, 6],
      data: Float32Array.from([6, 7, 8, 9, 10, 11], (v) => v / 255),
    });
    expect(target.data).toEqual(BigInt64Array.of(1n));
  });

  it.each([
    [
      'a missing file',
      { 't10k-labels-idx1-ubyte.gz': undefined },
      /t10k-labels-idx1-ubyte: there is no such file: expected one of/,
    ],
    [
      'images for labels',
      { 'train-labels.idx1-ubyte': images(4) },
      /1 axes \(magic 0x00000801\), found magic 0x00000803/,
    ],
    [
      'a truncated file',
      { 'train-images-idx3-ubyte': images(4).subarray(0, 30) },
      /header says \[4,2,3\], so expected 40 bytes, found 30: the file is truncated/,
    ],
    ['trailing bytes', { 'train-images-idx3-ubyte': Uint8Array.from([...images(4), 0]) }, /longer than it says/],
    ['an empty file', { 'train-labels.idx1-ubyte': new Uint8Array(0) }, /found only 0 bytes, and its header takes 8/],
    ['unequal counts', { 'train-labels.idx1-ubyte': labels(3) }, /expected 4 labels, one for each image of .*found 3/],
    [
      'a cut gzip file',
      { 't10k-images.idx3-ubyte.gz': gzipSync(images(2)).subarray(0, 20) },
      /expected gzip-compressed data/,
    ],
    ['hidden gzip', { 'train-images-idx3-ubyte': gzipSync(images(4)) }, /add '.gz' to its name/],
    [
      'other pixels',
      { 't10k-images.idx3-ubyte.gz': gzipSync(idx([2, 1, 1], Uint8Array.of(1, 2))) },
      /expected files of one data set/,
    ],
  ])('refuses %s, naming the file and what to do', async (_, change, message) => {
    const files = Object.fromEntries(
      Object.entries({ ...good, ...change }).filter(
        (entry): entry is [string, Uint8Array<ArrayBuffer>] => entry[1] !== undefined,
      ),
    );
    const failure = readMnist(await folder(files));
    await expect(failure).rejects.toThrow(FileError);
    await expect(failure).rejects.toThrow(message);
  });

  it('refuses a folder that is not there', async () => {
    await expect(readMnist(join(root, 'nowhere'))).rejects.toThrow(
      /nowhere: cannot read .* there is no such file or folder/,
    );
  });

  const real = besideCheckout('data/mnist');
  it.skipIf(!runsWith(real))('reads the real MNIST', async () => {
    const { train, test } = await readMnist(real);
    expect([train.size, test.size]).toEqual([60_000, 10_000]);
    // The best known facts of the set: its first labels, and the mean pixel 0.1307.
    expect([...train.targets.data.subarray(0, 5)]).toEqual([5, 0, 4, 1, 9]);
    const sum = (onlyInput(train).data as Uint8Array).reduce((total, byte) => total + byte, 0);
    expect(sum / 255 / onlyInput(train).data.length).toBeCloseTo(0.1307, 4);
  });
});

describe('parseIdx', () => {
  it('reads back what was written, whatever the shape', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 4 }),
        fc.nat(255),
        (shape, first) => {
          const size = shape.reduce((product, extent) => product * extent, 1);
          const data = Uint8Array.from({ length: size }, (_, index) => index * 7 + first);
          expect(parseIdx(idx(shape, data), 'x', shape.length)).toEqual({ shape, data });
        },
      ),
    );
  });

  it('answers any damage with FileError or an array of its own length', () => {
    const whole = images(3);
    fc.assert(
      fc.property(fc.nat(whole.length), fc.nat(whole.length - 1), fc.nat(255), (length, position, value) => {
        const bytes = whole.slice(0, length);
        bytes[position] = value;
        try {
          const { shape, data } = parseIdx(bytes, 'x', 3);
          expect(data.length).toBe(shape.reduce((product, extent) => product * extent, 1));
        } catch (error) {
          expect(error).toBeInstanceOf(FileError);
        }
      }),
    );
  });
});
