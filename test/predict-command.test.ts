// `cgfac predict` and `cgfac evaluate` from outside: what they print of new rows, pictures and texts is what plain ONNX Runtime
// computes from the file, by formulas in float64; wrong input ends in one line and leaves everything as it was.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, saveModel } from '../src/api/load-save.js';
import { type TensorData, tensorFrom, toNumbers } from '../src/graph/tensor.js';
import { withMeaning } from '../src/model/meaning.js';
import { charTransformer } from '../src/nn/char-transformer.js';
import { mlp } from '../src/nn/zoo.js';
import { random } from '../src/random.js';
import { cgfac } from './support/command.js';
import { runOnnx } from './support/onnx-models.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cgfac-predict-'));
});
afterAll(() => rm(folder, { recursive: true }));
const at = (...names: string[]) => join(folder, ...names);

async function done(...parameters: string[]): Promise<string> {
  const { code, stdout, stderr } = await cgfac(parameters);
  expect(code, stderr).toBe(0);
  return stdout;
}

/** The one line that a refused command prints. */
async function refused(...parameters: string[]): Promise<string> {
  const { code, stdout, stderr } = await cgfac(parameters);
  expect([code, stdout], stderr).toEqual([2, '']);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  return stderr
    .trim()
    .replace(/^cgfac: /, '')
    .replaceAll(folder, '…');
}

