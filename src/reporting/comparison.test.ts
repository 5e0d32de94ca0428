import { expect, it } from 'vitest';
import { madeUpRun } from '../../test/support/made-up.js';
import { comparisonOf, type FoundRun } from './comparison.js';

const found = (name: string, rest: Partial<FoundRun> = {}): FoundRun => ({
  folder: `runs/${name}`,
  home: `runs/${name}`,
  record: madeUpRun(name, (step) => 1 / step),
  model: 'mlp',
  data: 'csv:some/wine.csv?label=kind',
  parameters: 100,
  isRunning: false,
  options: new Map([['batch-size', '64']]),
  notes: [],
  ...rest,
});

it('compares runs on the same data, with the options in which they differ', () => {
  const { experiments, notes } = comparisonOf([
    found('adam'),
    found('adam', {
      folder: 'more/b',
      home: 'more/b',
      options: new Map([
        ['batch-size', '64'],
        ['seed', '3'],
      ]),
    }),
    found('sgd', { model: 'lenet', parameters: 200 }),
  ]);
  expect(notes).toEqual([]);
  expect(experiments).toHaveLength(1);
  const [{ runs, differences, model, parameters, batchSize } = { runs: [] }] = experiments;
  expect(runs.map(({ name }) => name)).toEqual(['adam (adam)', 'adam (b)', 'sgd']);
  expect(differences).toEqual([{ option: 'seed', values: [undefined, '3', undefined] }]);
  expect([model, parameters, batchSize]).toEqual(['mlp and lenet', Number.NaN, 64]);
});

it('keeps runs of other data or another metric apart, and says so', () => {
  const metric = { name: 'accuracy', lowerIsBetter: false };
  const { experiments, notes } = comparisonOf([
    found('adam', { fingerprint: 'aaaaaaaaaaaabbbb' }),
    found('sgd', { fingerprint: 'cccccccccccc' }),
    found('kfac', { data: 'digits', record: { ...madeUpRun('kfac', () => 1), metric } }),
  ]);
  expect(experiments.map(({ runs }) => runs.map(({ name }) => name))).toEqual([['adam'], ['sgd'], ['kfac']]);
  expect(notes).toEqual([
    'Runs of different data or metrics cannot be compared, and have sections of their own: ' +
      'adam (wine.csv, fingerprint aaaaaaaaaaaa, squaredError); sgd (wine.csv, fingerprint cccccccccccc, squaredError); and kfac (digits, accuracy).',
  ]);
  for (const experiment of experiments) expect(experiment.notes).toEqual(notes);
});

it('says what is wrong, and compares targets only if they are the same', () => {
  const target = { metric: 'accuracy', value: 0.9 };
  const record = madeUpRun('adam', () => 1, { toTarget: { steps: 3, seconds: 1 } });
  const runs = [
    found('adam', { target, record, isRunning: true }),
    found('sgd', { notes: ['line 3 of metrics.jsonl is damaged and left out.'] }),
  ];
  const [experiment] = comparisonOf(runs).experiments;
  expect(experiment?.target).toBeUndefined();
  expect(experiment?.runs[0]?.toTarget).toBeUndefined();
  expect(experiment?.notes).toEqual([
    'adam is still running: 50 steps so far, and the table has its last evaluations.',
    'runs/sgd: line 3 of metrics.jsonl is damaged and left out.',
  ]);
  expect(comparisonOf(runs.slice(0, 1)).experiments[0]?.target).toEqual(target);
});
