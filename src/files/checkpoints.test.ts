import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cutDisk, type Fault, failingDisk } from '../../test/support/failing-disk.js';
import { FileError } from '../errors.js';
import type { Checkpoint } from './checkpoint.js';
import { CheckpointFolder, holdsCheckpoints, newestCheckpoint } from './checkpoints.js';
import type { Disk } from './disk.js';

let root: string;
let folder: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cgfac-checkpoints-'));
  folder = join(root, 'run', 'checkpoints');
});
afterEach(() => rm(root, { recursive: true }));

const at = (step: number): Checkpoint => ({
  step,
  origin: { threads: 2, data: 'abc' },
  numbers: { step, losses: [1 / step, Number.NaN, -0], draws: 2n ** 63n + BigInt(step) },
  tensors: {
    'parameter.w': { dtype: 'float32', dims: [2, 3], data: Float32Array.from({ length: 6 }, (_, i) => step / (1 + i)) },
    'state.kept': { dtype: 'int64', dims: [], data: BigInt64Array.of(-(2n ** 63n)) },
    'state.mask': { dtype: 'bool', dims: [3], data: Uint8Array.of(1, 0, 1) },
    'state.none': { dtype: 'float64', dims: [0, 4], data: new Float64Array() },
  },
});

async function save(steps: readonly number[], keep = 2, disk?: Disk): Promise<void> {
  const open = await CheckpointFolder.open(folder, keep, disk);
  for (const step of steps) await open.save(at(step));
}

const refuseWarning = (line: string) => expect.unreachable(line);
const newest = async (warn: (line: string) => void = refuseWarning) =>
  (await newestCheckpoint(folder, warn)).checkpoint;
const steps = async () =>
  (await readdir(folder)).map((name) => Number(/^step-(\d+)\.safetensors$/.exec(name)?.[1] ?? name));

it('gives back every bit of the newest checkpoint, and keeps as many as it is told', async () => {
  await save([7, 30, 200, 1_000_000_000]);
  expect(await newest()).toStrictEqual(at(1_000_000_000));
  expect((await steps()).sort()).toEqual([200, 1_000_000_000].sort());
  await save([1_000_000_000], 1); // written again
  expect(await steps()).toEqual([1_000_000_000]);
});

it('removes checkpoints of later steps when the run repeats them, and no file of another kind', async () => {
  await save([10, 20, 30], 3);
  await writeFile(join(folder, 'notes.txt'), 'mine');
  await writeFile(join(folder, 'step-12.safetensors'), 'mine as well');
  await save([11], 3);
  expect((await readdir(folder)).sort()).toEqual([
    'notes.txt',
    'step-0000000010.safetensors',
    'step-0000000011.safetensors',
    'step-12.safetensors',
  ]);
  expect(await newest()).toStrictEqual(at(11));
});

it('says that a folder has none', async () => {
  expect(await holdsCheckpoints(folder)).toBe(false);
  await expect(newest()).rejects.toThrow(new FileError(`'${folder}' has no checkpoint to go on from`));
  await save([]);
  await expect(newest()).rejects.toThrow(/has no checkpoint/);
});