const jsonLines = (stdout: string): unknown[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

const species = ['versicolor', 'setosa', 'virginica, "wild"'];
const sorted = [...species].sort();
/** New rows, with the columns in another order than those of the training. */
const rows = Array.from({ length: 9 }, (_, i) => ({ sepal: 4 + (i % 4) / 2, id: `flower, ${i}`, petal: i / 2 }));

async function outputs(model: string, input: TensorData): Promise<number[]> {
  const results = await runOnnx(new Uint8Array(await readFile(model)), { input });
  return toNumbers(Object.values(results)[0] as TensorData);
}

describe('a classifier of rows', () => {
  const model = () => at('flowers', 'model.onnx');
  const spec = () => `csv:${at('flowers.csv')}?label=species&drop=id`;
  let probabilities: number[][];

  beforeAll(async () => {
    const draws = random(3, 'flowers');
    const lines = Array.from({ length: 90 }, (_, i) => {
      const name = species[i % 3] ?? '';
      return `${i},${(i % 3) + draws.uniform()},${5 + draws.uniform()},"${name.replaceAll('"', '""')}"`;
    });
    await writeFile(at('flowers.csv'), ['id,petal,sepal,species', ...lines].join('\n'));
    const fit = ['--steps', '8', '--batch-size', '30', '--threads', '1', '--seed', '5', '--optimizer', 'adam'];
    await done('train', 'mlp:hidden=6', '--data', spec(), ...fit, '--out', at('flowers'));
    const cells = rows.map(({ sepal, id, petal }) => `${sepal},"${id}",${petal}`);
    await writeFile(at('new.csv'), ['sepal,id,petal', ...cells].join('\n'));
    const logits = await outputs(
      model(),
      tensorFrom(
        'float32',
        [9, 2],
        rows.flatMap(({ petal, sepal }) => [petal, sepal]),
      ),
    );
    probabilities = rows.map((_, row) => {
      const powers = logits.slice(3 * row, 3 * row + 3).map(Math.exp);
      return powers.map((power) => power / powers.reduce((a, b) => a + b));
    });
  }, 60_000);

  it('names the classes of new rows, whatever the order of their columns and the kind of their file', async () => {
    await writeFile(at('new.csv.gz'), gzipSync(await readFile(at('new.csv'))));
    await writeFile(
      at('new.tsv'),
      ['sepal\tid\tpetal', ...rows.map((row) => Object.values(row).join('\t'))].join('\n'),
    );
    const columnData = (['id', 'petal', 'sepal'] as const).map((name) => ({
      name,
      data: rows.map((row) => row[name]),
    }));
    await writeFile(at('new.parquet'), new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 4 })));
    const expected = rows.map(({ id }, row) => {
      const top = [0, 1, 2]
        .map((place) => ({ class: sorted[place] ?? '', probability: probabilities[row]?.[place] ?? 0 }))
        .sort((a, b) => b.probability - a.probability);
      const close = top.map((each) => ({ ...each, probability: expect.closeTo(each.probability, 5) }));
      return { row: row + 1, kept: { id }, ...close[0], top: close };
    });
    for (const file of ['new.csv', 'new.csv.gz', 'new.tsv', 'new.parquet']) {
      const stdout = await done('predict', model(), at(file), '--keep', 'id', '--json', '--threads', '1');
      expect(jsonLines(stdout), file).toEqual(expected);
    }
    const several = await done(
      'predict',
      model(),
      at('new.csv'),
      at('new.tsv'),
      '--drop',
      'id',
      '--json',
      '--batch-size',
      '2',
    );
    expect(jsonLines(several).map((line) => (line as { class: string }).class)).toEqual(
      [...expected, ...expected].map((line) => line.class),
    );
    expect(jsonLines(several)[9]).toMatchObject({ file: at('new.tsv'), row: 1 });
  }, 60_000);

  it('writes CSV, whole, and never over what it reads', async () => {
    const out = at('out.csv');
    await writeFile(out, 'old');
    const before = await readFile(at('new.csv'), 'utf8');
    expect(await done('predict', model(), at('new.csv'), '--keep', 'id', '--csv', out, '--top', '1')).toBe(
      `Wrote 9 predictions to ${out}\n`,
    );
    const found = (await readFile(out, 'utf8')).trim().split('\n');
    const best = probabilities.map((shares) => shares.indexOf(Math.max(...shares)));
    expect(found[0]).toBe('row,id,species,probability');
    for (const [row, place] of best.entries()) {
      const name = sorted[place] ?? '';
      const cell = name.includes(',') ? `"${name.replaceAll('"', '""')}"` : name;
      expect(found[row + 1]?.startsWith(`${row + 1},"flower, ${row}",${cell},`)).toBe(true);
      expect(Number(found[row + 1]?.split(',').at(-1))).toBeCloseTo(probabilities[row]?.[place] ?? 0, 5);
    }
    for (const file of [at('new.csv'), at('.', 'flowers', '..', 'new.csv'), model()]) {
      expect(await refused('predict', model(), at('new.csv'), '--drop', 'id', '--csv', file)).toMatch(
        /^--csv '.*' is an input, which would be lost: choose another file$/,
      );
    }
    // A row that cannot be read comes after others that could.
    await writeFile(at('late.csv'), `petal,sepal\n${'1,2\n'.repeat(5000)}1,two\n`);
    expect(await refused('predict', model(), at('late.csv'), '--csv', out)).toBe(
      "…/late.csv, record 5002: column 'sepal' holds 'two', expected a finite number: correct it, or leave the row out",
    );
    expect((await readFile(out, 'utf8')).split('\n')).toHaveLength(11);
    expect(await readFile(at('new.csv'), 'utf8')).toBe(before);
    expect((await readdir(folder)).filter((name) => name.includes('.tmp'))).toEqual([]);
  }, 60_000);

  it('shows people a table', async () => {
    const lines = (await done('predict', model(), at('new.csv'), '--keep', 'id')).trim().split('\n');
    expect(lines[0]).toMatch(/^row {2}id +species +probability {2}then$/);
    expect(lines).toHaveLength(10);
    expect(lines[1]).toMatch(/^1 +flower, 0 +\S.* +\d+\.\d% +.* \d+\.\d%, .* \d+\.\d%$/);
  }, 60_000);

  it('is evaluated on the rows that its training held out', async () => {
    const { test } = await (await import('../src/data/spec.js')).loadData(spec(), { seed: 5 });
    const input = tensorFrom('float32', [test.size, 2], [...(test.inputs as { data: Float32Array }).data]);
    const logits = await outputs(model(), input);
    const table = [0, 1, 2].map(() => [0, 0, 0]);
    let loss = 0;
    for (let row = 0; row < test.size; row++) {
      const own = logits.slice(3 * row, 3 * row + 3);
      const label = test.targets.data[row] ?? 0;
      const counts = table[label] ?? [];
      const guess = own.indexOf(Math.max(...own));
      counts[guess] = (counts[guess] ?? 0) + 1;
      loss += Math.log(own.reduce((sum, logit) => sum + Math.exp(logit), 0)) - (own[label] ?? 0);
    }
    const result = JSON.parse(await done('evaluate', model(), '--data', spec(), '--json', '--threads', '1'));
    expect(result).toMatchObject({
      split: 'test',
      examples: 9,
      loss: 'softmax-cross-entropy',
      classes: sorted,
      warnings: [],
    });
    expect(result.values.loss).toBeCloseTo(loss / test.size, 5);
    expect(result.tables.confusionMatrix).toEqual(table);
    const all = JSON.parse(
      await done('evaluate', model(), '--data', spec(), '--split', 'all', '--metrics', 'accuracy', '--json'),
    );
    expect(all).toMatchObject({ examples: 90, values: { loss: expect.any(Number), accuracy: expect.any(Number) } });
    const { stdout, stderr } = await cgfac(['evaluate', model(), '--data', `${spec()}&seed=6`]);
    expect(stdout).toMatch(
      /on 9 test examples[\s\S]*loss \(softmax-cross-entropy\)[\s\S]*true ↓ {2}predicted → +setosa/,
    );
    expect(stderr).toMatch(
      /Warning: The test part is 10% of the file, chosen by the seed 6, .* chosen by the seed 5: /,
    );
    // A file with some of the classes, in an order that gives them other numbers.
    const some = (await readFile(at('flowers.csv'), 'utf8')).split('\n').filter((line) => !line.includes('setosa'));
    await writeFile(at('some.csv'), some.join('\n'));
    const part = JSON.parse(
      await done(
        'evaluate',
        model(),
        '--data',
        `csv:${at('some.csv')}?label=species&drop=id`,
        '--split',
        'all',
        '--json',
      ),
    );
    const rowSums = (part.tables.confusionMatrix as number[][]).map((row) => row.reduce((a, b) => a + b));
    expect(rowSums).toEqual(sorted.map((name) => (name === 'setosa' ? 0 : 30)));
  }, 60_000);

  it.each([
    [['missing-folder'], /^missing-folder: cannot read this input: there is no such file or folder: check the path$/],
    [['FOLDER/new.csv'], /does not take the column 'id': leave out with --drop id, or show .* with --keep id$/],
    [
      ['FOLDER/short.csv'],
      /the column 'sepal' of the model is missing \(did you mean 'sepals'\?\): its columns are 'petal', 'sepals'$/,
    ],
    [['FOLDER/headerless.csv'], /its columns are '1.5', '2'; these look like data: put a line with the names/],
    [['FOLDER/new.csv', '--keep', 'idd'], /there is no column 'idd' for --keep \(did you mean 'id'\?\)/],
    [['FOLDER/twice.csv'], /the column name 'petal' occurs twice/],
    [['FOLDER/empty.csv'], /found no rows: add data$/],
    [['FOLDER/latin.csv'], /expected UTF-8 text, but its bytes do not decode: save it as UTF-8$/],
    [
      ['FOLDER/long.csv'],
      /expected comma-separated values with one header line \(Invalid Record Length.*: correct that line$/,
    ],
    [['FOLDER/damaged.csv.gz'], /expected gzip-compressed data, but it does not unpack/],
    [['FOLDER/damaged.parquet'], /expected a Parquet file/],
    [['FOLDER/x.doc'], /does not know what this is by its name; expected a picture/],
    [['FOLDER/new.csv', '--prompt', 'a'], /give either a text to continue \(--prompt\) or inputs, not both/],
    [['--prompt', 'a'], /does not say which characters its tokens are/],
    [['FOLDER/new.csv', '--temperature', '1'], /--temperature is for texts to continue/],
    [['FOLDER/new.csv', '--top', '0'], /--top is 0; it must be/],
    [['FOLDER/new.csv', '--resize'], /--resize is for pictures: leave it out/],
    [['FOLDER/new.csv', '--classes', 'a,b,c'], /has names of its classes already: leave --classes out/],
    [[], /there is nothing to predict: give .* a table with the columns petal, sepal: FILE\.csv$/],
  ])('refuses %j in one line', async (given, message) => {
    await writeFile(at('short.csv'), 'petal,sepals\n1,2\n');
    await writeFile(at('headerless.csv'), '1.5,2\n3,4\n');
    await writeFile(at('twice.csv'), 'petal,petal,sepal\n1,2,3\n');
    await writeFile(at('empty.csv'), 'petal,sepal\n');
    await writeFile(at('latin.csv'), Uint8Array.of(112, 44, 233, 10, 49, 44, 50, 10));
    await writeFile(at('long.csv'), 'petal,sepal\n1,2,3\n');
    await writeFile(at('damaged.csv.gz'), 'petal,sepal');
    await writeFile(at('damaged.parquet'), 'PAR1 and then something else PAR1');
    await writeFile(at('x.doc'), 'x');
    expect(await refused('predict', model(), ...given.map((word) => word.replace('FOLDER', folder)))).toMatch(message);
  });
});

