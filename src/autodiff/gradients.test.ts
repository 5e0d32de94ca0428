import { expect, test } from 'vitest';
import { FedBuilder } from '../../test/support/fed-builder.js';
import { UnsupportedError } from '../errors.js';
import { int, type Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import { Builder } from '../ops/builder.js';
import type { OpName } from '../ops/table.js';
import { gradients, vectorJacobianProduct } from './gradients.js';

const first = (values: readonly Value[]): Value => values[0] as Value;

test('cotangents of a value that is used twice are added, and of a broadcast value summed', async () => {
  const b = new FedBuilder();
  const [x, z] = [b.given([2, 3], [1, 2, 3, 4, 5, 6]), b.given([3], [7, 8, 9])];
  const [dx, dz] = gradients(b, b.sum(b.add(b.mul(x, z), x)), [x, z]) as [Value, Value];
  expect(dz.shape).toEqual([3]);
  expect(await b.compute({ dx, dz })).toEqual({ dx: [8, 9, 10, 8, 9, 10], dz: [5, 7, 9] });
});

test('a target that the objective does not depend on has the gradient zero, in its own shape', async () => {
  const b = new FedBuilder();
  const [x, other] = [b.given([2], [1, 2]), b.given([2, 2], [1, 2, 3, 4])];
  const [dx, zero] = gradients(b, b.sum(b.exp(b.mul(x, 0))), [x, other]) as [Value, Value];
  expect(await b.compute({ dx, zero })).toEqual({ dx: [0, 0], zero: [0, 0, 0, 0] });
  expect(zero.shape).toEqual([2, 2]);
});

test('targets may be computed values and depend on each other', async () => {
  const b = new FedBuilder();
  const x = b.given([2], [1, 2]);
  const y = b.square(x);
  const [dx, dy] = gradients(b, b.sum(b.mul(y, y)), [x, y]) as [Value, Value];
  expect(await b.compute({ dx, dy })).toEqual({ dx: [4, 32], dy: [2, 8] });
});

test('several seeds are pulled back together', async () => {
  const b = new FedBuilder();
  const x = b.given([2], [1, 2]);
  const seeds = [
    { value: b.square(x), cotangent: b.given([2], [10, 1]) },
    { value: b.sum(x), cotangent: b.given([], [100]) },
    { value: x, cotangent: b.given([2], [0.5, 0.25]) },
  ];
  expect(await b.compute({ dx: first(vectorJacobianProduct(b, seeds, [x])) })).toEqual({ dx: [120.5, 104.25] });
});

test('a chain of ten thousand nodes does not overflow the stack', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', []);
  let y: Value = x;
  for (let i = 0; i < 10_000; i++) y = b.tanh(y);
  expect(b.build('deep', { dx: first(gradients(b, y, [x])) }).nodes.length).toBeGreaterThan(20_000);
});

test('an operator without a rule on the way to a target is refused by its name, and elsewhere is no obstacle', () => {
  const b = new Builder();
  const [x, z] = [b.input('x', 'float32', [2]), b.input('z', 'float32', [2])];
  const odd = (value: Value, op: OpName | `${string}.${string}`) => b.op(op, [value], {}, { name: 'layer3' });
  const typed = b.op('Expand', [b.op('Mod', [z, z], {}, { name: 'remainder' }), b.integers([2])]);
  expect(() => gradients(b, b.sum(b.mul(x, typed)), [x])).not.toThrow();
  const refuse = (make: () => unknown, message: string) => {
    expect(make).toThrow(UnsupportedError);
    expect(make).toThrow(message);
  };
  refuse(() => gradients(b, b.sum(typed), [z]), "Mod node 'remainder' cannot be differentiated: the remainder jumps");
  refuse(
    () => vectorJacobianProduct(b, [{ value: odd(x, 'own.Odd'), cotangent: x }], [x]),
    "Odd node 'layer3' lies on the way from the loss to a trainable parameter",
  );
  refuse(
    () => gradients(b, b.sum(b.op('Reshape', [b.relu(odd(x, 'own.Odd')), b.integers([2])])), [x]),
    "Odd node 'layer3' lies on the way from the loss to a trainable parameter",
  );
  const sizes = b.input('sizes', 'int64', [1]);
  const shaped = b.op('Reshape', [x, sizes], {}, { name: 'flat' });
  refuse(() => vectorJacobianProduct(b, [{ value: shaped, cotangent: x }], [x]), "Reshape node 'flat' lies on the way");
  const training = b.op(
    'Dropout',
    [x, b.scalar(0.5, 'float32'), b.constant(tensorFrom('bool', [], [1]))],
    {},
    { name: 'drop1' },
  );
  refuse(
    () => gradients(b, b.sum(training), [x]),
    "Dropout node 'drop1' cannot be differentiated: it drops elements at random whenever the model runs, which has no one gradient: the file was exported in training mode. Export it in evaluation mode (model.eval(), training=TrainingMode.EVAL); training drops by itself",
  );
  const { looped } = b.loop(2, { looped: x }, (inner, _, { looped }) => ({ looped: inner.exp(looped) }));
  refuse(() => gradients(b, b.sum(looped), [x]), 'loops are not differentiated');
  const { captured } = b.loop(2, { captured: z }, (inner, _, { captured }) => ({ captured: inner.mul(captured, x) }));
  refuse(() => gradients(b, b.sum(captured), [x]), 'loops are not differentiated');
});

