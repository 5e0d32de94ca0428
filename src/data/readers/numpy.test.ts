import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { FileError, OptionError } from '../../errors.js';
import { listInputs } from '../../graph/inputs.js';
import { arraySplits } from '../array-set.js';
import { type Dataset, onlyInput } from '../dataset.js';
import { type NumberArray, parseNpy } from './npy.js';
import { parseNpz, readNamedArrays } from './npz.js';

/** Writes .npy bytes as NumPy's format document says. */
function npy(descriptor: string, shape: readonly number[], body: Uint8Array, fortran = false, version = 1): Uint8Array {
  const axes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${descriptor}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': (${axes}), }`;
  const prefix = version === 1 ? 10 : 12;
  const padded = `${text.padEnd(Math.ceil((prefix + text.length + 1) / 64) * 64 - prefix - 1)}\n`;
  const head = new DataView(new ArrayBuffer(prefix));
  for (const [index, byte] of [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0].entries()) head.setUint8(index, byte);
  if (version === 1) head.setUint16(8, padded.length, true);
  else head.setUint32(8, padded.length, true);
  return Uint8Array.from([...new Uint8Array(head.buffer), ...new TextEncoder().encode(padded), ...body]);
}

function bytesOf(
  values: Float64Array | Float32Array | BigInt64Array | Int32Array | Uint16Array | Int8Array,
): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

describe('parseNpy', () => {
  it.each([
    ['<f8', bytesOf(Float64Array.of(1.5, -2, 3e10)), Float32Array.of(1.5, -2, 3e10)],
    ['<f4', bytesOf(Float32Array.of(1.5, -2, 0.1)), Float32Array.of(1.5, -2, 0.1)],
    ['>f4', Uint8Array.of(0x3f, 0xc0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0), Float32Array.of(1.5, -2, 0)],
    // 0x3555 is the half nearest to 1/3, 0x0001 the least subnormal, 0xfbff the least finite (IEEE 754).
    ['<f2', bytesOf(Uint16Array.of(0x3555, 0x0001, 0xfbff)), Float32Array.of(0.333251953125, 2 ** -24, -65504)],
    ['<i8', bytesOf(BigInt64Array.of(1n, -2n, 2147483647n)), Int32Array.of(1, -2, 2147483647)],
    ['<i4', bytesOf(Int32Array.of(1, -2, 3)), Int32Array.of(1, -2, 3)],
    ['<u2', bytesOf(Uint16Array.of(1, 65535, 3)), Int32Array.of(1, 65535, 3)],
    ['|i1', bytesOf(Int8Array.of(1, -128, 3)), Int32Array.of(1, -128, 3)],
    ['|b1', Uint8Array.of(1, 0, 1), Int32Array.of(1, 0, 1)],
    ['|u1', Uint8Array.of(1, 255, 3), Uint8Array.of(1, 255, 3)],
  ])('reads %s', (descriptor, body, data) => {
    for (const version of [1, 2, 3])
      expect(parseNpy(npy(descriptor, [3, 1], body, false, version), 'x')).toEqual({ shape: [3, 1], data });
  });

  it.each([
    ['text', npy('<U5', [1], new Uint8Array(20)), /NumPy type '<U5', expected booleans, integers or floats/],
    ['Fortran order', npy('|u1', [2, 2], new Uint8Array(4), true), /Fortran order, expected C order/],
    ['truncated data', npy('<f4', [3], new Uint8Array(11)), /expected 12 bytes of data, found 11/],
    [
      'big integers',
      npy('<i8', [1], bytesOf(BigInt64Array.of(2n ** 40n))),
      /element 0 is 1099511627776, expected integers within 32 bits/,
    ],
    ['another file', new TextEncoder().encode('PK and so on'), /expected a NumPy array/],
    ['a huge shape', npy('|u1', [2 ** 40, 2 ** 12], new Uint8Array(4)), /found 4: the file is damaged/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => parseNpy(bytes, 'x.npy')).toThrow(FileError);
    expect(() => parseNpy(bytes, 'x.npy')).toThrow(message);
  });

  it('reads scalars and one-dimensional arrays in any order', () => {
    expect(parseNpy(npy('|u1', [], Uint8Array.of(7)), 'x').shape).toEqual([]);
    expect(parseNpy(npy('|u1', [2], Uint8Array.of(7, 8), true), 'x').shape).toEqual([2]);
  });
});

