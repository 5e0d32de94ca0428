// What is computed anew only at some steps and kept in between: states of moving averages, inverses, whatever else they make.
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { type HeldState, type Steering, type StepContext, stateBy } from '../optimizer.js';
import type { MeasuredBlock } from './block.js';

/** Decides at which steps the curvature is measured anew; a step that is taken back is followed by one that measures. */
export class RefreshSchedule implements Steering {
  readonly #interval: number;
  readonly #burnIn: number;
  /** Kept steps that measured, kept steps since the last of them, and whether the next one must. */
  #state = { measured: 0, since: 0, forced: 0 };

  /**
   * @param interval steps from one measurement to the next
   * @param burnIn steps at the start of a run that all measure
   */
  constructor(interval: number, burnIn: number) {
    this.#interval = interval;
    this.#burnIn = burnIn;
  }

  /** Whether the next step measures. */
  get isDue(): boolean {
    const { measured, since, forced } = this.#state;
    return forced > 0 || measured < this.#burnIn || since >= this.#interval;
  }

  /** Number of kept steps since the last one that measured, that step among them. */
  get elapsed(): number {
    return this.#state.since;
  }

  /** Number of kept steps that measured. */
  get measured(): number {
    return this.#state.measured;
  }

  observe(_step: number, { accepted }: Readonly<Record<string, number>>): void {
    if (accepted === 0) this.#state.forced = 1;
    else if (this.isDue) this.#state = { measured: this.#state.measured + 1, since: 1, forced: 0 };
    else this.#state.since += 1;
  }

  snapshot(): Record<string, number> {
    return { ...this.#state };
  }

  restore(snapshot: Readonly<Record<string, number>>): void {
    this.#state = { ...this.#state, ...snapshot };
  }
}

/** What a branch made, and its values after the step whether it ran or not. */
export interface Refreshed<Made> {
  readonly made: Made;
  /** Return the value after the step of a state that the branch declared, or of a value that it keeps. */
  kept(value: Value): Value;
}

/**
 * Make something in a branch that runs only at some steps. States that are declared in it change only then; reports are NaN
 * at the other steps. Scalars are functions of the number of steps that ran the branch.
 * @param part the name of the state that holds the numbers among what is kept
 * @param due a bool scalar: whether the branch runs; it must at the first step
 * @param schedule decides when the branch runs; undefined if nothing in the branch depends on it
 * @param make is given the context of the branch; `keeps` are further values to keep, by the names of their states
 */
export function refreshed<Made extends { readonly keeps: ReadonlyMap<string, Value> }>(
  context: StepContext,
  part: string,
  due: Value,
  schedule: RefreshSchedule | undefined,
  make: (context: StepContext) => Made,
): Refreshed<Made> {
  const held: { readonly state: HeldState; readonly next: () => Value }[] = [];
  const reports = new Map<string, Value>();
  /** Numbers that are kept together: each state takes the runtime as long as an operator. */
  const numbers: Value[] = [];
  let packed: Value | undefined;
  let made: Made | undefined;
  const values = context.b.branch(
    due,
    (b) => {
      const hold: StepContext['hold'] = (name, dims, initial) => {
        const state = context.hold(name, dims, initial);
        let next: Value | undefined;
        held.push({
          state,
          next() {
            if (!next) throw new Error(`the state '${name}' has no new value`);
            return next;
          },
        });
        return {
          old: state.old,
          become(value) {
            next = value;
          },
        };
      };
      made = make({
        ...context,
        b,
        hold,
        state: stateBy(hold),
        scalar: (name, at) =>
          context.scalar(
            name,
            typeof at === 'number' || !schedule ? at : () => at(schedule.measured, schedule.measured),
          ),
        ...(schedule && { elapsed: () => schedule.elapsed }),
        report: (name, value) => {
          reports.set(name, value);
        },
      });
      const known = new Set(held.map(({ next }) => next()));
      const keep = (name: string, value: Value) => {
        held.push({ state: context.hold(name, value.dims), next: () => value });
      };
      for (const [name, value] of made.keeps) {
        if (known.has(value) || value.constant) continue;
        known.add(value);
        if (value.rank === 0) numbers.push(value);
        else keep(name, value);
      }
      if (numbers.length > 0) {
        packed = b.concat(
          numbers.map((number) => b.reshape(number, [1])),
          0,
        );
        keep(part, packed);
      }
      return [...held.map(({ next }) => next()), ...reports.values()];
    },
    (b) => [
      ...held.map(({ state }) => state.old),
      ...[...reports.values()].map(({ dtype }) => b.scalar(Number.NaN, dtype)),
    ],
  );
  if (!made) throw new Error('the branch was not built');
  const after = new Map(held.map(({ next }, i) => [next(), values[i] as Value])); // one value a state
  for (const { state, next } of held) state.become(after.get(next()) as Value); // just put there
  for (const [i, name] of [...reports.keys()].entries()) context.report(name, values[held.length + i] as Value);
  const vector = packed && after.get(packed);
  return {
    made,
    kept(value) {
      if (value.constant) return value;
      const index = numbers.indexOf(value);
      if (vector && index >= 0) return context.b.gather(vector, context.b.scalar(index, 'int64'));
      const found = after.get(value);
      if (!found) throw new Error(`'${value.name}' is not kept`);
      return found;
    },
  };
}

/**
 * Measures the curvature and makes something of it: at each step, or in a branch that runs at some steps, with the builder and
 * the states of the context that it is given. Called once.
 */
export type Measure = <Made extends { readonly keeps: ReadonlyMap<string, Value> }>(
  make: (context: StepContext, blocks: readonly MeasuredBlock[]) => Made,
) => Refreshed<Made>;

/** Return the blocks with the rows of this step, for what measures at each step. */
export const measuredNow = (measure: Measure): readonly MeasuredBlock[] =>
  measure((_, blocks) => ({ blocks, keeps: new Map() })).made.blocks;

export interface MeasureSchedule {
  /** Steps from one measurement to the next. */
  readonly interval: number;
  /** Steps at the start of a run that all measure. */
  readonly burnIn: number;
}

/**
 * Return how a step measures the curvature.
 * @param blocksIn returns the blocks with rows that a builder computes
 */
export function measuring(
  context: StepContext,
  { interval, burnIn }: MeasureSchedule,
  blocksIn: (b: Builder) => readonly MeasuredBlock[],
): Measure {
  if (interval === 1) return (make) => ({ made: make(context, blocksIn(context.b)), kept: (value) => value });
  return (make) => {
    const schedule = new RefreshSchedule(interval, burnIn);
    context.steer(schedule);
    const due = context.scalar('measureCurvature', () => (schedule.isDue ? 1 : 0));
    return refreshed(context, 'curvature', context.b.greater(due, 0.5), schedule, (inner) =>
      make(inner, blocksIn(inner.b)),
    );
  };
}
