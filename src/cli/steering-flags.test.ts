// The flags that steer a run: what they read, what they make of an optimizer, and what they refuse.
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { manyExamples } from '../../test/support/setting.js';
import { dataset } from '../data/dataset.js';
import { OptionError } from '../errors.js';
import { mlp } from '../nn/zoo.js';
import { adam } from '../optimizers/adam.js';
import type { Setting } from '../optimizers/optimizer.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { buildStep } from '../training/step-program.js';
import { learningTask } from '../training/task/task.js';
import type { RunFlags } from './flags.js';
import { chooseOptimizer } from './optimizers.js';
import { type SteeringFlags, steered, steeringFlags } from './steering-flags.js';

function read(...words: readonly string[]): SteeringFlags {
  const command = new Command().exitOverride();
  for (const flag of steeringFlags()) command.addOption(flag);
  return command.parse([...words], { from: 'user' }).opts();
}

const setting: Setting = manyExamples('softmax-cross-entropy');
const set = dataset({
  ...{ name: 'rows', size: 8, classes: ['a', 'b'] },
  inputs: { dtype: 'float32', shape: [3], data: new Float32Array(24) },
  targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: 8 }, (_, i) => i % 2) },
});
const network = mlp({ seed: 1, sizes: [3, 4, 2] });
const task = learningTask(network, { train: set, test: set });

/** What a step of an optimizer reads, as the flags steer it. */
function step(spec: string, words: readonly string[], more: Partial<RunFlags> = {}, isOneOfSeveral = false) {
  const flags: RunFlags = { data: 'rows', seed: 0, ...read(...words), ...more };
  const { optimizer } = chooseOptimizer(spec, {}, setting);
  const program = buildStep({
    model: network,
    loss: setting.loss,
    metric: setting.loss.metric,
    optimizer: steered(optimizer, spec, { task, total: 100, setting, flags }, isOneOfSeveral),
    setting,
    inputs: { dtype: 'float32', shape: [8, 3] },
    targets: { dtype: 'int64', shape: [8] },
  });
  return {
    program,
    rate: (k: number) => Number((program.scalars.get('learningRate') as (k: number, kept: number) => number)(k, k)),
  };
}

describe('schedules', () => {
  test('begin at the rate of the optimizer, or at the one that is given', () => {
    expect(step('adam', ['--schedule', 'cosine']).rate(50)).toBeCloseTo(0.0005, 12);
    expect(step('adam:learning-rate=0.2', ['--schedule', 'linear']).rate(25)).toBeCloseTo(0.15, 12);
    expect(step('cgfac', ['--schedule', 'linear']).rate(25)).toBeCloseTo(0.0015, 12);
  });

  test('with a warm-up, or a warm-up before the optimizer’s own', () => {
    const { rate } = step('adam', ['--schedule', 'linear', '--warm-up', '20']);
    expect([rate(0), rate(20), rate(60)]).toEqual([0.001 / 21, 0.001, 0.0005].map((x) => expect.closeTo(x, 12)));
    const own = step('adam:learning-rate=cosine:0.1:50', ['--warm-up', '10']).rate;
    expect([own(10), own(35)]).toEqual([0.1, 0.05].map((x) => expect.closeTo(x, 12)));
  });

  test('that wait for a plateau of a value in the records', () => {
    const { program, rate } = step('adam', ['--schedule', 'reduce-on-plateau:patience=0:factor=0.5:monitor=test.loss']);
    for (const k of [0, 1]) program.steering[0]?.evaluated?.(k, { testLoss: 1 });
    expect([rate(1), rate(2)]).toEqual([0.001, 0.0005]);
    const rising = step('adam', ['--schedule', 'reduce-on-plateau:patience=0:monitor=testAccuracy']);
    for (const [k, testAccuracy] of [0.1, 0.2, 0.3].entries())
      rising.program.steering[0]?.evaluated?.(k, { testAccuracy });
    expect(rising.rate(3)).toBe(0.001);
  });

  test('are left out for optimizers without a rate only in comparisons', () => {
    const words = ['--schedule', 'cosine', '--warm-up', '5'];
    expect(() => step('cgfac:step=self-tuning', words)).toThrow(OptionError);
    expect(() => step('cgfac:step=self-tuning', words)).toThrow(
      /^--schedule has no effect on cgfac:step=self-tuning: self-tuning steps choose their length/,
    );
    const { program } = step('cgfac:step=self-tuning', words, {}, true);
    expect(program.scalars.has('learningRate')).toBe(false);
  });

  test.each([
    [
      'adam:learning-rate=cosine:0.1:9',
      ['--schedule', 'cosine'],
      {},
      /optimizer 'adam:learning-rate=cosine:0.1:9' and --schedule 'cosine' both give a schedule/,
    ],
    ['adam', ['--schedule', 'cosine'], { learningRate: () => 0.1 }, /and --schedule 'cosine' both give a schedule/],
    ['adam', ['--schedule', 'one-cycle', '--warm-up', '5'], {}, /'one-cycle' rises by itself/],
    [
      'adam',
      ['--schedule', 'reduce-on-plateau:monitor=valLoss'],
      {},
      /monitor is 'valLoss', and there is no validation set/,
    ],
    ['adam', ['--schedule', 'reduce-on-plateau:monitor=speed'], {}, /unknown monitor 'speed'; choose one of/],
  ] as const)('refuse %s %j', (spec, words, more, message) => {
    expect(() => step(spec, words, more)).toThrow(OptionError);
    expect(() => step(spec, words, more)).toThrow(message);
  });

  test.each([
    ['reduce-on-plateau:patients=3', /unknown option 'patients' \(did you mean 'patience'\?\)/],
    ['reduce-on-plateau:monitor=a:monitor=b', /monitor is given twice/],
  ])('refuse %s', (text, message) => expect(() => read('--schedule', text)).toThrow(message));
});

