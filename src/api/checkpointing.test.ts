import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { drawnDigits } from '../data/digits/digits.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { FileError, OptionError } from '../errors.js';
import { mlp } from '../nn/zoo.js';
import { adam } from '../optimizers/adam.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { sgd } from '../optimizers/sgd.js';
import type { TrainingResult } from '../training/trainer.js';
import { type TrainOptions, train } from './train.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

let root: string;
let dir: string;
const warned = vi.spyOn(process, 'emitWarning').mockReturnValue();
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cgfac-resume-'));
  dir = join(root, 'checkpoints');
  warned.mockClear();
});
afterEach(() => rm(root, { recursive: true }));

const data = drawnDigits({ trainSize: 60, testSize: 20 });
const model = mlp({ sizes: [784, 6, 10], seed: 2 });
const run = (options: Partial<TrainOptions>) =>
  train(model, { engine, data, optimizer: cgfac(), steps: 9, batchSize: 20, seed: 3, ...options });

const names = (steps: readonly number[]) => steps.map((step) => `step-${String(step).padStart(10, '0')}.safetensors`);
const left = ({ parameters, record }: TrainingResult) => ({
  parameters: Object.fromEntries(parameters),
  steps: record.steps.map(({ seconds: _, ...step }) => step),
  train: record.train,
});

it('goes on from a file with the same bits, as often as it is stopped, and as far as it is told', async () => {
  const whole = left(await run({ steps: 9 }));
  const checkpoint = { dir, every: 2, keep: 2 };
  await run({ steps: 4, checkpoint });
  expect((await readdir(dir)).at(-1)).toBe(names([3])[0]);
  const stop = new AbortController();
  const callbacks = { onStep: ({ step }: { step: number }) => (step === 6 ? stop.abort() : undefined) };
  const stopped = await run({ checkpoint, resumeFrom: dir, signal: stop.signal, callbacks });
  expect(stopped.interrupted).toBe(true);
  expect((await readdir(dir)).at(-1)).toBe(names([6])[0]);
  const resumed = await run({ checkpoint, resumeFrom: dir });
  expect(left(resumed)).toEqual(whole);
  expect(await readdir(dir)).toHaveLength(2);
  expect((await readdir(dir)).at(-1)).toBe(names([8])[0]);
  // Only read, and into another folder.
  expect(left(await run({ resumeFrom: dir }))).toEqual(whole);
  expect(left(await run({ resumeFrom: { dir }, checkpoint: { dir: join(root, 'other') } }))).toEqual(whole);
  expect(resumed.warnings).toEqual([]);
});

it('tells callbacks where each checkpoint is, when it is written', async () => {
  const told: unknown[] = [];
  await run({ checkpoint: { dir, every: 4 }, callbacks: { onCheckpoint: (event) => void told.push(event) } });
  expect(told.at(-1)).toEqual({ step: 8, path: join(dir, ...names([8])) });
  expect(told.length).toBe((await readdir(dir)).length);
});

it('warns about a checkpoint that cannot be written, once, and trains on', async () => {
  const callbacks = {
    async onStep({ step }: { step: number }) {
      if (step !== 3) return;
      await rm(dir, { recursive: true });
      await writeFile(dir, 'a file in the way');
    },
  };
  const result = await run({ checkpoint: { dir, every: 1 }, callbacks });
  expect(result.record.steps).toHaveLength(9);
  expect(result.warnings).toEqual([
    expect.stringMatching(/^cannot write '.*checkpoints.*step-0000000\d+\.safetensors': .*; the run goes on/),
  ]);
  expect(warned).toHaveBeenCalledExactlyOnceWith(result.warnings[0], 'CheckpointWarning');
});

