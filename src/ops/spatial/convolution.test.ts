// What gradient checks do not see: patches against Conv, all lowerings against each other, shapes and refusals.

import { expect, test } from 'vitest';
import { runner } from '../../../test/support/runner.js';
import { type Attributes, int, ints, type Node, text, type Value } from '../../graph/graph.js';
import { elementCount, type TensorData, tensorFrom, toNumbers } from '../../graph/tensor.js';
import { random } from '../../random.js';
import { Builder } from '../builder.js';
import { flopsOf } from '../table.js';
import {
  inputGradientByConv,
  inputGradientByTranspose,
  weightGradientByConv,
  weightGradientByImages,
  weightGradientByPatches,
} from './convolution-gradients.js';
import { patches, weightGradientByShifts } from './patches.js';
import { windowAxes } from './windows.js';

function draw(dims: readonly number[], seed: number): TensorData {
  const numbers = random(seed, 'test');
  return tensorFrom(
    'float32',
    dims,
    Array.from({ length: elementCount(dims) }, () => numbers.uniform() - 0.5),
  );
}

interface Geometry {
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly attributes?: Attributes;
}

const geometries: readonly Geometry[] = [
  { x: [3, 2, 7], w: [4, 2, 3], attributes: { strides: ints([2]), pads: ints([1, 0]) } },
  { x: [2, 3, 6, 5], w: [4, 3, 3, 2], attributes: { pads: ints([1, 0, 2, 1]) } },
  { x: [2, 3, 7, 8], w: [2, 3, 3, 2], attributes: { strides: ints([2, 3]), dilations: ints([1, 2]) } },
  { x: [2, 4, 5, 5], w: [6, 2, 3, 3], attributes: { group: int(2), pads: ints([1, 1, 1, 1]) } },
  { x: [2, 3, 6, 6], w: [6, 1, 3, 3], attributes: { group: int(3), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) } },
  { x: [2, 3, 6, 5], w: [4, 3, 1, 1], attributes: { strides: ints([2, 2]) } },
  { x: [2, 3, 5, 5], w: [4, 3, 1, 1] },
];

const groupsOf = ({ attributes }: Geometry) => (attributes?.group?.kind === 'int' ? attributes.group.value : 1);

async function compute(make: (b: Builder) => { outputs: Record<string, Value>; feeds: Record<string, TensorData> }) {
  const b = new Builder();
  const { outputs, feeds } = make(b);
  const program = await runner(b.build('test', outputs));
  const results = await program.run(feeds);
  await program.release();
  return results;
}

function expectClose(given: TensorData | undefined, expected: TensorData | undefined): void {
  expect(given?.dims).toEqual(expected?.dims);
  const reference = toNumbers(expected as TensorData);
  for (const [i, value] of toNumbers(given as TensorData).entries()) expect(value).toBeCloseTo(reference[i] ?? 0, 4);
}

test.each(geometries)('patches times the weight are the convolution: %j', async (geometry) => {
  const [outputs = 1, perGroup = 1, ...kernel] = geometry.w;
  const results = await compute((b) => {
    const [x, w] = [b.input('x', 'float32', geometry.x), b.input('w', 'float32', geometry.w)];
    const y = b.op('Conv', [x, w], geometry.attributes);
    const axes = windowAxes(y.producer as Node, x.dims.slice(2), w.dims.slice(2));
    const rows = patches(b, x, axes, groupsOf(geometry));
    const [groups, width] = [groupsOf(geometry), perGroup * elementCount(kernel)];
    const parts = Array.from({ length: groups }, (_, g) => {
      const size = outputs / groups;
      const weight = b.reshape(b.slice(w, 0, g * size, (g + 1) * size), [size, width]);
      const own = rows.rank === 2 ? rows : b.squeeze(b.slice(rows, 0, g, g + 1), [0]);
      return b.gemm(own, weight, undefined, { transposeY: true });
    });
    // [batch · windows, outputs] back to [batch, outputs, …windows]
    const [batch = 1, , ...windows] = y.dims;
    const back = b.transpose(b.reshape(b.concat(parts, 1), [batch, elementCount(windows), outputs]), [0, 2, 1]);
    return {
      outputs: { direct: y, byPatches: b.reshape(back, y.dims) },
      feeds: { x: draw(geometry.x, 1), w: draw(geometry.w, 2) },
    };
  });
  expectClose(results.byPatches, results.direct);
});