describe('a damaged checkpoint', () => {
  const path = (step: number) => join(folder, `step-${String(step).padStart(10, '0')}.safetensors`);

  it('is named and skipped wherever a bit is changed, and wherever the file ends', async () => {
    await save([10, 20]);
    const whole = await readFile(path(20));
    const damaged = function* () {
      for (let i = 0; i < whole.length; i += 1) {
        const flipped = Buffer.from(whole);
        flipped[i] = (flipped[i] ?? 0) ^ (1 << (i % 8));
        yield flipped;
      }
      for (let size = 0; size < whole.length; size += 13) yield whole.subarray(0, size);
      yield Buffer.concat([whole, Buffer.of(0)]);
      yield Buffer.alloc(whole.length);
    };
    for (const bytes of damaged()) {
      await writeFile(path(20), bytes);
      const warnings: string[] = [];
      expect(await newest((line) => warnings.push(line))).toStrictEqual(at(10));
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toMatch(/^'.*step-0000000020\.safetensors' .*; it is skipped/);
    }
    expect(whole.length).toBeLessThan(2000); // all of it was tried
  });

  it('leaves one clear error if there is no other', async () => {
    await save([10, 20]);
    await writeFile(path(10), 'not a checkpoint');
    await writeFile(path(20), '');
    const warnings: string[] = [];
    await expect(newest((line) => warnings.push(line))).rejects.toThrow(
      new FileError(`none of the checkpoints in '${folder}' is whole: begin the run anew`),
    );
    expect(warnings).toHaveLength(2);
  });

  it('is one under the name of another step, of another program, or of a later version', async () => {
    await save([10, 20]);
    const whole = await readFile(path(20));
    const warned = async (bytes: Uint8Array) => {
      await writeFile(path(20), bytes);
      const warnings: string[] = [];
      expect((await newest((line) => warnings.push(line))).step).toBe(10);
      return warnings.join();
    };
    expect(await warned(await readFile(path(10)))).toMatch(/is the checkpoint of step 10/);
    const foreign = Buffer.from(whole.toString('latin1').replace('cgfac checkpoint', 'other checkpoint'), 'latin1');
    expect(await warned(foreign)).toMatch(/is no checkpoint of cgfac/);
  });
});

describe('whatever call fails', () => {
  const kept = [10, 20];
  /** Calls of opening the folder and saving one checkpoint. */
  async function callsOf(disk = failingDisk(Number.POSITIVE_INFINITY, 'EIO', false)): Promise<number> {
    await save([40], 2, disk);
    return disk.calls;
  }

  it.each<[Fault, 'before' | 'after']>([
    ['ENOSPC', 'before'],
    ['ENOSPC', 'after'],
    ['EIO', 'before'],
    ['EIO', 'after'],
    ['short', 'after'],
    ['crash', 'before'],
    ['crash', 'after'],
  ])('%s %s its effect: a good checkpoint is left, and nothing that is taken for one', async (fault, when) => {
    await save(kept);
    const calls = await callsOf();
    expect(calls).toBeGreaterThan(15);
    for (let call = 0; call < calls; call++) {
      await rm(folder, { recursive: true });
      await save(kept);
      const outcome = await save([40], 2, failingDisk(call, fault, when === 'after')).then(
        () => 'saved',
        (error: unknown) => error,
      );
      const found = await newest();
      if (fault === 'short') expect(outcome).toBe('saved');
      else if (fault !== 'crash' && outcome !== 'saved') expect(outcome).toBeInstanceOf(FileError);
      expect(found).toStrictEqual(at(outcome === 'saved' ? 40 : found.step === 40 ? 40 : 20));
      // The next process goes on, and tidies up.
      await save([50]);
      expect((await steps()).sort()).toEqual([50, found.step].sort());
      expect(await newest()).toStrictEqual(at(50));
    }
  });

  it.each(['before', 'after'])('no first checkpoint is left half written: a crash %s a call', async (when) => {
    const calls = await callsOf();
    for (let call = 0; call < calls; call++) {
      await rm(join(root, 'run'), { recursive: true, force: true });
      await expect(save([40], 2, failingDisk(call, 'crash', when === 'after'))).rejects.toThrow();
      if (await holdsCheckpoints(folder)) expect(await newest()).toStrictEqual(at(40));
    }
  });

  it.each([false, true])('a cut of the power between two calls leaves one: forgetful %s', async (forgetful) => {
    await save(kept);
    const calls = await callsOf();
    const found = new Set<number>();
    for (let call = 0; call < calls; call++) {
      await rm(folder, { recursive: true });
      await save(kept);
      const cut = cutDisk(forgetful);
      await save([40], 2, failingDisk(call, 'crash', false, cut)).catch(() => undefined);
      await cut.cut();
      const { step } = await newest();
      expect(await newest()).toStrictEqual(at(step));
      found.add(step);
    }
    expect([...found]).toEqual([20, 40]);
  });
});
