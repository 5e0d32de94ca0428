// Gradient checks of the pools; the means in float32, as the runtime has no float64 kernels for them.

import { type Attributes, int, ints, text } from '../../../src/graph/graph.js';
import type { OpName } from '../../../src/ops/table.js';
import type { CaseTable, CheckedSize, GradientCase } from '../gradient-check.js';

type Sizes = readonly CheckedSize[];

const largest = (op: string, shape: Sizes, attributes: Attributes = {}, outputs = 1): GradientCase => ({
  name: op,
  dtype: op === 'MaxPool' ? 'float64' : 'float32',
  inputs: [{ shape, separated: true }],
  build: (b, x) => b.node(op, x, attributes, { outputs: ['y', 'positions'].slice(0, outputs) }).slice(0, 1),
});

const mean = (op: OpName, shape: Sizes, attributes: Attributes = {}): GradientCase => ({
  name: op,
  dtype: 'float32',
  inputs: [{ shape }],
  build: (b, x) => b.op(op, x, attributes),
});

const kernel = (...sizes: number[]) => ({ kernel_shape: ints(sizes) });
const strides = (...sizes: number[]) => ({ strides: ints(sizes) });
const pads = (...sizes: number[]) => ({ pads: ints(sizes) });
const ceil = { ceil_mode: int(1) };
const including = { count_include_pad: int(1) };

export const poolingCases = {
  MaxPool: [
    largest('MaxPool', [2, 2, 4, 4], { ...kernel(2, 2), ...strides(2, 2) }),
    largest('MaxPool', [2, 2, 5, 4], { ...kernel(3, 2), ...strides(2, 1), ...pads(1, 0, 1, 1) }),
    largest('MaxPool', [1, 2, 6], { ...kernel(2), ...strides(2), ...ceil, ...pads(1, 0) }),
    largest('MaxPool', [1, 1, 5, 5], { ...kernel(2, 2), ...strides(2, 2), ...ceil }, 2),
    largest('MaxPool', [1, 1, 5, 6], { ...kernel(2, 2), dilations: ints([2, 3]), storage_order: int(1) }, 2),
    largest('MaxPool', [1, 2, 5, 4], { ...kernel(2, 3), ...strides(2, 2), auto_pad: text('SAME_UPPER') }),
  ],
  AveragePool: [
    mean('AveragePool', [2, 2, 4, 4], { ...kernel(2, 2), ...strides(2, 2) }),
    mean('AveragePool', [2, 1, 5, 4], { ...kernel(3, 2), ...strides(2, 1), ...pads(1, 0, 1, 1) }),
    mean('AveragePool', [1, 2, 5, 4], { ...kernel(3, 2), ...strides(2, 1), ...pads(1, 0, 1, 1), ...including }),
    mean('AveragePool', [1, 2, 6], { ...kernel(3), ...strides(2), ...ceil }),
    mean('AveragePool', [1, 2, 6], { ...kernel(3), ...strides(2), ...ceil, ...including }),
    mean('AveragePool', [1, 1, 6, 5], {
      ...kernel(3, 2),
      ...strides(2, 2),
      ...ceil,
      ...including,
      ...pads(1, 1, 0, 0),
    }),
    mean('AveragePool', [1, 1, 6, 7], {
      ...kernel(3, 3),
      ...strides(3, 3),
      ...ceil,
      ...including,
      ...pads(1, 1, 1, 1),
    }),
    mean('AveragePool', [1, 1, 6, 7], { ...kernel(3, 3), ...strides(3, 3), ...ceil, ...pads(1, 1, 1, 1) }),
    mean('AveragePool', [1, 1, 5, 6], { ...kernel(2, 2), dilations: ints([2, 3]) }),
    mean('AveragePool', [1, 2, 5, 4], { ...kernel(2, 3), ...strides(2, 2), auto_pad: text('SAME_LOWER') }),
    mean('AveragePool', [1, 1, 3, 2, 2], { ...kernel(2, 2, 1) }),
  ],
  GlobalAveragePool: [mean('GlobalAveragePool', ['batch=2', 3, 2, 3]), mean('GlobalAveragePool', [2, 2, 'length=3'])],
  GlobalMaxPool: [largest('GlobalMaxPool', ['batch=2', 3, 2, 3]), largest('GlobalMaxPool', [2, 2, 3])],
} satisfies CaseTable;
