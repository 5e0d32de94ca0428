// What a part of an optimizer declares in a test: its scalars, states and noise fed in float64, its reports collected.
import type { Value } from '../../src/graph/graph.js';
import { elementCount } from '../../src/graph/tensor.js';
import type { Distribution } from '../../src/losses/loss.js';
import { type Steering, type StepContext, stateBy } from '../../src/optimizers/optimizer.js';
import type { FedBuilder } from './fed-builder.js';

export type Numbers = Readonly<Record<string, readonly number[]>>;

export interface DeclarationSetting {
  /** Counted from 0; all steps before it were kept. */
  readonly step: number;
  /** The states after the step before; zero before the first. */
  readonly state?: Numbers;
  readonly noise?: (name: string, dims: readonly number[], distribution: Distribution) => readonly number[];
  /** Numbers that scalars have instead of their own, by name. */
  readonly scalars?: Readonly<Record<string, number>>;
  /** Is told of each object that steers, before any scalar of it is read. */
  readonly steered?: (steering: Steering) => void;
}

export interface DeclaredStep {
  readonly declare: Pick<StepContext, 'scalar' | 'state' | 'hold' | 'noise' | 'report' | 'steer'>;
  /** New values of the states. */
  readonly states: ReadonlyMap<string, Value>;
  readonly reports: ReadonlyMap<string, Value>;
}

const noNoise = (name: string): never => {
  throw new Error(`the test gives no noise '${name}'`);
};

/** @throws Error if a name is declared twice */
export function declaredStep(b: FedBuilder, setting: DeclarationSetting): DeclaredStep {
  const { step, state = {}, noise = noNoise, scalars = {}, steered } = setting;
  const [states, reports, names] = [new Map<string, Value>(), new Map<string, Value>(), new Set<string>()];
  const input = (kind: string, name: string, dims: readonly number[], elements: Iterable<number>): Value => {
    const key = `${kind}.${name}`;
    if (names.has(key)) throw new Error(`'${key}' is declared twice`);
    names.add(key);
    return b.named(key, dims, elements);
  };
  const hold: StepContext['hold'] = (name, dims) => ({
    old: input('state', name, dims, state[name] ?? new Float64Array(elementCount(dims))),
    become: (next) => {
      states.set(name, next);
    },
  });
  return {
    states,
    reports,
    declare: {
      scalar: (name, at) =>
        input('scalar', name, [], [scalars[name] ?? (typeof at === 'number' ? at : at(step, step))]),
      hold,
      state: stateBy(hold),
      noise: (name, dims, distribution) => input('noise', name, dims, noise(name, dims, distribution)),
      report: (name, value) => {
        reports.set(name, value);
      },
      steer: (steering) => steered?.(steering),
    },
  };
}
