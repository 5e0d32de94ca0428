// What `cgfac study` refuses before it measures anything.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OptionError } from '../errors.js';
import { command } from './study.js';

let out: string;
beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'cgfac-refused-'));
});
afterAll(() => rm(out, { recursive: true }));

describe('a study refuses', () => {
  it.each([
    ['complexty', [], "unknown study 'complexty' (did you mean 'complexity'?)"],
    ['defaults', ['--widths', '16'], '--widths has no effect on study defaults; it is an option of study complexity'],
    ['complexity', ['--seeds', '2'], 'it is an option of study batch-size and study defaults'],
    ['complexity', ['--base', '16,8'], "--base is '16,8'; give width, batch and depth"],
    ['complexity', ['--widths', '16,16'], '--widths names 16 twice'],
    ['complexity', ['--optimizers', 'sgdd'], "unknown optimizer 'sgdd' (did you mean 'sgd'?)"],
    ['defaults', ['--problems', 'mpl'], "unknown problem 'mpl' (did you mean 'mlp'?)"],
    ['defaults', ['--baseline', 'adamx'], "unknown optimizer 'adamx'"],
    ['defaults', ['--baseline', 'cgfac'], "the baseline 'cgfac' takes no learning rate from the grid"],
    [
      'defaults',
      ['--text', 'a.txt', '--problems', 'mlp'],
      '--text has no effect without the problem char-transformer or char-lstm',
    ],
    ['batch-size', ['--optimizers', 'sgd', '--dampings', '2'], '--dampings has no effect on sgd'],
    ['batch-size', ['--problem', 'lenet', '--quick'], '--target is missing: say what to reach on lenet'],
    ['batch-size', ['--batches', '5000', '--quick'], '--batches has 5000, and mlp has 1000 training examples'],
    ['batch-size', ['--target', 'f7=1', '--quick'], "unknown target metric 'f7'"],
    ['batch-size', ['--optimizers', 'sgd:learning-rate=1', '--quick'], 'leave it to the grid'],
    ['defaults', ['--out', ''], '--out is empty'],
  ])('%s %j', async (name, flags, message) => {
    const where = flags.includes('--out') ? [] : ['--out', out];
    const refused = command()
      .exitOverride()
      .parseAsync([name, ...flags, ...where], { from: 'user' });
    const error: unknown = await refused.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OptionError);
    expect((error as OptionError).message).toContain(message);
  });
});
