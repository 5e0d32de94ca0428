// Gradient checks of the convolutions, in float32: the runtime has no float64 kernels for them.

import { type Attributes, int, ints, text } from '../../../src/graph/graph.js';
import type { OpName } from '../../../src/ops/table.js';
import type { CaseTable, CheckedSize, GradientCase } from '../gradient-check.js';

type Sizes = readonly CheckedSize[];

const check = (op: OpName, x: Sizes, weight: Sizes, bias?: number, attributes: Attributes = {}): GradientCase => ({
  name: op,
  dtype: 'float32',
  inputs: [{ shape: x }, { shape: weight }, ...(bias === undefined ? [] : [{ shape: [bias] }])].map((input) => ({
    ...input,
    range: [-1, 1],
  })),
  build: (b, inputs) => b.op(op, inputs, attributes),
});

const conv = (x: Sizes, weight: Sizes, bias?: number, attributes: Attributes = {}) =>
  check('Conv', x, weight, bias, attributes);
const transposed = (x: Sizes, weight: Sizes, bias?: number, attributes: Attributes = {}) =>
  check('ConvTranspose', x, weight, bias, attributes);

export const convolutionCases = {
  Conv: [
    conv([2, 2, 5], [3, 2, 3], 3, { pads: ints([2, 1]) }),
    conv([2, 2, 7], [2, 2, 3], undefined, { strides: ints([2]), pads: ints([0, 1]) }),
    conv([2, 2, 2, 3], [2, 2, 3, 3], 2, { pads: ints([1, 1, 1, 1]) }), // shifts, input gradient by Conv
    conv([1, 1, 5, 5], [3, 1, 3, 2], 3, { pads: ints([0, 1, 2, 0]) }), // patches, input gradient by ConvTranspose
    conv([2, 1, 4, 5], [2, 1, 3, 3], undefined, { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }),
    conv([1, 2, 6, 4], [2, 2, 3, 2], undefined, { strides: ints([2, 3]), pads: ints([1, 0, 1, 1]) }), // rest unread
    conv([1, 1, 5, 5], [2, 1, 2, 3], undefined, { dilations: ints([3, 2]), pads: ints([1, 2, 0, 1]) }),
    conv([1, 1, 6, 6], [2, 1, 2, 2], undefined, { dilations: ints([2, 3]), strides: ints([2, 2]) }),
    conv([1, 4, 2, 3], [4, 2, 2, 2], 4, { group: int(2), pads: ints([1, 0, 0, 1]) }),
    conv([1, 4, 4, 2], [2, 2, 3, 2], undefined, { group: int(2), strides: ints([2, 1]), pads: ints([1, 1, 1, 0]) }),
    conv([2, 2, 3, 3], [2, 1, 3, 3], 2, { group: int(2), pads: ints([1, 1, 1, 1]) }), // depthwise
    conv([1, 2, 5, 4], [4, 1, 3, 2], undefined, { group: int(2), strides: ints([2, 2]), dilations: ints([1, 2]) }),
    conv([2, 2, 3, 3], [3, 2, 1, 1], 3),
    conv([2, 2, 3, 4], [3, 2, 1, 1], undefined, { strides: ints([2, 2]) }),
    conv([1, 6, 1, 1], [5, 6, 1, 1]),
    conv([1, 2, 5, 4], [1, 2, 3, 3], undefined, { auto_pad: text('SAME_UPPER'), strides: ints([2, 2]) }),
    conv([1, 2, 4, 3], [2, 2, 2, 3], undefined, { auto_pad: text('SAME_LOWER') }),
    conv([1, 2, 3, 4], [2, 2, 2, 2], undefined, { auto_pad: text('VALID') }),
    conv([1, 1, 2, 2], [2, 1, 1, 1], undefined, { pads: ints([1, 1, 1, 1]) }), // padding beyond the kernel
    conv([1, 2, 3, 3, 2], [2, 2, 2, 2, 2], 2, { pads: ints([1, 0, 0, 0, 1, 1]) }),
  ],
  ConvTranspose: [
    transposed([2, 2, 4], [2, 3, 3], 3, { strides: ints([2]), pads: ints([1, 0]), output_padding: ints([1]) }),
    transposed([1, 2, 2, 3], [2, 3, 2, 3], 3),
    transposed([1, 2, 3, 2], [2, 2, 3, 3], undefined, {
      strides: ints([2, 3]),
      pads: ints([1, 0, 1, 2]),
      output_padding: ints([1, 2]),
    }),
    transposed([1, 4, 2, 2], [4, 1, 2, 2], 2, { group: int(2), strides: ints([2, 1]), dilations: ints([1, 2]) }),
    transposed([1, 1, 2, 3], [1, 2, 3, 3], undefined, { dilations: ints([2, 1]), pads: ints([1, 0, 0, 1]) }),
    transposed([1, 1, 3, 3], [1, 2, 3, 3], undefined, { strides: ints([2, 2]), output_shape: ints([6, 6]) }),
    transposed([1, 1, 3, 3], [1, 2, 3, 3], undefined, { strides: ints([2, 2]), auto_pad: text('SAME_UPPER') }),
    transposed([1, 1, 3, 3], [1, 2, 3, 3], undefined, { strides: ints([2, 2]), auto_pad: text('SAME_LOWER') }),
  ],
} satisfies CaseTable;
