import * as files from 'node:fs/promises';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FileError } from '../errors.js';
import { lockFolder, unlockFolder } from './folder-lock.js';

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
