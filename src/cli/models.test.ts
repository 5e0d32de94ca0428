// Built-in models take their sizes from the data, and say what is wrong where the data are of another kind.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Dataset, PictureSize } from '../data/dataset.js';
import { OptionError } from '../errors.js';
import type { Model } from '../model/model.js';
import { learningTask } from '../training/task/task.js';
import { modelHelp, modelTitle, openModel } from './models.js';

const names = (count: number) => Array.from({ length: count }, (_, i) => `class ${i}`);

function pictures(picture: PictureSize, classes: number, flat: boolean): Dataset {
  const { channels, height, width } = picture;
  const length = channels * height * width;
  return {
    name: 'pictures',
    size: 1,
    inputs: {
      dtype: 'float32',
      shape: flat ? [length] : [channels, height, width],
      data: new Uint8Array(length),
      scale: 1,
    },
    targets: { dtype: 'int64', shape: [], data: Int32Array.of(0) },
    classes: names(classes),
    picture,
  };
}

function text(context: number, vocabulary: number): Dataset {
  const column = { dtype: 'int64', shape: [context], data: new Int32Array(context) } as const;
  return { name: 'text', size: 1, inputs: column, targets: column, classes: names(vocabulary) };
}

const rows: Dataset = {
  name: 'rows.csv',
  size: 1,
  inputs: { dtype: 'float32', shape: [5], data: new Float32Array(5) },
  targets: { dtype: 'float32', shape: [2], data: new Float32Array(2) },
};

/** Shapes of the model's input and output, once it is known to learn from the data. */
async function shapesOf(spec: string, set: Dataset) {
  const model = (await openModel(spec))(1, set);
  const { kind } = learningTask(model, { train: set, test: set });
  const [input, output] = [model.graph.inputs[0]?.shape, model.graph.outputs[0]?.value.shape];
  return { kind, input: input?.slice(1), output: output?.slice(1) };
}

describe('sizes come from the data', () => {
  const classes = fc.integer({ min: 2, max: 12 });

  it('lenet and resnet20: pictures of any size they can take, flattened or not', async () => {
    const quarter = fc.integer({ min: 3, max: 6 });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('lenet', 'resnet20:width=8', 'resnet20:norm=batch:width=3'),
        fc.integer({ min: 1, max: 3 }),
        quarter,
        quarter,
        classes,
        fc.boolean(),
        async (spec, channels, h, w, count, flat) => {
          const picture = { channels, height: 4 * h, width: 4 * w };
          expect(await shapesOf(spec, pictures(picture, count, flat))).toEqual({
            kind: 'classification',
            input: [channels, 4 * h, 4 * w],
            output: [count],
          });
        },
      ),
      { numRuns: 30 },
    );
  });

  it('char-transformer: vocabulary and context', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 20 }), classes, async (context, vocabulary) => {
        const spec = 'char-transformer:layers=1:width=8:heads=2';
        const expected = { kind: 'classification', input: [context], output: [context, vocabulary] };
        expect(await shapesOf(spec, text(context, vocabulary))).toEqual(expected);
      }),
      { numRuns: 10 },
    );
  });

  it('mlp and autoencoder: numbers in an example', async () => {
    expect(await shapesOf('mlp', rows)).toEqual({ kind: 'regression', input: [5], output: [2] });
    const set = pictures({ channels: 3, height: 2, width: 3 }, 4, false);
    expect(await shapesOf('mlp', set)).toEqual({ kind: 'classification', input: [18], output: [4] });
    expect(await shapesOf('autoencoder', set)).toEqual({ kind: 'autoencoding', input: [18], output: [18] });
  });
});

