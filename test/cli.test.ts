// The command line from outside: the built program is started, and checked by its exit code, its output and its files.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel } from '../src/api/load-save.js';
import { cgfac } from './support/command.js';
import { readMetricsFile } from './support/metrics-file.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cgfac-cli-'));
});
afterAll(() => rm(folder, { recursive: true }));

const few = 'digits?train=200&test=40';

describe('cgfac train', () => {
  it('leaves a model, metrics and a report, and prints one JSON object', async () => {
    const out = join(folder, 'train');
    const { code, stdout } = await cgfac([
      ...['train', 'mlp', '--data', few, '--optimizer', 'cgfac', '--steps', '3', '--batch-size', '50', '--rank', '16'],
      ...['--threads', '1', '--out', out, '--json'],
    ]);
    expect(code).toBe(0);
    const result = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
    expect(result).toMatchObject({ steps: 3, out, optimizer: { name: 'cgfac' } });
    expect(result.train).toEqual({ loss: expect.any(Number), accuracy: expect.any(Number) });
    expect(result.test).toEqual({ loss: expect.any(Number), accuracy: expect.any(Number) });
    expect(result.stepMilliseconds.median).toBeGreaterThan(0);
    expect(result.optimizer.stateBytes).toBeGreaterThan(0);
    const metrics = await readMetricsFile(join(out, 'metrics.jsonl'));
    expect(metrics.map(({ step }) => step)).toEqual([1, 2, 3]);
    expect(metrics[2]).toMatchObject({ epoch: 0.75, metrics: { testLoss: expect.closeTo(result.test.loss, 5) } });
    expect(await readFile(join(out, 'report.html'), 'utf8')).toContain('cgfac train mlp');

    // The model that was saved is one to go on from, and computes what was reported.
    const again = await cgfac([
      ...['train', join(out, 'model.onnx'), '--data', few, '--optimizer', 'sgd:learning-rate=1e-12:momentum=0'],
      ...['--steps', '1', '--out', join(folder, 'again'), '--json'],
    ]);
    expect(JSON.parse(again.stdout).test.loss).toBeCloseTo(result.test.loss, 5);
  });

  it('evaluates the metrics that are asked for, with the loss and the weights that are', async () => {
    const table = join(folder, 'weighted.csv');
    const rows = Array.from(
      { length: 60 },
      (_, i) => `${(i % 7) - 3},${(i % 5) - 2},${i % 3},${i % 7 > 3 ? 'yes' : 'no'}`,
    );
    await writeFile(table, ['a,b,w,kind', ...rows].join('\n'));
    const out = join(folder, 'metrics');
    const { code, stdout, stderr } = await cgfac([
      ...['train', 'mlp', '--data', `csv:${table}?label=kind&weights=w`, '--loss', 'focal', '--steps', '4'],
      ...['--metrics', 'accuracy, f1,roc-auc,top-1', '--threads', '1', '--out', out],
    ]);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/Warning: The loss focal has no likelihood to draw targets from: cgfac measures curvature/);
    expect(stdout).toMatch(/test accuracy.*\n[\s\S]*test f1.*\n[\s\S]*test roc auc.*\n[\s\S]*test top1/);
    const last = (await readMetricsFile(join(out, 'metrics.jsonl'))).at(-1);
    expect(last?.metrics).toMatchObject({ trainF1: expect.any(Number), testRocAuc: expect.any(Number) });
    expect(last?.metrics.testTop1).toBe(last?.metrics.testAccuracy);
    expect(await readFile(join(out, 'report.html'), 'utf8')).toMatch(/Test roc auc/);
  });

  it('normalizes in the model itself, and varies pictures in training only', async () => {
    const run = async (name: string, ...flags: string[]) => {
      const parameters = ['train', 'lenet', '--data', few, '--optimizer', 'adam', '--steps', '4', '--batch-size', '50'];
      const { code, stdout, stderr } = await cgfac([...parameters, '--out', join(folder, name), ...flags]);
      expect(code, stderr).toBe(0);
      return stdout;
    };
    const out = join(folder, 'normalized');
    expect(await run('normalized', '--normalize', '--augment', 'flip,crop=3')).toMatch(
      /\nThe model normalizes its input itself \(mean 0\.\d+, deviation 0\.\d+\): give it values in the units of the data\.\n/,
    );
    expect((await cgfac(['inspect', join(out, 'model.onnx')])).stdout).toMatch(
      /normalized first, by mean 0\.\d+, deviation/,
    );
    const lossesOf = async (name: string) =>
      (await readMetricsFile(join(folder, name, 'metrics.jsonl'))).map(({ loss }) => loss);
    const first = await lossesOf('normalized');
    await run('repeated', '--normalize', '--augment', 'flip,crop=3', '--threads', '1');
    for (const [step, loss] of (await lossesOf('repeated')).entries()) expect(loss).toBeCloseTo(first[step] ?? 0, 4);
    await run('plain', '--normalize');
    expect((await lossesOf('plain'))[0]).not.toBeCloseTo(first[0] ?? 0, 4);

    // The file is evaluated on raw data without further flags, and computes what was reported: pictures as they are.
    const parameters = ['--data', few, '--optimizer', 'sgd:learning-rate=1e-12:momentum=0', '--steps', '1', '--json'];
    const again = await cgfac(['train', join(out, 'model.onnx'), ...parameters, '--out', join(folder, 'evaluated')]);
    const reported = (await readMetricsFile(join(out, 'metrics.jsonl'))).at(-1)?.metrics.testLoss;
    expect(JSON.parse(again.stdout).test.loss).toBeCloseTo(reported ?? 0, 5);
  });

  it('standardizes tables in the model itself, and reports in the units of the data', async () => {
    const rows = Array.from({ length: 120 }, (_, i) => {
      const [rooms, area] = [1 + (i % 5), 40 + 3 * ((7 * i) % 31)];
      return [rooms, 1e-9 * area, 1.7e9, 20_000 * rooms + 900 * area + 1000 * Math.sin(i)].join();
    });
    const table = join(folder, 'houses.csv');
    await writeFile(table, ['rooms,area,time,price', ...rows].join('\n'));
    const run = (name: string, model: string, ...flags: string[]) => {
      const parameters = [
        'train',
        model,
        '--data',
        `csv:${table}?target=price`,
        '--batch-size',
        '16',
        '--threads',
        '1',
      ];
      return cgfac([...parameters, '--out', join(folder, name), ...flags]);
    };
    const adam = ['--optimizer', 'adam:learning-rate=0.01', '--steps', '60'];
    const { code, stdout, stderr } = await run('houses', 'mlp', ...adam);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/Warning: column 3 of the inputs of .* is 1700000000 in every row: /);
    expect(stdout).toMatch(
      /\nThe model normalizes its input itself \(mean .*\): give it values in the units of the data\.\n/,
    );
    expect(stdout).toMatch(
      /\nIt learned standardized targets \(mean \d{6}, deviation \d{5}\) and predicts in the units/,
    );
    const path = join(folder, 'houses', 'model.onnx');
    expect((await cgfac(['inspect', path])).stdout).toMatch(
      /in the units of the data, learned standardized by mean \d{6}/,
    );
    expect(await readFile(join(folder, 'houses', 'report.html'), 'utf8')).toMatch(
      /standardizes inputs \(mean .*\) and targets \(mean \d{6}, deviation \d{5}\)/,
    );
    expect((await cgfac(['check', path])).stdout).toMatch(/mean-squared-error .*\n[\s\S]* agree with the loss/);
    const still = ['--optimizer', 'sgd:learning-rate=1e-12:momentum=0', '--steps', '1', '--json'];
    const again = JSON.parse((await run('houses-again', path, ...still)).stdout);
    const reported = (await readMetricsFile(join(folder, 'houses', 'metrics.jsonl'))).at(-1)?.metrics.trainSquaredError;
    expect(again.train.squaredError / (reported ?? 0)).toBeCloseTo(1, 4);
    expect(again.train.squaredError).toBeGreaterThan(1e4); // not in units of deviations
    expect(again.targetNormalization).toBeUndefined(); // the file's own

    const plain = await run('houses-plain', 'mlp', '--no-normalize', ...adam);
    expect(plain.stdout).not.toMatch(/normalizes|standardized/);
    const [first] = await readMetricsFile(join(folder, 'houses-plain', 'metrics.jsonl'));
    const json = JSON.parse((await run('houses-json', 'mlp', ...still)).stdout);
    expect(json.targetNormalization.deviation[0]).toBeGreaterThan(1e4);
    expect(json.warnings).toHaveLength(1);
    expect(first?.loss).toBeGreaterThan(json.train.loss);
  });

  it('trains a transformer on text, evaluated on windows that do not overlap', async () => {
    const book = join(folder, 'book.txt');
    await writeFile(book, 'the cat sat on the mat. '.repeat(100));
    const { code, stdout, stderr } = await cgfac([
      ...['train', 'char-transformer:layers=1:width=16:heads=2', '--data', `text:${book}?context=8`, '--json'],
      ...['--optimizer', 'adam:learning-rate=0.01', '--batch-size', '32', '--out', join(folder, 'text')],
    ]);
    expect(code, stderr).toBe(0);
    const { steps, train } = JSON.parse(stdout);
    // 2160 characters make 2152 windows: 67 batches an epoch, five epochs of characters are 5/8 of the windows.
    expect(steps).toBe(Math.ceil((5 / 8) * 67));
    expect(train.accuracy).toBeGreaterThan(0.5);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('stops on %s after the running step and keeps what was done', async (signal, exitCode) => {
    const out = join(folder, `interrupted-${signal}`);
    const parameters = ['train', 'mlp', '--data', few, '--optimizer', 'adam', '--steps', '1000000', '--out', out];
    const { code, stderr, stdout } = await cgfac(
      [...parameters, '--batch-size', '20', '--json'],
      /adam: step \d/,
      signal,
    );
    expect(stderr).toContain('Stopping after this step');
    expect(code).toBe(exitCode);
    const { steps } = JSON.parse(stdout);
    expect(steps).toBeGreaterThan(0);
    expect(await readMetricsFile(join(out, 'metrics.jsonl'))).toHaveLength(steps);
    for (const file of ['model.onnx', 'report.html']) expect(existsSync(join(out, file))).toBe(true);
    expect(JSON.parse(await readFile(join(out, 'run.json'), 'utf8'))).toMatchObject({ state: 'interrupted' });
    expect(await readFile(join(out, 'report.html'), 'utf8')).toMatch(
      /adam was stopped after [\d,]+ of 1,000,000\sstep/,
    );
  });

  it('saves where the reader of its output goes away', async () => {
    const out = join(folder, 'unread');
    const parameters = ['train', 'mlp', '--data', few, '--optimizer', 'sgd', '--steps', '1000000000', '--out', out];
    const child = spawn(process.execPath, ['dist/cli/main.js', ...parameters], { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.once('data', () => child.stderr.destroy());
    expect(await new Promise((resolve) => child.on('exit', resolve))).toBe(129);
    expect(JSON.parse(await readFile(join(out, 'run.json'), 'utf8'))).toMatchObject({ state: 'interrupted' });
    expect(existsSync(join(out, 'model.onnx'))).toBe(true);
  });

  it('says before the first step that nothing was trained, and leaves no folder', async () => {
    const out = join(folder, 'nothing', 'at', 'all');
    // This line is printed before the data are fitted and the step is compiled.
    const parameters = ['train', 'mlp', '--data', 'digits?train=50&test=10', '--steps', '1000000', '--out', out];
    const { code, stderr, stdout } = await cgfac(parameters, /Each step takes all 50/);
    expect(stderr).toContain('Interrupted before the first step: nothing was trained, and nothing is saved.');
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(existsSync(join(folder, 'nothing'))).toBe(false);
  });

  it('takes all of a small data set in each step, and says so', async () => {
    const parameters = ['train', 'mlp', '--data', 'digits?train=50&test=10', '--optimizer', 'adam', '--epochs', '2'];
    const { stderr, stdout } = await cgfac([...parameters, '--out', join(folder, 'small'), '--json']);
    expect(stderr).toContain('Each step takes all 50 training examples: there are fewer than a batch of 128.\n');
    expect(JSON.parse(stdout)).toMatchObject({ steps: 2, batchSize: 50, warnings: [] });
  });

  it('warns of a run that made the model worse', async () => {
    const parameters = ['train', 'mlp', '--data', few, '--optimizer', 'sgd:learning-rate=5', '--steps', '20'];
    const worse = await cgfac([...parameters, '--out', join(folder, 'worse')]);
    expect(worse.stderr).toMatch(/\nWarning: The run ends worse than it began: .*Lower the learning rate/);
    expect(worse.stdout).toMatch(/\nSaved all the same: /);
    const { stdout, stderr } = await cgfac([...parameters, '--out', join(folder, 'worse-json'), '--json']);
    expect(JSON.parse(stdout).warnings).toEqual([expect.stringMatching(/^The run ends worse/)]);
    expect(stderr).not.toContain('Warning');
  });

  it('names the first tensor that is not finite, and keeps the metrics and the last good model', async () => {
    const out = join(folder, 'diverged');
    const parameters = ['train', 'mlp', '--data', few, '--optimizer', 'sgd', '--learning-rate', '1e30', '--steps', '9'];
    const { code, stderr } = await cgfac([...parameters, '--out', out]);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /cgfac: the loss is .* at step \d: the first tensor that is not finite is .*Lower the learning rate/,
    );
    expect((await readMetricsFile(join(out, 'metrics.jsonl'))).length).toBeGreaterThan(0);
    expect(await readFile(join(out, 'report.html'), 'utf8')).toMatch(/<h2>sgd diverged<\/h2>[\s\S]*at step \d of 9/);
    expect(stderr).toContain(`The last good parameters are saved as ${join(out, 'model.onnx')}.`);
    expect(JSON.parse(await readFile(join(out, 'run.json'), 'utf8'))).toMatchObject({ state: 'diverged' });
    const { parameters: saved } = await loadModel(join(out, 'model.onnx'));
    for (const { constant } of saved.values()) expect([...(constant?.data ?? [])].every(Number.isFinite)).toBe(true);
  });

  it('refuses a folder that holds a run, and replaces the whole run where it is told to', async () => {
    const out = join(folder, 'twice');
    const parameters = ['--data', few, '--steps', '1', '--out', out];
    expect((await cgfac(['compare', 'mlp', '--optimizers', 'adam,sgd', ...parameters])).code).toBe(0);
    await writeFile(join(out, 'notes.txt'), 'mine');
    const again = ['train', 'mlp', '--optimizer', 'sgd', ...parameters];
    const refused = await cgfac(again);
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toMatch(/^cgfac: '.*twice' holds a run already .*--overwrite\n$/);
    expect((await readdir(out)).sort()).toEqual(['adam', 'notes.txt', 'report.html', 'run.json', 'sgd']);
    expect((await cgfac([...again, '--overwrite'])).code).toBe(0);
    expect((await readdir(out)).sort()).toEqual([
      'README.md',
      'metrics.jsonl',
      'model.onnx',
      'notes.txt',
      'report.html',
      'run.json',
    ]);

    const own = await cgfac(['train', join(out, 'model.onnx'), ...parameters, '--overwrite']);
    expect(own.stderr).toMatch(/model\.onnx' is read by this run and would be replaced by it/);
    expect(existsSync(join(out, 'model.onnx'))).toBe(true);
  });
});

describe('cgfac compare', () => {
  it('gives each optimizer the same start and the same batches', async () => {
    const out = join(folder, 'compare');
    const { code, stdout } = await cgfac([
      ...['compare', 'mlp', '--data', few, '--optimizers', 'adam,sgd,adam:learning-rate=0.01', '--steps', '2'],
      ...['--batch-size', '50', '--out', out, '--target', 'accuracy=0.999', '--json'],
    ]);
    expect(code).toBe(0);
    const { runs } = JSON.parse(stdout);
    expect(runs.map((run: { optimizer: { name: string } }) => run.optimizer.name)).toEqual([
      ...['adam', 'sgd', 'adam:learning-rate=0.01'],
    ]);
    expect(runs[0].toTarget).toBeNull();
    const first = await Promise.all(
      ['adam', 'sgd', 'adam-learning-rate=0.01'].map(async (name) => {
        expect(existsSync(join(out, name, 'model.onnx'))).toBe(true);
        return (await readMetricsFile(join(out, name, 'metrics.jsonl')))[0]?.loss;
      }),
    );
    expect(first[1]).toBeCloseTo(first[0] ?? 0, 6);
    expect(first[2]).toBe(first[0]);
    expect(existsSync(join(out, 'report.html'))).toBe(true);
  });
});

describe('other commands', () => {
  it('inspect shows every layer and its block', async () => {
    const { stdout } = await cgfac(['inspect', 'mlp', '--rank', '64']);
    expect(stdout).toMatch(/fc1\.weight \+ bias\s+dense\s+785 × 256\s+64×785 rows ⊗ 64×256 rows/);
    expect(stdout).toContain('Every parameter is in a block.');
  });

  it('inspect --graph prints the graph', async () => {
    const { stdout } = await cgfac(['inspect', 'mlp', '--graph']);
    expect(stdout).toMatch(/Gemm/);
  });

  it('optimizers describes one, or all', async () => {
    expect((await cgfac(['optimizers', 'adamw'])).stdout).toMatchSnapshot();
    const { optimizers } = JSON.parse((await cgfac(['optimizers', '--json'])).stdout);
    const one = JSON.parse((await cgfac(['optimizers', 'kfac', '--json'])).stdout);
    expect(optimizers).toContainEqual(one);
    expect(one.options).toContainEqual({
      name: 'pi',
      summary: expect.any(String),
      values: 'number',
      default: expect.any(String),
      onlyWith: ['damping-kind=factored'],
    });
  });

  it('data describes', async () => {
    expect((await cgfac(['data', few])).stdout).toMatch(/train +200 examples[\s\S]*test +40 examples/);
  });
});

describe('bad input is one line on stderr, exit code 2, and nothing written', () => {
  const out = () => join(folder, 'refused');
  const cases: [string, string[], RegExp][] = [
    ['an unknown flag', ['train', '--optimzer', 'adam'], /unknown option '--optimzer' \(Did you mean --optimizer\?\)/],
    ['the options of an unknown optimizer', ['optimizers', 'adm'], /unknown optimizer 'adm' \(did you mean 'adam'\?\)/],
    ['help of an unknown command', ['help', 'trian'], /unknown command 'trian' \(did you mean 'train'\?\)/],
    ['an unknown command', ['trian'], /unknown command 'trian' \(Did you mean train\?\)/],
    [
      'an unknown optimizer',
      ['train', 'mlp', '--optimizer', 'adm'],
      /unknown optimizer 'adm' \(did you mean 'adam'\?\)/,
    ],
    ['an unknown model', ['train', 'mlpp'], /unknown model 'mlpp' \(did you mean 'mlp'\?\)/],
    [
      'an unknown option of a model',
      ['train', 'resnet20:norms=batch'],
      /unknown option 'norms' \(did you mean 'norm'\?\); it takes norm, width, groups/,
    ],
    [
      'a model for other data',
      ['train', 'char-transformer', '--data', few],
      /takes windows of text.*: choose text:FILE/,
    ],
    [
      'an unknown augmentation',
      ['train', 'mlp', '--augment', 'flip,crp=4'],
      /unknown option 'crp' \(did you mean 'crop'\?\)/,
    ],
    [
      'an unknown metric',
      ['train', 'mlp', '--metrics', 'acuracy'],
      /unknown metric 'acuracy' \(did you mean 'accuracy'\?\)/,
    ],
    ['an unknown loss', ['train', 'mlp', '--loss', 'hubber'], /unknown loss 'hubber' \(did you mean 'huber'\?\)/],
    ['a crop of nothing', ['train', 'mlp', '--augment', 'crop=0'], /crop is 0; it must be a whole number, at least 1/],
    [
      'a large crop',
      ['train', 'mlp', '--data', few, '--augment', 'crop=28'],
      /28 × 28 cannot be cropped with a border of 28/,
    ],
    ['a missing model', ['train', 'none.onnx'], /cannot read the model 'none.onnx'/],
    ['unknown data', ['train', 'mlp', '--data', 'dgits'], /unknown kind 'dgits'/],
    ['missing data', ['train', 'mlp', '--data', 'mnist:/nowhere'], /\/nowhere: cannot read/],
    ['a batch of nothing', ['train', 'mlp', '--data', few, '--batch-size', '0'], /--batch-size is 0; it must be/],
    ['endless steps', ['train', 'mlp', '--steps', '1e12'], /--steps is 1000000000000; it must be .*, at most/],
    [
      'threads of no machine',
      ['train', 'mlp', '--threads', '1e9'],
      /--threads is 1000000000; it must be .*, at most 1024/,
    ],
    [
      'no optimizer at all',
      ['compare', 'mlp', '--optimizers', ','],
      /--optimizers is ',', which names no optimizer; choose from cgfac,/,
    ],
    [
      'a large rank of adapters',
      ['train', 'mlp', '--data', few, '--lora', '100'],
      /adapters of rank 100 are larger than the layer 'fc3/,
    ],
    ['a table without its kind', ['train', 'mlp', '--data', 'rows.csv'], /write csv:rows\.csv\?label=COLUMN/],
    ['a NaN', ['train', 'mlp', '--learning-rate', 'NaN'], /--learning-rate is NaN; it must be a finite number/],
    ['a negative number', ['train', 'mlp', '--damping', '-3'], /--damping is -3; it must be .* greater than 0/],
    ['no number', ['train', 'mlp', '--steps', 'many'], /--steps is 'many', which is not a number/],
    ['steps and epochs', ['train', 'mlp', '--steps', '1', '--epochs', '1'], /cannot be used with option/],
    ['an unknown target', ['train', 'mlp', '--data', few, '--target', 'x=1'], /unknown target metric 'x'/],
    [
      'an unknown target with a digit',
      ['train', 'mlp', '--data', few, '--metrics', 'top-5', '--target', 'top3=1'],
      /unknown target metric 'top3'.*; choose one of top5/,
    ],
  ];
  it.each(cases)('%s', async (_, parameters, message) => {
    const { code, stdout, stderr } = await cgfac(
      parameters[0] === 'train' ? [...parameters, '--out', out()] : parameters,
    );
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(existsSync(out())).toBe(false);
  });

  it('an unwritable folder', async () => {
    await writeFile(join(folder, 'file'), '');
    const { code, stderr } = await cgfac(['train', 'mlp', '--data', few, '--out', join(folder, 'file', 'run')]);
    expect(stderr).toMatch(/^cgfac: '.*' is a file|^cgfac: cannot make the folder/);
    expect(code).toBe(2);
  });

  it('damaged MNIST files', async () => {
    const data = join(folder, 'mnist');
    await mkdir(data);
    const header = (magic: number, ...sizes: number[]) => {
      const bytes = Buffer.alloc(4 + 4 * sizes.length);
      for (const [i, number] of [magic, ...sizes].entries()) bytes.writeUInt32BE(number, 4 * i);
      return bytes;
    };
    const write = async (images: Buffer, labels: Buffer) => {
      for (const part of ['train', 't10k']) {
        await writeFile(join(data, `${part}-images-idx3-ubyte`), images);
        await writeFile(join(data, `${part}-labels-idx1-ubyte`), labels);
      }
      return cgfac(['train', 'mlp', '--data', `mnist:${data}`, '--out', out()]);
    };
    const images = Buffer.concat([header(2051, 3, 2, 2), Buffer.alloc(12)]);
    const labels = Buffer.concat([header(2049, 3), Buffer.alloc(3)]);
    const ended = [
      await write(images.subarray(0, 20), labels),
      await write(Buffer.concat([header(2052, 3, 2, 2), Buffer.alloc(12)]), labels),
      await write(images, Buffer.concat([header(2049, 2), Buffer.alloc(2)])),
    ];
    expect(ended.map(({ code }) => code)).toEqual([2, 2, 2]);
    expect(ended[2]?.stderr).toMatch(/expected 3 labels, one for each image/);
    for (const { stderr } of ended) expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(existsSync(out())).toBe(false);
  });

  it('a model that the data do not fit', async () => {
    const data = join(folder, 'table.csv');
    await writeFile(data, `a,b,label\n${'1,2,x\n3,4,y\n'.repeat(20)}`);
    const model = join(folder, 'train', 'model.onnx');
    const { code, stderr } = await cgfac(['train', model, '--data', `csv:${data}?label=label`, '--out', out()]);
    expect(stderr).toMatch(/its input 'input' is float32\[batch, 784\], and an example is float32\[2\]/);
    expect(code).toBe(2);
  });

  it.each([
    [['--normalize'], /are int64, as of text: only pictures and other real numbers can be normalized/],
    [['--augment', 'flip'], /only pictures can be flipped and cropped/],
  ])('%s of text', async (flags, message) => {
    const path = join(folder, 'some.txt');
    await writeFile(path, 'some text. '.repeat(50));
    const data = ['--data', `text:${path}?context=8`, '--out', out()];
    const { code, stderr } = await cgfac(['train', 'char-transformer:layers=1', ...data, ...flags]);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
    expect(existsSync(out())).toBe(false);
  });

  it('shows the stack with --debug only', async () => {
    const { stderr } = await cgfac(['train', 'mlpp', '--debug']);
    expect(stderr).toMatch(/\n +at /);
  });
});

describe('help', () => {
  it.each(['', 'train', 'compare', 'inspect', 'check', 'data', 'optimizers', 'demo', 'study'])(
    'cgfac %s --help',
    async (command) => {
      const { code, stdout } = await cgfac([...(command ? [command] : []), '--help']);
      expect(code).toBe(0);
      expect(stdout).toMatchSnapshot();
    },
  );
});
