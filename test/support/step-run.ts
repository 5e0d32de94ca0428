// Steps of an optimizer on drawn examples, as the trainer takes them, in one piece or in micro-batches.
import { batchOf, gatherBatch } from '../../src/data/batches.js';
import type { Dataset } from '../../src/data/dataset.js';
import type { Engine } from '../../src/engine/engine.js';
import { mapInputs } from '../../src/graph/inputs.js';
import { elementCount, type TensorData } from '../../src/graph/tensor.js';
import type { Loss } from '../../src/losses/loss.js';
import { Accumulation } from '../../src/metrics/accumulate.js';
import type { Model } from '../../src/model/model.js';
import type { Optimizer } from '../../src/optimizers/optimizer.js';
import { random } from '../../src/random.js';
import { acceptedKey, batchFeeds, buildStep, objectiveKey, scalarFeeds } from '../../src/training/step-program.js';

export interface SteppedRun {
  readonly model: Model;
  readonly loss: Loss;
  /** Each step takes all of its examples, from another one on. */
  readonly data: Dataset;
  readonly optimizer: Optimizer;
  readonly steps: number;
  readonly isTable?: boolean;
}

/** What a run leaves behind. */
export interface Stepped {
  readonly losses: readonly number[];
  /** The sums of the loss's metric in each step. */
  readonly sums: readonly Readonly<Record<string, readonly number[]>>[];
  /** What the optimizer reported in each step. */
  readonly reports: readonly Readonly<Record<string, number>>[];
  /** Parameters, running averages and states, by their keys in the store. */
  readonly tensors: Readonly<Record<string, TensorData>>;
  /** Nodes of the step's graph. */
  readonly nodes: number;
}

/** Take the steps, each batch in so many micro-batches. */
export async function stepped(engine: Engine, run: SteppedRun, accumulate?: number): Promise<Stepped> {
  const { model, loss, data, optimizer, steps, isTable = false } = run;
  const first = batchOf(data);
  const step = buildStep({
    model,
    loss,
    metric: loss.metric,
    optimizer,
    setting: { loss, examples: data.size, batchSize: data.size, isTable, isPretrained: false },
    inputs: mapInputs(first.inputs, ({ dtype, dims }) => ({ dtype, shape: dims })),
    targets: { dtype: first.targets.dtype, shape: first.targets.dims },
    weights: first.weights && { dtype: first.weights.dtype, shape: first.weights.dims },
    accumulate,
  });
  const store = engine.open();
  try {
    const program = await store.compile(step.graph, { updates: step.updates, accept: acceptedKey });
    const initial = [...step.parameters, ...step.statistics].flatMap(([name, key]) => {
      const elements = (model.parameters.get(name) ?? model.statistics.get(name))?.constant;
      return elements ? [[key, elements] as const] : [];
    });
    await store.write({ ...step.initialState, ...Object.fromEntries(initial) });
    const losses: number[] = [];
    const reports: Record<string, number>[] = [];
    const sums: Record<string, number[]>[] = [];
    let kept = 0;
    for (let k = 0; k < steps; k++) {
      const order = Array.from({ length: data.size }, (_, i) => (i + k) % data.size);
      const results = await program.run({
        ...batchFeeds(gatherBatch(data, order)),
        ...noiseOf(step.noise, k),
        ...scalarFeeds(step, k, kept),
      });
      const number = (name: string): number => Number(results[name]?.data[0]);
      const accepted = number(acceptedKey);
      kept += accepted;
      const reported = Object.fromEntries(step.diagnostics.map((name) => [name, number(`diagnostic.${name}`)]));
      const shown = Object.fromEntries(Object.entries(reported).filter(([, value]) => !Number.isNaN(value)));
      for (const each of step.steering) each.observe(k, { ...shown, loss: number(objectiveKey), accepted });
      losses.push(number('loss'));
      reports.push({ ...shown, accepted });
      const measured = new Accumulation();
      if (step.metric) measured.add(step.metric, results);
      sums.push(Object.fromEntries(Object.entries(measured.numbers).map(([name, of]) => [name, Array.from(of)])));
    }
    const tensors = await store.read([...initial.map(([key]) => key), ...Object.keys(step.initialState)]);
    return { losses, sums, reports, tensors: tensors as Record<string, TensorData>, nodes: step.graph.nodes.length };
  } finally {
    await store.close();
  }
}

function noiseOf(noise: ReturnType<typeof buildStep>['noise'], step: number): Record<string, TensorData> {
  const source = random(3, 'step', step);
  return Object.fromEntries(
    noise.map(({ name, dims, distribution }) => {
      const data = new Float32Array(elementCount(dims));
      if (distribution === 'uniform') source.fillUniform(data);
      else if (distribution === 'normal') source.fillNormal(data);
      else source.fillSigns(data);
      return [name, { dtype: 'float32', dims, data }];
    }),
  );
}