describe('openModel', () => {
  it('passes options on, and has sizes of its own where there are no data', async () => {
    const batch = (await openModel('resnet20:norm=batch:width=4'))(1);
    expect(batch.statistics.has('stem.norm.mean')).toBe(true);
    expect(batch.parameters.get('stem.weight')?.dims).toEqual([4, 3, 3, 3]);
    const transformer = (await openModel('char-transformer:layers=2:heads=1:width=6'))(1);
    expect([...transformer.parameters.keys()].filter((name) => name.endsWith('query.weight'))).toHaveLength(2);
    for (const name of ['autoencoder', 'mlp', 'lenet']) expect((await openModel(name))(1).name).toBe(name);
  });

  it('mlp and autoencoder take the sizes of their hidden layers, and mlp its activation', async () => {
    const sizes = (model: Model) =>
      [...model.parameters].flatMap(([name, { dims }]) => (/bias$/.test(name) ? [dims[0]] : []));
    const mlp = (await openModel('mlp:hidden=32,16,8:activation=gelu'))(1, rows);
    expect(sizes(mlp)).toEqual([32, 16, 8, 2]);
    expect(mlp.graph.nodes.map(({ op }) => op)).toContain('Gelu');
    expect(sizes((await openModel('mlp:hidden=32'))(1, rows))).toEqual([32, 2]);
    expect(sizes((await openModel('mlp'))(1, rows))).toEqual([256, 128, 2]);
    expect(sizes((await openModel('autoencoder:hidden=4,2'))(1, rows))).toEqual([4, 2, 4, 5]);
  });

  it.each([
    ['lennet', /unknown model 'lennet' \(did you mean 'lenet'\?\); choose autoencoder, mlp, lenet/],
    ['resnet20:norms=batch', /unknown option 'norms' \(did you mean 'norm'\?\); it takes norm, width, groups/],
    ['resnet20:norm=layer', /model 'resnet20:norm=layer': norm is 'layer'; it must be group or batch/],
    ['resnet20:width=0', /width is 0; it must be a whole number, at least 1/],
    ['resnet20:width=12', /model 'resnet20:width=12': 8 groups do not divide the 12 channels/],
    ['char-transformer:heads=3', /3 heads do not divide the width 128/],
    ['mlp:hidden=8:hidden=4', /hidden is given twice; give it once/],
    ['mlp:width=8', /unknown option 'width'; it takes hidden, activation/],
    ['lenet:width=8', /unknown option 'width'; it takes no options/],
    ['mlp:hidden=', /hidden is ''; it must be whole numbers with commas between them, such as 512,256/],
    ['mlp:hidden=64,', /hidden is '64,'; it must be whole numbers/],
    ['mlp:hidden=64,0', /hidden is 0; it must be a whole number, at least 1/],
    ['mlp:activation=geluu', /activation is 'geluu'; it must be relu or gelu or/],
    ['autoencoder:hidden=a', /hidden is 'a'; it must be whole numbers/],
  ])('refuses %s before data are read', async (spec, message) => {
    await expect(openModel(spec)).rejects.toThrow(OptionError);
    await expect(openModel(spec)).rejects.toThrow(message);
  });

  const picture = pictures({ channels: 1, height: 28, width: 28 }, 10, true);
  it.each([
    ['lenet', rows, /lenet takes pictures, and an example of 'rows.csv' is float32\[5\]: .*choose the model mlp/],
    ['resnet20', text(8, 4), /resnet20 takes pictures, and an example of 'text' is int64\[8\]: .*char-transformer/],
    ['lenet', pictures({ channels: 1, height: 30, width: 28 }, 10, true), /multiples of 4.*not 30×28: scale them/],
    ['char-transformer', picture, /takes windows of text, and an example of 'pictures' is float32\[784\]: .*text:FILE/],
    ['char-transformer', { ...text(8, 4), targets: picture.targets }, /takes windows of text/],
    ['mlp', text(8, 4), /mlp takes pictures or numbers, .* for text choose the model char-transformer/],
    ['autoencoder', text(8, 4), /autoencoder takes pictures or numbers/],
  ])('%s refuses data of another kind (%#)', async (spec, set, message) => {
    const create = await openModel(spec);
    expect(() => create(1, set)).toThrow(OptionError);
    expect(() => create(1, set)).toThrow(message);
  });
});

it('titles name folders', () => {
  expect(modelTitle('resnet20:norm=batch')).toBe('resnet20-norm=batch');
  expect(modelTitle('models/cats.v2.ONNX')).toBe('cats.v2');
});

it('lists every model with its options in the help', () => {
  for (const name of ['autoencoder', 'mlp', 'lenet', 'resnet20', 'char-transformer', 'FILE.onnx']) {
    expect(modelHelp()).toMatch(new RegExp(`^  ${name} `, 'm'));
  }
  expect(modelHelp()).toContain('options: norm=group|batch, width, groups');
  expect(modelHelp()).toMatch(/options: hidden=N,N,…, activation=relu\|gelu\|/);
});
