// Both sides of a block, as rows and dense, against the factors they stand for.
import { describe, expect, test } from 'vitest';
import {
  gram,
  inverted,
  type Matrix,
  minus,
  multiplied,
  relativeError,
  scaled,
  shifted,
  trace,
  transposed,
} from '../../../test/support/dense.js';
import { FedBuilder, randomMatrix } from '../../../test/support/fed-builder.js';
import { inputRowsOf, joinedOf, layerTensorOf, layouts } from '../../../test/support/layer-tensors.js';
import { random } from '../../random.js';
import { denseInputSide, denseOutputSide, inputRowsSide, outputRowsSide } from './sides.js';

const rounding = 1e-12;
const [inputs, outputs] = [5, 4];
const delta = 0.3;

/** δ(F + δI)⁻¹ */
const damped = (factor: Matrix): Matrix => scaled(inverted(shifted(factor, delta)), delta);

const held = layouts.flatMap((layout) => [
  { ...layout, held: 'rows', count: 3 },
  { ...layout, held: 'rows', count: 9 },
  { ...layout, held: 'dense', count: 7 },
]);

describe.each(held)('outputs first: $outputsFirst, bias: $hasBias, $held of $count rows', (one) => {
  const size = inputs + Number(one.hasBias);
  const source = random(6, String(one.outputsFirst), String(one.hasBias), one.held, one.count);
  const v = randomMatrix(source, size, outputs);
  const isDense = one.held === 'dense';

  test('input side', async () => {
    const given = scaled(randomMatrix(source, one.count, size), 1e3);
    const rootScale = Math.sqrt(trace(gram(given)) / size);
    const a = scaled(given, 1 / rootScale); // what the side works with
    const factor = gram(a);
    const kernel = isDense ? factor : multiplied(a, transposed(a));
    const y = randomMatrix(source, kernel.rows, outputs);
    const b = new FedBuilder();
    const tensor = layerTensorOf(b, v, one);
    const side = isDense
      ? denseInputSide(b, b.matrix(gram(given)))
      : inputRowsSide(b, inputRowsOf(b, given, one), size);
    const projected = side.project(tensor);
    const results = await b.matrices({
      kernel: side.kernel(b),
      rootScale: b.reshape(side.rootScale, [1, 1]),
      projected,
      lifted: joinedOf(b, side.minusLifted(tensor, b.matrix(y))),
      factorTimes: joinedOf(b, side.minusLifted(tensor, projected)),
      damped: joinedOf(
        b,
        side.damp(
          tensor,
          side.damper(b, b.matrix(inverted(shifted(kernel, delta))), b.reshape(b.given([1], [delta]), [])),
        ),
      ),
    });
    expect(side.shape).toEqual([kernel.rows, kernel.rows]);
    expect(relativeError(results.kernel, kernel)).toBeLessThan(rounding);
    expect(results.rootScale.data[0]).toBeCloseTo(rootScale, 8);
    expect(relativeError(results.projected, isDense ? v : multiplied(a, v))).toBeLessThan(rounding);
    const lifted = multiplied(isDense ? factor : transposed(a), y);
    expect(relativeError(results.lifted, minus(v, lifted))).toBeLessThan(rounding);
    expect(relativeError(results.factorTimes, minus(v, multiplied(factor, v)))).toBeLessThan(rounding); // F = L·P
    expect(relativeError(results.damped, multiplied(damped(factor), v))).toBeLessThan(rounding);
  });

  test('output side', async () => {
    const given = scaled(randomMatrix(source, one.count, outputs), 1e3);
    const rootScale = Math.sqrt(trace(gram(given)) / outputs);
    const g = scaled(given, 1 / rootScale); // what the side works with
    const factor = gram(g);
    const kernel = isDense ? factor : multiplied(g, transposed(g));
    const y = randomMatrix(source, 2, outputs);
    const s = randomMatrix(source, 2, kernel.rows);
    const b = new FedBuilder();
    const side = isDense ? denseOutputSide(b, b.matrix(gram(given))) : outputRowsSide(b, b.matrix(given));
    const results = await b.matrices({
      kernel: side.kernel(b),
      rootScale: b.reshape(side.rootScale, [1, 1]),
      projected: side.project(b.matrix(y)),
      lifted: side.lift(b.matrix(s)),
      damped: joinedOf(
        b,
        side.damp(
          layerTensorOf(b, v, one),
          side.damper(b, b.matrix(inverted(shifted(kernel, delta))), b.reshape(b.given([1], [delta]), [])),
        ),
      ),
    });
    expect(side.shape).toEqual([kernel.rows, kernel.rows]);
    expect(relativeError(results.kernel, kernel)).toBeLessThan(rounding);
    expect(results.rootScale.data[0]).toBeCloseTo(rootScale, 8);
    expect(relativeError(results.projected, isDense ? y : multiplied(y, transposed(g)))).toBeLessThan(rounding);
    expect(relativeError(results.lifted, multiplied(s, isDense ? factor : g))).toBeLessThan(rounding);
    expect(relativeError(results.damped, multiplied(v, damped(factor)))).toBeLessThan(rounding);
  });
});
