import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { FileError } from '../../errors.js';
import { onlyInput } from '../dataset.js';
import { readCifar10 } from './cifar10.js';
import { readImages } from './images.js';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'cgfac-pictures-'));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

async function folder(files: Record<string, Uint8Array>): Promise<string> {
  const path = await mkdtemp(join(root, 'set-'));
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), bytes);
  }
  return path;
}

/** Records of the given labels; pixel p of the record r has the value r + p (mod 256). */
function records(labels: readonly number[]): Uint8Array {
  return Uint8Array.from(
    labels.flatMap((label, record) => [label, ...Array.from({ length: 3072 }, (_, pixel) => record + pixel)]),
  );
}

const cifar = { 'data_batch_1.bin': records([3, 9]), 'data_batch_2.bin': records([0]), 'test_batch.bin': records([1]) };

describe('readCifar10', () => {
  it('joins the training files in order, also from the folder of the archive', async () => {
    const nested = Object.fromEntries(
      Object.entries(cifar).map(([name, bytes]) => [`cifar-10-batches-bin/${name}`, bytes]),
    );
    for (const files of [cifar, nested]) {
      const { train, test } = await readCifar10(await folder(files));
      expect(train.targets.data).toEqual(Int32Array.of(3, 9, 0));
      expect(onlyInput(train).shape).toEqual([3, 32, 32]);
      expect([onlyInput(train).data[3072], onlyInput(train).data[6144], onlyInput(train).data[2]]).toEqual([1, 0, 2]);
      expect([test.size, test.classes?.[1]]).toEqual([1, 'automobile']);
    }
  });

  it.each([
    [
      'a missing file',
      { 'test_batch.bin': undefined },
      /found data_batch_1.bin, data_batch_2.bin and no test_batch.bin/,
    ],
    [
      'a truncated file',
      { 'data_batch_2.bin': records([0]).subarray(1) },
      /data_batch_2.bin: expected whole records of 3073 bytes .* found 3072/,
    ],
    ['a wrong label', { 'test_batch.bin': records([10]) }, /record 0 has label 10, expected 0 to 9/],
  ])('refuses %s', async (_, change, message) => {
    const files = Object.entries({ ...cifar, ...change }).filter(
      (entry): entry is [string, Uint8Array<ArrayBuffer>] => entry[1] !== undefined,
    );
    const failure = readCifar10(await folder(Object.fromEntries(files)));
    await expect(failure).rejects.toThrow(FileError);
    await expect(failure).rejects.toThrow(message);
  });
});

/** A PNG whose left half is one colour and right half another. */
async function png(width: number, height: number, left: number[], right: number[]): Promise<Uint8Array> {
  const data = Uint8Array.from(
    Array.from({ length: width * height }, (_, pixel) => (pixel % width < width / 2 ? left : right)).flat(),
  );
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

const options = { testShare: 0.5, seed: 1 };

describe('readImages', () => {
  it('reads one folder per class into planes of colour', async () => {
    const path = await folder({
      'dog/1.png': await png(4, 2, [10, 20, 30], [40, 50, 60]),
      'cat/b.png': await png(4, 2, [1, 2, 3], [4, 5, 6]),
      'cat/notes.txt': new Uint8Array(3),
    });
    const { train, test } = await readImages(path, options);
    expect(train.classes).toEqual(['cat', 'dog']);
    const dog = train.targets.data[0] === 1 ? train : test;
    expect(onlyInput(dog).shape).toEqual([3, 2, 4]);
    expect([...onlyInput(dog).data]).toEqual([
      10, 10, 40, 40, 10, 10, 40, 40, 20, 20, 50, 50, 20, 20, 50, 50, 30, 30, 60, 60, 30, 30, 60, 60,
    ]);
    const grey = await readImages(path, { ...options, channels: 1, size: 2 });
    expect(onlyInput(grey.train).shape).toEqual([1, 2, 2]);
  });

  it('keeps the split that the folder has', async () => {
    const picture = await png(2, 2, [9, 9, 9], [9, 9, 9]);
    const path = await folder({
      'train/a/1.png': picture,
      'train/b/1.png': picture,
      'train/b/2.png': picture,
      'val/b/3.png': picture,
    });
    const { train, test } = await readImages(path, options);
    expect([...train.targets.data]).toEqual([0, 1, 1]);
    expect([...test.targets.data]).toEqual([1]);
  });

  it.each([
    [
      'unequal sizes',
      async () => ({
        'a/1.png': await png(2, 2, [0, 0, 0], [0, 0, 0]),
        'b/1.png': await png(4, 2, [0, 0, 0], [0, 0, 0]),
      }),
      /4 × 2, but .* is 2 × 2: bring all to one size with \?size=PIXELS/,
    ],
    [
      'a broken picture',
      async () => ({ 'a/1.png': (await png(9, 9, [0, 1, 0], [0, 0, 0])).subarray(0, 60) }),
      /1\.png: expected a picture, but it does not decode/,
    ],
    [
      'no pictures',
      async () => ({ 'a/1.txt': new Uint8Array(1) }),
      /expected pictures in one sub-folder per class, found none/,
    ],
    [
      'a class without pictures',
      async () => ({ 'a/1.png': await png(2, 2, [0, 0, 0], [0, 0, 0]), 'b/more/1.png': new Uint8Array(1) }),
      /b: expected pictures of a class in this folder itself, found none/,
    ],
    [
      'a class only in the test part',
      async () => ({ 'train/a/1.png': await png(2, 2, [0, 0, 0], [0, 0, 0]), 'test/c/1.png': new Uint8Array(1) }),
      /no such class in the training folder: expected a/,
    ],
  ])('refuses %s', async (_, files, message) => {
    const failure = readImages(await folder(await files()), options);
    await expect(failure).rejects.toThrow(FileError);
    await expect(failure).rejects.toThrow(message);
  });

  it('says what to install where sharp is missing', async () => {
    vi.resetModules();
    vi.doMock('sharp', () => {
      throw new Error("Cannot find package 'sharp'");
    });
    const { readImages: readWithout } = await import('./images.js');
    await expect(readWithout(root, options)).rejects.toThrow(/needs the package 'sharp'.*run 'npm install sharp'/);
    vi.doUnmock('sharp');
  });
});
