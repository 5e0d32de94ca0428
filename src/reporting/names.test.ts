import fc from 'fast-check';
import { expect, it } from 'vitest';
import { madeUpExperiment, madeUpRun } from '../../test/support/made-up.js';
import { shortLabels, withDistinctNames } from './names.js';

const labelled = (...names: string[]) => [...shortLabels(names, 14).values()];

it('keeps of long names what tells them apart', () => {
  expect(labelled('adam:learning-rate=0.003', 'adam:learning-rate=0.1', 'adam')).toEqual([
    'adam 0.003',
    'adam 0.1',
    'adam',
  ]);
  expect(labelled('cgfac:rank=64', 'cgfac:damping=10:rank=64')).toEqual(['cgfac:rank=64', 'cgfac 10']);
});

it('has a label of its own for every name, and none too long', () => {
  const name = fc.oneof(
    fc.string(),
    fc.stringMatching(/^(adam|sgd):learning-rate=0\.\d{0,12}(:momentum=0\.\d{0,9})?$/),
  );
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 40 }), (names) => {
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
