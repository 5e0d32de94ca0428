// The evaluations during a run: at which steps, on which examples, and whether the target is reached.
import type { DataSplits, Dataset } from '../../data/dataset.js';
import { OptionError } from '../../errors.js';
import type { Metric } from '../../metrics/metric.js';
import { checked } from '../../optimizers/options.js';
import type { Evaluation, RunRecord } from '../run-record.js';
import type { Evaluator } from './evaluation.js';
import { evaluatedExamples, sampledExamples, usualExamples } from './examples.js';

/** A value of a metric to reach: `squaredError`, `accuracy` or `loss` on the training set, `testLoss`, … on the test set. */
export interface Target {
  readonly metric: string;
  readonly value: number;
}

export interface EvaluationOptions {
  /** Steps between evaluations of both sets; by default a tenth of the run. */
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
export class EvaluationSchedule {
  readonly #evaluator: Evaluator;
  readonly #sets: Readonly<Record<Split, EvaluationSet>>;
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
    this.#sets = { train: evaluationSet(data.train, examples), test: evaluationSet(data.test, examples) };
    this.#every = checked('evaluateEvery', every, { atLeast: 1, integer: true });
    this.#targetEvery = Math.min(this.#every, Math.max(1, Math.min(10, Math.floor(total / 50))));
    this.#target = target && resolveTarget(target, metrics);
  }

  /** Sizes of the samples that are smaller than their set; undefined if none is. */
  get sampled(): RunRecord['sampled'] {
    const { train, test } = this.#sets;
    const part = ({ sample, whole }: EvaluationSet) => (sample.length < whole.length ? sample.length : undefined);
    const [ofTrain, ofTest] = [part(train), part(test)];
    if (ofTrain === undefined && ofTest === undefined) return undefined;
    return { ...(ofTrain !== undefined && { train: ofTrain }), ...(ofTest !== undefined && { test: ofTest }) };
  }

  /**
   * Return when the target was reached, at the latest by the final evaluations of the whole sets; null if it was not reached,
   * undefined if there is no target.
   */
  concluded(steps: number, seconds: number, train: Evaluation, test: Evaluation): Reached | null | undefined {
    if (!this.#target || this.#reached) return this.#target && this.#reached;
    const { split, key } = this.#target;
    const found = named(split, { train, test }[split])[key];
    return found !== undefined && this.#excess(found) >= 0 ? { steps, seconds } : null;
  }

  /** Return the evaluation results to log after this step, e.g. `{ trainLoss, trainSquaredError, testLoss, … }`; empty if none are due. */
  async after(step: number, seconds: number, isLast: boolean): Promise<Record<string, number>> {
    const found: Record<string, number> = {};
    const target = this.#reached ? undefined : this.#target;
    const regular = isLast || step % this.#every === 0;
    for (const split of ['train', 'test'] as const) {
      const forTarget = target?.split === split && step % this.#targetEvery === 0;
      if (!regular && !forTarget) continue;
      const { set, sample, whole } = this.#sets[split];
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

  /** The difference by which a value is better than the target. */
  #excess(value: number): number {
    if (!this.#target) return Number.NaN;
    return this.#target.lowerIsBetter ? this.#target.value - value : value - this.#target.value;
  }
}

type Split = 'train' | 'test';

/** A target with its set and its key in the records. */
interface ResolvedTarget extends Target {
  readonly split: Split;
  readonly key: string;
  readonly lowerIsBetter: boolean;
}

const keyOf = (split: Split, name: string): string => `${split}${name[0]?.toUpperCase()}${name.slice(1)}`;

/** An evaluation by the names of its values in the steps' records. */
const named = (split: Split, evaluation: Evaluation): Record<string, number> =>
  Object.fromEntries(Object.entries(evaluation).map(([name, value]) => [keyOf(split, name), value]));

const evaluationSet = (set: Dataset, examples: number): EvaluationSet => ({
  set,
  whole: evaluatedExamples(set),
  sample: sampledExamples(set, examples),
});

/**
 * Return a target with its set; a bare name is that of the training set.
 * @throws OptionError that lists the known names
 */
export function resolveTarget(target: Target, metrics: readonly Metric[]): ResolvedTarget {
  const loss = { name: 'loss', lowerIsBetter: true };
  for (const split of ['train', 'test'] as const) {
    for (const { name, lowerIsBetter } of [...metrics, loss]) {
      const key = keyOf(split, name);
      if (target.metric !== key && !(split === 'train' && target.metric === name)) continue;
      return { metric: target.metric, value: checked('target', target.value, {}), split, key, lowerIsBetter };
    }
  }
  const known = [...metrics.map(({ name }) => name), 'loss'];
  const names = [...known, ...known.map((name) => keyOf('test', name))];
  throw new OptionError(`unknown target metric '${target.metric}'; choose one of ${names.join(', ')}`);
}
