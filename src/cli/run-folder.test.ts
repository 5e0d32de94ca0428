import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OptionError } from '../errors.js';
import { RunFolder, stateOf } from './run-folder.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cgfac-folder-'));
});
afterEach(() => rm(root, { recursive: true }));

const open = (options: Partial<Parameters<typeof RunFolder.open>[0]> = {}) =>
  RunFolder.open({ usual: join(root, 'run'), command: 'cgfac train', ...options });

async function finished(options: Parameters<typeof open>[0], ...names: string[][]): Promise<RunFolder> {
  const folder = await open(options);
  for (const name of names) await folder.write(name, (path) => writeFile(path, 'content'));
  await folder.close('finished');
  return folder;
}

/** The id of a process that has ended. */
const deadProcess = (): number => spawnSync(process.execPath, ['--version']).pid;

it('gives each run without a given folder one of its own', async () => {
  const paths: string[] = [];
  for (let run = 0; run < 3; run++) paths.push((await finished({}, ['metrics.jsonl'])).path);
  expect(paths).toEqual(['run', 'run-2', 'run-3'].map((name) => join(root, name)));
});

it('gives runs at the same time folders of their own, and refuses a second one with a given folder', async () => {
  const lock = join(root, 'run', '.cgfac-lock');
  await mkdir(join(root, 'run'));
  // The process that runs this test's runner: alive, and not this one.
  await writeFile(lock, JSON.stringify({ process: process.ppid, host: hostname() }));
  const other = await open();
  expect(other.path).toBe(join(root, 'run-2'));
  await other.close('finished');
  await expect(open({ given: join(root, 'run') })).rejects.toThrow(
    `is being written by process ${process.ppid} (if that is not cgfac, delete '${lock}'): wait for it, or choose another folder (--out)`,
  );
  expect(existsSync(lock)).toBe(true);
});

it('takes over the lock of a dead process and removes what it left half written', async () => {
  const path = join(root, 'run');
  await mkdir(path);
  const dead = deadProcess();
  await writeFile(join(path, '.cgfac-lock'), JSON.stringify({ process: dead, host: hostname() }));
  await writeFile(join(path, `.cgfac-${dead}-0123456789ab.tmp`), 'half a model');
  await writeFile(join(path, `.cgfac-${process.ppid}-0123456789ab.tmp`), 'of one that writes');
  const folder = await open({ given: path });
  expect((await readdir(path)).sort()).toEqual([`.cgfac-${process.ppid}-0123456789ab.tmp`, '.cgfac-lock']);
  await folder.close('finished');
});

