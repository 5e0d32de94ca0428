// A transform of a chain on gradients that a test gives, in float64, at the first step of a run or a later one.
import type { Value } from '../../src/graph/graph.js';
import { lossOf } from '../../src/losses/index.js';
import { Objective } from '../../src/losses/objective.js';
import { mlp } from '../../src/nn/zoo.js';
import type { StepContext } from '../../src/optimizers/optimizer.js';
import { type Transform, Updates } from '../../src/optimizers/transforms/updates.js';
import { declaredStep, type Numbers } from './declared-step.js';
import { FedBuilder } from './fed-builder.js';
import { manyExamples } from './setting.js';

export interface GivenParameter {
  readonly dims: readonly number[];
  readonly gradient: readonly number[];
  /** Ones by default. */
  readonly elements?: readonly number[];
}

export interface Transformed {
  /** What the chain would subtract, by parameter. */
  readonly updates: Readonly<Record<string, readonly number[]>>;
  /** The parameters after the step. */
  readonly parameters: Readonly<Record<string, readonly number[]>>;
  readonly reports: Readonly<Record<string, number>>;
  readonly states: Numbers;
  /** Nodes of the step. */
  readonly nodes: number;
}

/** Where a run is: at its first step by default. */
export interface Moment {
  readonly step: number;
  /** The states after the step before. */
  readonly state?: Numbers;
  readonly noise?: (name: string, dims: readonly number[]) => readonly number[];
}

/** @param uses the network: what reads the parameters, by default nothing */
export async function transformed(
  transform: Transform,
  given: Readonly<Record<string, GivenParameter>>,
  uses: (b: FedBuilder, parameters: ReadonlyMap<string, Value>) => Value = (b) => b.scalar(0, 'float64'),
  moment: Moment = { step: 0 },
): Promise<Transformed> {
  const b = new FedBuilder();
  const each = (of: (parameter: GivenParameter, name: string) => Value) =>
    new Map(Object.entries(given).map(([name, parameter]) => [name, of(parameter, name)]));
  const parameters = each(({ dims, gradient, elements }, name) =>
    b.named(name, dims, elements ?? gradient.map(() => 1)),
  );
  const output = uses(b, parameters);
  const [x, y] = [b.given([1, 4], [1, 1, 1, 1], 'float32'), b.given([1], [0], 'int64')];
  const network = mlp({ seed: 1, sizes: [4, 2] });
  const objective = new Objective(b, network, lossOf('softmax-cross-entropy'), x, y);
  const { declare, states, reports } = declaredStep(b, moment);
  const context: StepContext = {
    b,
    objective,
    setting: manyExamples('softmax-cross-entropy'),
    forward: { ...objective.evaluate(network.parameters), parameters, output },
    parameters,
    gradients: each(({ dims, gradient }, name) => b.named(`gradient ${name}`, dims, gradient)),
    ...declare,
  };
  const updates = transform(context, Updates.ofGradients(context));
  const named = (prefix: string, values: ReadonlyMap<string, Value>) =>
    [...values].map(([name, value]) => [`${prefix}.${name}`, value] as const);
  const outputs = Object.fromEntries([
    ...named('update', updates.values()),
    ...named('parameter', updates.applied()),
    ...named('report', reports),
    ...named('kept', states),
  ]);
  const nodes = b.build('step', Object.fromEntries(updates.applied())).nodes.length;
  const numbers = await b.compute(outputs);
  const part = (prefix: string) =>
    Object.entries(numbers).flatMap(([name, elements]) =>
      name.startsWith(`${prefix}.`) ? [[name.slice(prefix.length + 1), elements] as const] : [],
    );
  return {
    updates: Object.fromEntries(part('update')),
    parameters: Object.fromEntries(part('parameter')),
    reports: Object.fromEntries(part('report').map(([name, [number = Number.NaN]]) => [name, number])),
    states: Object.fromEntries(part('kept')),
    nodes,
  };
}
