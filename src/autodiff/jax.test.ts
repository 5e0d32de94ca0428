// Gradients and Hessian–vector products of networks against an independent autodiff: jax-js, on its plain JavaScript
// backend in float64 (WebAssembly has float32's precision in exp and tanh), on WebAssembly in float32.
import { beforeAll, describe, expect, test } from 'vitest';
import { evaluate } from '../../test/support/evaluate.js';
import { float, int, type Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import { Builder } from '../ops/builder.js';
import { random } from '../random.js';
import { gradients } from './gradients.js';

type Jax = typeof import('@jax-js/jax');
type JaxArray = InstanceType<Jax['Array']>;
type Floating = 'float64' | 'float32';

let jax: Jax;
beforeAll(async () => {
  // jax-js asks `data instanceof Float16Array`, a class that Node has from version 24 on.
  if (!('Float16Array' in globalThis)) Object.assign(globalThis, { Float16Array: class {} });
  jax = await import('@jax-js/jax');
  expect(await jax.init('cpu', 'wasm')).toEqual(['cpu', 'wasm']);
});

interface Activation {
  readonly name: string;
  readonly ours: (b: Builder, x: Value) => Value;
  readonly theirs: (x: JaxArray) => JaxArray;
  /** float32 where the runtime has no float64 kernel. */
  readonly dtype?: Floating;
}

const single = { dtype: 'float32' } as const;

const activations: readonly Activation[] = [
  { name: 'tanh', ours: (b, x) => b.tanh(x), theirs: (x) => jax.numpy.tanh(x) },
  { name: 'sigmoid', ours: (b, x) => b.sigmoid(x), theirs: (x) => jax.nn.sigmoid(x) },
  { name: 'relu', ours: (b, x) => b.relu(x), theirs: (x) => jax.nn.relu(x) },
  { name: 'silu', ours: (b, x) => b.mul(x, b.sigmoid(x)), theirs: (x) => jax.nn.silu(x) },
  { name: 'sin', ours: (b, x) => b.op('Sin', [x]), theirs: (x) => jax.numpy.sin(x) },
  { name: 'softmax', ours: (b, x) => b.softmax(x, -1), theirs: (x) => jax.nn.softmax(x) },
  { name: 'gelu', ours: (b, x) => b.op('Gelu', [x]), theirs: (x) => jax.nn.gelu(x, { approximate: false }), ...single },
  { name: 'elu', ours: (b, x) => b.op('Elu', [x]), theirs: (x) => jax.nn.elu(x), ...single },
  { name: 'selu', ours: (b, x) => b.op('Selu', [x]), theirs: (x) => jax.nn.selu(x), ...single },
  { name: 'celu', ours: (b, x) => b.op('Celu', [x]), theirs: (x) => jax.nn.celu(x), ...single },
  { name: 'softplus', ours: (b, x) => b.op('Softplus', [x]), theirs: (x) => jax.nn.softplus(x), ...single },
  { name: 'mish', ours: (b, x) => b.op('Mish', [x]), theirs: (x) => jax.nn.mish(x), ...single },
  { name: 'hard swish', ours: (b, x) => b.op('HardSwish', [x]), theirs: (x) => jax.nn.hardSwish(x), ...single },
  {
    name: 'leaky relu',
    ours: (b, x) => b.op('LeakyRelu', [x], { alpha: float(0.1) }),
    theirs: (x) => jax.nn.leakyRelu(x, 0.1),
    ...single,
  },
];

interface Loss {
  readonly name: string;
  readonly ours: (b: Builder, outputs: Value, targets: Value) => Value;
  readonly theirs: (outputs: JaxArray, targets: JaxArray) => JaxArray;
}

const losses: readonly Loss[] = [
  {
    name: 'softmax cross-entropy',
    ours: (b, z, t) => b.neg(b.mean(b.sum(b.mul(b.logSoftmax(z), b.softmax(t)), [1]))),
    theirs: (z, t) => {
      const { numpy: np, nn } = jax;
      return np.negative(np.mean(np.sum(nn.logSoftmax(z).mul(nn.softmax(t)), 1)));
    },
  },
  {
    name: 'squared error',
    ours: (b, z, t) =>
      b.mul(0.5, b.mean(b.op('ReduceSumSquare', [b.sub(z, t), b.integers([1])], { keepdims: int(0) }))),
    theirs: (z, t) => jax.numpy.mean(jax.numpy.sum(jax.numpy.square(z.sub(t)), 1)).mul(0.5),
  },
  {
    name: 'logarithm of a sum of exponentials',
    ours: (b, z, t) => b.mean(b.op('ReduceLogSumExp', [b.mul(z, t), b.integers([1])], { keepdims: int(0) })),
    theirs: (z, t) => jax.numpy.mean(jax.nn.logsumexp(z.mul(t), 1)),
  },
];

/** Sizes of a network with two hidden layers. */
const [rows, sizes] = [3, [2, 4, 3, 3]] as const;

interface Problem {
  readonly input: readonly number[];
  readonly target: readonly number[];
  /** Weights `[inputs, outputs]` and biases `[outputs]`, with a direction for the second derivative. */
  readonly parameters: readonly {
    readonly dims: readonly number[];
    readonly elements: number[];
    readonly direction: number[];
  }[];
}

function problem(seed: number): Problem {
  const numbers = random(seed);
  const draw = (count: number, scale = 1) => Array.from({ length: count }, () => scale * numbers.normal());
  const parameters = sizes.slice(1).flatMap((outputs, layer) => {
    const inputs = sizes[layer] ?? 1;
    const make = (dims: readonly number[], scale: number) => {
      const count = dims.reduce((product, size) => product * size, 1);
      return { dims, elements: draw(count, scale), direction: draw(count) };
    };
    return [make([inputs, outputs], 1 / Math.sqrt(inputs)), make([outputs], 0.3)];
  });
  return { input: draw(rows * sizes[0]), target: draw(rows * sizes[3]), parameters };
}

/** Loss, gradients and Hessian times the directions, by our graphs. */
async function ours({ input, target, parameters }: Problem, activation: Activation, loss: Loss, dtype: Floating) {
  const b = new Builder();
  const made = parameters.map(({ dims }, i) => b.input(`p${i}`, dtype, dims));
  let x = b.input('x', dtype, ['batch', sizes[0]]);
  const targets = b.input('t', dtype, ['batch', sizes[3]]);
  for (let layer = 0; layer < 3; layer++) {
    x = b.add(b.matmul(x, made[2 * layer] as Value), made[2 * layer + 1] as Value);
    if (layer < 2) x = activation.ours(b, x);
  }
  const objective = loss.ours(b, x, targets);
  const slopes = gradients(b, objective, made);
  const slope = slopes
    .map((value, i) => {
      const { dims, direction } = parameters[i] ?? { dims: [], direction: [] };
      return b.sum(b.mul(value, b.constant(tensorFrom(dtype, dims, direction), `v${i}`)));
    })
    .reduce((total, part) => b.add(total, part));
  const curved = gradients(b, slope, made);
  const outputs = { loss: objective, ...named('g', slopes), ...named('h', curved) };
  const feeds = Object.fromEntries(
    parameters.map(({ dims, elements }, i) => [`p${i}`, tensorFrom(dtype, dims, elements)]),
  );
  feeds.x = tensorFrom(dtype, [rows, sizes[0]], input);
  feeds.t = tensorFrom(dtype, [rows, sizes[3]], target);
  const results = await evaluate(outputs, b, feeds);
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, Array.from(data, Number)]));
}

