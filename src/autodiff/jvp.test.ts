import { expect, test } from 'vitest';
import { FedBuilder, normals } from '../../test/support/fed-builder.js';
import { formatType, type Value } from '../graph/graph.js';
import { random } from '../random.js';
import { gradients, vectorJacobianProduct } from './gradients.js';
import { jacobianVectorProduct } from './jvp.js';

const sizes = [3, 7, 5, 2] as const;
const rows = 4;

/** A network with tanh units, its parameters, and tangents of them. */
function network(b: FedBuilder, seed: number, shift = 0) {
  const numbers = random(seed);
  const parameters: Value[] = [];
  const tangents: Value[] = [];
  let x = b.given([rows, sizes[0]], normals(numbers, rows * sizes[0]));
  for (const [layer, outputs] of sizes.slice(1).entries()) {
    const inputs = sizes[layer] ?? 1;
    for (const dims of [[inputs, outputs], [outputs]]) {
      const count = dims.reduce((product, size) => product * size, 1);
      const [elements, direction] = [normals(numbers, count), normals(numbers, count)];
      const moved = elements.map((element, i) => element + shift * (direction[i] ?? 0));
      parameters.push(b.given(dims, moved));
      tangents.push(b.given(dims, direction));
    }
    const [weight, bias] = parameters.slice(-2) as [Value, Value];
    x = b.gemm(x, weight, bias);
    if (outputs !== sizes.at(-1)) x = b.tanh(x);
  }
  return { parameters, tangents, outputs: x, probabilities: b.softmax(x) };
}

test('Jacobian–vector products are the differences of the outputs along the tangents', async () => {
  const b = new FedBuilder();
  const { outputs, probabilities, parameters, tangents } = network(b, 5);
  const [raw, normalized] = jacobianVectorProduct(b, [outputs, probabilities], parameters, tangents) as [Value, Value];
  const results = await b.compute({ raw, normalized });
  const step = 1e-4;
  const [ahead, behind] = await Promise.all(
    [step, -step].map((shift) => {
      const moved = new FedBuilder();
      const { outputs: raw, probabilities: normalized } = network(moved, 5, shift);
      return moved.compute({ raw, normalized });
    }),
  );
  for (const name of ['raw', 'normalized'] as const) {
    expect(results[name].length).toBe(rows * 2);
    for (const [i, value] of results[name].entries()) {
      const difference = ((ahead?.[name][i] ?? Number.NaN) - (behind?.[name][i] ?? Number.NaN)) / (2 * step);
      expect(Math.abs(value - difference)).toBeLessThan(1e-6);
    }
  }
});

test('it is the transpose of the vector–Jacobian product: uᵀ(Jv) = (Jᵀu)ᵀv', async () => {
  const b = new FedBuilder();
  const { probabilities, parameters, tangents } = network(b, 6);
  const u = b.given([rows, 2], normals(random(9), rows * 2));
  const [forward] = jacobianVectorProduct(b, [probabilities], parameters, tangents) as [Value];
  const pulled = vectorJacobianProduct(b, [{ value: probabilities, cotangent: u }], parameters);
  const products = pulled.map((value, i) => b.sum(b.mul(value, tangents[i] ?? value)));
  const reverse = products.reduce((total, part) => b.add(total, part));
  const { left, right } = await b.compute({ left: b.sum(b.mul(forward, u)), right: reverse });
  expect(left[0]).toBeCloseTo(right[0] ?? Number.NaN, 12);
});

test('its program computes no gradient: no product in the shape of a weight, no placeholder', () => {
  const b = new FedBuilder();
  const { outputs, parameters, tangents } = network(b, 7);
  const [forward] = jacobianVectorProduct(b, [outputs], parameters, tangents) as [Value];
  const { nodes } = b.build('jvp', { forward });
  const weights = new Set(parameters.map(({ type }) => formatType(type)));
  const gradientLike = nodes.filter((node) => weights.has(formatType(node.outputs[0]?.knownType)));
  expect(gradientLike.map(({ op }) => op).filter((op) => op !== 'Transpose')).toEqual([]);
  expect(nodes.some(({ op }) => op === 'ConstantOfShape')).toBe(false);
  // The values: one product a layer. The tangents: one by each weight's tangent, one by each later layer's weight.
  expect(nodes.filter(({ op }) => op === 'Gemm' || op === 'MatMul').length).toBe(2 + 3 + 2);
});

test('Hessian–vector products both ways: gradient of a gradient, and forward over reverse', async () => {
  const b = new FedBuilder();
  const { probabilities, parameters, tangents } = network(b, 8);
  const loss = b.neg(b.mean(b.log(probabilities)));
  const slopes = gradients(b, loss, parameters);
  const along = slopes.map((slope, i) => b.sum(b.mul(slope, tangents[i] ?? slope)));
  const reverse = gradients(
    b,
    along.reduce((total, part) => b.add(total, part)),
    parameters,
  );
  const forward = jacobianVectorProduct(b, slopes, parameters, tangents);
  const entries = [...reverse.map((v, i) => [`r${i}`, v] as const), ...forward.map((v, i) => [`f${i}`, v] as const)];
  const results = await b.compute(Object.fromEntries(entries));
  for (const i of parameters.keys()) {
    const [r = [], f = []] = [results[`r${i}`], results[`f${i}`]];
    expect(r.length).toBeGreaterThan(1);
    expect(Math.max(...r.map((value, k) => Math.abs(value - (f[k] ?? Number.NaN))))).toBeLessThan(1e-12);
  }
});
