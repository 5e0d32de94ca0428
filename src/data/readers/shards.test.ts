import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FileError, OptionError } from '../../errors.js';
import { batchOf, gatherBatch } from '../batches.js';
import { type Dataset, exampleCount, onlyInput } from '../dataset.js';
import { loadData } from '../spec.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cgfac-shards-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** The examples of all parts: each input's first number with the name of its class. */
async function examplesOf({ parts }: Dataset): Promise<[number, string][]> {
  const found: [number, string][] = [];
  for (const part of parts?.sizes.keys() ?? []) {
    const set = await parts?.read(part);
    if (!set) continue;
    const { inputs, targets } = batchOf(set);
    const width = onlyInput({ inputs }).data.length / set.size;
    for (let row = 0; row < set.size; row++) {
      found.push([Number(onlyInput({ inputs }).data[row * width]), set.classes?.[Number(targets.data[row])] ?? '']);
    }
  }
  return found.sort(([x], [y]) => x - y);
}

// Each file has classes of its own, so that its numbers for them are others.
const kinds = [['b', 'c'], ['a', 'c'], ['c']];
const rows = kinds.flatMap((names, file) =>
  Array.from({ length: 10 }, (_, i) => ({ file, x: 10 * file + i, kind: names[i % names.length] ?? '' })),
);

it('reads tables in several files as one set, with one numbering of classes', async () => {
  for (const file of [0, 1, 2]) {
    const of = rows.filter((row) => row.file === file);
    await writeFile(
      join(folder, `part-${file}.csv`),
      ['x,kind', ...of.map(({ x, kind }) => `${x},${kind}`)].join('\n'),
    );
    const columnData = [
      { name: 'x', data: of.map(({ x }) => x) },
      { name: 'kind', data: of.map(({ kind }) => kind) },
    ];
    await writeFile(join(folder, `part-${file}.parquet`), new Uint8Array(parquetWriteBuffer({ columnData })));
  }
  for (const spec of [
    `csv:${folder}/part-*.csv?label=kind&stream=2&test=0.2`,
    `parquet:${folder}/*.parquet?label=kind&test=0.2`,
  ]) {
    const { train, test } = await loadData(spec);
    expect(train.classes).toEqual(['a', 'b', 'c']);
    expect(train.parts?.sizes).toEqual([8, 8, 8]);
    expect([exampleCount(train), exampleCount(test)]).toEqual([24, 6]);
    const all = [...(await examplesOf(train)), ...(await examplesOf(test))].sort(([x], [y]) => x - y);
    expect(all).toEqual(rows.map(({ x, kind }) => [x, kind]));
    // The sample is all of them here.
    const { inputs, target } = gatherBatch(train, [...Array(24).keys()]);
    for (const [i, x] of Array.from<number | bigint, number>(onlyInput({ inputs }).data, Number).entries()) {
      expect(train.classes?.[Number(target.data[i])]).toBe(rows.find((row) => row.x === x)?.kind);
    }
  }
});

it('reads texts with one vocabulary', async () => {
  await mkdir(join(folder, 'books'));
  await writeFile(join(folder, 'books', 'one.txt'), 'abcab'.repeat(40));
  await writeFile(join(folder, 'books', 'two.txt'), 'zyxab'.repeat(40));
  const { train } = await loadData(`text:${folder}/books/*.txt?context=4&stream=1`);
  expect(train.classes).toEqual(['a', 'b', 'c', 'x', 'y', 'z']);
  const second = await train.parts?.read(1);
  const tokens = [...onlyInput(second ?? train).data.slice(0, 5)];
  expect(tokens.map((token) => train.classes?.[token]).join('')).toBe('zyxab');
  expect([...(second?.targets.data.slice(0, 4) ?? [])].map((token) => train.classes?.[Number(token)]).join('')).toBe(
    'yxab',
  );
});

it('refuses paths that name no files', async () => {
  await expect(loadData(`csv:${folder}/none-*.csv?label=kind`)).rejects.toThrow(FileError);
  await expect(loadData(`csv:${folder}/none-*.csv?label=kind`)).rejects.toThrow(/no file in .* has such a name/);
  await expect(loadData(`csv:${folder}/part-0.csv?label=kind&stream=2`)).rejects.toThrow(OptionError);
  await expect(loadData(`csv:${folder}/part-0.csv?label=kind&stream=2`)).rejects.toThrow(/names no parts to stream/);
  await expect(loadData(`csv:${folder}/part-*.csv?label=kind&stream=0`)).rejects.toThrow(/stream=0 cannot be used/);
});
