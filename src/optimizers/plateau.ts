// Learning rates that fall when a loss no longer does, as PyTorch's ReduceLROnPlateau.
import { OptionError } from '../errors.js';
import { checkedCount, checkedNumber, checkedWord, checkKeys, described, type OptionKeys } from '../options.js';
import type { Optimizer, Steering } from './optimizer.js';
import { at } from './schedules.js';
import { tunedStep } from './tuning.js';

export interface PlateauOptions {
  /** Factor on the learning rate at each plateau, less than 1; 0.1 by default. */
  readonly factor?: number;
  /** Looks without improvement that are let pass: the rate falls at the next one; 10 by default. */
  readonly patience?: number;
  /** Smallest improvement that counts, as a share of the best number so far or in its units; 0.0001 by default. */
  readonly threshold?: number;
  /** What `threshold` is: `relative`, by default, or `absolute`. */
  readonly thresholdKind?: 'relative' | 'absolute';
  /** Looks after a reduction that do not count; 0 by default. */
  readonly cooldown?: number;
  /** The learning rate never falls below it; 0 by default. */
  readonly minimum?: number;
  /**
   * What is watched: a number of the evaluations, by its name in the records, such as `trainLoss`, `testLoss` or `testAccuracy`;
   * or `loss`, by default, the mean loss of the batches since the last look.
   */
  readonly monitor?: string;
  /** Whether the number improves by falling, `min`, by default, or by rising, `max`, as accuracies do. */
  readonly mode?: 'min' | 'max';
  /** Steps from one look at the loss of batches to the next; those of an epoch by default. */
  readonly every?: number;
}

const keys: OptionKeys<PlateauOptions> = {
  ...{ factor: true, patience: true, threshold: true, thresholdKind: true, cooldown: true, minimum: true },
  ...{ monitor: true, mode: true, every: true },
};

/** The watched number of the batches of a run; all others are those of evaluations. */
const ofBatches = 'loss';

/**
 * Return the optimizer whose learning rate is multiplied by `factor` when a number has not improved for more than `patience`
 * looks. It improves if it is below `best − threshold·|best|` (PyTorch's ReduceLROnPlateau); NaN does not.
 *
 * The rate is the optimizer's own, or that of a schedule, times the factor of each reduction so far.
 * @throws OptionError for unknown options and numbers out of range; when a run begins, if the optimizer has no learning rate
 * @example
 * const optimizer = reduceOnPlateau(adam({ learningRate: 0.003 }), { monitor: 'testLoss', factor: 0.5, patience: 3 });
 */
export function reduceOnPlateau(optimizer: Optimizer, options: PlateauOptions = {}): Optimizer {
  const checked = checkedPlateau(options);
  return {
    ...optimizer,
    build(context) {
      const { examples, batchSize } = context.setting;
      const plateau = new Plateau(checked, checked.every ?? Math.max(1, Math.ceil(examples / batchSize)));
      context.steer(plateau);
      context.report(
        'plateauFactor',
        context.scalar('plateauFactor', (step) => plateau.factorAt(step)),
      );
      return tunedStep(
        optimizer,
        context,
        { what: 'reduceOnPlateau', needs: ['learning rate'] },
        { rate: (own) => (step) => Math.max(at(own, step) * plateau.factorAt(step), checked.minimum) },
      );
    },
  };
}

type Checked = Required<Omit<PlateauOptions, 'every'>> & { readonly every: number | undefined };

function checkedPlateau(options: PlateauOptions): Checked {
  checkKeys('reduceOnPlateau', options, keys);
  const { monitor = ofBatches, every } = options;
  if (every !== undefined && monitor !== ofBatches) {
    throw new OptionError(
      `every has no effect: '${monitor}' is looked at in each evaluation; set evaluateEvery of the run, or monitor '${ofBatches}'`,
    );
  }
  return {
    factor: checkedNumber('factor', options.factor ?? 0.1, { above: 0, below: 1 }),
    patience: checkedNumber('patience', options.patience ?? 10, { atLeast: 0, integer: true }),
    threshold: checkedNumber('threshold', options.threshold ?? 1e-4, { atLeast: 0 }),
    thresholdKind: checkedWord('thresholdKind', options.thresholdKind, ['relative', 'absolute']) ?? 'relative',
    cooldown: checkedNumber('cooldown', options.cooldown ?? 0, { atLeast: 0, integer: true }),
    minimum: checkedNumber('minimum', options.minimum ?? 0, { atLeast: 0 }),
    monitor: checkedText('monitor', monitor),
    mode: checkedWord('mode', options.mode, ['min', 'max']) ?? 'min',
    every: every === undefined ? undefined : checkedCount('every', every),
  };
}

