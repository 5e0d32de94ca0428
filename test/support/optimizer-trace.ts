// Replays a recorded trace of another program: its network, batches and initial parameters, with an optimizer of ours.
import { readFileSync } from 'node:fs';
import { gradients } from '../../src/autodiff/gradients.js';
import { nodeEngine } from '../../src/engine/node.js';
import type { Value } from '../../src/graph/graph.js';
import { elementCount, type TensorData, tensorFrom, toNumbers } from '../../src/graph/tensor.js';
import { type LossWord, lossOf } from '../../src/losses/index.js';
import type { Loss } from '../../src/losses/loss.js';
import { Objective } from '../../src/losses/objective.js';
import { builtModel, type Model } from '../../src/model/model.js';
import { Builder } from '../../src/ops/builder.js';
import {
  type Optimizer,
  type ScalarSource,
  type Setting,
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
  /** Those that are evaluated, if they are others. */
  readonly evaluation?: Readonly<Record<string, Elements>>;
  /** What else the steps used or gave. */
  readonly steps?: TracedSteps;
}

interface TracedSteps {
  /** Labels that were drawn after a step, counted from 1. */
  readonly sampledTargets?: readonly { readonly afterStep: number; readonly values: readonly number[] }[];
  /** The signs of each step, a list for each parameter in order. */
  readonly draws?: readonly (readonly (readonly number[])[])[];
  /** Prodigy's distance after each step. */
  readonly d?: readonly number[];
  /** Calls of the function to minimize in each step. */
  readonly evaluations?: readonly number[];
}

/** In what a replay differs from that of an optimizer that uses one batch a step. */
export interface Replay {
  /** The loss instead of the network's. */
  readonly loss?: Loss;
  /** Number of batches that are joined to one, the same in each step. */
  readonly joined?: number;
  readonly setting?: Setting;
  /** The noise of a step, counted from 0. */
  readonly noise?: (step: number, name: string, dims: readonly number[]) => readonly number[];
}

/** What a replay gives: what the trace has, and the reports of each step. */
export interface Replayed extends Pick<Trace, 'losses' | 'after' | 'evaluation'> {
  readonly reports: readonly Readonly<Record<string, number>>[];
}

export type Precision = 'float32' | 'float64';

const fixture = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../fixtures/optimizers/${name}.json`, import.meta.url), 'utf8')) as T;

export const traceNamed = (name: string): Trace => fixture(name);

const engine = nodeEngine({ worker: false, threads: 1 });

/** Return the losses, the parameters after the steps that the trace has recorded, and the reports. */
export async function replayed(
  trace: Trace,
  optimizer: Optimizer,
  dtype: Precision,
  { loss: given, joined = 1, setting, noise }: Replay = {},
): Promise<Replayed> {
  const { network, parameters: declared, initial, batches } = fixture<TracedNetwork>(`network-${trace.network}`);
  const b = new Builder();
  const isLabelled = network.loss === 'softmax-cross-entropy';
  const many = ([size = 0, ...others]: readonly number[]): number[] => [joined * size, ...others];
  const input = b.input('input', dtype, many(network.input));
  const target = b.input('target', isLabelled ? 'int64' : dtype, many(network.target));
  const parameters = new Map(declared.map(({ name, shape }) => [name, b.input(name, dtype, shape)]));
  const model = modelOf(network, declared, initial, dtype);
  const objective = new Objective(b, model, given ?? lossOf(network.loss), input, target);
  const forward = objective.evaluate(parameters);
  const slopes = gradients(b, forward.loss, [...parameters.values()]);
  const scalars = new Map<string, ScalarSource>();
  const drawn = new Map<string, readonly number[]>();
  const stored: Record<string, TensorData> = {};
  const outputs: Record<string, Value> = { loss: forward.loss };
  const updates = new Map<string, string>();
  const reports = new Set<string>();
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
    setting: setting ?? manyExamples(network.loss),
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
    report(name, value) {
      reports.add(name);
      outputs[`report ${name}`] = value;
    },
    steer: () => undefined,
  });
  for (const [name, value] of built.parameters) update(name, value);
  for (const { name, shape } of declared) stored[name] = tensorFrom(dtype, shape, initial[name] ?? []);
  for (const [name, value] of built.evaluated ?? []) {
    update(`evaluated ${name}`, b.output(value));
    stored[`evaluated ${name}`] = tensorFrom(dtype, value.dims, initial[name] ?? []);
  }
  const run = (await engine).open();
  await run.write(stored);
  const program = await run.compile(b.build('step', outputs), { updates });
  const rows: Replayed['reports'][number][] = [];
  const losses: number[] = [];
  const [after, evaluation]: [Record<string, Elements>, Record<string, Elements>] = [{}, {}];
  const read = async (names: readonly string[], prefix = '') => {
    const tensors = await run.read(names.map((name) => prefix + name));
    return Object.fromEntries(names.map((name) => [name, toNumbers(tensors[prefix + name] ?? zero)]));
  };
  for (const step of batches.keys()) {
    const taken = joined === 1 ? batches.slice(step, step + 1) : batches.slice(0, joined);
    const feeds = [
      ...[...scalars].map(
        ([name, at]) => [`scalar ${name}`, [], [typeof at === 'number' ? at : at(step, step)]] as const,
      ),
      ...[...drawn].map(([name, dims]) => [`noise ${name}`, dims, noise?.(step, name, dims) ?? []] as const),
      ['input', input.dims, taken.flatMap((batch) => batch.input)] as const,
    ];
    const results = await program.run({
      ...Object.fromEntries(feeds.map(([name, dims, elements]) => [name, tensorFrom(dtype, dims, elements)])),
      target: tensorFrom(
        isLabelled ? 'int64' : dtype,
        target.dims,
        taken.flatMap((batch) => batch.target),
      ),
    });
    const number = (name: string): number => toNumbers(results[name] ?? zero)[0] ?? Number.NaN;
    losses.push(number('loss'));
    rows.push(Object.fromEntries([...reports].map((name) => [name, number(`report ${name}`)])));
    if (!(step + 1 in trace.after)) continue;
    after[step + 1] = await read([...parameters.keys()]);
    if (built.evaluated) evaluation[step + 1] = await read([...built.evaluated.keys()], 'evaluated ');
  }
  await run.close();
  return { losses, after, ...(built.evaluated && { evaluation }), reports: rows };
}

const zero = tensorFrom('float64', [0], []);

/** The largest difference from the trace's parameters, over the largest parameter; from the evaluated ones, too. */
export function largestDifference(trace: Trace, ours: Pick<Trace, 'after' | 'evaluation'>): number {
  const kinds = (['after', 'evaluation'] as const).map((kind) => ({ expected: trace[kind] ?? {}, found: ours[kind] }));
  const steps = kinds.flatMap(({ expected, found }) =>
    Object.entries(expected).map(([step, parameters]) => ({ parameters, of: found?.[step] ?? {} })),
  );
  const differences = steps.flatMap(({ parameters, of }) =>
    Object.entries(parameters).map(([name, expected]) => {
      const found = of[name] ?? [];
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