test('a rule that does not cover a form of its operator names the node as well', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', ['batch', 2]);
  const product = b.op('ReduceProd', [x, b.integers([0])], { keepdims: int(0) }, { name: 'odds' });
  expect(() => gradients(b, b.sum(product), [x])).toThrow(
    "ReduceProd node 'odds' cannot be differentiated: the product over axis 0",
  );
});

test('masks of −∞ give exact zeros and no NaN, in softmax and its logarithm, to second order', async () => {
  const b = new FedBuilder();
  const scores = b.given([2, 3], [0.3, -0.7, 0.2, 1.1, 0.4, -0.2]);
  const mask = b.named('mask', [2, 3], [1, 0, 1, 0, 0, 1], 'bool');
  const weights = b.given([2, 3], [1, 2, 3, 4, 5, 6]);
  const masked = b.where(mask, scores, Number.NEGATIVE_INFINITY);
  const inLogarithm = b.where(mask, b.logSoftmax(masked), 0);
  for (const objective of [b.sum(b.mul(b.softmax(masked), weights)), b.sum(b.mul(inLogarithm, weights))]) {
    const slope = first(gradients(b, objective, [scores]));
    const curved = first(gradients(b, b.sum(b.mul(slope, weights)), [scores]));
    const results = await b.compute({ slope, curved });
    for (const values of Object.values(results)) {
      expect(values.every(Number.isFinite)).toBe(true);
      expect([1, 3, 4].map((i) => Math.abs(values[i] ?? Number.NaN))).toEqual([0, 0, 0]);
    }
    expect(results.slope[0]).not.toBe(0);
  }
});

test('a row that is masked altogether does not leak its NaN through Where', async () => {
  const b = new FedBuilder();
  const scores = b.given([2, 2], [0.3, -0.7, 0.2, 1.1]);
  const mask = b.named('mask', [2, 1], [1, 0], 'bool');
  const probabilities = b.softmax(b.where(mask, scores, Number.NEGATIVE_INFINITY));
  const safe = b.where(b.op('IsNaN', [probabilities]), 0, probabilities);
  const slope = first(gradients(b, b.sum(b.mul(safe, b.given([2], [1, 2]))), [scores]));
  const { values } = await b.compute({ values: slope });
  expect(values.slice(2)).toEqual([0, 0]);
  expect(values.every(Number.isFinite)).toBe(true);
});

test('branches that overflow where they are not taken do not disturb the gradient, to second order', async () => {
  const b = new FedBuilder();
  const x = b.given([3], [200, -0.5, 100], 'float32');
  for (const op of ['Elu', 'Selu', 'Celu', 'Softplus', 'Mish', 'Gelu', 'HardSwish', 'Sigmoid', 'Tanh'] as const) {
    const slope = first(gradients(b, b.sum(b.op(op, [x])), [x]));
    const curved = first(gradients(b, b.sum(b.mul(slope, x)), [x]));
    const { values, second } = await b.compute({ values: slope, second: curved });
    expect([op, values.every(Number.isFinite), second.every(Number.isFinite)]).toEqual([op, true, true]);
  }
});

test('the norm has the subgradient 0 at the origin, and a log-sum-exp of nothing but −∞ the slope 0', async () => {
  const b = new FedBuilder();
  const x = b.given([2, 2], [0, 0, 3, 4]);
  const norms = b.op('ReduceL2', [x, b.integers([1])], { keepdims: int(0) });
  const none = b.given([2], [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]);
  const total = b.op('ReduceLogSumExp', [none], { keepdims: int(0) });
  const [norm] = gradients(b, b.sum(norms), [x]);
  const [slope] = vectorJacobianProduct(b, [{ value: total, cotangent: b.given([], [1]) }], [none]);
  const results = await b.compute({ norm: norm ?? x, slope: slope ?? x });
  expect(results.norm.map((value) => Math.round(value * 1e12) / 1e12)).toEqual([0, 0, 0.6, 0.8]);
  expect(results.slope).toEqual([0, 0]);
});
