// Data brought to a model's names: rows, labels and text are the same by name, whatever their order in the file.
import { expect, it } from 'vitest';
import { aligned } from './align.js';
import type { Dataset } from './dataset.js';
import { csvSplits } from './readers/csv.js';
import { textSplits } from './readers/text.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const table = (lines: readonly string[], label = 'kind') =>
  csvSplits(bytes(lines.join('\n')), 'rows.csv', { label, testShare: 0.25, seed: 3 });
const setOf = (result: ReturnType<typeof aligned>): Dataset => {
  if ('set' in result) return result.set;
  throw new Error(result.misfit);
};
const misfit = (result: ReturnType<typeof aligned>) => ('misfit' in result ? result.misfit : 'none');

const columns = [
  { name: 'a', size: 1 },
  { name: 'b', size: 1 },
];
const meaning = { columns, classes: ['cat', 'dog', 'owl'] };

it('puts columns in the order of the model, and labels among its classes', () => {
  const { train, test } = table(['b,kind,a', '1,owl,10', '2,owl,20', '3,cat,30', '4,owl,40']);
  expect(train).toMatchObject({ target: 'kind', classes: ['cat', 'owl'], heldOut: { share: 0.25, seed: 3 } });
  const both = [train, test].map((set) => setOf(aligned(meaning, set)));
  const rows = both.flatMap(({ inputs, targets, size }) =>
    Array.from({ length: size }, (_, i) => [
      ...(inputs as { data: Float32Array }).data.slice(2 * i, 2 * i + 2),
      targets.data[i],
    ]),
  );
  expect(rows.sort((x, y) => Number(x[0]) - Number(y[0]))).toEqual([
    [10, 1, 2],
    [20, 2, 2],
    [30, 3, 0],
    [40, 4, 2],
  ]);
  for (const set of both) expect(set).toMatchObject({ classes: meaning.classes, columns });
});

it('says which columns and classes are not those of the model', () => {
  const { train } = table(['a,B1,kind', '1,2,cat', '2,3,cow']);
  expect(misfit(aligned(meaning, train))).toBe(
    "the columns of 'rows.csv train' lack 'b' (did you mean 'B1'?) and have 'B1', which the model does not take: the model takes 'a', 'b'",
  );
  const { train: other } = table(['a,b,kind', '1,2,cow', '2,3,cow', '2,3,yak', '3,3,yak', '3,3,owl']);
  expect(misfit(aligned(meaning, other))).toMatch(
    /^the data 'rows\.csv train' have the classes 'cow', 'yak', not among the model's: 'cat', 'dog', 'owl'$/,
  );
});

it('takes numbers for classes that have none of their own names', () => {
  const set = { ...table(['a,b,kind', '1,2,0', '2,3,1', '3,3,1']).train };
  expect(setOf(aligned(meaning, set)).targets).toBe(set.targets);
  expect(misfit(aligned({ classes: ['1', '2'] }, set))).toMatch(/have the class '0'/);
});

it('gives characters the tokens of the model, in overlapping windows too', () => {
  const { train, test } = textSplits(bytes('cabbage '.repeat(40)), 'book.txt', { context: 4 });
  const vocabulary = ['z', ...(train.vocabulary ?? [])].reverse();
  const text = (set: Dataset, row: number, column = set.inputs as { data: Int32Array; stride?: number }) =>
    Array.from(column.data.subarray(row * (column.stride ?? 4)).slice(0, 4), (token) => set.vocabulary?.[token]).join(
      '',
    );
  for (const set of [train, test]) {
    const other = setOf(aligned({ text: { vocabulary, context: 4 }, classes: vocabulary }, set));
    expect(other.inputs).not.toEqual(set.inputs);
    for (const row of [0, 1, 5]) {
      expect(text(other, row)).toBe(text(set, row));
      expect(text(other, row, other.targets as { data: Int32Array })).toBe(
        text(set, row, set.targets as { data: Int32Array }),
      );
    }
  }
  expect(misfit(aligned({ text: { vocabulary: ['a', 'b', 'c', 'e', ' '], context: 4 } }, train))).toBe(
    "the text of 'book.txt train' has 'g', not among the 5 characters that the model knows",
  );
});
