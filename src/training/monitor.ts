// Watches a value of the evaluations: keeps the parameters that had the best one, and ends a run that no longer improves.

import type { Batches } from '../data/batches.js';
import type { Engine, Program } from '../engine/engine.js';
import { OptionError } from '../errors.js';
import type { TensorType } from '../graph/graph.js';
import type { Metric } from '../metrics/metric.js';
import { Builder } from '../ops/builder.js';
import { checkedNumber, checkKeys, described } from '../options.js';
import { type EvaluatedValue, evaluatedValue, splitsOf } from './evaluation/splits.js';
import type { Json, Remembered } from './run-state.js';
import type { LearningTask } from './task/task.js';

/** When a run that no longer improves ends. */
export interface EarlyStopping {
  /** Number of evaluations in a row without an improvement after which the run ends. */
  readonly patience: number;
  /** Smallest difference that is an improvement, in the units of the value; 0 by default. */
  readonly minDelta?: number;
}

export interface MonitorOptions {
  /**
   * The value whose best parameters are kept: `validationLoss` (or `val.loss`), `testAccuracy`, …; by default the validation
   * loss if there is a validation set, else none.
   */
  readonly monitor?: string;
  /** End the run if the value no longer improves; a number is the patience. */
  readonly earlyStopping?: EarlyStopping | number;
}

/** @throws OptionError for options of a wrong kind */
export function checkMonitorOptions({ monitor, earlyStopping }: MonitorOptions): void {
  if (monitor !== undefined && typeof monitor !== 'string') {
    throw new OptionError(`monitor is ${described(monitor)}; give the name of a value, such as 'validationLoss'`);
  }
  if (earlyStopping === undefined) return;
  const { patience, minDelta = 0 } = patienceOf(earlyStopping);
  checkedNumber('patience of earlyStopping', patience, { atLeast: 1, integer: true });
  checkedNumber('minDelta of earlyStopping', minDelta, { atLeast: 0 });
}

function patienceOf(earlyStopping: EarlyStopping | number): EarlyStopping {
  if (typeof earlyStopping === 'number') return { patience: earlyStopping };
  checkKeys('earlyStopping', earlyStopping, { patience: true, minDelta: true });
  return earlyStopping;
}

/** The best evaluation so far. */
interface Best {
  readonly step: number;
  readonly metric: string;
  readonly value: number;
}

const bestKey = (key: string): string => `best.${key}`;

export class Monitor implements Remembered {
  readonly name = 'monitor';
  readonly #value: EvaluatedValue;
  readonly #stopping: EarlyStopping | undefined;
  /** Copies the parameters of the store to those of the best evaluation, and back. */
  readonly #keep: Program;
  readonly #putBack: Program;
  /** Keys in the store of the best parameters, by the keys of those that are evaluated. */
  readonly keys: ReadonlyMap<string, string>;
  #best: Best | null = null;
  /** The value of the last improvement by at least `minDelta`, and the evaluations since it. */
  #reference: number | null = null;
  #waited = 0;

  private constructor(
    value: EvaluatedValue,
    stopping: EarlyStopping | undefined,
    programs: { readonly keep: Program; readonly putBack: Program },
    keys: ReadonlyMap<string, string>,
  ) {
    this.#value = value;
    this.#stopping = stopping;
    this.#keep = programs.keep;
    this.#putBack = programs.putBack;
    this.keys = keys;
  }

  /** @param types of the tensors of the store that are evaluated, by their keys */
  static async of(
    engine: Engine,
    value: EvaluatedValue,
    types: ReadonlyMap<string, Pick<TensorType, 'dtype'> & { readonly dims: readonly number[] }>,
    earlyStopping: EarlyStopping | number | undefined,
  ): Promise<Monitor> {
    const copies = (name: string, from: (key: string) => string, to: (key: string) => string) => {
      const b = new Builder();
      const outputs = Object.fromEntries(
        [...types].map(([key, { dtype, dims }]) => [
          `next.${to(key)}`,
          b.op('Identity', [b.input(from(key), dtype, dims)]),
        ]),
      );
      const updates = new Map([...types.keys()].map((key) => [`next.${to(key)}`, to(key)]));
      return engine.compile(b.build(name, outputs), { updates });
    };
    const same = (key: string) => key;
    const programs = {
      keep: await copies('keep the best', same, bestKey),
      putBack: await copies('put back the best', bestKey, same),
    };
    const stopping = earlyStopping === undefined ? undefined : patienceOf(earlyStopping);
    return new Monitor(value, stopping, programs, new Map([...types.keys()].map((key) => [key, bestKey(key)])));
  }

  /** The best evaluation; undefined before the first one. */
  get best(): Best | undefined {
    return this.#best ?? undefined;
  }

  /**
   * Keep the parameters if an evaluation is the best one so far.
   * @param values of the evaluation after `step` steps
   * @returns `stop` if the run should end
   */
  async after(step: number, values: Readonly<Record<string, number>>): Promise<'stop' | 'go on'> {
    const { key, lowerIsBetter } = this.#value;
    const value = values[key];
    if (value === undefined) return 'go on';
    const { patience, minDelta = 0 } = this.#stopping ?? { patience: Number.POSITIVE_INFINITY };
    const gainOver = (old: number | null | undefined) => {
      if (!Number.isFinite(value)) return Number.NEGATIVE_INFINITY;
      return old === null || old === undefined ? Number.POSITIVE_INFINITY : (old - value) * (lowerIsBetter ? 1 : -1);
    };
    const gain = gainOver(this.#reference);
    const isProgress = gain > 0 && gain >= minDelta;
    if (isProgress) this.#reference = value;
    this.#waited = isProgress ? 0 : this.#waited + 1;
    if (gainOver(this.#best?.value) > 0) {
      this.#best = { step, metric: key, value };
      await this.#keep.run({});
    }
    return this.#waited >= patience ? 'stop' : 'go on';
  }

  /** Put the best parameters in the place of the last ones. Nothing happens before the first finite evaluation. */
  async putBack(): Promise<void> {
    if (this.#best !== null) await this.#putBack.run({});
  }

  snapshot(): Json {
    return { best: this.#best && { ...this.#best }, reference: this.#reference, waited: this.#waited };
  }

  restore(snapshot: Json): void {
    const { best, reference, waited } = snapshot as {
      readonly best: Best | null;
      readonly reference: number | null;
      readonly waited: number;
    };
    this.#best = best;
    this.#reference = reference;
    this.#waited = waited;
  }
}

/**
 * Return the value whose best parameters a run keeps; undefined if it keeps the last ones.
 * @throws OptionError for an unknown value, and for early stopping without a value to watch
 */
export function monitoredValue(
  { data }: LearningTask,
  metrics: readonly Metric[],
  { monitor, earlyStopping }: MonitorOptions,
): EvaluatedValue | undefined {
  const splits = splitsOf(data);
  if (monitor !== undefined) return evaluatedValue('monitor', monitor, metrics, splits);
  if (data.validation) return evaluatedValue('monitor', 'validationLoss', metrics, splits);
  if (earlyStopping === undefined) return undefined;
  throw new OptionError(
    'early stopping needs a value to watch: hold out a part of the training set (validation: 0.1, on the command line --validation 0.1), or name one (monitor)',
  );
}

/** Steps between evaluations that choose the parameters: patience is counted in them. */
export const monitoredEvery = (total: number, { stepsPerEpoch }: Batches): number =>
  Math.max(1, Math.min(Math.ceil(total / 10), Math.ceil(stepsPerEpoch)));