test.each(geometries)('all ways of computing the gradients agree: %j', async (geometry) => {
  const results = await compute((b) => {
    const [x, w] = [b.input('x', 'float32', geometry.x), b.input('w', 'float32', geometry.w)];
    const y = b.op('Conv', [x, w], geometry.attributes);
    const dy = b.input('dy', 'float32', y.dims);
    const axes = windowAxes(y.producer as Node, x.dims.slice(2), w.dims.slice(2));
    const groups = groupsOf(geometry);
    const outputs: Record<string, Value> = {
      weight: weightGradientByPatches(b, x, dy, axes, groups),
      weightByConv: weightGradientByConv(b, x, dy, axes, groups),
      input: inputGradientByTranspose(b, dy, w, axes, groups),
    };
    const [rows, columns] = axes;
    if (axes.every(({ stride }) => stride === 1)) {
      outputs.inputByConv = inputGradientByConv(b, dy, w, axes, groups);
      if (groups === 1 && rows && columns) outputs.weightByShifts = weightGradientByShifts(b, x, dy, [rows, columns]);
    }
    if (axes.every(({ kernel }) => kernel === 1)) outputs.weightByImages = weightGradientByImages(b, x, dy, axes);
    return { outputs, feeds: { x: draw(geometry.x, 1), w: draw(geometry.w, 2), dy: draw(y.dims, 3) } };
  });
  const { weight, input, ...others } = results;
  expect(input?.dims).toEqual(geometry.x);
  expect(weight?.dims).toEqual(geometry.w);
  for (const [name, value] of Object.entries(others)) expectClose(value, name.startsWith('weight') ? weight : input);
});

test('symbolic sizes pass through', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', ['batch', 3, 'height', 8]);
  const w = b.input('w', 'float32', [4, 3, 3, 3]);
  expect(b.op('Conv', [x, w], { pads: ints([1, 1, 1, 1]) }).shape).toEqual(['batch', 4, 'height', 8]);
  const strided = b.op('Conv', [x, w], { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) });
  expect(strided.shape).toEqual(['batch', 4, 'windows(height,3,2,1,1,1)', 4]);
  const same = b.op('Conv', [x, w], { auto_pad: text('SAME_UPPER') });
  expect(same.shape).toEqual(['batch', 4, 'height', 8]);
  expect(b.op('ConvTranspose', [b.input('z', 'float32', ['batch', 4, 2, 2]), w]).shape).toEqual(['batch', 3, 4, 4]);
});

test('counts two operations for each multiply-add', () => {
  const b = new Builder();
  const y = b.op('Conv', [b.input('x', 'float32', [2, 4, 5, 5]), b.input('w', 'float32', [6, 2, 3, 3])], {
    group: int(2),
  });
  expect(flopsOf(y.producer as Node)).toBe(2 * (2 * 6 * 3 * 3) * (2 * 3 * 3));
});

test.each([
  [{ group: int(2) }, 'the weight reads 6 channels in 2 groups; the input has 3'],
  [{ kernel_shape: ints([5, 5]) }, "kernel_shape [5, 5] differs from the weight's [4, 3, 3, 3]"],
  [{ dilations: ints([4, 4]) }, 'a kernel of 9 elements does not fit on spatial axis 0 of 8 elements and padding 0+0'],
  [{ strides: ints([2]) }, "'strides' has 1 numbers for 2 spatial axes"],
  [{ auto_pad: text('SAME') }, "auto_pad 'SAME' is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER"],
] satisfies [Attributes, string][])('refuses %j', (attributes, message) => {
  const b = new Builder();
  const [x, w] = [b.input('x', 'float32', [2, 3, 8, 8]), b.input('w', 'float32', [4, 3, 3, 3])];
  expect(() => b.op('Conv', [x, w], attributes)).toThrow(message);
});