it('takes the newest whole checkpoint, and warns about the newer ones', async () => {
  const whole = left(await run({ checkpoint: { dir }, steps: 4 }));
  expect(await readdir(dir)).toEqual(names([3]));
  for (const name of names([6, 8])) await writeFile(join(dir, name), 'torn');
  const result = await run({ resumeFrom: dir, checkpoint: { dir, keep: 9 }, steps: 4 });
  expect(left(result)).toEqual(whole);
  expect(result.warnings).toHaveLength(2);
  expect(result.warnings[0]).toMatch(/step-0000000008\.safetensors' is no whole .*; it is skipped/);
  expect(await readdir(dir)).toEqual(names([3])); // written again, and none that was torn is left
  for (const name of names([3])) await writeFile(join(dir, name), 'torn');
  await expect(run({ resumeFrom: dir })).rejects.toThrow(FileError);
});

it('refuses to go on as another run, naming each difference, unless forced', async () => {
  await run({ checkpoint: { dir }, steps: 3 });
  const other = drawnDigits({ trainSize: 60, testSize: 20, seed: 1 });
  const refused = run({ resumeFrom: dir, data: other, batchSize: 10 });
  await expect(refused).rejects.toThrow(OptionError);
  await expect(refused).rejects.toThrow(
    /step-0000000002.safetensors' is of another run: data was "\w+" and is "\w+"; options\.batchSize was 20 and is 10; give the model/,
  );
  await expect(run({ resumeFrom: dir, optimizer: sgd() })).rejects.toThrow(
    /options\.optimizer was "cgfac" and is "sgd"/,
  );
  await expect(
    train(mlp({ sizes: [784, 6, 10], seed: 9 }), {
      engine,
      data,
      optimizer: cgfac(),
      steps: 9,
      batchSize: 20,
      seed: 3,
      resumeFrom: dir,
    }),
  ).rejects.toThrow(/is of another run: model was/);
  const forced = await run({ resumeFrom: { dir, force: true }, data: other });
  expect(forced.warnings).toEqual([expect.stringMatching(/^the run goes on as another one: data was/)]);
  // What does not fit at all is refused all the same.
  await expect(run({ resumeFrom: { dir, force: true }, optimizer: adam() })).rejects.toThrow(
    /of another run: its tensor/,
  );
  await expect(run({ resumeFrom: dir, steps: 2 })).rejects.toThrow(/the checkpoint is of step 2, and the run has 2/);
});

it('writes to no folder that another run has left or writes to', async () => {
  const checkpoint = { dir };
  await run({ checkpoint, steps: 3 });
  await expect(run({ checkpoint })).rejects.toThrow(/holds checkpoints of a run: go on from them by resumeFrom: '/);
  const further = { checkpoint, resumeFrom: dir };
  const both = await Promise.allSettled([run(further), run(further)]);
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  const [refused] = both.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  expect(refused).toBeInstanceOf(OptionError);
  expect(String(refused)).toMatch(/is being written by this process: give another dir/);
  expect(await readdir(dir)).not.toContain('.cgfac-lock');
});

it.each<[object, RegExp]>([
  [{ checkpoint: 'folder' }, /the options of checkpoint are 'folder'/],
  [{ checkpoint: { dir: '' } }, /dir of checkpoint is ''; give the path of a folder/],
  [{ checkpoint: { dir: 'x', often: 3 } }, /unknown option 'often' of checkpoint/],
  [{ checkpoint: { dir: 'x', every: 'now' } }, /every of checkpoint is 'now'/],
  [{ checkpoint: { dir: 'x', keep: 0 } }, /keep of checkpoint is 0/],
  [{ resumeFrom: 7 }, /the options of resumeFrom are 7/],
  [{ resumeFrom: { dir: 'x', force: 'yes' } }, /force of resumeFrom is 'yes'/],
  [{ resumeFrom: ' ' }, /resumeFrom is ' '/],
])('refuses %j', async (options, message) => {
  await expect(run(options)).rejects.toThrow(OptionError);
  await expect(run(options)).rejects.toThrow(message);
});

it('says that there is nothing to go on from', async () => {
  await expect(run({ resumeFrom: dir })).rejects.toThrow(new FileError(`'${dir}' has no checkpoint to go on from`));
  await mkdir(dir);
  await expect(run({ resumeFrom: dir })).rejects.toThrow(FileError);
  await writeFile(join(root, 'file'), '');
  await expect(run({ resumeFrom: join(root, 'file') })).rejects.toThrow(FileError);
  await expect(run({ checkpoint: { dir: join(root, 'file') } })).rejects.toThrow(/is a file, but a folder is needed/);
});
