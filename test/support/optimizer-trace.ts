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
import {
  type Optimizer,
  type ScalarSource,
  type StepContext,
  stateBy,
  stepResult,
} from '../../src/optimizers/optimizer.js';
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
}

/** In what a replay differs from that of an optimizer without noise. */
export interface Replay {
  /** The noise of a step, counted from 0. */
  readonly noise?: (step: number, name: string, dims: readonly number[]) => readonly number[];
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
  { noise }: Replay = {},
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
  const drawn = new Map<string, readonly number[]>();
  const stored: Record<string, TensorData> = {};
  const outputs: Record<string, Value> = { loss: forward.loss };
  const updates = new Map<string, string>();
  const update = (name: string, value: Value): void => {
    outputs[`next ${name}`] = value;
    updates.set(`next ${name}`, name);
  };
  const hold: StepContext['hold'] = (name, dims, before) => {
    if (`state ${name}` in stored) throw new Error(`state '${name}' is declared twice`);
    const zeros = new Float64Array(elementCount(dims));
    stored[`state ${name}`] = tensorFrom(dtype, dims, before ? toNumbers(before) : zeros);
    return { old: b.input(`state ${name}`, dtype, dims), become: (next) => update(`state ${name}`, next) };
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
    hold,
    state: stateBy(hold),
    noise(name, dims) {
      if (!noise) throw new Error(`a trace has no noise '${name}'`);
      drawn.set(name, dims);
      return b.input(`noise ${name}`, dtype, dims);
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
    const noises = [...drawn].map(([name, dims]): [string, TensorData] => [
      `noise ${name}`,
      tensorFrom(dtype, dims, noise?.(step, name, dims) ?? []),
    ]);
    const { loss } = await program.run({
      ...Object.fromEntries([...numbers, ...noises]),
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
