// Prodigy (Mishchenko & Defazio 2024, arXiv 2306.06101, algorithm 4): Adam whose learning rate is an estimate of the distance
// from the start to a solution, which grows during the run. As its authors' program.
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { checkedFlag, checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { type Chain, namedChain } from './chain.js';
import { states } from './optimizer.js';
import { checked } from './options.js';
import type { Schedule } from './schedules.js';
import { LearningRates } from './transforms/learning-rate.js';
import { average, checkedMoments, type MomentsOptions, momentKeys } from './transforms/moments.js';
import type { StepNumber, Transform } from './transforms/updates.js';
import { tunedDecays } from './tuning.js';

export interface ProdigyOptions extends MomentsOptions {
  /** Factor on the estimated rate, for schedules that begin at 1, such as `cosine(1, 5000)`; 1 by default. */
  readonly learningRate?: Schedule;
  /** Decoupled weight decay w, times the estimated rate d: θ ← θ − d·η·w·θ; 0 by default. */
  readonly weightDecay?: Schedule;
  /** The distance d at first: less than the true one; 1e-6 by default. */
  readonly initialDistance?: number;
  /** Factor on each estimate of d: the number to tune, 0.5 to 2; 1 by default. */
  readonly distanceFactor?: number;
  /** Largest factor by which d grows in a step; no bound by default. */
  readonly growth?: number;
  /** Whether to correct the bias of Adam's averages; false by default. */
  readonly biasCorrection?: boolean;
  /** Whether the rate is left out of the estimate's denominator, for long warm-ups; false by default. */
  readonly safeguardWarmUp?: boolean;
}

const keys: OptionKeys<ProdigyOptions> = {
  ...momentKeys,
  learningRate: true,
  weightDecay: true,
  initialDistance: true,
  distanceFactor: true,
  growth: true,
  biasCorrection: true,
  safeguardWarmUp: true,
};

/**
 * Return Prodigy, which needs no learning rate. It reports its estimate of the distance as `distance`.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = prodigy({ learningRate: cosine(1, 5000), weightDecay: 0.01 });
 */
export function prodigy(options: ProdigyOptions = {}): Chain {
  checkKeys('prodigy', options, keys);
  const { learningRate = 1, weightDecay = 0, ...others } = options;
  const { initialDistance = 1e-6, distanceFactor = 1, growth, biasCorrection, safeguardWarmUp, ...moments } = others;
  const { beta1, beta2, epsilon } = checkedMoments('prodigy', moments);
  checked('weightDecay', weightDecay, { atLeast: 0 });
  const corrects = checkedFlag('biasCorrection', biasCorrection) ?? false;
  const own = checked('learningRate', learningRate, { above: 0 });
  const correction: StepNumber = {
    name: 'biasCorrection',
    at: (_, kept) => Math.sqrt(1 - beta2 ** (kept + 1)) / (1 - beta1 ** (kept + 1)),
  };
  const distance = new Distance({
    decay: Math.sqrt(beta2),
    initial: checkedNumber('initialDistance', initialDistance, { above: 0 }),
    factor: checkedNumber('distanceFactor', distanceFactor, { above: 0 }),
    growth: growth === undefined ? undefined : checkedNumber('growth', growth, { above: 1 }),
    isSafeguarded: checkedFlag('safeguardWarmUp', safeguardWarmUp) ?? false,
  });
  const transform: Transform = (context, updates) => {
    const { b, state, report } = context;
    const gradients = updates.values();
    const rates = new LearningRates(context, own);
    const { common: rate } = rates;
    const scale = corrects ? b.mul(updates.scalar(rate), updates.scalar(correction)) : updates.scalar(rate);
    const { stepped, after } = states(context, distance.shapes(gradients), (old) => {
      const { next, before, after } = distance.estimated(b, gradients, scale, old);
      const floor = b.mul(after, epsilon);
      const adapted = updates.map((update, name, { dims }) => {
        const step = b.mul(update, before);
        const mean = beta1 === 0 ? step : state(`mean.${name}`, dims, (past) => average(b, past, step, beta1));
        const square = state(`square.${name}`, dims, (past) => average(b, past, b.square(step), beta2));
        return { numerator: b.mul(mean, before), denominator: b.add(b.sqrt(square), floor) };
      });
      const decays = tunedDecays(context, weightDecay, () => true);
      const decayed = decays.reduce(
        (given, { weight, names }) => given.decayed(b.mul(before, weight), (name) => names.has(name)),
        adapted,
      );
      const rated = decayed.times((name) => rates.of(name));
      const stepped = corrects ? rated.times(correction) : rated;
      for (const [name, update] of stepped.values()) next.set(movedKey(name), b.sub(old(movedKey(name)), update));
      return { next, stepped, after };
    });
    report('learningRate', updates.scalar(rate));
    report('distance', after);
    return stepped;
  };
  return namedChain('prodigy', transform);
}

interface DistanceOptions {
  /** β₃ = √β₂, the decay of numerator and denominator. */
  readonly decay: number;
  readonly initial: number;
  readonly factor: number;
  readonly growth: number | undefined;
  readonly isSafeguarded: boolean;
}

interface Estimate {
  /** New values of the states, but for those of `movedKey`. */
  readonly next: Map<string, Value>;
  /** The distances of this step and of the next. */
  readonly before: Value;
  readonly after: Value;
}

/** The state θ − θ₀, as a sum of steps: the difference of the parameters would be rounding as long as steps are small. */
const movedKey = (name: string): string => `moved.${name}`;
const sumKey = (name: string): string => `sum.${name}`;

/**
 * The distance d, the largest so far of the estimates `f·Σ d²η⟨g, θ₀ − θ⟩/‖Σ d²η·g‖₁` with sums that decay over the steps. States
 * are in units of the first d, and begin at 0: `excess` and `largest` are how much d, and its largest estimate, exceed 1.
 */
class Distance {
  readonly #options: DistanceOptions;

  constructor(options: DistanceOptions) {
    this.#options = options;
  }

  /** Return the dims of the states, by name. */
  shapes(gradients: ReadonlyMap<string, Value>): ReadonlyMap<string, readonly number[]> {
    const scalars = ['excess', 'numerator', ...(this.#options.growth === undefined ? [] : ['largest'])];
    const tensors = [...gradients].flatMap(([name, { dims }]) => [
      [movedKey(name), dims] as const,
      [sumKey(name), dims] as const,
    ]);
    return new Map<string, readonly number[]>([...scalars.map((name) => [name, []] as const), ...tensors]);
  }

  estimated(b: Builder, gradients: ReadonlyMap<string, Value>, rate: Value, old: (name: string) => Value): Estimate {
    const { decay, initial, factor, growth, isSafeguarded } = this.#options;
    const excess = old('excess');
    const distance = b.add(excess, 1);
    const weight = b.mul(b.square(distance), rate);
    const share = isSafeguarded ? b.square(distance) : weight;
    const next = new Map<string, Value>();
    const total = (values: readonly Value[]): Value => values.reduce((x, y) => b.add(x, y));
    for (const [name, gradient] of gradients) {
      next.set(sumKey(name), b.add(b.mul(old(sumKey(name)), decay), b.mul(gradient, share)));
    }
    const length = total([...next.values()].map((sum) => b.sum(b.abs(sum))));
    const pull = b.neg(total([...gradients].map(([name, gradient]) => b.dot(gradient, old(movedKey(name))))));
    const numerator = b.add(b.mul(old('numerator'), decay), b.mul(weight, pull));
    const estimate = b.sub(b.div(b.mul(numerator, factor / initial), length), 1);
    // Without gradients there is no estimate.
    const found = b.max(excess, b.where(b.greater(length, 0), estimate, excess));
    const largest = growth === undefined ? found : b.max(old('largest'), found);
    // The first estimate above the first d is taken whole.
    const begun = b.where(b.greater(excess, 0), excess, found);
    const grown = growth === undefined ? found : b.min(largest, b.sub(b.mul(b.add(begun, 1), growth), 1));
    next.set('excess', grown).set('numerator', numerator);
    if (growth !== undefined) next.set('largest', largest);
    return { next, before: b.mul(distance, initial), after: b.mul(b.add(grown, 1), initial) };
  }
}