it.each(['not JSON', '{"process": 1}', JSON.stringify({ process: 1, host: 'another machine' })])(
  'leaves a lock that it cannot judge: %s',
  async (content) => {
    const path = join(root, 'run');
    await mkdir(path);
    await writeFile(join(path, '.cgfac-lock'), content);
    await expect(open({ given: path })).rejects.toThrow(/is being written by .*delete '/);
  },
);

it('can be resumed from checkpoints of its own, not from those of the run that it is to replace', async () => {
  const path = join(root, 'run');
  const checkpoint = ['checkpoints', 'step-0000000003.safetensors'];
  await finished({ given: path }, ['config.json'], checkpoint);
  const folder = await open({ given: path, overwrite: true });
  expect(await folder.isResumable).toBe(false);
  await folder.write(['config.json'], (file) => writeFile(file, 'new'));
  expect(await folder.isResumable).toBe(false);
  await folder.write(checkpoint, (file) => writeFile(file, 'new'));
  expect(await folder.isResumable).toBe(true);
  await folder.close('failed');
});

it('moves the old run aside when the new one writes, removes it when that has a model, and nothing else', async () => {
  const path = join(root, 'run');
  await finished(
    { given: path },
    ['adam', 'metrics.jsonl'],
    ['adam', 'model.onnx'],
    ['sgd', 'metrics.jsonl'],
    ['report.html'],
  );
  await writeFile(join(path, 'adam', 'model.onnx.0123456789ab.data'), 'tensors');
  await writeFile(join(path, 'sgd', 'notes.txt'), 'mine');
  await expect(open({ given: path })).rejects.toThrow(OptionError);
  await expect(open({ given: path })).rejects.toThrow(
    /holds a run already \(report\.html, .*\): choose another --out, or .* --overwrite/,
  );

  const folder = await open({ given: path, overwrite: true });
  expect(existsSync(join(path, 'adam', 'model.onnx'))).toBe(true); // nothing is lost before there is something new
  await folder.write(['metrics.jsonl'], (file) => writeFile(file, 'new'));
  // Now the process is killed: no old model stands beside the new metrics.
  expect((await readdir(path, { recursive: true })).sort()).toEqual(
    expect.arrayContaining(['.cgfac-lock', 'metrics.jsonl', 'run.json', 'sgd', join('sgd', 'notes.txt')]),
  );
  expect(JSON.parse(await readFile(join(path, 'run.json'), 'utf8'))).toMatchObject({
    state: 'running',
    files: ['metrics.jsonl'],
  });
  expect(existsSync(join(path, 'adam'))).toBe(false);
  await folder.write(['model.onnx'], (file) => writeFile(file, 'new'));
  expect(await folder.close('interrupted')).toBe(false);
  expect((await readdir(path, { recursive: true })).sort()).toEqual(
    ['metrics.jsonl', 'model.onnx', 'run.json', 'sgd', join('sgd', 'notes.txt')].sort(),
  );
});

it('removes no file outside, whatever a manifest says', async () => {
  await writeFile(join(root, 'model.onnx'), 'precious');
  const path = join(root, 'run');
  await mkdir(path);
  await writeFile(join(path, 'own.onnx'), 'precious');
  await writeFile(
    join(path, 'run.json'),
    JSON.stringify({ files: ['../model.onnx', join(root, 'model.onnx'), 'own.onnx', 7] }),
  );
  await finished({ given: path, overwrite: true }, ['metrics.jsonl']);
  expect(await readFile(join(root, 'model.onnx'), 'utf8')).toBe('precious');
  expect(await readFile(join(path, 'own.onnx'), 'utf8')).toBe('precious');
});

it('keeps the old run where the new one writes nothing, and folders that it did not make', async () => {
  const path = join(root, 'run');
  await finished({ given: path }, ['model.onnx']);
  await (await open({ given: path, overwrite: true })).close('interrupted');
  expect((await readdir(path)).sort()).toEqual(['model.onnx', 'run.json']);
  await (await open({ given: join(root, 'a', 'b', 'c') })).close('failed');
  expect(existsSync(join(root, 'a'))).toBe(false);
});

it('does not replace a file that the run reads', async () => {
  const path = join(root, 'run');
  await finished({ given: path }, ['model.onnx']);
  const reads = [join(path, '..', 'run', 'model.onnx')];
  await expect(open({ given: path, overwrite: true, reads })).rejects.toThrow(/is read by this run/);
});

const full = () => Promise.reject(Object.assign(new Error('no space left'), { code: 'ENOSPC' }));

it.each(['closed', 'killed'])('puts the old run back where the new one has no model: %s', async (end) => {
  const path = join(root, 'run');
  await finished({ given: path }, ['adam', 'model.onnx'], ['report.html']);
  const before = await readFile(join(path, 'run.json'), 'utf8');
  const folder = await open({ given: path, overwrite: true });
  await folder.write(['sgd', 'metrics.jsonl'], (file) => writeFile(file, 'new'));
  await expect(folder.write(['sgd', 'model.onnx'], full)).rejects.toThrow('no space left');
  if (end === 'closed') expect(await folder.close('failed')).toBe(true);
  else {
    await writeFile(join(path, '.cgfac-lock'), JSON.stringify({ process: deadProcess(), host: hostname() }));
    await expect(open({ given: path })).rejects.toThrow(/holds a run already/);
  }
  expect((await readdir(path, { recursive: true })).sort()).toEqual(
    ['adam', join('adam', 'model.onnx'), 'report.html', 'run.json'].sort(),
  );
  expect(await readFile(join(path, 'run.json'), 'utf8')).toBe(before);
});

it('notes only files that were written, and unlocks where noting fails', async () => {
  const path = join(root, 'run');
  const folder = await open({ given: path });
  await folder.write(['metrics.jsonl'], (file) => writeFile(file, 'new'));
  await expect(folder.write(['model.onnx'], full)).rejects.toThrow('no space left');
  expect(JSON.parse(await readFile(join(path, 'run.json'), 'utf8')).files).toEqual(['metrics.jsonl']);
  await rm(join(path, 'run.json'));
  await mkdir(join(path, 'run.json', 'in the way'), { recursive: true });
  await expect(folder.close('failed')).rejects.toThrow(/cannot write '.*run.json'/);
  expect(existsSync(join(path, '.cgfac-lock'))).toBe(false);
});

it.each(['', 'not JSON'])(
  'takes over a lock that names nobody and is older than this process: "%s"',
  async (content) => {
    const path = join(root, 'run');
    await mkdir(path);
    await writeFile(join(path, '.cgfac-lock'), content);
    await utimes(join(path, '.cgfac-lock'), 0, 0);
    await (await open({ given: path })).close('failed');
    expect(await readdir(path)).toEqual([]);
  },
);

describe('a run that can go on', () => {
  const checkpoint = join('checkpoints', 'step-0000000005.safetensors');
  /** Leaves a run without a model, as a kill does. */
  async function killed(path: string, ...names: string[]): Promise<void> {
    const folder = await open({ given: path, overwrite: true });
    await folder.write(['config.json'], (file) => writeFile(file, '{}'));
    await folder.write(['metrics.jsonl'], (file) => writeFile(file, 'new'));
    for (const name of names) {
      await mkdir(join(path, dirname(name)), { recursive: true });
      await writeFile(join(path, name), 'state');
    }
    await writeFile(join(path, '.cgfac-lock'), JSON.stringify({ process: deadProcess(), host: hostname() }));
  }

  it('is not replaced by the one that waits, nor lost to a new one', async () => {
    const path = join(root, 'run');
    await finished({ given: path }, ['model.onnx'], ['report.html']);
    await killed(path, checkpoint);
    await expect(open({ given: path })).rejects.toThrow(
      /holds a run already \(.*\): go on with it by cgfac train --resume \S+run, choose another --out/,
    );
    expect(existsSync(join(path, checkpoint))).toBe(true);
    // It goes on: what waits is still there until it has a model.
    const failed = await open({ given: path, resume: true });
    expect(await failed.close('failed')).toBe(false);
    expect(existsSync(join(path, checkpoint))).toBe(true);
    expect(existsSync(join(path, '.cgfac-old', 'model.onnx'))).toBe(true);
    const again = await open({ given: path, resume: true });
    await again.write(['model.onnx'], (file) => writeFile(file, 'trained'));
    await again.close('finished');
    expect((await readdir(path)).sort()).toEqual(
      ['checkpoints', 'config.json', 'metrics.jsonl', 'model.onnx', 'run.json'].sort(),
    );
    expect(await stateOf(path)).toBe('finished');
  });

  it('keeps its state if nothing was written when it was to go on', async () => {
    const path = join(root, 'run');
    await finished({ given: path }, ['config.json'], ['model.onnx']);
    await (await open({ given: path, resume: true })).close('failed');
    expect(await stateOf(path)).toBe('finished');
    expect(existsSync(join(path, '.cgfac-lock'))).toBe(false);
  });

  it('is replaced with its checkpoints, and nothing else in their folder', async () => {
    const path = join(root, 'run');
    await killed(path, checkpoint, join('checkpoints', 'notes.txt'));
    const folder = await open({ given: path, overwrite: true });
    await folder.write(['model.onnx'], (file) => writeFile(file, 'new'));
    await folder.close('finished');
    expect((await readdir(path, { recursive: true })).sort()).toEqual(
      ['checkpoints', join('checkpoints', 'notes.txt'), 'model.onnx', 'run.json'].sort(),
    );
  });

  it('makes room by its older checkpoints', async () => {
    const path = join(root, 'run');
    await killed(path, checkpoint, checkpoint.replace('5', '6'), checkpoint.replace('5', '7'));
    const folder = await open({ given: path, resume: true });
    expect(await folder.isResumable).toBe(true);
    expect(await folder.keepNewestCheckpoint()).toBe(true);
    expect(await readdir(join(path, 'checkpoints'))).toEqual(['step-0000000007.safetensors']);
    expect(await folder.keepNewestCheckpoint()).toBe(false);
    await folder.close('failed');
  });
});

it('takes no config.json and no folder of checkpoints for its own without a manifest that says so', async () => {
  const path = join(root, 'run');
  await mkdir(join(path, 'checkpoints'), { recursive: true });
  await writeFile(join(path, 'config.json'), 'mine');
  await writeFile(join(path, 'checkpoints', 'step-0000000005.safetensors'), 'mine');
  await writeFile(join(path, 'run.json'), JSON.stringify({ files: ['model.onnx'] }));
  await finished({ given: path, overwrite: true }, ['model.onnx']);
  expect(await readFile(join(path, 'config.json'), 'utf8')).toBe('mine');
  expect(await readFile(join(path, 'checkpoints', 'step-0000000005.safetensors'), 'utf8')).toBe('mine');
});
