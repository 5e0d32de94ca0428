import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { readEvents, scalarsOf } from '../../../test/support/event-files.js';
import { FileError } from '../../errors.js';
import { EventFile } from './event-file.js';
import { scalar, summaryEvent } from './events.js';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'events-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

async function write(path: string, resumedAt: number, steps: readonly number[]): Promise<EventFile> {
  const file = await EventFile.open(path, resumedAt, 1_000_000);
  for (const step of steps) file.append(summaryEvent(1000, step, [scalar('loss', step / 10)]));
  file.close();
  return file;
}

it('hands each event to the system at once', async () => {
  const path = folder();
  const file = await EventFile.open(join(path, 'a', 'b'), 0);
  file.append(summaryEvent(1, 1, [scalar('loss', 0.5)]));
  expect(scalarsOf(readEvents(join(path, 'a', 'b')), 'loss')).toEqual([[1, 0.5]]);
  file.close();
  file.close();
  expect(() => file.append(new Uint8Array())).toThrow(FileError);
});

it('has no step twice after a run is resumed, however it was killed', async () => {
  const path = folder();
  await write(path, 0, [1, 2, 3, 4]);
  // A torn event at the end of the file that the killed process left.
  const [first = ''] = readdirSync(path);
  appendFileSync(join(path, first), readFileSync(join(path, first)).subarray(0, 21));
  await write(path, 2, [3, 4, 5]);
  await write(path, 4, [5, 6]);
  const events = readEvents(path);
  expect(scalarsOf(events, 'loss').map(([step]) => step)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(readdirSync(path)).toHaveLength(3);
  const starts = events.filter(({ session_log }) => session_log).map(({ step }) => Number(step));
  expect(starts).toEqual([3, 5]);
});

it('does not mix two runs', async () => {
  const path = folder();
  await write(path, 0, [1]);
  await expect(write(path, 0, [1])).rejects.toThrow(/holds events of another run \(events\.out\.tfevents\./);
});

it('says which file cannot be made', async () => {
  const path = folder();
  const blocked = join(path, 'file');
  appendFileSync(blocked, '');
  await expect(EventFile.open(blocked, 0)).rejects.toThrow(blocked);
});
