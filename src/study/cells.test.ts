import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FileError, OptionError } from '../errors.js';
import { CellFile, cellsName, type Identity, measured } from './cells.js';
import type { Cell } from './study.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'cgfac-cells-'));
});
afterAll(() => rm(root, { recursive: true }));
const folder = () => mkdtemp(join(root, 'study-'));

const identity: Identity = {
  study: 'squares',
  version: '1.0.0',
  machine: { processor: 'abacus', threads: '1' },
  options: { seeds: 3, rates: [0.1, 0.01] },
};

interface Row {
  readonly square: number;
}

/** Cells that write down each time they are run. */
function counted(count: number, ran: number[], before?: (i: number) => void): Cell<Row>[] {
  return Array.from({ length: count }, (_, i) => ({
    key: `cell ${i}`,
    run: async () => {
      before?.(i);
      ran.push(i);
      return { square: i * i };
    },
  }));
}

const squares = (count: number): Row[] => Array.from({ length: count }, (_, i) => ({ square: i * i }));
const whole = new AbortController().signal;

it.each([0, 1, 3, 5])('goes on after %i cells, runs none twice, and has the same rows', async (finished) => {
  const path = await folder();
  const ran: number[] = [];
  const stop = new AbortController();
  const interrupted = counted(5, ran, (i) => i === finished && stop.abort());
  const first = await measured(
    await CellFile.open<Row>(path, identity),
    { cells: interrupted },
    stop.signal,
    () => undefined,
  );
  expect(first).toEqual(finished === 5 ? squares(5) : undefined);
  ran.length = finished; // the cell in which it stopped is not kept
  const seen: number[] = [];
  const again = await measured(await CellFile.open<Row>(path, identity), { cells: counted(5, ran) }, whole, (done) =>
    seen.push(done),
  );
  expect(again).toEqual(squares(5));
  expect(ran).toEqual([0, 1, 2, 3, 4]);
  expect(seen).toEqual([0, 1, 2, 3, 4].slice(finished));
});

it('keeps what was written when its process dies in the middle of a line', async () => {
  const path = await folder();
  await measured(await CellFile.open<Row>(path, identity), { cells: counted(3, []) }, whole, () => undefined);
  await appendFile(join(path, cellsName), '{"key":"cell 3","row":{"squ');
  const ran: number[] = [];
  const rows = await measured(
    await CellFile.open<Row>(path, identity),
    { cells: counted(5, ran) },
    whole,
    () => undefined,
  );
  expect(rows).toEqual(squares(5));
  expect(ran).toEqual([3, 4]);
  const lines = (await readFile(join(path, cellsName), 'utf8')).trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line).key)).toEqual([undefined, ...[0, 1, 2, 3, 4].map((i) => `cell ${i}`)]);
});

it('measures what the rows call for, and goes on in the middle of it', async () => {
  const path = await folder();
  const ran: number[] = [];
  const all = counted(6, ran);
  // Until a square is above 10: cells 2, 3 and 4.
  const further = (rows: readonly Row[]) =>
    all.slice(rows.length, rows.length + ((rows.at(-1)?.square ?? 0) > 10 ? 0 : 1));
  const stop = new AbortController();
  const study = { cells: all.slice(0, 2), further };
  const seen: string[] = [];
  const onCell = (done: number, of: number, next: string) => {
    seen.push(`${done} of ${of}: ${next}`);
    if (next === 'cell 3') stop.abort();
  };
  expect(await measured(await CellFile.open<Row>(path, identity), study, stop.signal, onCell)).toBeUndefined();
  expect(seen).toEqual(['0 of 2: cell 0', '1 of 2: cell 1', '2 of 3: cell 2', '3 of 4: cell 3']);
  const kept = ran.slice(0, 3);
  ran.length = 3;
  const rows = await measured(await CellFile.open<Row>(path, identity), study, whole, () => undefined);
  expect(rows).toEqual(squares(5));
  expect([...kept, ...ran.slice(3)]).toEqual([0, 1, 2, 3, 4]);
});

it('throws what a cell throws, and keeps the rows before it', async () => {
  const path = await folder();
  const fail = counted(3, [], (i) => {
    if (i === 1) throw new Error('no');
  });
  await expect(
    measured(await CellFile.open<Row>(path, identity), { cells: fail }, whole, () => undefined),
  ).rejects.toThrow('no');
  expect((await CellFile.open<Row>(path, identity)).get('cell 0')).toEqual({ square: 0 });
});

describe('rows that do not belong together are refused', () => {
  it.each<[string, Partial<Identity>, string]>([
    ['another study', { study: 'cubes' }, 'study was "squares" and is "cubes"'],
    ['another version', { version: '1.0.1' }, 'version was "1.0.0" and is "1.0.1"'],
    ['another machine', { machine: { processor: 'quill', threads: '1' } }, 'machine.processor was "abacus" and is'],
    ['other options', { options: { seeds: 1, rates: [0.1, 0.01] } }, 'options.seeds was 3 and is 1'],
    ['a longer list', { options: { seeds: 3, rates: [0.1] } }, 'options.rates was [0.1,0.01] and is [0.1]'],
    ['an option more', { options: { ...identity.options, text: 'a' } }, 'options.text was not given and is "a"'],
  ])('%s', async (_, other, message) => {
    const path = await folder();
    await CellFile.open<Row>(path, identity);
    const refused = CellFile.open<Row>(path, { ...identity, ...other });
    await expect(refused).rejects.toThrow(OptionError);
    await expect(refused).rejects.toThrow(message);
  });

  it('and so is a damaged file, by its line', async () => {
    const path = await folder();
    await measured(await CellFile.open<Row>(path, identity), { cells: counted(2, []) }, whole, () => undefined);
    const file = join(path, cellsName);
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('{"key":"cell 0"', '{"kex":"cell 0"'));
    const refused = CellFile.open<Row>(path, identity);
    await expect(refused).rejects.toThrow(FileError);
    await expect(refused).rejects.toThrow(/line 2 of '.*cells\.jsonl' is damaged/);
  });
});
