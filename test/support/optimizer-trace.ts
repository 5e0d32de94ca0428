// Replays a recorded trace of another program: its network, batches and initial parameters, with an optimizer of ours.
import { readFileSync } from 'node:fs';
import { gradients } from '../../src/autodiff/gradients.js';
import { nodeEngine } from '../../src/engine/node.js';
import type { Value } from '../../src/graph/graph.js';
import { elementCount, type TensorData, tensorFrom, toNumbers } from '../../src/graph/tensor.js';
import { type LossWord, lossOf } from '../../src/losses/index.js';
import { Objective } from '../../src/losses/objective.js';
import { builtModel, type Model } from '../../src/model/model.js';
import { Builder } from '../../src/ops/builder.js';
import { type Optimizer, type ScalarSource, stepResult } from '../../src/optimizers/optimizer.js';
import { manyExamples } from './setting.js';

type Elements = Readonly<Record<string, readonly number[]>>;

/** The network that traces of one name share. */
interface TracedNetwork {
  readonly network: {
    readonly name: string;
    readonly loss: LossWord;
    readonly input: number[];
    readonly target: number[];
  };
  readonly parameters: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly initial: Elements;
  readonly batches: readonly { readonly input: readonly number[]; readonly target: readonly number[] }[];
}

export interface Trace {
  readonly network: string;
  /** By how much a change of the initial parameters grows in 20 steps. */
  readonly amplification: number;
  /** Of each batch before its step. */
  readonly losses: readonly number[];
  /** The parameters after so many steps. */
  readonly after: Readonly<Record<string, Elements>>;
  /** What a program drew at each step, in the order in which it did. */
  readonly draws?: readonly (readonly (readonly number[])[])[];
}

export type Precision = 'float32' | 'float64';

