import fc from 'fast-check';
import { expect, it } from 'vitest';
import { madeUpExperiment, madeUpRun } from '../../test/support/made-up.js';
import { dataName, optimizerOf, shortLabels, shortNames, withDistinctNames } from './names.js';

const short = (...names: string[]) => [...shortNames(names).values()];
const labelled = (...names: string[]) => [...shortLabels(names, 14).values()];

it('keeps of long names what tells them apart', () => {
  expect(short('adam:learning-rate=0.003', 'adam:learning-rate=0.1', 'adam')).toEqual([
    'adam 0.003',
    'adam 0.1',
    'adam',
  ]);
  expect(short('cgfac:rank=64', 'adam')).toEqual(['cgfac', 'adam']);
  expect(short('cgfac:rank=64', 'cgfac:damping=10:rank=64')).toEqual(['cgfac', 'cgfac damping=10']);
  expect(short('cgfac:rank=64', 'cgfac:damping=64')).toEqual(['cgfac rank=64', 'cgfac damping=64']);
  expect(short('adam:learning-rate=0.1', 'adam:learning-rate=0.1 (2)', 'adam (folder)')).toEqual([
    'adam 0.1',
    'adam 0.1 (2)',
    'adam (folder)',
  ]);
  expect(labelled('cgfac:rank=64', 'cgfac:damping=10:rank=64')).toEqual(['cgfac', 'cgfac 10']);
  expect(optimizerOf('adam:learning-rate=0.1 (2)')).toBe('adam');
});

it('has a name of its own for every run, and no label too long', () => {
  const name = fc.oneof(
    fc.string(),
    fc.stringMatching(/^(adam|sgd):learning-rate=0\.\d{0,12}(:momentum=0\.\d{0,9})?$/),
  );
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 40 }), (names) => {
      expect(new Set(short(...names)).size).toBe(names.length);
      const labels = labelled(...names);
      expect(new Set(labels).size).toBe(names.length);
      expect(Math.max(0, ...labels.map(({ length }) => length))).toBeLessThanOrEqual(14);
    }),
  );
});

it('numbers runs of one name', () => {
  const runs = ['adam', 'adam (2)', 'adam', 'sgd'].map((name) => madeUpRun(name, () => 1));
  expect(withDistinctNames(madeUpExperiment(runs)).runs.map(({ name }) => name)).toEqual([
    'adam',
    'adam (2)',
    'adam (3)',
    'sgd',
  ]);
});

it.each([
  ['digits', 'digits'],
  ['digits?train=200&test=50', 'digits'],
  ['mnist:/home/me/data', 'mnist'],
  ['csv:/home/me/wine.csv?label=quality', 'wine.csv'],
  ['images:photos/', 'photos'],
  ['text:C:\\books\\one.txt', 'one.txt'],
  ['npy:.?targets=y', 'npy'],
  ['my own data', 'my own data'],
])('the name of %s is %s', (spec, name) => expect(dataName(spec)).toBe(name));
