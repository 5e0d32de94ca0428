// The gradients of a run's loss at its present parameters, for those who look: a program of its own, compiled when it is first
// asked for, so that steps stay as they are.
import { gradients } from '../autodiff/gradients.js';
import type { Batch } from '../data/batches.js';
import type { Engine, Program } from '../engine/engine.js';
import type { Graph, Value } from '../graph/graph.js';
import { mapInputs } from '../graph/inputs.js';
import { elementCount, type TensorData } from '../graph/tensor.js';
import type { Loss } from '../losses/loss.js';
import { Objective } from '../losses/objective.js';
import type { Model } from '../model/model.js';
import { TrainingMode } from '../model/training-mode.js';
import { Builder } from '../ops/builder.js';
import { random } from '../random.js';
import { batchFeeds, inputKey, parameterKey, statisticKey, targetKey, weightsKey } from './step-program.js';

export interface GradientParts {
  readonly engine: Engine;
  readonly model: Model;
  readonly loss: Loss;
  /** The batch of a step. */
  readonly batchAt: (step: number) => Batch | Promise<Batch>;
  readonly seed: number;
}

export class GradientProgram {
  readonly #parts: GradientParts;
  /** Sizes of the random numbers that the network takes in training, by their names. */
  readonly #noise = new Map<string, readonly number[]>();
  #program: Promise<Program> | undefined;

  constructor(parts: GradientParts) {
    this.#parts = parts;
  }

  /** Return the gradients, by the names of the parameters in the store, on the batch of a step. */
  async at(step: number): Promise<ReadonlyMap<string, TensorData>> {
    const { engine, model, batchAt, seed } = this.#parts;
    const batch = await batchAt(step);
    this.#program ??= engine.compile(this.#graph(batch));
    const source = random(seed, 'gradients', step);
    const noise = [...this.#noise].map(([name, dims]): [string, TensorData] => {
      const data = new Float32Array(elementCount(dims));
      source.fillUniform(data);
      return [name, { dtype: 'float32', dims, data }];
    });
    const found = await (await this.#program).run({ ...batchFeeds(batch), ...Object.fromEntries(noise) });
    return new Map([...model.parameters.keys()].flatMap((name) => (found[name] ? [[name, found[name]] as const] : [])));
  }

  #graph({ inputs, target, weights }: Batch): Graph {
    const { model, loss } = this.#parts;
    const b = new Builder();
    const given = mapInputs(inputs, ({ dtype, dims }, name) => b.input(inputKey(name), dtype, dims));
    const targets = b.input(targetKey, target.dtype, target.dims);
    const stored = (tensors: Model['parameters'], key: (name: string) => string): [string, Value][] =>
      [...tensors].map(([name, { dtype, dims }]) => [name, b.input(key(name), dtype, dims)]);
    const parameters = stored(model.parameters, parameterKey);
    const training = new TrainingMode(model, (name, dims) => {
      this.#noise.set(`noise.${name}`, dims);
      return b.input(`noise.${name}`, 'float32', dims);
    });
    const weighting = weights && b.input(weightsKey, weights.dtype, weights.dims);
    const objective = new Objective(b, model, loss, given, targets, training.rewrite, weighting);
    const forward = objective.evaluate(new Map([...parameters, ...stored(model.statistics, statisticKey)]));
    const found = gradients(
      b,
      forward.loss,
      parameters.map(([, value]) => value),
    );
    return b.build(
      `gradients of ${model.name}`,
      Object.fromEntries(parameters.map(([name], i) => [name, found[i] as Value])), // one gradient a parameter
    );
  }
}
