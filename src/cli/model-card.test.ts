import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { cgfac } from '../../test/support/command.js';

/** Inside the package, where its dependencies are found. */
function temporary(): string {
  mkdirSync('runs', { recursive: true });
  const path = mkdtempSync(join('runs', 'card-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

const few = ['mlp', '--data', 'digits?train=60&test=30', '--optimizer', 'sgd', '--threads', '1', '--steps'];

it('is a card that tells of the run, and whose script runs', async () => {
  const out = temporary();
  expect((await cgfac(['train', ...few, '4', '--out', out])).code).toBe(0);
  const card = readFileSync(join(out, 'README.md'), 'utf8');
  expect(card).toMatch(/^---\nlibrary_name: onnx\npipeline_tag: image-classification\n/);
  expect(card).toMatch(/\| accuracy \| [\d.]+ % \| [\d.]+ % \|/);
  expect(card).toMatch(/Always answering the commonest class: test accuracy 10\.00 %\./);
  expect(card).toContain(`cgfac train mlp --data 'digits?train=60&test=30' --optimizer sgd`);
  expect(card).toContain('60 examples to train on, 30 examples to test on');
  expect(card).toContain('classes, in the order of the output: 0, 1, 2,');
  const [, script = ''] = /```js\n([\s\S]*?)```/.exec(card) ?? [];
  writeFileSync(join(out, 'use.mjs'), script);
  const { stdout } = await promisify(execFile)(process.execPath, ['use.mjs'], { cwd: out });
  expect(stdout).toBe('[ 1, 10 ]\n');
});

it('replaces its own, and never that of a user', async () => {
  const out = temporary();
  const path = join(out, 'README.md');
  const rerun = async (steps: string) =>
    expect((await cgfac(['train', ...few, steps, '--out', out, '--overwrite'])).code).toBe(0);
  writeFileSync(path, '# Mine\n');
  await rerun('2');
  expect(readFileSync(path, 'utf8')).toBe('# Mine\n');
  rmSync(path);
  await rerun('3');
  await rerun('4');
  const card = readFileSync(path, 'utf8');
  expect(card).toContain('- 4 steps in');
  const taken = card.replace(/<!-- Written by cgfac.*\n/, '# Mine now\n');
  writeFileSync(path, taken);
  await rerun('5');
  expect(readFileSync(path, 'utf8')).toBe(taken);
});
