import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { FileError, OptionError } from '../../errors.js';
import type { DataSplits } from '../dataset.js';
import { onlyInput } from '../dataset.js';
import { csvSplits } from './csv.js';
import { parquetSplits } from './parquet.js';

const options = { testShare: 0.2, seed: 1 };
const encode = (text: string) => new TextEncoder().encode(text);

/** Rows of both parts as [...inputs, target], sorted. */
function rowsOf({ train, test }: DataSplits): number[][] {
  const rows = [train, test].flatMap((part) =>
    Array.from({ length: part.size }, (_, row) => {
      const width = onlyInput(part).shape[0] ?? 0;
      return [
        ...Array.from(onlyInput(part).data.subarray(row * width, (row + 1) * width)),
        Number(part.targets.data[row]),
      ];
    }),
  );
  return rows.sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0));
}

describe('csvSplits', () => {
  it('reads numbers and classes, quoted, with a byte order mark', () => {
    const text = '\ufeffname, a ,"b, c",kind\nrow1,1,2.5,cat\r\nrow2,-3e2,"4",dog\n\nrow3,5,6,cat\n';
    const splits = csvSplits(encode(text), 'x.csv', { ...options, label: 'kind', drop: ['name'] });
    expect(splits.train.classes).toEqual(['cat', 'dog']);
    expect(rowsOf(splits)).toEqual([
      [-300, 4, 1],
      [1, 2.5, 0],
      [5, 6, 0],
    ]);
  });

  it('orders numeric classes as numbers, reads tabs, and predicts numbers', () => {
    const text = 'x\ty\n1\t10\n2\t9\n3\t10\n';
    const labelled = csvSplits(encode(text), 'x.tsv', { ...options, label: 'y' });
    expect(labelled.train.classes).toEqual(['9', '10']);
    const regression = csvSplits(encode(text), 'x.tsv', { ...options, target: 'y' });
    expect(regression.train.targets).toMatchObject({ dtype: 'float32', shape: [1] });
    expect(rowsOf(regression)).toEqual([
      [1, 10],
      [2, 9],
      [3, 10],
    ]);
  });

  it.each([
    ['a ragged line', 'a,b\n1,2\n3\n', { label: 'b' }, FileError, /line 3/],
    ['an open quote', 'a,b\n1,"2\n', { label: 'b' }, FileError, /expected comma-separated values/],
    [
      'text among numbers',
      'a,b\n1,2\nx,2\n',
      { label: 'b' },
      FileError,
      /record 3: column 'a' holds 'x', expected a finite number.*\?drop=a/,
    ],
    ['an empty cell', 'a,b\n1,2\n,2\n', { label: 'b' }, FileError, /record 3: column 'a' holds ''/],
    ['an empty label', 'a,b\n1,\n2,2\n', { label: 'b' }, FileError, /record 2: the label column 'b' is empty/],
    ['an infinite number', 'a,b\n1e300,1\n2,2\n', { label: 'b' }, FileError, /'1e300'/],
    ['nothing below the header', 'a,b\n', { label: 'b' }, FileError, /expected a header line and data/],
    ['an empty file', '', { label: 'b' }, FileError, /expected a header line and data/],
    ['one row', 'a,b\n1,2\n', { label: 'b' }, FileError, /expected at least 2/],
    ['a repeated column', 'a,a,b\n1,2,3\n1,2,3\n', { label: 'b' }, FileError, /'a' occurs twice/],
    ['no features', 'b\n1\n2\n', { label: 'b' }, FileError, /only the column 'b' is left/],
    ['a wrong column', 'a,b\n1,2\n1,2\n', { label: 'c' }, OptionError, /no column 'c': its columns are a, b/],
    ['no answer', 'a,b\n1,2\n1,2\n', {}, OptionError, /give one of \?label=COLUMN/],
  ])('refuses %s', (_, text, given, type, message) => {
    const read = () => csvSplits(encode(text), 'x.csv', { ...options, ...given });
    expect(read).toThrow(type);
    expect(read).toThrow(message);
  });

  it('takes a column of weights, which is no input', () => {
    const text = 'a,w,y\n1,0.5,2\n2,0,3\n3,4,5\n';
    const { train, test } = csvSplits(encode(text), 'x.csv', { ...options, target: 'y', weights: 'w' });
    const weights = [train, test].flatMap((part) => Array.from(part.weights?.data ?? []));
    expect(onlyInput(train).shape).toEqual([1]);
    expect(weights.sort()).toEqual([0, 0.5, 4]);
    const pairs = [train, test].flatMap((part) => [...onlyInput(part).data].map((a, i) => [a, part.weights?.data[i]]));
    expect(pairs.sort((x, y) => (x[0] ?? 0) - (y[0] ?? 0))).toEqual([
      [1, 0.5],
      [2, 0],
      [3, 4],
    ]);
    const refused =
      (csv: string, weight = 'w') =>
      () =>
        csvSplits(encode(csv), 'x.csv', { ...options, target: 'y', weights: weight });
    expect(refused(text, 'v')).toThrow("there is no column 'v': its columns are a, w, y");
    expect(refused('a,w,y\n1,-1,2\n2,1,3\n')).toThrow("x.csv, record 2: the weight in column 'w' is -1");
    expect(refused('a,w,y\n1,heavy,2\n2,1,3\n')).toThrow("column 'w' holds 'heavy', expected a finite number");
  });

  it('names the column that was probably meant, and says if the names look like data', () => {
    const refused = (text: string, label?: string) => () =>
      csvSplits(encode(text), 'x.csv', { ...options, ...(label !== undefined && { label }) });
    const headerless = '1.5,2,cat\n3,4,dog\n';
    expect(refused(headerless, 'kind')).toThrow(
      /columns are 1.5, 2, cat; these look like data: put a line with the names/,
    );
    expect(refused(headerless)).toThrow('these look like data');
    expect(refused('a,kind\n1,cat\n2,dog\n', 'knd')).toThrow("'knd' (did you mean 'kind'?): its columns are a, kind");
    expect(refused('a,kind\n1,cat\n2,dog\n', 'knd')).not.toThrow('look like data');
  });

  it('reads back any finite table', () => {
    const finite = fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
    fc.assert(
      fc.property(fc.array(fc.tuple(finite, finite), { minLength: 2, maxLength: 20 }), (rows) => {
        const text = `i,a,b\n${rows.map(([a, b], index) => `${index},${a},${b}`).join('\n')}`;
        const splits = csvSplits(encode(text), 'x.csv', { ...options, target: 'b' });
        expect(rowsOf(splits)).toEqual(rows.map(([a, b], index) => [index, a, b]));
      }),
    );
  });

  it('answers any bytes with FileError or a table', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => {
        try {
          csvSplits(Uint8Array.from([...encode('a,b\n1,2\n3,4\n'), ...noise]), 'x.csv', { ...options, label: 'b' });
        } catch (error) {
          expect(error).toBeInstanceOf(FileError);
        }
      }),
    );
  });
});

