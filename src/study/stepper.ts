// The training step of a workload as an engine runs it, without data set, evaluation and record: for measuring its cost.
import type { Engine } from '../engine/engine.js';
import type { Graph } from '../graph/graph.js';
import { elementCount, type TensorData } from '../graph/tensor.js';
import type { Loss } from '../losses/loss.js';
import type { Model } from '../model/model.js';
import type { Optimizer, Setting } from '../optimizers/optimizer.js';
import { random } from '../random.js';
import { IterateAverage } from '../training/iterate-average.js';
import { acceptedKey, buildStep, parameterKey, scalarFeeds } from '../training/step-program.js';

/** Numbers drawn by a seed, in the place of data. */
export class DrawnTensors {
  readonly #source: ReturnType<typeof random>;

  constructor(seed: number) {
    this.#source = random(seed, 'drawn tensors');
  }

  uniform(dims: readonly number[]): TensorData {
    const data = new Float32Array(elementCount(dims));
    this.#source.fillUniform(data);
    return { dtype: 'float32', dims, data };
  }

  integers(dims: readonly number[], bound: number): TensorData {
    const data = BigInt64Array.from({ length: elementCount(dims) }, () => BigInt(this.#source.integer(bound)));
    return { dtype: 'int64', dims, data };
  }
}

export interface SteppedWorkload {
  readonly model: Model;
  readonly loss: Loss;
  readonly input: TensorData;
  readonly target: TensorData;
  /** Whether an example is one row of numbers, as in a table. */
  readonly isTable?: boolean;
  /** Number of micro-batches of a step; 1 by default. */
  readonly accumulate?: number;
}

/** A step that can be repeated. */
export interface Stepper {
  readonly graph: Graph;
  /** Bytes of the optimizer's state, with the averages of the iterates. */
  readonly stateBytes: number;
  /** Take a step, and return what the optimizer reported. */
  run(): Promise<Readonly<Record<string, number>>>;
}

/** Return the setting in which a workload's optimizer is made. */
export const settingOf = ({ loss, input, isTable = false }: SteppedWorkload): Setting => ({
  loss,
  examples: 60_000,
  batchSize: input.dims[0] ?? 1,
  isTable,
  isPretrained: false,
});

/** Return the step of an optimizer on an engine of its own: keys of states would clash in a shared store. */
export async function openStepper(engine: Engine, workload: SteppedWorkload, optimizer: Optimizer): Promise<Stepper> {
  const { model, loss, input, target, accumulate } = workload;
  const step = buildStep({
    model,
    loss,
    metric: loss.metric,
    optimizer,
    setting: settingOf(workload),
    inputs: { dtype: input.dtype, shape: input.dims },
    targets: { dtype: target.dtype, shape: target.dims },
    accumulate,
  });
  const program = await engine.compile(step.graph, { updates: step.updates, accept: acceptedKey, undoable: true });
  const parameters = (key: (name: string) => string) =>
    Object.fromEntries(
      [...model.parameters].flatMap(([name, { constant }]) => (constant ? [[key(name), constant] as const] : [])),
    );
  await engine.write({ ...parameters(parameterKey), ...step.initialState });
  const averages =
    optimizer.iterateAveraging && (await IterateAverage.of(engine, model.parameters, optimizer.iterateAveraging));
  if (averages) await engine.write(parameters((name) => averages.keys.get(name) ?? parameterKey(name)));
  const draws = new DrawnTensors(2);
  const noise = Object.fromEntries(step.noise.map(({ name, dims }) => [name, draws.uniform(dims)]));
  let k = 0;
  return {
    graph: step.graph,
    stateBytes: step.stateBytes + (averages ? averages.bytes : 0),
    async run() {
      const result = await program.run({ input, target, ...noise, ...scalarFeeds(step, k, k) });
      const reported = Object.fromEntries(
        step.diagnostics.map((name) => [name, Number(result[`diagnostic.${name}`]?.data[0])]),
      );
      for (const steering of step.steering) steering.observe(k, reported);
      k++;
      if (averages) await averages.after(k, false);
      return reported;
    },
  };
}