it('a regression: numbers by the name of the target, in its units; the target may be in the file or not', async () => {
  const lines = Array.from({ length: 60 }, (_, i) => `${i % 6},${i % 7},${9000 + 100 * (i % 6) * (i % 7)}`);
  await writeFile(at('prices.csv'), ['rooms,floor,price', ...lines].join('\n'));
  const fit = ['--steps', '5', '--batch-size', '20', '--threads', '1', '--out', at('prices')];
  await done('train', 'mlp:hidden=4', '--data', `csv:${at('prices.csv')}?target=price`, ...fit);
  const model = at('prices', 'model.onnx');
  const input = tensorFrom(
    'float32',
    [60, 2],
    lines.flatMap((line) => line.split(',').slice(0, 2).map(Number)),
  );
  const expected = await outputs(model, input);
  const found = jsonLines(await done('predict', model, at('prices.csv'), '--json'));
  expect(found).toEqual(
    expected.map((price, i) => ({ row: i + 1, values: { price: expect.closeTo(price, price > 1e4 ? 1 : 2) } })),
  );
  expect((await done('predict', model, at('prices.csv'), '--keep', 'price')).split('\n')[0]).toBe(
    'row  price  predicted price',
  );
  const { values } = JSON.parse(
    await done(
      'evaluate',
      model,
      '--data',
      `csv:${at('prices.csv')}?target=price`,
      '--split',
      'all',
      '--metrics',
      'mae',
      '--json',
    ),
  );
  const errors = lines.map((line, i) => Math.abs(Number(line.split(',')[2]) - (expected[i] ?? 0)));
  expect(values.meanAbsoluteError / (errors.reduce((a, b) => a + b) / 60)).toBeCloseTo(1, 4);
}, 60_000);

