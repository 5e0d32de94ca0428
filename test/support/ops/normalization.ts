// Gradient checks of the normalizations.
import { type Attributes, float, int } from '../../../src/graph/graph.js';
import { privateCopy } from '../../../src/graph/private-copy.js';
import type { CaseTable, CheckedSize, GradientCase, InputSpec } from '../gradient-check.js';

type Sizes = readonly CheckedSize[];
const positive: InputSpec['range'] = [0.5, 1.5];

const check = (op: string, inputs: readonly InputSpec[], attributes: Attributes = {}, outputs = 1): GradientCase => ({
  name: op,
  inputs,
  build: (b, x) => {
    const names = ['y', 'second', 'third'].slice(0, outputs);
    return b.node(op, x, attributes, { outputs: names });
  },
});

/** Scale and bias of so many channels. */
const affine = (channels: number): InputSpec[] => [{ shape: [channels] }, { shape: [channels] }];
/** The runtime writes over the running statistics, so that they must not be the program's inputs. */
const batch = (shape: Sizes, channels: number, attributes: Attributes = {}, outputs = 1): GradientCase => ({
  name: `BatchNormalization${outputs > 1 ? ', training' : ''}`,
  inputs: [{ shape }, ...affine(channels), { shape: [channels] }, { shape: [channels], range: positive }],
  build: (b, x) => {
    const copied = x.map((value, i) => (i < 3 ? value : privateCopy(b, value)));
    return b.node('BatchNormalization', copied, attributes, { outputs: ['y', 'mean', 'variance'].slice(0, outputs) });
  },
});
const training = { training_mode: int(1), momentum: float(0.75), epsilon: float(0.0625) };
/** The sums in float64 (ONNX type 11), as the differences need it. */
const groups = (count: number) => ({ num_groups: int(count), epsilon: float(0.0625), stash_type: int(11) });

export const normalizationCases = {
  BatchNormalization: [
    batch(['batch=3', 2], 2),
    batch([2, 3, 2, 1], 3, { epsilon: float(0.5) }),
    batch([4, 2], 2, training, 3),
    batch(['batch=2', 2, 3], 2, training, 3),
    batch([2, 3, 2, 1], 3, training, 3),
  ],
  LayerNormalization: [
    check('LayerNormalization', [{ shape: ['batch=2', 4] }, ...affine(4)]),
    check('LayerNormalization', [{ shape: [2, 2, 3] }, { shape: [3] }], { epsilon: float(0.25) }),
    check('LayerNormalization', [{ shape: [2, 2, 3] }, { shape: [2, 3] }, { shape: [1, 3] }], { axis: int(1) }),
    { ...check('LayerNormalization', [{ shape: [2, 4] }, ...affine(4)], {}, 3), dtype: 'float32' },
  ],
  GroupNormalization: [
    check('GroupNormalization', [{ shape: ['batch=2', 4, 2] }, ...affine(4)], groups(2)),
    check('GroupNormalization', [{ shape: [1, 2, 2, 3] }, ...affine(2)], groups(1)),
  ],
  InstanceNormalization: [
    {
      ...check('InstanceNormalization', [{ shape: ['batch=2', 2, 3, 2] }, ...affine(2)], { epsilon: float(0.0625) }),
      dtype: 'float32',
    },
  ],
  LpNormalization: [
    check('LpNormalization', [{ shape: ['batch=2', 3] }]),
    check('LpNormalization', [{ shape: [3, 2], avoid: [0] }], { p: int(1), axis: int(0) }),
    check('LpNormalization', [{ shape: [2, 3], avoid: [0] }], { p: int(1) }),
  ],
} satisfies CaseTable;