const fixture = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../fixtures/optimizers/${name}.json`, import.meta.url), 'utf8')) as T;

export const traceNamed = (name: string): Trace => fixture(name);

const engine = nodeEngine({ worker: false, threads: 1 });

/** Return the losses, and the parameters after the steps that the trace has recorded. */
export async function replayed(
  trace: Trace,
  optimizer: Optimizer,
  dtype: Precision,
): Promise<Pick<Trace, 'losses' | 'after'>> {
  const { network, parameters: declared, initial, batches } = fixture<TracedNetwork>(`network-${trace.network}`);
  const b = new Builder();
  const isLabelled = network.loss === 'softmax-cross-entropy';
  const input = b.input('input', dtype, network.input);
  const target = b.input('target', isLabelled ? 'int64' : dtype, network.target);
  const parameters = new Map(declared.map(({ name, shape }) => [name, b.input(name, dtype, shape)]));
  const model = modelOf(network, declared, initial, dtype);
  const objective = new Objective(b, model, lossOf(network.loss), input, target);
  const forward = objective.evaluate(parameters);
  const slopes = gradients(b, forward.loss, [...parameters.values()]);
  const scalars = new Map<string, ScalarSource>();
  const stored: Record<string, TensorData> = {};
  const noise: { readonly name: string; readonly dims: readonly number[] }[] = [];
  const outputs: Record<string, Value> = { loss: forward.loss };
  const updates = new Map<string, string>();
  const update = (name: string, value: Value): void => {
    outputs[`next ${name}`] = value;
    updates.set(`next ${name}`, name);
  };
  const built = stepResult(optimizer, {
    b,
    objective,
    setting: manyExamples(network.loss),
    forward,
    parameters,
    gradients: new Map([...parameters.keys()].map((name, i) => [name, slopes[i] ?? forward.loss])),
    scalar(name, at) {
      if (scalars.has(name)) throw new Error(`scalar '${name}' is declared twice`);
      scalars.set(name, at);
      return b.input(`scalar ${name}`, dtype, []);
    },
    state(name, dims, next, before) {
      if (`state ${name}` in stored) throw new Error(`state '${name}' is declared twice`);
      const zeros = new Float64Array(elementCount(dims));
      stored[`state ${name}`] = tensorFrom(dtype, dims, before ? toNumbers(before) : zeros);
      const value = next(b.input(`state ${name}`, dtype, dims));
      update(`state ${name}`, value);
      return value;
    },
    noise(name, dims) {
      if (!trace.draws) throw new Error(`the trace has no noise '${name}'`);
      const value = b.input(`noise ${name}`, dtype, dims);
      noise.push({ name: value.name, dims });
      return value;
    },
    report: () => undefined,
    steer: () => undefined,
  });
  for (const [name, value] of built.parameters) update(name, value);
  for (const { name, shape } of declared) stored[name] = tensorFrom(dtype, shape, initial[name] ?? []);
  const run = (await engine).open();
  await run.write(stored);
  const program = await run.compile(b.build('step', outputs), { updates });
  const losses: number[] = [];
  const after: Record<string, Elements> = {};
  for (const [step, batch] of batches.entries()) {
    const numbers = [...scalars].map(([name, at]): [string, TensorData] => [
      `scalar ${name}`,
      tensorFrom(dtype, [], [typeof at === 'number' ? at : at(step, step)]),
    ]);
    const drawn = noise.map(({ name, dims }, i): [string, TensorData] => [
      name,
      tensorFrom(dtype, dims, trace.draws?.[step]?.[i] ?? []),
    ]);
    const { loss } = await program.run({
      ...Object.fromEntries([...numbers, ...drawn]),
      input: tensorFrom(dtype, network.input, batch.input),
      target: tensorFrom(isLabelled ? 'int64' : dtype, network.target, batch.target),
    });
    losses.push(loss ? (toNumbers(loss)[0] ?? Number.NaN) : Number.NaN);
    if (!(step + 1 in trace.after)) continue;
    const read = await run.read([...parameters.keys()]);
    after[step + 1] = Object.fromEntries(Object.entries(read).map(([name, data]) => [name, toNumbers(data)]));
  }
  await run.close();
  return { losses, after };
}

/** The largest difference from the trace's parameters, over the largest parameter. */
export function largestDifference(trace: Trace, ours: Pick<Trace, 'after'>): number {
  const differences = Object.entries(trace.after).flatMap(([step, parameters]) =>
    Object.entries(parameters).map(([name, expected]) => {
      const found = ours.after[step]?.[name] ?? [];
      const largest = Math.max(...expected.map(Math.abs));
      return Math.max(...expected.map((value, i) => Math.abs(value - (found[i] ?? Number.NaN)))) / largest;
    }),
  );
  return Math.max(...differences);
}

/** The networks of the traces: dense layers as PyTorch stores them, `[outputs, inputs]`. */
function modelOf(
  { name, input }: TracedNetwork['network'],
  parameters: TracedNetwork['parameters'],
  initial: Elements,
  dtype: Precision,
): Model {
  const b = new Builder();
  const values = parameters.map((parameter) =>
    b.constant(tensorFrom(dtype, parameter.shape, initial[parameter.name] ?? []), parameter.name),
  );
  const [weight, bias, lastWeight, lastBias] = values;
  if (!weight || !bias || !lastWeight || !lastBias) throw new Error('the networks of the traces have two layers');
  const x = b.input('input', dtype, ['batch', ...input.slice(1)]);
  const hidden =
    name === 'conv'
      ? b.op('Flatten', [b.relu(b.op('Conv', [x, weight, bias], { pads: { kind: 'ints', value: [1, 1, 1, 1] } }))])
      : b.tanh(b.gemm(x, weight, bias, { transposeY: true }));
  const output = b.gemm(hidden, lastWeight, lastBias, { transposeY: true });
  return builtModel(
    name,
    b.build(name, { output }),
    new Map(parameters.map(({ name: key }, i) => [key, values[i] ?? weight])),
  );
}
