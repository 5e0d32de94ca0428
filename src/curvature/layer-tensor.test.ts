// Layer tensors against the dense matrices they stand for, in both orientations, with bias and without.
import { describe, expect, test } from 'vitest';
import { identity, minus, multiplied, relativeError, scaled, trace, transposed } from '../../test/support/dense.js';
import { FedBuilder, randomMatrix } from '../../test/support/fed-builder.js';
import { inputRowsOf, joinedOf, layerTensorOf, layouts } from '../../test/support/layer-tensors.js';
import { random } from '../random.js';
import { joinedRows } from './factors/moving-average.js';

const rounding = 1e-14;

describe.each(layouts)('outputs first: $outputsFirst, bias: $hasBias', (layout) => {
  const [count, inputs, outputs] = [6, 4, 3];
  const size = inputs + Number(layout.hasBias);
  const source = random(5, String(layout.outputsFirst), String(layout.hasBias));
  const v = randomMatrix(source, size, outputs);
  const w = randomMatrix(source, size, outputs);
  const a = randomMatrix(source, count, size);
  const g = randomMatrix(source, count, outputs);
  const h = randomMatrix(source, outputs, outputs);

  test('products', async () => {
    const b = new FedBuilder();
    const tensor = layerTensorOf(b, v, layout);
    const rows = inputRowsOf(b, a, layout);
    const columns = b.matrix(g);
    const results = await b.matrices({
      joined: tensor.joined(b),
      joinedRows: joinedRows(b, rows),
      contractInputs: tensor.contractInputs(b, rows),
      contractOutputs: joinedRows(b, tensor.contractOutputs(b, columns)),
      minusProduct: joinedOf(b, tensor.minusProduct(b, rows, columns)),
      timesOutputs: joinedOf(b, tensor.timesOutputs(b, b.matrix(h))),
      splitTimesOutputs: joinedOf(b, tensor.split(b, b.matrix(w)).timesOutputs(b, b.matrix(h))),
      splitJoined: tensor.split(b, b.matrix(w)).joined(b),
    });
    const product = multiplied(transposed(a), g);
    expect(relativeError(results.joined, v)).toBe(0);
    expect(relativeError(results.joinedRows, a)).toBe(0);
    expect(relativeError(results.contractInputs, multiplied(a, v))).toBeLessThan(rounding);
    expect(relativeError(results.contractOutputs, multiplied(g, transposed(v)))).toBeLessThan(rounding);
    expect(relativeError(results.minusProduct, minus(v, product))).toBeLessThan(rounding);
    expect(relativeError(results.timesOutputs, multiplied(v, h))).toBeLessThan(rounding);
    expect(relativeError(results.splitTimesOutputs, multiplied(w, h))).toBeLessThan(rounding);
    expect(relativeError(results.splitJoined, w)).toBe(0);
  });

  test('elementwise functions, splitting and inner products', async () => {
    const b = new FedBuilder();
    const [x, y] = [layerTensorOf(b, v, layout), layerTensorOf(b, w, layout)];
    const results = await b.matrices({
      mapped: joinedOf(
        b,
        x.map((p, q) => b.sub(b.mul(p, 2), q ?? p), y),
      ),
      named: joinedOf(
        b,
        x.mapNamed((part, kind) => b.mul(part, kind === 'bias' ? 3 : 2)),
      ),
      split: joinedOf(b, x.split(b, b.matrix(w))),
      dot: b.reshape(x.dot(b, y), [1, 1]),
    });
    const dot = trace(multiplied(transposed(v), w));
    expect(relativeError(results.mapped, minus(scaled(v, 2), w))).toBeLessThan(rounding);
    const factors = identity(size).data.map((one, k) => one * (layout.hasBias && k === size * size - 1 ? 3 : 2));
    expect(relativeError(results.named, multiplied({ ...identity(size), data: factors }, v))).toBeLessThan(rounding);
    expect(relativeError(results.split, w)).toBe(0);
    expect(results.dot.data[0]).toBeCloseTo(dot, 12);
  });
});
