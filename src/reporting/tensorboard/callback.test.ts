import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { readEvents, scalarsOf } from '../../../test/support/event-files.js';
import { autoencoder, batchOf, loadData, mlp, sgd, train, valueAndGradients } from '../../node.js';
import type { RunControl } from '../../training/callbacks.js';
import { tensorboard } from './callback.js';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'board-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return join(path, 'board');
}

const data = 'digits?train=60&test=30';
const options = { data, batchSize: 20, steps: 4, evaluateEvery: 2, threads: 1, optimizer: sgd() } as const;

it('writes steps, evaluations, histograms, gradients, pictures, the graph and hyper-parameters', async () => {
  const dir = folder();
  const board = tensorboard({ dir, gradients: true, hyperParameters: { batchSize: 20 } });
  const { record } = await train(mlp({ sizes: [784, 8, 10], seed: 1 }), { ...options, callbacks: board });
  const events = readEvents(dir);
  expect(scalarsOf(events, 'loss/batch')).toEqual(record.steps.map(({ step, loss }) => [step, Math.fround(loss)]));
  const evaluated = record.steps.filter(({ metrics }) => metrics.testAccuracy !== undefined);
  expect(scalarsOf(events, 'accuracy/test')).toEqual(
    evaluated.map(({ step, metrics }) => [step, Math.fround(metrics.testAccuracy ?? 0)]),
  );
  expect(evaluated.map(({ step }) => step)).toEqual([2, 4]);
  const values = events.flatMap(({ step, summary }) => (summary?.value ?? []).map((value) => ({ step, ...value })));
  for (const prefix of ['parameters', 'gradients']) {
    const found = values.filter(({ tag, histo }) => histo && tag === `${prefix}/fc1.weight`);
    expect(found.map(({ step, histo }) => [step, histo?.num])).toEqual([
      ['2', 784 * 8],
      ['4', 784 * 8],
    ]);
  }
  const { mistakes = [] } = record.confusion ?? {};
  expect(mistakes.length).toBeGreaterThan(0);
  expect(values.filter(({ tag, image }) => image && tag.startsWith('mistakes/'))).toHaveLength(mistakes.length);
  expect(events.filter(({ graph_def }) => graph_def)).toHaveLength(1);
  expect(values.filter(({ tag }) => tag.startsWith('_hparams_/')).map(({ tag }) => tag)).toEqual([
    '_hparams_/session_start_info',
    '_hparams_/session_end_info',
  ]);
  await expect(train(mlp({ seed: 1 }), { ...options, callbacks: board })).rejects.toThrow(/events of another run/);
});

it('writes reconstructions at each evaluation', async () => {
  const dir = folder();
  await train(autoencoder({ sizes: [784, 8, 4], seed: 1 }), { ...options, callbacks: tensorboard({ dir }) });
  const values = readEvents(dir).flatMap(({ step, summary }) => (summary?.value ?? []).map(({ tag }) => [step, tag]));
  const of = (tag: string) => values.filter(([, other]) => other === tag).map(([step]) => step);
  expect(of('reconstructions/12/input')).toEqual(['2', '4']);
  expect(of('reconstructions/12/output')).toEqual(['2', '4']);
  expect(values.some(([, tag]) => tag?.startsWith('gradients/'))).toBe(false);
});

it('shows gradients that are those of the loss on the next batch, and changes nothing', async () => {
  const model = mlp({ sizes: [784, 8, 10], seed: 1 });
  const batchSize = 60; // all: the same examples in each step
  let seen: ReadonlyMap<string, { readonly data: ArrayLike<number | bigint> }> = new Map();
  const look = {
    async onEvaluation({ step }: { readonly step: number }, run: RunControl) {
      if (step === 2) seen = await run.gradients();
    },
  };
  const plain = await train(model, { ...options, batchSize });
  const watched = await train(model, { ...options, batchSize, callbacks: look });
  expect(watched.record.steps.map(({ loss }) => loss)).toEqual(plain.record.steps.map(({ loss }) => loss));
  const two = await train(model, { ...options, batchSize, steps: 2 });
  const { inputs, targets } = batchOf((await loadData(data, { seed: 0 })).train);
  const { gradients } = await valueAndGradients(two.model, { inputs, targets, loss: 'softmax-cross-entropy' });
  const [own, theirs] = [seen.get('fc1.weight'), gradients.get('fc1.weight')].map((each) =>
    Array.from(each?.data ?? [], Number),
  );
  expect(own).toHaveLength(784 * 8);
  const distance = Math.hypot(...(own ?? []).map((value, i) => value - (theirs?.[i] ?? Number.NaN)));
  expect(distance).toBeLessThan(1e-5 * Math.hypot(...(theirs ?? [])));
});

it('refuses wrong options, and writes nothing before a run', () => {
  const dir = folder();
  tensorboard({ dir });
  expect(existsSync(dir)).toBe(false);
  const wrong = (given: unknown) => () => tensorboard(given as Parameters<typeof tensorboard>[0]);
  expect(wrong({ folder: dir })).toThrow(/unknown option 'folder' of tensorboard/);
  expect(wrong({})).toThrow(/dir of tensorboard is undefined; give the path of a folder/);
  expect(wrong({ dir, gradients: 'yes' })).toThrow(/gradients of tensorboard is 'yes'/);
  expect(wrong({ dir, hyperParameters: { a: [1] } })).toThrow(/hyper-parameter 'a' is an array of 1/);
  expect(wrong({ dir, hyperParameters: 3 })).toThrow(/hyperParameters of tensorboard are 3/);
});