const archive = zipSync({
  'x_train.npy': npy(
    '|u1',
    [4, 2, 2],
    Uint8Array.from({ length: 16 }, (_, index) => index),
  ),
  'y_train.npy': npy('<i8', [4], bytesOf(BigInt64Array.of(0n, 1n, 2n, 1n))),
  'x_test.npy': [npy('|u1', [1, 2, 2], Uint8Array.of(9, 9, 9, 9)), { level: 0 }],
  'y_test.npy': npy('<i8', [1, 1], bytesOf(BigInt64Array.of(2n))),
});
const split = { testShare: 0.25, seed: 1 };

describe('parseNpz', () => {
  it('reads compressed and stored arrays', () => {
    const arrays = parseNpz(archive, 'x.npz');
    expect([...arrays.keys()]).toEqual(['x_train', 'y_train', 'x_test', 'y_test']);
    expect(arrays.get('y_train')?.data).toEqual(Int32Array.of(0, 1, 2, 1));
    expect(arrays.get('x_test')?.data).toEqual(Uint8Array.of(9, 9, 9, 9));
  });

  it('answers any damage with FileError or arrays of their own length', () => {
    const damage = fc.array(fc.tuple(fc.nat(archive.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(fc.oneof(fc.constant(archive.length), fc.nat(archive.length)), damage, (length, changes) => {
        const bytes = archive.slice(0, length);
        for (const [position, value] of changes) bytes[position] = value;
        try {
          for (const { shape, data } of parseNpz(bytes, 'x').values()) {
            expect(data.length).toBe(shape.reduce((product, extent) => product * extent, 1));
          }
        } catch (error) {
          expect(error).toBeInstanceOf(FileError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['stored', 0],
    ['deflated', 6],
  ] as const)('refuses a flipped byte in a %s member', (_, level) => {
    const body = Uint8Array.from({ length: 64 }, (_, index) => (index * 37) % 251);
    const array = npy('|u1', [64], body);
    const whole = zipSync({ 'a.npy': [npy('|u1', [1], Uint8Array.of(1)), { level: 9 }], 'b.npy': [array, { level }] });
    expect(parseNpz(whole, 'x.npz').get('b')?.data).toEqual(body);
    // The last member's bytes end where the directory begins.
    const end = new DataView(whole.buffer).getUint32(whole.length - 6, true);
    const answers = Array.from({ length: 64 }, (_, index) => {
      const damaged = whole.slice();
      damaged[end - 1 - index] = (damaged[end - 1 - index] ?? 0) ^ 0x10;
      try {
        parseNpz(damaged, 'x.npz');
        return 'read';
      } catch (error) {
        expect(error).toBeInstanceOf(FileError);
        return String(error);
      }
    });
    expect(answers).not.toContain('read');
    expect(answers.some((answer) => /'b\.npy' is damaged: .*: write or download the file again$/.test(answer))).toBe(
      true,
    );
  });

  it('refuses sizes that the archive cannot hold before allocating them', () => {
    const bytes = archive.slice();
    const view = new DataView(bytes.buffer);
    const end = bytes.length - 22;
    view.setUint32(view.getUint32(end + 16, true) + 24, 0xf0000000, true);
    expect(() => parseNpz(bytes, 'x.npz')).toThrow(/claims 4026531840 bytes packed in \d+, more than can be/);
  });
});

describe('arraySplits', () => {
  it('reads the parts of an archive by name', () => {
    const { train, test } = arraySplits(parseNpz(archive, 'x.npz'), 'x.npz', split);
    expect([train.size, test.size]).toEqual([4, 1]);
    expect(onlyInput(train)).toMatchObject({ dtype: 'float32', shape: [2, 2], scale: 1 / 255 });
    expect(train.targets).toEqual({ dtype: 'int64', shape: [], data: Int32Array.of(0, 1, 2, 1) });
    expect(train.picture).toEqual({ width: 2, height: 2, channels: 1 });
    expect(test.targets.data).toEqual(Int32Array.of(2));
    expect(train.classes).toEqual(['0', '1', '2']);
  });

  const floats = (shape: number[], start = 0): NumberArray => ({
    shape,
    data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, index) => start + index),
  });

  it('splits what has no test part, keeping rows together', () => {
    const arrays = new Map([
      ['x', floats([20, 2])],
      ['y', floats([20, 1])],
    ]);
    const { train, test } = arraySplits(arrays, 'x', { testShare: 0.25, seed: 2 });
    expect([train.size, test.size]).toEqual([15, 5]);
    for (const part of [train, test]) {
      for (let row = 0; row < part.size; row++)
        expect(onlyInput(part).data[2 * row]).toBe(2 * (part.targets.data[row] as number));
    }
    const all = [...train.targets.data, ...test.targets.data].map(Number).sort((a, b) => a - b);
    expect(all).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  const integers = (shape: number[]): NumberArray => ({
    shape,
    data: Int32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, index) => index % 3),
  });
  const sentences = new Map<string, NumberArray>([
    ['input_ids', integers([4, 5])],
    ['attention_mask', integers([4, 5])],
    ['row', { shape: [4], data: Int32Array.of(9, 8, 7, 6) }],
    ['labels', integers([4])],
  ]);
  const names = ({ inputs }: Dataset) => listInputs(inputs).map(([name]) => name);

  it('takes an array of weights by its name, or those of the parts, and none as inputs', () => {
    const arrays = new Map([
      ['x', floats([20, 2])],
      ['y', floats([20, 1])],
      ['data_weights', floats([20, 1], 3)],
    ]);
    const options = { testShare: 0.25, seed: 2, weights: 'data_weights' };
    const { train, test } = arraySplits(arrays, 'x', options);
    for (const { weights, targets, size } of [train, test]) {
      expect(weights?.shape).toEqual([]);
      for (let row = 0; row < size; row++) expect(weights?.data[row]).toBe(3 + Number(targets.data[row]));
    }
    const parts = new Map(
      ['x_train', 'y_train', 'w_train', 'x_test', 'y_test'].map((name) => [name, floats([4, 1], 1)]),
    );
    const refused = (given: ReadonlyMap<string, NumberArray>, weights: string) => () =>
      arraySplits(given, 'x', { ...options, weights });
    expect(refused(parts, 'w')).toThrow("'x_test' has no weights beside it, only other parts have ('w_train')");
    expect(refused(new Map([...parts, ['w_test', floats([4, 2])]]), 'w')).toThrow(
      "the weights 'w_test' have shape [4,2], expected one number for each of 4 examples",
    );
    expect(refused(arrays, 'weight')).toThrow("there is no array 'weight' for weights");
  });

  it('takes several inputs by name, those given or those of the model', () => {
    const modelInputs = ['attention_mask', 'input_ids', 'token_type_ids'];
    const byModel = arraySplits(sentences, 'x', { ...split, modelInputs });
    expect(names(byModel.train)).toEqual(['attention_mask', 'input_ids']);
    expect(byModel.train.classes).toEqual(['0', '1', '2']);
    const given = arraySplits(sentences, 'x', { ...split, modelInputs, inputs: ['input_ids', 'row'] });
    expect(names(given.train)).toEqual(['input_ids', 'row']);
    const other = arraySplits(sentences, 'x', { ...split, modelInputs, targets: 'row' });
    expect(other.train.targets.data).not.toEqual(byModel.train.targets.data);
    const one = arraySplits(sentences, 'x', { ...split, modelInputs: ['attention_mask'] });
    expect(names(one.train)).toEqual([undefined]);
    expect(onlyInput(one.train).shape).toEqual([5]);
  });

  it('takes them by parts, and targets that are named alone', () => {
    const parts = new Map(
      [...sentences].flatMap(([name, array]) => [
        [`${name}_train`, array],
        [`test/${name}`, integers([2, ...array.shape.slice(1)])],
      ]),
    ) as Map<string, NumberArray>;
    const options = { ...split, modelInputs: ['input_ids', 'attention_mask'], targets: 'labels' };
    const { train, test } = arraySplits(parts, 'x', options);
    expect([train.size, test.size]).toEqual([4, 2]);
    expect(names(test)).toEqual(['input_ids', 'attention_mask']);
    parts.delete('test/attention_mask');
    expect(() => arraySplits(parts, 'x', options)).toThrow(
      "x: 'test/input_ids' has no array of the input 'attention_mask' beside it",
    );
    parts.delete('test/input_ids');
    expect(arraySplits(parts, 'x', options).train.size + 1).toBe(train.size);
    const named = new Map([
      ['x', floats([4, 2])],
      ['score', floats([4, 1])],
    ]);
    expect(arraySplits(named, 'x', { ...split, targets: 'score' }).train.targets.dtype).toBe('float32');
  });

  it('finds the picture among several inputs, and turns it', () => {
    const arrays = new Map([
      ['picture', floats([2, 4, 5, 3])],
      ['age', floats([2])],
      ['y', integers([2])],
    ]);
    const { train } = arraySplits(arrays, 'x', { ...split, layout: 'nhwc', inputs: ['age', 'picture'] });
    expect(train.picture).toEqual({ width: 5, height: 4, channels: 3 });
    expect(listInputs(train.inputs).map(([, { shape }]) => shape)).toEqual([[1], [3, 4, 5]]);
  });

  it.each([
    [
      'unequal inputs',
      { inputs: ['input_ids', 'short'], targets: 'labels' },
      /'short' has 3 examples and 'input_ids' 4/,
    ],
    ['inputs without targets', { inputs: ['input_ids', 'row'] }, /none named as targets, and inputs by name cannot/],
    ['an input by name without targets', { modelInputs: ['input_ids', 'z'] }, /none named as targets/],
    ['targets of another part', { inputs: ['input_ids'], targets: 'y' }, /'input_ids' has no targets beside it/],
  ])('refuses %s', (_, options, message) => {
    const arrays = new Map([...sentences, ['short', integers([3])], ['y_train', integers([4])]]);
    if (!('targets' in options)) for (const name of ['labels', 'y_train']) arrays.delete(name);
    expect(() => arraySplits(arrays, 'x.npz', { ...split, ...options })).toThrow(message);
  });

  it('autoencodes a lone array, and turns channels first when asked', () => {
    const pictures = floats([2, 1, 2, 3]);
    const { train } = arraySplits(new Map([['things', pictures]]), 'x', {
      ...split,
      layout: 'nhwc',
      inputs: ['things'],
    });
    expect(train.targets).toBe(onlyInput(train));
    const first = [0, 3, 1, 4, 2, 5];
    expect([first, first.map((value) => value + 6)]).toContainEqual([...onlyInput(train).data]);
  });

  it.each([
    [
      'no inputs',
      new Map([
        ['a', floats([2, 2])],
        ['b', floats([2])],
      ]),
      {},
      /none named as inputs.*\?inputs=NAME/,
    ],
    [
      'two candidates',
      new Map([
        ['x', floats([2, 2])],
        ['images', floats([2])],
      ]),
      {},
      /'x' and 'images' could both/,
    ],
    [
      'unequal counts',
      new Map([
        ['x', floats([3, 2])],
        ['y', floats([2])],
      ]),
      {},
      /'y' has 2 examples and 'x' 3/,
    ],
    ['NaN', new Map([['x', floats([3, 2], Number.NaN)]]), {}, /element 0 of 'x' is NaN, expected finite/],
    [
      'negative labels',
      new Map([
        ['x', floats([2, 2])],
        ['y', { shape: [2], data: Int32Array.of(0, -1) }],
      ]),
      {},
      /run from -1 to 0/,
    ],
    ['no examples', new Map([['x', floats([0, 2])]]), {}, /at least one example/],
    [
      'a wrong name',
      new Map([['x', floats([2, 2])]]),
      { inputs: ['z'] },
      /no array 'z' for inputs: expected one of 'x' \[2,2\]/,
    ],
    ['a wrong layout', new Map([['x', floats([2, 2])]]), { layout: 'nhwc' as const }, /layout=nhwc needs four axes/],
  ])('refuses %s', (_, arrays, options, message) => {
    const read = () => arraySplits(arrays, 'x.npz', { ...split, ...options });
    expect(read).toThrow(message);
    expect(read).toThrow(/^x\.npz/);
  });
});

describe('readNamedArrays', () => {
  it('reads a file, an archive and a folder', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cgfac-npy-'));
    try {
      await writeFile(join(folder, 'x.npy'), npy('|u1', [2], Uint8Array.of(1, 2)));
      await writeFile(join(folder, 'all.npz'), archive);
      expect([...(await readNamedArrays(folder)).keys()]).toEqual(['x']);
      expect([...(await readNamedArrays(join(folder, 'x.npy'))).keys()]).toEqual(['x']);
      expect((await readNamedArrays(join(folder, 'all.npz'))).size).toBe(4);
      await expect(readNamedArrays(join(folder, 'y.npy'))).rejects.toThrow(/there is no such file/);
    } finally {
      await rm(folder, { recursive: true });
    }
    expect(new OptionError('x')).not.toBeInstanceOf(FileError);
  });
});
