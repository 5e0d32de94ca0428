// Gradual unfreezing: some parameters are trained from the start, the others after a number of steps, in one program.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { Objective } from '../losses/objective.js';
import { checkedCount, checkKeys, type OptionKeys } from '../options.js';
import {
  type HeldState,
  type Optimizer,
  restricted,
  type ScalarSource,
  type Steering,
  type StepContext,
  type StepResult,
  scoped,
  stateBy,
  stepResult,
} from './optimizer.js';
import { listed, type ParameterRule, parameterRule, parametersOf } from './parameters.js';

export interface UnfreezingOptions {
  /** The parameters that wait: a glob on their names, or a predicate. */
  readonly frozen: ParameterRule;
  /** Number of steps for which they wait. */
  readonly steps: number;
}

const keys: OptionKeys<UnfreezingOptions> = { frozen: true, steps: true };

/**
 * Return the optimizer that leaves some parameters as they are for a number of steps, and then trains them like the others. Until
 * then their states do not move, and what depends on the number of steps that were kept, such as the bias corrections of
 * averages, counts from their own first step. Schedules go on with the run. Reports and states of these parameters begin with
 * `unfrozen.`; what an optimizer shares between parameters, such as the curvature, is measured for each part.
 * @throws OptionError for unknown options and numbers out of range; when a run begins, if no parameter waits, or all do
 * @example
 * const optimizer = unfreezing(adam(), { frozen: (parameter) => !parameter.name.startsWith('fc2'), steps: 100 });
 */
export function unfreezing(optimizer: Optimizer, options: UnfreezingOptions): Optimizer {
  checkKeys('unfreezing', options, keys);
  const steps = checkedCount('steps', options.steps);
  const takes = parameterRule(options.frozen);
  return {
    ...optimizer,
    build(context) {
      const all = parametersOf(context);
      const waiting = takes(all);
      if (waiting.length === 0 || waiting.length === all.length) {
        const which = waiting.length === 0 ? 'none' : 'each';
        throw new OptionError(
          `${which} of the parameters waits until it is unfrozen; they are ${listed(all)}: let some wait`,
        );
      }
      const frozen = new Set(waiting.map(({ name }) => name));
      const free = new Set(all.flatMap(({ name }) => (frozen.has(name) ? [] : [name])));
      return joined(
        context,
        stepResult(optimizer, restricted(context, free)),
        thawed(optimizer, restricted(scoped(context, 'unfrozen'), frozen), steps),
      );
    },
  };
}

function joined({ b }: StepContext, first: StepResult, second: StepResult): StepResult {
  const accepted = [first, second].flatMap(({ accept }) => accept ?? []);
  const evaluated = new Map([...(first.evaluated ?? []), ...(second.evaluated ?? [])]);
  return {
    parameters: new Map([...first.parameters, ...second.parameters]),
    ...(accepted.length > 0 && { accept: accepted.reduce((x, y) => b.and(x, y)) }),
    ...(evaluated.size > 0 && { evaluated }),
  };
}

/** Counts the kept steps of the part that waits from its own first step. */
class Clock implements Steering {
  readonly #from: number;
  /** Number of steps that had been kept before that step; undefined until then. */
  #before: number | undefined;

  constructor(from: number) {
    this.#from = from;
  }

  runs(step: number): boolean {
    return step >= this.#from;
  }

