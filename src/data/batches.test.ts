import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OptionError } from '../errors.js';
import { inputNamed, listInputs } from '../graph/inputs.js';
import { elementCount } from '../graph/tensor.js';
import { type Batch, batchOf, gatherBatch, trainingBatches } from './batches.js';
import { type Dataset, dataset, onlyInput } from './dataset.js';
import { splitAtRandom } from './split.js';
import { autoencoding, slice, withInputShape } from './views.js';

function numbered(size: number): Dataset {
  return dataset({
    name: 'numbered',
    size,
    inputs: { dtype: 'float32', shape: [2], data: Float32Array.from({ length: 2 * size }, (_, index) => index / 2) },
    targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: size }, (_, index) => index - 1) },
  });
}

describe('trainingBatches', () => {
  const sizes = fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 70 }), fc.nat());

  it('counts each example once an epoch, in as few batches as there must be, of one size but for one example', () => {
    fc.assert(
      fc.property(sizes, ([size, batchSize, seed]) => {
        const batches = trainingBatches(numbered(size), { batchSize, seed });
        expect(batches.stepsPerEpoch).toBe(Math.ceil(size / batchSize));
        expect(batches.batchSize).toBeLessThanOrEqual(batchSize);
        for (const epoch of [0, 3]) {
          const steps = Array.from({ length: batches.stepsPerEpoch }, (_, k) => epoch * batches.stepsPerEpoch + k);
          const seen = steps.map((step) => [...batches.indices(step)]);
          expect(seen.flat().sort((x, y) => x - y)).toEqual(Array.from({ length: size }, (_, i) => i));
          for (const { length } of seen) expect(batches.batchSize - length).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('has rows of weight 0 in batches that lack an example, of examples that count elsewhere; no weights if none lacks one', () => {
    fc.assert(
      fc.property(sizes, fc.boolean(), ([size, batchSize, seed], isWeighted) => {
        const own = Float32Array.from({ length: size }, (_, i) => 1 + i);
        const set = {
          ...numbered(size),
          ...(isWeighted && { weights: { dtype: 'float32', shape: [], data: own } as const }),
        };
        const batches = trainingBatches(set, { batchSize, seed });
        const isWhole = batches.batchSize * batches.stepsPerEpoch === size;
        const counted = new Float32Array(size);
        for (let step = 0; step < batches.stepsPerEpoch; step++) {
          const { inputs, target, weights } = batches.at(step);
          expect(weights === undefined).toBe(isWhole && !isWeighted);
          if (!weights) return;
          expect(target.dims).toEqual([batches.batchSize]);
          expect(weights.dims).toEqual([batches.batchSize]);
          for (const [row, weight] of Array.from<number | bigint, number>(weights.data, Number).entries()) {
            const example = Number(target.data[row]) + 1;
            expect(onlyInput({ inputs }).data[2 * row]).toBe(example); // inputs and targets of one example, also there
            counted[example] = Number(counted[example]) + weight;
          }
        }
        expect(counted).toEqual(isWeighted ? own : new Float32Array(size).fill(1));
      }),
    );
  });

  it('gives the batch of a step whatever was asked before', () => {
    const set = numbered(50);
    const straight = trainingBatches(set, { batchSize: 7, seed: 4 });
    const all = Array.from({ length: 30 }, (_, step) => straight.at(step));
    const jumping = trainingBatches(set, { batchSize: 7, seed: 4 });
    for (const step of [29, 0, 13, 14, 6, 7, 28]) expect(jumping.at(step)).toEqual(all[step]);
    expect(trainingBatches(set, { batchSize: 7, seed: 5 }).indices(0)).not.toEqual(jumping.indices(0));
    expect(jumping.indices(0)).not.toEqual(jumping.indices(7));
  });

  it('takes all of a data set that is smaller than a batch', () => {
    const batches = trainingBatches(numbered(10), { batchSize: 11, seed: 0 });
    expect(batches).toMatchObject({ batchSize: 10, stepsPerEpoch: 1 });
    expect([...batches.indices(1)].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('refuses batch sizes that are no sizes, an empty set, and steps before the first', () => {
    for (const batchSize of [0, -1, 1.5, Number.NaN, '8' as unknown as number]) {
      expect(() => trainingBatches(numbered(10), { batchSize, seed: 0 })).toThrow(OptionError);
    }
    expect(() => trainingBatches(numbered(0), { batchSize: 1, seed: 0 })).toThrow(/'numbered' has no examples/);
    expect(() => trainingBatches(numbered(10), { batchSize: 2, seed: 0 }).at(-1)).toThrow('step -1 has no batch');
  });
});

describe('gatherBatch', () => {
  it('copies rows, keeps negative labels, and names dims', () => {
    const { inputs, target } = gatherBatch(numbered(5), [3, 0]);
    expect(inputs).toEqual({ dtype: 'float32', dims: [2, 2], data: Float32Array.of(3, 3.5, 0, 0.5) });
    expect(target).toEqual({ dtype: 'int64', dims: [2], data: BigInt64Array.of(2n, -1n) });
  });

  it('scales bytes', () => {
    const set = dataset({
      name: 'bytes',
      size: 2,
      inputs: { dtype: 'float32', shape: [1, 1, 2], data: Uint8Array.of(0, 51, 255, 1), scale: 1 / 255 },
      targets: { dtype: 'int64', shape: [], data: Int32Array.of(1, 0) },
    });
    const input = onlyInput(gatherBatch(set, [1, 0]));
    expect(input.dims).toEqual([2, 1, 1, 2]);
    expect(input.data).toEqual(Float32Array.of(1, 1 / 255, 0, 0.2));
  });

  it('reads overlapping windows', () => {
    const tokens = Int32Array.of(5, 6, 7, 8, 9);
    const set = dataset({
      name: 'windows',
      size: 2,
      inputs: { dtype: 'int64', shape: [3], stride: 1, data: tokens },
      targets: { dtype: 'int64', shape: [3], stride: 1, data: tokens.subarray(1) },
    });
    const batch = gatherBatch(set, [1]);
    expect([...onlyInput(batch).data]).toEqual([6n, 7n, 8n]);
    expect([...batch.target.data]).toEqual([7n, 8n, 9n]);
  });

  it('refuses an example that is not there', () => {
    expect(() => gatherBatch(numbered(5), [5])).toThrow("data set 'numbered' has no example 5: it has 5");
    expect(() => gatherBatch(numbered(5), [0.5])).toThrow(OptionError);
  });
});

describe('batchOf', () => {
  it('has the examples of the indices, or all in order, with their weights', () => {
    const weights = { dtype: 'float32', shape: [], data: Float32Array.of(1, 2, 3, 4, 5) } as const;
    const set = { ...numbered(5), weights };
    const { target, ...rest } = gatherBatch(set, [3, 0]);
    expect(batchOf(set, [3, 0])).toEqual({ ...rest, targets: target });
    expect(batchOf(set).weights?.data).toEqual(weights.data);
    expect(batchOf(numbered(2))).not.toHaveProperty('weights');
    expect(() => batchOf(set, [5])).toThrow(OptionError);
  });
});

describe('several inputs', () => {
  /** Rows of three columns and the targets, each number telling the row and the column that it is of. */
  function columns(size: number, widths: readonly number[], strides: readonly number[], isShared: boolean): Dataset {
    const data = (column: number, total: number) => Int32Array.from({ length: total }, (_, i) => 1000 * column + i);
    const tokens = widths.map((width, i) => {
      const stride = strides[i] ?? width;
      const total = (size - 1) * stride + width;
      return { dtype: 'int64', shape: [width], stride, data: data(i, total) } as const;
    });
    const numbers = {
      dtype: 'float32',
      shape: [2],
      data: Float32Array.from({ length: 2 * size }, (_, i) => i),
    } as const;
    const bytes = {
      dtype: 'float32',
      shape: [],
      data: Uint8Array.from({ length: size }, (_, i) => i),
      scale: 0.5,
    } as const;
    const inputs = { ...Object.fromEntries(tokens.map((column, i) => [`tokens${i}`, column])), numbers, bytes };
    return dataset({
      name: 'columns',
      size,
      inputs,
      targets: isShared ? numbers : { dtype: 'int64', shape: [], data: data(0, size) },
    });
  }

  const sets = fc
    .record({
      size: fc.integer({ min: 2, max: 40 }),
      widths: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 0, maxLength: 3 }),
      strides: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 3, maxLength: 3 }),
      isShared: fc.boolean(),
      seed: fc.nat(),
      batchSize: fc.integer({ min: 1, max: 40 }),
    })
    .filter(({ size, batchSize }) => batchSize <= size);

  /** Each row of a batch is that example in every column. */
  function expectRows(
    set: Dataset,
    { inputs, target }: Batch,
    rows: readonly number[],
    wholeRow: (row: number) => number,
  ) {
    for (const [name, given] of listInputs(inputs)) {
      const source = inputNamed(set.inputs, name);
      const width = elementCount(given.dims.slice(1));
      for (const [i, row] of rows.entries()) {
        const found = Array.from<number | bigint, number>(given.data, Number).slice(i * width, (i + 1) * width);
        const from = wholeRow(row) * (source?.stride ?? width);
        const offset = name?.startsWith('tokens') ? 1000 * Number(name.at(-1)) : 0;
        expect(found).toEqual(
          Array.from({ length: width }, (_, k) => (name === 'bytes' ? 0.5 * (from + k) : offset + from + k)),
        );
      }
    }
    const labels = Array.from<number | bigint, number>(target.data, Number);
    if (target.dims.length === 1) expect(labels).toEqual(rows.map(wholeRow));
    else expect(target).toBe(inputNamed(inputs, 'numbers'));
  }

  it('stay together under shuffling, also where windows overlap', () => {
    fc.assert(
      fc.property(sets, ({ size, widths, strides, isShared, seed, batchSize }) => {
        const set = columns(size, widths, strides, isShared);
        const batches = trainingBatches(set, { batchSize, seed });
        for (const step of [0, batches.stepsPerEpoch]) {
          const rows = [...batches.indices(step)];
          if (rows.length === batches.batchSize) expectRows(set, batches.at(step), rows, (row) => row);
        }
      }),
    );
  });

  it('stay together where a part is cut out', () => {
    fc.assert(
      fc.property(sets, fc.nat({ max: 39 }), ({ size, widths, strides, isShared }, wanted) => {
        const start = Math.min(wanted, size - 1);
        const set = columns(size, widths, strides, isShared);
        const part = slice(set, start, size);
        const rows = Array.from({ length: part.size }, (_, i) => i);
        expectRows(part, gatherBatch(part, rows), rows, (row) => start + row);
      }),
    );
  });

  it('stay together where examples are held out', () => {
    fc.assert(
      fc.property(sets, ({ size, widths, strides, isShared, seed }) => {
        const set = columns(size, widths, strides, isShared);
        const { train, test } = splitAtRandom(set, { testShare: 0.3, seed });
        const original = (part: Dataset) => (row: number) =>
          (inputNamed(part.inputs, 'bytes')?.data[row] ?? Number.NaN) as number;
        for (const part of [train, test]) {
          const rows = Array.from({ length: part.size }, (_, i) => i);
          expectRows(set, gatherBatch(part, rows), rows, original(part));
        }
        expect(train.size + test.size).toBe(size);
      }),
    );
  });

  it('are refused where there are none, or one is short', () => {
    const set = columns(4, [3], [3], false);
    expect(() => dataset({ ...set, inputs: {} })).toThrow("data set 'columns' has no inputs");
    expect(() => dataset({ ...set, size: 5 })).toThrow(
      "data set 'columns': input 'tokens0' holds 12 elements, but 5 examples of shape [3] need 15",
    );
    expect(() => onlyInput(set)).toThrow("has the inputs 'tokens0', 'numbers', 'bytes', expected one without a name");
    expect(() => autoencoding(set)).toThrow('cannot be autoencoded: it has the inputs');
  });
});

describe('views of a data set', () => {
  it('autoencodes, slices and reshapes without copying', () => {
    const set = numbered(5);
    const view = slice(withInputShape(set, [1, 2, 1]), 2, 99);
    expect(view.size).toBe(3);
    expect(gatherBatch(view, [0]).inputs).toEqual({
      dtype: 'float32',
      dims: [1, 1, 2, 1],
      data: Float32Array.of(2, 2.5),
    });
    const batch = gatherBatch(autoencoding(view), [1]);
    expect(batch.target.dims).toEqual([1, 2]);
    expect(batch.target).toBe(batch.inputs);
    expect(onlyInput(view).data.buffer).toBe(onlyInput(set).data.buffer);
    expect(() => withInputShape(set, [3])).toThrow('inputs of shape [2] cannot have the shape [3]');
    expect(() => dataset({ ...set, size: 6 })).toThrow('inputs hold 10 elements, but 6 examples of shape [2] need 12');
  });
});
