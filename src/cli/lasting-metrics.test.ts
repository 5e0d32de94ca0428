import { expect, it } from 'vitest';
import { FileError } from '../errors.js';
import { LastingMetrics, saveWithRoom } from './lasting-metrics.js';

const diskFull = () => new FileError('the disk is full', { cause: Object.assign(new Error(), { code: 'ENOSPC' }) });
const step = (number: number) => ({ step: number, epoch: 0, loss: 1, metrics: {}, seconds: 0, optimizer: {} });

it('warns once if a step cannot be written, and writes no further', async () => {
  const written: number[] = [];
  const lines: string[] = [];
  const file = {
    append: ({ step: number }: { step: number }) => {
      if (number === 2) throw diskFull();
      written.push(number);
    },
    sync: () => undefined,
    close: () => {
      throw diskFull();
    },
  };
  const metrics = new LastingMetrics(
    async () => file,
    (line) => lines.push(line),
  );
  for (const number of [1, 2, 3]) await metrics.append(step(number));
  metrics.close();
  expect(written).toEqual([1]);
  expect(lines).toEqual(['Warning: the metrics end here, and the run goes on: the disk is full']);
});

it('does not hide a defect', async () => {
  const metrics = new LastingMetrics(
    () => Promise.reject(new TypeError('a defect')),
    () => undefined,
  );
  await expect(metrics.append(step(1))).rejects.toThrow('a defect');
});

it('makes room and saves again if the disk is full, and only then', async () => {
  let used = 2;
  const save = async () => {
    if (used > 1) throw diskFull();
    return 'saved';
  };
  const makeRoom = async () => {
    used--;
  };
  expect(await saveWithRoom(save, makeRoom)).toBe('saved');
  await expect(saveWithRoom(() => Promise.reject(new FileError('denied')), makeRoom)).rejects.toThrow('denied');
  expect(used).toBe(1);
});