const named = <T>(prefix: string, values: readonly T[]): Record<string, T> =>
  Object.fromEntries(values.map((value, i) => [`${prefix}${i}`, value]));

/** The same by jax-js: its values are used up, so a value that is used again is passed on as `.ref`. */
async function theirs({ input, target, parameters }: Problem, activation: Activation, loss: Loss, dtype: Floating) {
  const { numpy: np } = jax;
  jax.defaultDevice(dtype === 'float64' ? 'cpu' : 'wasm');
  const array = (dims: readonly number[], elements: readonly number[]) =>
    np.array([...elements], { dtype: dtype as never }).reshape([...dims]);
  const x = array([rows, sizes[0]], input);
  const t = array([rows, sizes[3]], target);
  const objective = (...values: JaxArray[]) => {
    let activations = x.ref;
    for (let layer = 0; layer < 3; layer++) {
      activations = np.matmul(activations, values[2 * layer] as JaxArray).add(values[2 * layer + 1] as JaxArray);
      if (layer < 2) activations = activation.theirs(activations);
    }
    return loss.theirs(activations, t.ref);
  };
  const values = parameters.map(({ dims, elements }) => array(dims, elements));
  const directions = parameters.map(({ dims, direction }) => array(dims, direction));
  const argnums = parameters.map((_, i) => i);
  const gradient = jax.grad(objective as never, { argnums } as never) as unknown as (...p: JaxArray[]) => JaxArray[];
  const lossValue = objective(...values.map((value) => value.ref));
  const [slopes, curved] = jax.jvp(gradient as never, values as never, directions as never) as unknown as JaxArray[][];
  const results: Record<string, number[]> = { loss: Array.from(await lossValue.data(), Number) };
  for (const [name, value] of Object.entries({ ...named('g', slopes ?? []), ...named('h', curved ?? []) })) {
    results[name] = Array.from(await value.data(), Number);
  }
  return results;
}

describe.each(losses)('$name', (loss) => {
  test.each(activations)('of $name units', async (activation) => {
    const dtype = activation.dtype ?? 'float64';
    const seeded = problem(activation.name.length * 31 + loss.name.length);
    const [expected, actual] = [
      await theirs(seeded, activation, loss, dtype),
      await ours(seeded, activation, loss, dtype),
    ];
    expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
    for (const [name, values] of Object.entries(expected)) {
      const scale = Math.max(1e-3, ...values.map(Math.abs));
      const worst = Math.max(...values.map((value, i) => Math.abs(value - (actual[name]?.[i] ?? Number.NaN)))) / scale;
      expect(worst, name).toBeLessThan(dtype === 'float64' ? 1e-10 : 5e-5);
    }
  });
});
