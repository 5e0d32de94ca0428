import * as files from 'node:fs/promises';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FileError } from '../errors.js';
import { lockFolder, unlockFolder } from './folder-lock.js';
import { processStart } from './process-start.js';

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof files>();
  return { ...real, link: vi.fn(real.link) };
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cgfac-lock-'));
});
afterEach(() => rm(folder, { recursive: true }));

const linkFails = (code: string) =>
  vi.mocked(files.link).mockRejectedValueOnce(Object.assign(new Error(code), { code }));

it.each(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])('locks where a file system has no links: %s', async (code) => {
  linkFails(code);
  expect(await lockFolder(folder)).toBeUndefined();
  expect(await readdir(folder)).toEqual(['.cgfac-lock']);
  await unlockFolder(folder);
  expect(await readdir(folder)).toEqual([]);
});

it.each(['ENOSPC', 'EDQUOT', 'EACCES', 'EIO'])('leaves nothing where the lock cannot be written: %s', async (code) => {
  linkFails(code);
  const failure = await lockFolder(folder).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(FileError);
  expect(String(failure)).toContain(`cannot write the lock '${join(folder, '.cgfac-lock')}'`);
  expect(await readdir(folder)).toEqual([]);
});

const lockOf = (holder: object) =>
  writeFile(join(folder, '.cgfac-lock'), JSON.stringify({ host: hostname(), ...holder }));

it('holds a folder once, also against another run of this process', async () => {
  expect(await lockFolder(folder)).toBeUndefined();
  expect(await lockFolder(folder)).toBe('this process');
  await unlockFolder(folder);
  expect(await lockFolder(folder)).toBeUndefined();
});

it('leaves the lock of a process that runs', async () => {
  await lockOf({ process: process.ppid, started: await processStart(process.ppid) });
  expect(await lockFolder(folder)).toMatch(new RegExp(`^process ${process.ppid} \\(if that is not cgfac, delete `));
  await lockOf({ process: process.ppid }); // of a system that does not tell when it began
  expect(await lockFolder(folder)).toMatch(/^process/);
});

it.each([process.ppid, process.pid])(
  'takes over a lock whose process has ended if another one has its id: %s',
  async (id) => {
    await lockOf({ process: id, started: 'in an earlier life of the machine' });
    expect(await lockFolder(folder)).toBeUndefined();
    expect(await readdir(folder)).toEqual(['.cgfac-lock']);
  },
);

it('gives a stale lock to one of many that want it at once', async () => {
  await lockOf({ process: process.ppid, started: 'in an earlier life of the machine' });
  const holders = await Promise.all(Array.from({ length: 8 }, () => lockFolder(folder)));
  expect(holders.filter((holder) => holder === undefined)).toHaveLength(1);
  expect(await readdir(folder)).toEqual(['.cgfac-lock']);
});

it('tells processes of one id apart by their start', async () => {
  const own = await processStart(process.pid);
  expect(own).toBeTruthy();
  expect(await processStart(process.pid)).toBe(own);
  expect(await processStart(process.ppid)).not.toBe(own);
  expect(await processStart(2 ** 30)).toBeUndefined();
});