function checkedText(name: string, value: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new OptionError(`${name} is ${described(value)}; it must be a name such as 'testLoss'`);
}

/** Plain numbers, for checkpoints. */
interface PlateauState {
  /** The best number so far; NaN before the first. */
  readonly best: number;
  /** Looks without improvement since the last one with it. */
  readonly bad: number;
  /** Looks that do not count yet. */
  readonly resting: number;
  readonly looks: number;
  /** Sum and number of the losses since the last look. */
  readonly sum: number;
  readonly count: number;
}

/** Watches one number of one run. */
class Plateau implements Steering {
  readonly #options: Checked;
  readonly #every: number;
  #state: PlateauState = { best: Number.NaN, bad: 0, resting: 0, looks: 0, sum: 0, count: 0 };
  /** The first step of each reduction: so the factor at an earlier step stays what it was. */
  #reductions: readonly number[] = [];

  constructor(options: Checked, every: number) {
    this.#options = options;
    this.#every = every;
  }

  factorAt(step: number): number {
    return this.#reductions.reduce((factor, from) => (from <= step ? factor * this.#options.factor : factor), 1);
  }

  observe(step: number, { loss = Number.NaN }: Readonly<Record<string, number>>): void {
    if (this.#options.monitor !== ofBatches) return;
    const { sum, count } = this.#state;
    this.#state = { ...this.#state, sum: sum + loss, count: count + 1 };
    if (count + 1 < this.#every) return;
    this.#look(step, (sum + loss) / (count + 1));
    this.#state = { ...this.#state, sum: 0, count: 0 };
  }

  evaluated(step: number, figures: Readonly<Record<string, number>>): void {
    const figure = figures[this.#options.monitor];
    if (this.#options.monitor !== ofBatches && figure !== undefined) this.#look(step, figure);
  }

  #look(step: number, figure: number): void {
    const { patience, cooldown } = this.#options;
    const { best, bad, resting, looks } = this.#state;
    const isBetter = this.#improves(figure, best);
    const rests = resting > 0;
    const without = isBetter || rests ? 0 : bad + 1;
    const isPlateau = without > patience;
    if (isPlateau) this.#reductions = [...this.#reductions, step + 1];
    this.#state = {
      ...this.#state,
      looks: looks + 1,
      best: isBetter ? figure : best,
      bad: isPlateau ? 0 : without,
      resting: isPlateau ? cooldown : Math.max(0, resting - 1),
    };
  }

  #improves(figure: number, best: number): boolean {
    if (Number.isNaN(figure)) return false;
    if (Number.isNaN(best)) return true;
    const { mode, threshold, thresholdKind } = this.#options;
    const margin = thresholdKind === 'relative' ? threshold * Math.abs(best) : threshold;
    return mode === 'min' ? figure < best - margin : figure > best + margin;
  }

  snapshot(): Record<string, number> {
    const { best, ...counts } = this.#state;
    const from = this.#reductions.map((step, i) => [`reduction.${i}`, step] as const);
    return { ...counts, ...(!Number.isNaN(best) && { best }), ...Object.fromEntries(from) };
  }

  restore(snapshot: Readonly<Record<string, number>>): void {
    const isReduction = (name: string) => name.startsWith('reduction.');
    const counts = Object.entries(snapshot).filter(([name]) => !isReduction(name));
    this.#state = { ...this.#state, ...Object.fromEntries(counts) };
    this.#reductions = Object.entries(snapshot).flatMap(([name, step]) => (isReduction(name) ? [step] : []));
  }

  warning(): string | undefined {
    const { monitor } = this.#options;
    if (this.#state.looks > 0) return undefined;
    return `The learning rate was never reduced: reduceOnPlateau watches '${monitor}', which no step and no evaluation of this run has given.`;
  }
}