it('pictures and folders of them, of the size of the training unless they are to be scaled', async () => {
  const draw = async (path: string, red: number, width = 6) => {
    const data = Buffer.from(Array.from({ length: width * 6 }, (_, i) => [red, 40 + (i % 9), 255 - red]).flat());
    await sharp(data, { raw: { width, height: 6, channels: 3 } })
      .png()
      .toFile(path);
  };
  for (const [name, red] of [
    ['blue', 20],
    ['red', 220],
  ] as const) {
    await mkdir(at('photos', name), { recursive: true });
    for (let i = 0; i < 8; i++) await draw(at('photos', name, `${i}.png`), red + i);
  }
  const fit = ['--steps', '3', '--batch-size', '8', '--threads', '1', '--out', at('colours')];
  await done('train', 'mlp:hidden=4', '--data', `images:${at('photos')}`, ...fit);
  const model = at('colours', 'model.onnx');
  const pixels = Array.from({ length: 108 }, (_, i) => [23, 40 + ((i % 36) % 9), 232][Math.floor(i / 36)] ?? 0);
  const logits = await outputs(
    model,
    tensorFrom(
      'float32',
      [1, 108],
      pixels.map((byte) => byte / 255),
    ),
  );
  const share = 1 / (1 + Math.exp((logits[1] ?? 0) - (logits[0] ?? 0)));
  const found = jsonLines(await done('predict', model, at('photos'), '--json', '--batch-size', '3'));
  expect(found).toHaveLength(16);
  const blue = found[3] as { file: string; top: { class: string; probability: number }[] };
  expect(blue.file).toBe(at('photos', 'blue', '3.png'));
  expect(blue.top.find((each) => each.class === 'blue')?.probability).toBeCloseTo(share, 5);
  await draw(at('wide.png'), 20, 12);
  expect(await refused('predict', model, at('wide.png'))).toBe(
    '…/wide.png: the picture is 12 × 6, and the model takes 6 × 6: scale it, or let it be scaled and cropped with --resize',
  );
  expect(jsonLines(await done('predict', model, at('wide.png'), '--resize', '--json'))).toHaveLength(1);
  await writeFile(at('none.png'), 'none');
  expect(await refused('predict', model, at('none.png'))).toMatch(
    /none\.png: expected a picture, but it does not decode/,
  );
  await mkdir(at('nothing'));
  expect(await refused('predict', model, at('nothing'))).toMatch(/expected pictures in this folder .*, found none/);
}, 60_000);

