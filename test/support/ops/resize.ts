// Gradient checks of Resize (float32: the runtime has no float64 kernels for it), DepthToSpace and SpaceToDepth.

import { type Attributes, int, ints, text } from '../../../src/graph/graph.js';
import { tensorFrom } from '../../../src/graph/tensor.js';
import type { OpName } from '../../../src/ops/table.js';
import type { CaseTable, CheckedSize, GradientCase } from '../gradient-check.js';

type Sizes = readonly CheckedSize[];

const byScales = (shape: Sizes, scales: readonly number[], attributes: Attributes = {}): GradientCase => ({
  name: `Resize ${JSON.stringify(attributes)} by [${scales}]`,
  dtype: 'float32',
  inputs: [{ shape }],
  build: (b, [x]) =>
    b.op('Resize', [x, undefined, b.constant(tensorFrom('float32', [scales.length], scales))], attributes),
});

const bySizes = (shape: Sizes, sizes: readonly number[], attributes: Attributes = {}): GradientCase => ({
  name: `Resize ${JSON.stringify(attributes)} to [${sizes}]`,
  dtype: 'float32',
  inputs: [{ shape }],
  build: (b, [x]) => b.op('Resize', [x, undefined, undefined, b.integers(sizes)], attributes),
});

const mode = (name: string, coordinates: string, nearest = 'round_prefer_floor') => ({
  mode: text(name),
  coordinate_transformation_mode: text(coordinates),
  nearest_mode: text(nearest),
});
const coordinates = ['half_pixel', 'half_pixel_symmetric', 'pytorch_half_pixel', 'align_corners', 'asymmetric'];
const blocks = (op: OpName, shape: Sizes, attributes: Attributes): GradientCase => ({
  name: op,
  inputs: [{ shape }],
  build: (b, x) => b.op(op, x, attributes),
});

export const resizeCases = {
  Resize: [
    ...coordinates.flatMap((each) => [
      byScales([1, 2, 3, 4], [1, 1, 2, 1.5], mode('linear', each)),
      bySizes([2, 1, 5, 4], [2, 1, 3, 7], mode('linear', each)),
      bySizes([1, 1, 3, 4], [1, 1, 1, 2], mode('linear', each)),
      bySizes([1, 2, 4, 3], [1, 2, 6, 5], mode('cubic', each)),
    ]),
    ...['half_pixel', 'asymmetric', 'align_corners'].flatMap((each) =>
      ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'].map((nearest) =>
        byScales([1, 2, 3, 4], [1, 1, 2, 0.6], mode('nearest', each, nearest)),
      ),
    ),
    byScales([2, 1, 2, 2], [1, 1, 2, 2], mode('nearest', 'asymmetric', 'floor')),
    bySizes([1, 1, 4, 3], [1, 1, 6, 7], { ...mode('cubic', 'half_pixel'), exclude_outside: int(1) }),
    bySizes([1, 2, 3, 4], [6, 6], { ...mode('linear', 'half_pixel'), axes: ints([2, 3]) }),
    bySizes([1, 2, 3, 4], [6, 6], {
      ...mode('linear', 'half_pixel'),
      axes: ints([2, 3]),
      keep_aspect_ratio_policy: text('not_larger'),
    }),
  ],
  DepthToSpace: [
    blocks('DepthToSpace', [2, 4, 2, 1], { blocksize: int(2) }),
    blocks('DepthToSpace', [1, 8, 1, 2], { blocksize: int(2), mode: text('CRD') }),
  ],
  SpaceToDepth: [blocks('SpaceToDepth', ['batch=2', 1, 4, 2], { blocksize: int(2) })],
} satisfies CaseTable;
