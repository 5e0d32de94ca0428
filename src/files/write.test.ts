import { once } from 'node:events';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { failingDisk } from '../../test/support/failing-disk.js';
import { FileError, OptionError } from '../errors.js';
import { ensureWritableFolder, writeFileAtomically } from './write.js';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cgfac-files-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('writeFileAtomically', () => {
  it('writes text and bytes, replaces what was there, and leaves nothing else behind', async () => {
    const path = join(folder, 'model.onnx');
    await writeFileAtomically(path, 'größer');
    expect(await readFile(path, 'utf8')).toBe('größer');
    await writeFileAtomically(path, new Uint8Array([0, 255, 10]));
    expect([...(await readFile(path))]).toEqual([0, 255, 10]);
    expect(await readdir(folder)).toEqual(['model.onnx']);
  });

  it.each(['create', 'write', 'sync', 'close', 'rename'].map((name, call) => [name, call] as const))(
    'keeps the old file when the disk fills up at %s',
    async (_, call) => {
      const path = join(folder, 'checkpoint');
      await writeFile(path, 'the old content');
      await expect(
        writeFileAtomically(path, 'the new content', failingDisk(call, 'ENOSPC', call === 1)),
      ).rejects.toThrow(/cannot write '.*checkpoint'.*disk is full/);
      expect(await readFile(path, 'utf8')).toBe('the old content');
      expect(await readdir(folder)).toEqual(['checkpoint']);
    },
  );

  it('writes on if the system takes fewer bytes than it is given', async () => {
    const path = join(folder, 'model.onnx');
    await writeFileAtomically(
      path,
      [Buffer.from('one, '), new Uint8Array(), Buffer.from('two')],
      failingDisk(2, 'short', true),
    );
    expect(await readFile(path, 'utf8')).toBe('one, two');
  });

  it('takes a name as long as the file system allows', async () => {
    const path = join(folder, 'n'.repeat(255));
    await writeFileAtomically(path, 'x');
    expect(await readFile(path, 'utf8')).toBe('x');
  });

  it('writes the file that a link leads to', async () => {
    await writeFile(join(folder, 'real'), 'old');
    await symlink('real', join(folder, 'link'));
    await writeFileAtomically(join(folder, 'link'), 'new');
    expect(await readFile(join(folder, 'real'), 'utf8')).toBe('new');
    expect((await lstat(join(folder, 'link'))).isSymbolicLink()).toBe(true);
  });

  it('leaves what is no file where it is', async () => {
    const path = join(folder, 'socket');
    const server = createServer().listen(path);
    await once(server, 'listening');
    await expect(writeFileAtomically(path, 'x')).rejects.toThrow(/it is a device, a pipe or a socket/);
    expect((await lstat(path)).isSocket()).toBe(true);
    server.close();
  });

  it('says what is wrong where the folder is missing or the target is a folder', async () => {
    await expect(writeFileAtomically(join(folder, 'none', 'x'), '')).rejects.toThrow(/folder does not exist/);
    await mkdir(join(folder, 'target'));
    await expect(writeFileAtomically(join(folder, 'target'), '')).rejects.toThrow(FileError);
    expect(await readdir(folder)).toEqual(['target']);
  });
});

describe('ensureWritableFolder', () => {
  it('makes nested folders, and leaves no probe in them', async () => {
    const path = join(folder, 'a', 'b');
    await ensureWritableFolder(path);
    await ensureWritableFolder(path);
    expect(await readdir(path)).toEqual([]);
  });

  it('refuses a path at or under a file, and says what to do', async () => {
    const path = join(folder, 'file');
    await writeFile(path, '');
    await expect(ensureWritableFolder(path)).rejects.toThrow(OptionError);
    await expect(ensureWritableFolder(path)).rejects.toThrow(/is a file.*give another path/);
    await expect(ensureWritableFolder(join(path, 'sub'))).rejects.toThrow(OptionError);
  });

  it.skipIf(process.platform !== 'linux')('refuses a folder that the system will not make', async () => {
    await expect(ensureWritableFolder('/proc/cgfac/runs')).rejects.toThrow(
      /cannot make the folder '\/proc\/cgfac\/runs'/,
    );
  });

  it.skipIf(process.getuid?.() === 0)('refuses a folder without the permission to write', async () => {
    await chmod(folder, 0o500);
    await expect(ensureWritableFolder(folder)).rejects.toThrow(/cannot write in the folder.*permission was denied/);
    await chmod(folder, 0o700);
  });
});
