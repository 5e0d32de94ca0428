// `--batch-size auto` with what waits for a step of the run: its trials have none.
import { expect, it } from 'vitest';
import { withBatchSize } from './batch-size.js';
import { trainFlagsOf } from './train.js';

it.each<[string, Record<string, unknown>]>([
  ['parameters that wait', { freeze: 'fc1.*', 'unfreeze-after': 1, epochs: 2 }],
  ['a warm-up', { 'warm-up': 3, schedule: 'cosine', steps: 9 }],
])('is found for a run with %s', async (_, config) => {
  const data = 'digits?train=8&test=2';
  const typed = trainFlagsOf({ ...config, data, optimizer: 'adam', threads: 1, 'batch-size': 'auto' }, 'test');
  const { flags } = await withBatchSize('mlp:hidden=2', 'adam', typed);
  expect(flags).toEqual({ ...typed, batchSize: expect.any(Number) });
});
