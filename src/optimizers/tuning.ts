// What a run changes about the learning rate and the weight decay of an optimizer: schedules, plateaus, groups of parameters.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import type { Optimizer, StepContext, StepResult } from './optimizer.js';
import { stepResult } from './optimizer.js';
import { isSome, numberOf } from './options.js';
import { at, type Schedule } from './schedules.js';

/** What is made of an optimizer's own numbers. Each is asked by the part of an optimizer that has such a number. */
export interface Tuning {
  /** Return the learning rate of all parameters. */
  rate(own: Schedule): Schedule;
  /** Return the factor on the learning rate of one parameter. */
  share(parameter: string, own: Schedule): number;
  /** Return the weight decay of one parameter. @param own 0 if it does not decay by itself */
  decay(parameter: string, own: Schedule): Schedule;
}

/**
 * Return the learning rate of a step as the run tunes it. An optimizer that passes its own rate through this function can be
 * scheduled, reduced on a plateau and searched by name.
 * @example
 * const plain: Optimizer = {
 *   name: 'plain',
 *   build(context) {
 *     const { b, parameters, gradients } = context;
 *     const rate = context.scalar('learningRate', tunedRate(context, 0.1));
 *     return new Map([...parameters].map(([name, p]) => [name, b.sub(p, b.mul(gradients.get(name) ?? 0, rate))]));
 *   },
 * };
 */
export const tunedRate = ({ tuning }: Pick<StepContext, 'tuning'>, own: Schedule): Schedule =>
  tuning ? tuning.rate(own) : own;

/**
 * Return the factor on the learning rate of a parameter, which is 1 but for groups.
 * @example
 * const halved = (context: StepContext) => tunedShare(context, 'head.weight', 0.1) / 2;
 */
export const tunedShare = ({ tuning }: Pick<StepContext, 'tuning'>, parameter: string, own: Schedule): number =>
  tuning ? tuning.share(parameter, own) : 1;

/** Return the weight decay of a parameter, which is the optimizer's own but for groups. */
export const tunedDecay = ({ tuning }: Pick<StepContext, 'tuning'>, parameter: string, own: Schedule): Schedule =>
  tuning ? tuning.decay(parameter, own) : own;

/** Parameters that decay alike. */
export interface DecayGroup {
  readonly weight: Value | number;
  readonly names: ReadonlySet<string>;
}

/**
 * Return the parameters that decay, together with those of the same weight.
 * @param own the optimizer's weight decay
 * @param takes whether a parameter decays by itself
 * @example
 * const decayed: Transform = (context, updates) =>
 *   tunedDecays(context, 0.01, () => true).reduce(
 *     (given, { weight, names }) => given.decayed(weight, (name) => names.has(name)),
 *     updates,
 *   );
 */
export function tunedDecays(
  context: Pick<StepContext, 'tuning' | 'parameters' | 'scalar'>,
  own: Schedule,
  takes: (name: string) => boolean,
): readonly DecayGroup[] {
  const { tuning, parameters } = context;
  if (!tuning && !isSome(own)) return [];
  const groups = new Map<Schedule, Set<string>>();
  for (const name of parameters.keys()) {
    const usual = takes(name) ? own : 0;
    const schedule = tunedDecay(context, name, usual);
    if (!isSome(schedule)) continue;
    const group = groups.get(schedule) ?? new Set();
    groups.set(schedule, group.add(name));
  }
  return [...groups].map(([schedule, names], i) => ({
    weight: numberOf(context, i === 0 ? 'weightDecay' : `weightDecay.${i + 1}`, schedule),
    names,
  }));
}

/** What a wrapper changes; the rest stays. */
export type TuningChange = Partial<Tuning>;

/** For messages: what the change is called, and what it needs. */
export interface TuningPurpose {
  /** E.g. `a schedule`. */
  readonly what: string;
  readonly needs: readonly ('learning rate' | 'weight decay')[];
}

/**
 * Return the step of an optimizer whose numbers are changed.
 * @throws OptionError if the optimizer does not have what would be changed
 */
export function tunedStep(
  optimizer: Optimizer,
  context: StepContext,
  { what, needs }: TuningPurpose,
  change: TuningChange,
): StepResult {
  const reason = needs.includes('learning rate') ? optimizer.rateless?.(context.setting) : undefined;
  if (reason !== undefined) throw new OptionError(refusal(optimizer.name, what, reason));
  const outer = context.tuning;
  const asked = new Set<TuningPurpose['needs'][number]>();
  const result = stepResult(optimizer, {
    ...context,
    tuning: {
      rate(own) {
        if (change.rate) asked.add('learning rate');
        const inner = change.rate ? change.rate(own) : own;
        return outer ? outer.rate(inner) : inner;
      },
      share(name, own) {
        if (change.share) asked.add('learning rate');
        return (change.share?.(name, own) ?? 1) * (outer?.share(name, own) ?? 1);
      },
      decay(name, own) {
        if (change.decay) asked.add('weight decay');
        const inner = change.decay ? change.decay(name, own) : own;
        return outer ? outer.decay(name, inner) : inner;
      },
    },
  });
  const missing = needs.find((need) => !asked.has(need));
  if (missing === undefined) return result;
  throw new OptionError(`${what} has no effect on ${optimizer.name}, which has no ${missing}`);
}

/** Return the message for an optimizer without a learning rate. @param reason a sentence with what to do */
export const refusal = (optimizer: string, what: string, reason: string): string =>
  `${what} has no effect on ${optimizer}: ${reason}`;

/**
 * Return the optimizer with another learning rate, made of its own. Each part of an optimizer that has a rate (`partition`) gets
 * one made of that.
 * @param change makes the rate from the optimizer's own: from its first number, and from the whole, a number or a function of the step
 * @throws OptionError when a run begins, if the optimizer has no learning rate
 * @example
 * const optimizer = withLearningRate(cgfac({ step: normalized() }), (peak) => warmUp(100, cosine(peak, 5000)));
 */
export const withLearningRate = (optimizer: Optimizer, change: (peak: number, own: Schedule) => Schedule): Optimizer =>
  rated(optimizer, 'another learning rate', change);

/** @param what what the rate is changed by, for messages */
export const rated = (
  optimizer: Optimizer,
  what: string,
  change: (peak: number, own: Schedule) => Schedule,
): Optimizer => ({
  ...optimizer,
  build: (context) =>
    tunedStep(optimizer, context, { what, needs: ['learning rate'] }, { rate: (own) => change(at(own, 0), own) }),
});
