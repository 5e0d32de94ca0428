// Convolutional networks as a whole: forward mode against differences along a direction, and against reverse mode.
import { expect, test } from 'vitest';
import { runner } from '../../test/support/runner.js';
import { gradients } from '../autodiff/gradients.js';
import { jacobianVectorProduct } from '../autodiff/jvp.js';
import { int, ints, type Value } from '../graph/graph.js';
import { elementCount, type TensorData, tensorFrom, toNumbers } from '../graph/tensor.js';
import { random } from '../random.js';
import { Builder } from './builder.js';

/** Convolutions, pools, normalizations and an embedding in one chain; `p` are the parameters. */
function network(b: Builder, indices: Value, p: Readonly<Record<string, Value>>): Value {
  const tokens = b.transpose(b.gather(p.table as Value, indices), [0, 2, 1]); // [batch, 4, 16]
  const picture = b.reshape(tokens, [2, 4, 4, 4]);
  const conv = b.op('Conv', [picture, p.conv], { pads: ints([1, 1, 1, 1]) });
  const grouped = b.op('GroupNormalization', [conv, p.scale, p.shift], { num_groups: int(2) });
  const strided = b.op('Conv', [b.tanh(grouped), p.strided], { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) });
  const depthwise = b.op('Conv', [strided, p.depthwise], { pads: ints([1, 1, 1, 1]), group: int(4) });
  const largest = b.op('MaxPool', [depthwise], { kernel_shape: ints([2, 2]), pads: ints([1, 1, 0, 0]) });
  const mean = b.op('AveragePool', [largest], { kernel_shape: ints([2, 1]) });
  const layer = b.op('LayerNormalization', [b.reshape(mean, [2, 8]), p.gain]);
  return b.square(layer);
}

const shapes = {
  table: [5, 4],
  conv: [4, 4, 3, 3],
  scale: [4],
  shift: [4],
  strided: [4, 4, 3, 3],
  depthwise: [4, 1, 3, 3],
  gain: [8],
} as const;

function draw(name: string, dims: readonly number[]): TensorData {
  const numbers = random(3, name);
  return tensorFrom(
    'float32',
    dims,
    Array.from({ length: elementCount(dims) }, () => 2 * numbers.uniform() - 1),
  );
}

test('forward mode is the derivative along a direction, and the transpose of reverse mode', async () => {
  const b = new Builder();
  const indices = b.input('indices', 'int64', [2, 16]);
  const feeds: Record<string, TensorData> = {
    indices: tensorFrom(
      'int64',
      [2, 16],
      Array.from({ length: 32 }, (_, i) => (i * 7) % 5),
    ),
  };
  const at: Record<string, Value> = {};
  const along: Record<string, Value> = {};
  for (const [name, dims] of Object.entries(shapes)) {
    at[name] = b.input(name, 'float32', dims);
    along[name] = b.input(`${name}.direction`, 'float32', dims);
    feeds[name] = draw(name, dims);
    feeds[`${name}.direction`] = draw(`${name} direction`, dims);
  }
  const y = network(b, indices, at);
  const u = b.input('u', 'float32', y.dims);
  feeds.u = draw('u', y.dims);
  const [tangent] = jacobianVectorProduct(b, [y], Object.values(at), Object.values(along));
  const slopes = gradients(b, b.sum(b.mul(y, u)), Object.values(at));
  const products = slopes.map((slope, i) => b.dot(slope, Object.values(along)[i] as Value));
  const reverse = products.reduce((total, product) => b.add(total, product));
  const program = await runner(b.build('network', { y, tangent: tangent as Value, reverse }));
  const results = await program.run(feeds);
  const exact = toNumbers(results.tangent as TensorData);

  const step = 2e-3;
  const moved = async (by: number) => {
    const there = Object.fromEntries(
      Object.keys(shapes).map((name) => {
        const direction = toNumbers(feeds[`${name}.direction`] as TensorData);
        const start = feeds[name] as TensorData;
        return [
          name,
          tensorFrom(
            'float32',
            start.dims,
            toNumbers(start).map((value, i) => value + by * (direction[i] ?? 0)),
          ),
        ];
      }),
    );
    return toNumbers((await program.run({ ...feeds, ...there })).y as TensorData);
  };
  const [ahead, behind] = [await moved(step), await moved(-step)];
  const scale = Math.max(...exact.map(Math.abs));
  for (const [i, value] of exact.entries()) {
    const difference = ((ahead[i] ?? 0) - (behind[i] ?? 0)) / (2 * step);
    expect(Math.abs(value - difference)).toBeLessThan(5e-3 * scale);
  }
  // uᵀ(J·t) = (uᵀJ)·t
  const weights = toNumbers(feeds.u as TensorData);
  const forward = exact.reduce((total, value, i) => total + value * (weights[i] ?? 0), 0);
  expect(Math.abs(Number(results.reverse?.data[0]) - forward)).toBeLessThan(1e-4 * Math.abs(forward));
  await program.release();
});
