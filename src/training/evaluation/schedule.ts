// The evaluations during a run: at which steps, on which examples, and whether the target is reached.
import type { DataSplits, Dataset } from '../../data/dataset.js';
import type { Metric } from '../../metrics/metric.js';
import { checked } from '../../optimizers/options.js';
import type { Evaluation, RunRecord } from '../run-record.js';
import type { Json, Remembered } from '../run-state.js';
import type { Evaluator } from './evaluation.js';
import { evaluatedExamples, sampledExamples, usualExamples } from './examples.js';
import { type EvaluatedValue, evaluatedValue, named, type Split, splitNames } from './splits.js';

/** A value of a metric to reach: `squaredError`, `accuracy` or `loss` on the training set, `testLoss`, … on the test set. */
export interface Target {
  readonly metric: string;
  readonly value: number;
}

export interface EvaluationOptions {
  /** Steps between evaluations of all sets; by default a tenth of the run, or an epoch if that is less and a value is monitored. */
  readonly evaluateEvery?: number;
  /**
   * Examples of each set in evaluations during the run, chosen at random once; by default 5,000, or 500 if each has a sequence
   * of targets, as in text.
   */
  readonly evaluationExamples?: number;
  readonly target?: Target;
}

/** The steps and seconds of training until the target was reached. */
interface Reached {
  readonly steps: number;
  readonly seconds: number;
}

/** A set, and the sample of it for evaluations during the run. */
interface EvaluationSet {
  readonly set: Dataset;
  /** The examples that represent the whole set; see `evaluatedExamples`. */
  readonly whole: Uint32Array;
  readonly sample: Uint32Array;
}

/**
 * Evaluates a run at regular steps, on samples. A target counts as reached only on the whole set that it names: if the sample
 * reaches it, the whole set is evaluated.
 */
export class EvaluationSchedule implements Remembered {
  readonly name = 'evaluation';
  readonly #evaluator: Evaluator;
  readonly #sets: ReadonlyMap<Split, EvaluationSet>;
  readonly #every: number;
  readonly #targetEvery: number;
  readonly #target: ResolvedTarget | undefined;
  #reached: Reached | null = null;
  /** The difference by which the sample was better than the whole set when the whole set last missed the target. */
  #sampleBias = 0;

  /** @param total steps of the run */
  constructor(
    evaluator: Evaluator,
    metrics: readonly Metric[],
    data: DataSplits,
    total: number,
    options: EvaluationOptions,
  ) {
    const { evaluateEvery, evaluationExamples, target } = options;
    const every = evaluateEvery ?? Math.ceil(total / 10);
    const examples = checked('evaluationExamples', evaluationExamples ?? usualExamples(data.train), {
      atLeast: 1,
      integer: true,
    });
    this.#evaluator = evaluator;
    this.#sets = new Map(
      splitNames.flatMap((split) => {
        const set = data[split];
        return set ? [[split, evaluationSet(set, examples)] as const] : [];
      }),
    );
    this.#every = checked('evaluateEvery', every, { atLeast: 1, integer: true });
    this.#targetEvery = Math.min(this.#every, Math.max(1, Math.min(10, Math.floor(total / 50))));
    this.#target = target && resolveTarget(target, metrics, [...this.#sets.keys()]);
  }

  /** Sizes of the samples that are smaller than their set; undefined if none is. */
  get sampled(): RunRecord['sampled'] {
    const parts = [...this.#sets].filter(([, { sample, whole }]) => sample.length < whole.length);
    if (parts.length === 0) return undefined;
    return Object.fromEntries(parts.map(([split, { sample }]) => [split, sample.length]));
  }

  /**
   * Return when the target was reached, at the latest by the final evaluations of the whole sets; null if it was not reached,
   * undefined if there is no target.
   */
  concluded(
    steps: number,
    seconds: number,
    final: Readonly<Partial<Record<Split, Evaluation>>>,
  ): Reached | null | undefined {
    if (!this.#target || this.#reached) return this.#target && this.#reached;
    const { split, key } = this.#target;
    const evaluation = final[split];
    const found = evaluation && named(split, evaluation)[key];
    return found !== undefined && this.#excess(found) >= 0 ? { steps, seconds } : null;
  }

  /** Return the evaluation results to log after this step, e.g. `{ trainLoss, trainSquaredError, testLoss, … }`; empty if none are due. */
  async after(step: number, seconds: number, isLast: boolean): Promise<Record<string, number>> {
    const found: Record<string, number> = {};
    const target = this.#reached ? undefined : this.#target;
    const regular = isLast || step % this.#every === 0;
    for (const [split, { set, sample, whole }] of this.#sets) {
      const forTarget = target?.split === split && step % this.#targetEvery === 0;
      if (!regular && !forTarget) continue;
      Object.assign(found, named(split, await this.#evaluator.evaluate(set, sample)));
      if (target?.split !== split) continue;
      const excess = this.#excess(found[target.key] ?? Number.NaN);
      // After the last step the whole sets are evaluated anyway.
      const sampleOnly = sample.length < whole.length;
      if (!(excess >= (sampleOnly ? this.#sampleBias : 0)) || (isLast && sampleOnly)) continue;
      if (sampleOnly) Object.assign(found, named(split, await this.#evaluator.evaluate(set, whole)));
      const excessOfAll = this.#excess(found[target.key] ?? Number.NaN);
      if (excessOfAll >= 0) this.#reached = { steps: step, seconds };
      else this.#sampleBias = excess - excessOfAll;
    }
    return found;
  }

  snapshot(): Json {
    return { reached: this.#reached && { ...this.#reached }, sampleBias: this.#sampleBias };
  }

  restore(snapshot: Json): void {
    const { reached, sampleBias } = snapshot as { readonly reached: Reached | null; readonly sampleBias: number };
    this.#reached = reached;
    this.#sampleBias = sampleBias;
  }

  /** The difference by which a value is better than the target. */
  #excess(value: number): number {
    if (!this.#target) return Number.NaN;
    return this.#target.lowerIsBetter ? this.#target.value - value : value - this.#target.value;
  }
}

/** A target with its set and its key in the records. */
interface ResolvedTarget extends Target, EvaluatedValue {}

const evaluationSet = (set: Dataset, examples: number): EvaluationSet => ({
  set,
  whole: evaluatedExamples(set),
  sample: sampledExamples(set, examples),
});

/**
 * Return a target with its set, by the name of its value (see `evaluatedValue`).
 * @throws OptionError that lists the known names
 */
export const resolveTarget = (
  target: Target,
  metrics: readonly Metric[],
  splits: readonly Split[] = ['train', 'test'],
): ResolvedTarget => ({
  ...evaluatedValue('target metric', target.metric, metrics, splits),
  metric: target.metric,
  value: checked('target', target.value, {}),
});