it('a text, the same by the same seed, and as the library continues it', async () => {
  const vocabulary = [...'\u001bab c'];
  const network = charTransformer({ vocabulary: 5, context: 4, width: 8, heads: 2, layers: 1, seed: 1 });
  const model = at('text.onnx');
  await saveModel(withMeaning(network, { text: { vocabulary, context: 4 } }), model);
  const drawn = ['--prompt', 'ab', '--generate', '30', '--temperature', '1.5', '--seed', '4'];
  const [first] = jsonLines(await done('predict', model, ...drawn, '--json')) as { text: string }[];
  const { generateText } = await import('../src/api/generate.js');
  let expected = '';
  for await (const character of generateText(await loadModel(model), 'ab', { length: 30, temperature: 1.5, seed: 4 })) {
    expected += character;
  }
  expect(first).toEqual({ prompt: 'ab', text: expected, temperature: 1.5, seed: 4 });
  expect(expected).toContain('\u001b'); // which a terminal would obey
  expect(await done('predict', model, ...drawn)).toBe(`ab${expected.replaceAll('\u001b', '\\u001b')}\n`);
  expect(await refused('predict', model, '--prompt', 'abz')).toMatch(
    /^the character "z" \(number 3 of the text\) is not among the 5 that model 'text' knows: write the text with /,
  );
  expect(await refused('predict', model)).toMatch(
    /there is nothing to predict: give .* a text to continue: --prompt 'TEXT'$/,
  );
}, 60_000);

it('rows by their order, of a model of another program, with the names that are given', async () => {
  await saveModel(mlp({ sizes: [2, 3], seed: 1 }), at('foreign.onnx'));
  await writeFile(at('plain.csv'), 'x,y\n1,2\n');
  const [a = 0, b = 0, c = 0] = await outputs(at('foreign.onnx'), tensorFrom('float32', [1, 2], [1, 2]));
  expect(jsonLines(await done('predict', at('foreign.onnx'), at('plain.csv'), '--json'))).toEqual([
    { row: 1, values: { output: [a, b, c].map((x) => expect.closeTo(x, 5)) } },
  ]);
  await writeFile(at('names.txt'), 'ant\nbee\ncat\n');
  for (const names of ['ant,bee,cat', at('names.txt')]) {
    const [found] = jsonLines(await done('predict', at('foreign.onnx'), at('plain.csv'), '--json', '--classes', names));
    expect((found as { class: string }).class).toBe(['ant', 'bee', 'cat'][[a, b, c].indexOf(Math.max(a, b, c))]);
  }
  expect(await refused('predict', at('foreign.onnx'), at('plain.csv'), '--classes', 'a,b')).toMatch(
    /^--classes has 2 names, and model 'foreign' has 3 outputs: give one for each$/,
  );
  expect(await refused('predict', at('foreign.onnx'), at('flowers.csv'))).toMatch(
    /its rows have 4 numbers \('id', 'petal', 'sepal', 'species'\), and the model takes 2: leave columns out with --drop NAME,NAME$/,
  );
}, 60_000);
