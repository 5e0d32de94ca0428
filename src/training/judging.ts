// When a run is evaluated along the way, on which examples, and whether it has reached its target.
import type { DataSplits, Dataset } from '../data/dataset.js';
import { OptionError } from '../errors.js';
import { checked } from '../optimizers/options.js';
import type { Evaluator } from './evaluation.js';
import { sampledExamples, usualExamples } from './judged-examples.js';
import type { Metric } from './metrics.js';

/** A value of a metric to reach: `squaredError`, `accuracy` or `loss` on the training set, `testLoss` … on the test set. */
export interface Target {
  readonly metric: string;
  readonly value: number;
}

export interface JudgingOptions {
  /** Evaluate both sets every so many steps; by default ten times a run. */
  readonly evaluateEvery?: number;
  /**
   * Examples of each set that are evaluated along the way, chosen at random once; by default 5,000, or 500 where each has
   * a sequence of targets, as text has.
   */
  readonly evaluationExamples?: number;
  readonly target?: Target;
}

/** Judges a run along the way. Whole sets (see `judgedExamples`) are evaluated only at its end. */
export class Judging {
  readonly #judge: Evaluator;
  readonly #metric: Metric;
  readonly #sets: Readonly<Record<Split, { readonly set: Dataset; readonly sample: Uint32Array }>>;
  readonly #every: number;
  readonly #targetEvery: number;
  readonly #target: (Target & { readonly split: Split; readonly key: string }) | undefined;
  #reached: { steps: number; seconds: number } | null = null;

  /** @param total steps of the run */
  constructor(judge: Evaluator, metric: Metric, data: DataSplits, total: number, options: JudgingOptions) {
    const { evaluateEvery, evaluationExamples, target } = options;
    const every = evaluateEvery ?? Math.ceil(total / 10);
    const examples = checked('evaluationExamples', evaluationExamples ?? usualExamples(data.train), {
      atLeast: 1,
      integer: true,
    });
    this.#judge = judge;
    this.#metric = metric;
    this.#sets = { train: sampled(data.train, examples), test: sampled(data.test, examples) };
    this.#every = checked('evaluateEvery', every, { atLeast: 1, integer: true });
    this.#targetEvery = Math.min(this.#every, Math.max(1, Math.min(10, Math.floor(total / 50))));
    this.#target = target && resolveTarget(target, metric);
  }

  /** Undefined where no target was asked for, null where it has not been reached. */
  get toTarget(): { readonly steps: number; readonly seconds: number } | null | undefined {
    return this.#target && this.#reached;
  }

  /** What is to be said after a step beside the batch's own numbers, e.g. `{ trainLoss, trainSquaredError, testLoss, … }`. */
  async after(step: number, seconds: number, isLast: boolean): Promise<Record<string, number>> {
    const found: Record<string, number> = {};
    const target = this.#reached ? undefined : this.#target;
    const regular = isLast || step % this.#every === 0;
    for (const split of ['train', 'test'] as const) {
      const forTarget = target?.split === split && step % this.#targetEvery === 0;
      if (!regular && !forTarget) continue;
      const { set, sample } = this.#sets[split];
      for (const [name, value] of Object.entries(await this.#judge.evaluate(set, sample)))
        found[keyOf(split, name)] = value;
    }
    const value = target && found[target.key];
    if (target && value !== undefined) {
      const lower = target.key.endsWith('Loss') || this.#metric.lowerIsBetter;
      if (lower ? value <= target.value : value >= target.value) this.#reached = { steps: step, seconds };
    }
    return found;
  }
}

type Split = 'train' | 'test';
const keyOf = (split: Split, name: string): string => `${split}${name[0]?.toUpperCase()}${name.slice(1)}`;

const sampled = (set: Dataset, examples: number) => ({ set, sample: sampledExamples(set, examples) });

/**
 * A target by the name its value has in the records; a bare name means the training set.
 * @throws OptionError listing the names that there are
 */
export function resolveTarget(target: Target, metric: Metric): Target & { split: Split; key: string } {
  for (const split of ['train', 'test'] as const) {
    for (const name of [metric.name, 'loss']) {
      const key = keyOf(split, name);
      if (target.metric !== key && !(split === 'train' && target.metric === name)) continue;
      return { metric: target.metric, value: checked('target', target.value, {}), split, key };
    }
  }
  const names = [metric.name, 'loss', keyOf('test', metric.name), 'testLoss'];
  throw new OptionError(`unknown target metric '${target.metric}'; choose one of ${names.join(', ')}`);
}