  /** Return the number of steps that this part has kept. */
  kept(step: number, all: number): number {
    if (!this.runs(step)) return 0;
    this.#before ??= all;
    return Math.max(0, all - this.#before);
  }

  observe(): void {}

  snapshot(): Record<string, number> {
    return this.#before === undefined ? {} : { before: this.#before };
  }

  restore({ before }: Readonly<Record<string, number>>): void {
    this.#before = before;
  }

  source(at: ScalarSource): ScalarSource {
    return typeof at === 'number' ? at : (step, kept) => at(step, this.kept(step, kept));
  }

  /** The same steering, which sees the steps of this part alone. */
  steering(each: Steering): Steering {
    return {
      ...(each.recovers !== undefined && { recovers: each.recovers }),
      observe: (step, diagnostics) => {
        if (this.runs(step)) each.observe(step, diagnostics);
      },
      evaluated: (step, figures) => {
        if (this.runs(step)) each.evaluated?.(step, figures);
      },
      snapshot: () => each.snapshot(),
      restore: (snapshot) => each.restore(snapshot),
      warning: () => each.warning?.(),
    };
  }
}

/** A state of the branch, with its value after a step that runs it. */
interface Held {
  readonly name: string;
  readonly state: HeldState;
  next: Value | undefined;
}

/** The step of the parameters that wait, in a branch that runs when they do not wait any more. */
function thawed(optimizer: Optimizer, context: StepContext, from: number): StepResult {
  const clock = new Clock(from);
  context.steer(clock);
  const runs = context.scalar('runs', (step, kept) => (clock.kept(step, kept) >= 0 && clock.runs(step) ? 1 : 0));
  const held: Held[] = [];
  const reports = new Map<string, Value>();
  let made: StepResult | undefined;
  const results = context.b.branch(
    context.b.greater(runs, 0.5),
    (b) => {
      const hold: StepContext['hold'] = (name, dims, initial) => {
        const own: Held = { name, state: context.hold(name, dims, initial), next: undefined };
        held.push(own);
        return {
          old: own.state.old,
          become(next) {
            own.next = next;
          },
        };
      };
      made = stepResult(optimizer, {
        ...context,
        b,
        objective: Objective.within(context.objective, b),
        hold,
        state: stateBy(hold),
        scalar: (name, at) => context.scalar(name, clock.source(at)),
        steer: (steering) => context.steer(clock.steering(steering)),
        report: (name, value) => {
          reports.set(name, value);
        },
      });
      const { parameters, evaluated = new Map<string, Value>(), accept } = made;
      return [
        ...parameters.values(),
        ...held.map(({ next, name }) => next ?? missing(name)),
        ...reports.values(),
        ...evaluated.values(),
        ...(accept ? [accept] : []),
      ];
    },
    (b) => {
      const { parameters = none, evaluated = none, accept } = made ?? {};
      const unchanged = (values: ReadonlyMap<string, Value>) =>
        [...values.keys()].map((name) => context.parameters.get(name) ?? missing(name));
      return [
        ...unchanged(parameters),
        ...held.map(({ state }) => state.old),
        ...[...reports.values()].map(({ dtype }) => b.scalar(Number.NaN, dtype)),
        // What is evaluated begins at the parameters, which have not moved.
        ...unchanged(evaluated),
        ...(accept ? [b.less(b.scalar(0, 'float32'), 1)] : []),
      ];
    },
  );
  if (!made) throw new Error('the branch was not built');
  return unpacked(context, made, held, reports, results);
}

const none: ReadonlyMap<string, Value> = new Map();

/** Give the states and the reports their values after the branch, and return those of the parameters. */
function unpacked(
  context: StepContext,
  { parameters, evaluated = none, accept }: StepResult,
  held: readonly Held[],
  reports: ReadonlyMap<string, Value>,
  results: readonly Value[],
): StepResult {
  const left = [...results];
  const next = (name: string): Value => left.shift() ?? missing(name);
  const after = new Map([...parameters.keys()].map((name) => [name, next(name)]));
  const states = new Map<Value, Value>();
  for (const { name, state, next: inner } of held) {
    const value = next(name);
    state.become(value);
    if (inner) states.set(inner, value);
  }
  for (const name of reports.keys()) context.report(name, next(name));
  // An evaluated state is read as such.
  const shown = new Map(
    [...evaluated].map(([name, inner]) => {
      const value = next(name);
      return [name, states.get(inner) ?? value] as const;
    }),
  );
  return {
    parameters: after,
    ...(shown.size > 0 && { evaluated: shown }),
    ...(accept && { accept: next('accept') }),
  };
}

function missing(name: string): never {
  throw new Error(`'${name}' has no value after the branch`);
}
