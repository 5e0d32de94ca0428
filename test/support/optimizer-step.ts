// One step of an optimizer in float64, without the trainer: its state and scalars in, new parameters and state out.
import { gradients } from '../../src/autodiff/gradients.js';
import type { Value } from '../../src/graph/graph.js';
import { elementCount } from '../../src/graph/tensor.js';
import type { LossWord } from '../../src/losses/index.js';
import type { Distribution } from '../../src/losses/loss.js';
import type { Controller, Optimizer, Setting } from '../../src/optimizers/optimizer.js';
import { random } from '../../src/random.js';
import type { Matrix } from './dense.js';
import { type DenseNetwork, type Examples, float64Objective, layersFrom } from './dense-network.js';
import { FedBuilder } from './fed-builder.js';
import { manyExamples } from './setting.js';

export type Numbers = Readonly<Record<string, readonly number[]>>;

export interface StepSetting {
  readonly network: DenseNetwork;
  readonly loss: LossWord;
  readonly examples: Examples;
  readonly optimizer: Optimizer;
  readonly controller: Controller;
  /** Many examples by default. */
  readonly about?: Setting;
  /** Counted from 0. */
  readonly step: number;
  /** The state after the step before; none before the first. */
  readonly state?: Numbers;
  readonly noise?: (name: string, dims: readonly number[], distribution: Distribution) => readonly number[];
}

export interface StepOutcome {
  readonly network: DenseNetwork;
  readonly state: Numbers;
  readonly diagnostics: Readonly<Record<string, number>>;
  /** Gradients of the mean loss, each layer's joined. */
  readonly gradients: readonly Matrix[];
  readonly loss: number;
}

/** Random signs as a step's noise. */
export const signs = (seed: number) => {
  const source = random(seed, 'signs');
  return (_name: string, dims: readonly number[]) => Array.from({ length: elementCount(dims) }, () => source.sign());
};

const noNoise = (name: string): never => {
  throw new Error(`the test gives no noise '${name}'`);
};

/** Runs one step and tells the controller. */
export async function stepOnce(setting: StepSetting): Promise<StepOutcome> {
  const { network, loss, examples, optimizer, controller, step, state = {}, noise = noNoise } = setting;
  const { about = manyExamples(loss) } = setting;
  const b = new FedBuilder();
  const { objective, forward } = float64Objective(b, network, loss, examples);
  const { parameters } = forward;
  const names = [...parameters.keys()];
  const slopes = gradients(b, forward.loss, [...parameters.values()]);
  const slopeOf = (name: string, i: number): [string, Value] => [name, slopes[i] ?? forward.loss];
  const scalars = controller.scalars(step);
  const declared = new Map<string, Value>();
  const once = (name: string, dims: readonly number[], elements: () => Iterable<number>): Value => {
    const value = declared.get(name) ?? b.named(name, dims, elements());
    declared.set(name, value);
    return value;
  };
  const result = optimizer.build({
    b,
    objective,
    setting: about,
    forward,
    parameters,
    gradients: new Map(names.map(slopeOf)),
    scalar: (name) => once(`scalar.${name}`, [], () => [scalars[name] ?? Number.NaN]),
    noise: (name, dims, distribution) => once(`noise.${name}`, dims, () => noise(name, dims, distribution)),
    state: (name, dims) => once(`state.${name}`, dims, () => state[name] ?? new Float64Array(elementCount(dims))),
  });
  const prefixed = (prefix: string, values: ReadonlyMap<string, Value>) =>
    [...values].map(([name, value]) => [`next ${prefix}.${name}`, value] as const);
  const results = await b.compute(
    Object.fromEntries([
      ...prefixed('parameters', result.parameters),
      ...prefixed('state', result.state),
      ...prefixed('diagnostics', result.diagnostics),
      ...prefixed('gradients', new Map(names.map(slopeOf))),
      ['loss', forward.loss] as const,
    ]),
  );
  const part = (prefix: string): Record<string, number[]> =>
    Object.fromEntries(
      Object.entries(results).flatMap(([name, numbers]) =>
        name.startsWith(`next ${prefix}.`) ? [[name.slice(prefix.length + 6), numbers]] : [],
      ),
    );
  const diagnostics = Object.fromEntries(
    Object.entries(part('diagnostics')).map(([name, [number = Number.NaN]]) => [name, number]),
  );
  controller.observe(step, { ...diagnostics, loss: results.loss?.[0] ?? Number.NaN });
  return {
    network: { ...network, layers: layersFrom(network, part('parameters')) },
    state: part('state'),
    diagnostics,
    gradients: layersFrom(network, part('gradients')),
    loss: results.loss?.[0] ?? Number.NaN,
  };
}