describe('groups', () => {
  test('are read with factors and numbers; names may hold colons', () => {
    const words = ['--group', 'head.*:learning-rate=10x', '--group', 'dense/kernel:0:learning-rate=0.5,weight-decay=0'];
    expect(read(...words).group).toEqual([
      ['head.*', { learningRate: { times: 10 } }],
      ['dense/kernel:0', { learningRate: 0.5, weightDecay: 0 }],
    ]);
  });

  test('scale the rate of what they match', () => {
    const { program } = step('adamw', ['--group', 'fc2.*:learning-rate=10x', '--schedule', 'linear']);
    const ofGroup = [...program.scalars].find(([name]) => name.includes('learningRate*10'));
    expect(ofGroup).toBeDefined();
    expect(() => step('adamw', ['--group', 'head.*:learning-rate=10x'])).toThrow(
      /'head.\*' matches no parameter that is trained; they are fc1.weight/,
    );
  });

  test.each([
    ['head.*', /write GLOB:learning-rate=10x/],
    ['head.*:rate=1', /unknown option 'rate'/],
    ['head.*:learning-rte=1', /unknown option 'learning-rte' \(did you mean 'learning-rate'\?\)/],
    ['head.*:learning-rate=fast', /learning-rate is 'fast'; give a number, or a factor such as 10x/],
    ['head.*:learning-rate=-1x', /learning-rate is -1; it must be a finite number, at least 0/],
    ['head.*:weight-decay=0,weight-decay=1', /weight-decay is given twice/],
  ])('refuse %s', (text, message) => {
    expect(() => read('--group', text)).toThrow(OptionError);
    expect(() => read('--group', text)).toThrow(message);
  });
});

describe('averages', () => {
  test.each([
    ['iterate', 'iterate:0.99'],
    ['iterate:0.9', 'iterate:0.9'],
    ['ema', 'ema:0.999'],
    ['ema:0.5', 'ema:0.5'],
    ['none', 'none'],
  ])('%s', (text, name) => expect(read('--average', text).average?.name).toBe(name));

  test.each(['mean', 'ema:1', 'ema:x', 'none:1', 'ema:0.9:1'])('refuse %s', (text) => {
    expect(() => read('--average', text)).toThrow(OptionError);
  });

  test('are given once', () => {
    expect(() => step('cgfac:iterate-averaging=0.9', ['--average', 'ema'])).toThrow(
      "optimizer 'cgfac:iterate-averaging=0.9' and --average both say what is averaged",
    );
  });
});

describe('clipping', () => {
  test('is an option of every optimizer that sees one gradient a step', () => {
    for (const spec of ['adam:clip-norm=1', 'cgfac:clip-value=0.1:clip-norm=1', 'muon:clip-norm=cosine:1:10']) {
      expect(step(spec, []).program.diagnostics.includes('gradientNorm')).toBe(spec.includes('clip-norm'));
    }
    expect(() => step('lbfgs:clip-norm=1', [])).toThrow(/unknown option 'clip-norm'/);
    expect(() => step('adam:clip-norm=0', [])).toThrow(/maximum is 0; it must be a finite number, greater than 0/);
  });

  test('with the optimizer named as before', () => {
    expect(chooseOptimizer('cgfac:clip-norm=1', {}, setting).optimizer.name).toBe(cgfac().name);
    expect(chooseOptimizer('adam:clip-norm=1', {}, setting).optimizer.name).toBe(adam().name);
  });
});