const count = 40;
const column = <Value>(make: (index: number) => Value): Value[] =>
  Array.from({ length: count }, (_, index) => make(index));
const tables = (['UNCOMPRESSED', 'SNAPPY', 'GZIP'] as const).map(
  (codec) =>
    new Uint8Array(
      parquetWriteBuffer({
        codec,
        compressors: { GZIP: (page) => gzipSync(page) },
        rowGroupSize: 25,
        columnData: [
          { name: 'a', data: column((index) => index), type: 'INT32' },
          { name: 'wide', data: column((index) => BigInt(index % 3)), type: 'INT64' },
          { name: 'b', data: column((index) => index / 4), type: 'DOUBLE' },
          { name: 'on', data: column((index) => index % 2 === 0), type: 'BOOLEAN' },
          { name: 'note', data: column((index) => `row ${index}`), type: 'STRING' },
          { name: 'kind', data: column((index) => ['low', 'high'][index % 2] ?? ''), type: 'STRING' },
        ],
      }),
    ),
);

describe('parquetSplits', () => {
  it.each(tables.map((bytes, index) => [['uncompressed', 'Snappy', 'gzip'][index], bytes] as const))(
    'reads %s tables',
    async (_, bytes) => {
      const splits = await parquetSplits(bytes, 'x.parquet', { ...options, label: 'kind', drop: ['note'] });
      expect([splits.train.size, splits.test.size]).toEqual([32, 8]);
      expect(splits.train.classes).toEqual(['high', 'low']);
      expect(rowsOf(splits)).toEqual(
        column((index) => [index, index % 3, index / 4, index % 2 === 0 ? 1 : 0, index % 2 === 0 ? 1 : 0]),
      );
    },
  );

  it('reads lists of numbers as features', async () => {
    const bytes = new Uint8Array(
      parquetWriteBuffer({
        schema: [
          { name: 'root', num_children: 2 },
          { name: 'list', repetition_type: 'OPTIONAL', num_children: 1, converted_type: 'LIST' },
          { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
          { name: 'element', repetition_type: 'OPTIONAL', type: 'DOUBLE' },
          { name: 'y', repetition_type: 'REQUIRED', type: 'INT32' },
        ],
        columnData: [
          { name: 'list', data: column((index) => [index, index + 0.5]) },
          { name: 'y', data: column((index) => index % 2) },
        ],
      }),
    );
    const splits = await parquetSplits(bytes, 'x.parquet', { ...options, label: 'y' });
    expect(rowsOf(splits)).toEqual(column((index) => [index, index + 0.5, index % 2]));
  });

  it.each([
    [
      'a text column',
      { label: 'kind' },
      FileError,
      /row 1: column 'note' holds 'row 0', expected a finite number: .*\?drop=note/,
    ],
    [
      'a wrong column',
      { label: 'kinds' },
      OptionError,
      /no column 'kinds' \(did you mean 'kind'\?\): its columns are a, wide, b, on, note, kind/,
    ],
    ['a wrong drop', { label: 'kind', drop: ['nothing'] }, OptionError, /no column 'nothing'/],
  ])('refuses %s', async (_, given, type, message) => {
    const failure = parquetSplits(tables[0] ?? new Uint8Array(), 'x.parquet', { ...options, ...given });
    await expect(failure).rejects.toThrow(type);
    await expect(failure).rejects.toThrow(message);
  });

  it('tells runs that claim more values than there are', async () => {
    const table = tables[0] ?? new Uint8Array();
    const told = new Set<string>();
    for (let position = 0; position < table.length; position++) {
      const bytes = table.slice();
      bytes[position] = 0xfe;
      const failure = await parquetSplits(bytes, 'x', { ...options, label: 'kind', drop: ['note'] }).catch(
        (error) => error,
      );
      if (failure instanceof FileError) told.add(/a run of \d+ values, and/.exec(failure.message)?.[0] ?? 'other');
    }
    expect([...told].filter((message) => message !== 'other').length).toBeGreaterThan(0);
  });

  it('refuses lists that claim more than the file holds, in a footer of a few bytes', async () => {
    // Field 1 is a list of lists of lists …: hyparquet allocates 256 MiB for each before it reads on.
    const nested = (depth: number) =>
      Uint8Array.of(0x19, ...Array.from({ length: depth }, () => [0xf9, 0xff, 0xff, 0xff, 0x0f]).flat());
    const file = (footer: Uint8Array) => {
      const length = new Uint8Array(Uint32Array.of(footer.length).buffer);
      const mark = new TextEncoder().encode('PAR1');
      return Uint8Array.of(...mark, ...footer, ...length, ...mark);
    };
    const read = (footer: Uint8Array) => parquetSplits(file(footer), 'x', { ...options, label: 'kind' });
    await expect(read(nested(100))).rejects.toThrow(/a list claims 33554431 elements, more than there are bytes/);
    const lists = Uint8Array.of(0x19, ...Array.from({ length: 40 }, () => 0x19));
    await expect(read(lists)).rejects.toThrow(/nested too deeply/);
    await expect(read(Uint8Array.of(0x18, 0xff, 0xff, 0x03))).rejects.toThrow(/a text of 65535 bytes is cut off/);
  });

  it('refuses an encoding that the type of its column does not have, which hyparquet reads by other rules', async () => {
    const table = tables[0] ?? new Uint8Array();
    const found = new Set<string>();
    // Zigzag numbers of encodings: 6 is RLE, 16 is RLE_DICTIONARY.
    for (const encoding of [6, 16]) {
      for (let position = 0; position < table.length; position++) {
        if (![0, 6, 16].includes(table[position] ?? 1)) continue; // no encoding of this table
        const bytes = table.slice();
        bytes[position] = encoding;
        const failure = await parquetSplits(bytes, 'x', { ...options, label: 'kind' }).catch((error) => error);
        const [message] = /encoding \w+ of \w+ is not read/.exec(String(failure)) ?? [];
        if (message) found.add(message);
      }
    }
    expect(found).toContain('encoding RLE of INT32 is not read');
    expect(found).toContain('encoding RLE_DICTIONARY of BOOLEAN is not read');
  });

  it('answers any damage with FileError or a table', async () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 2 });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...tables),
        fc.boolean(),
        fc.nat(),
        damage,
        async (table, cut, length, changes) => {
          const bytes = cut ? table.slice(0, length % table.length) : table.slice();
          for (const [position, value] of changes) bytes[position % table.length] = value;
          try {
            await parquetSplits(bytes, 'x.parquet', { ...options, label: 'kind', drop: ['note'] });
          } catch (error) {
            // A damaged name is a column that is not there.
            expect(error instanceof FileError || error instanceof OptionError ? 'told' : error).toBe('told');
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
