// Groups of parameters that are trained otherwise than the rest: other learning rates, other weight decay.
import { OptionError } from '../errors.js';
import { checkedNumber, checkKeys, described, type OptionKeys } from '../options.js';
import type { Optimizer, StepContext } from './optimizer.js';
import { listed, type ParameterRule, parameterRule, parametersOf } from './parameters.js';
import { at, type Schedule } from './schedules.js';
import { type TuningPurpose, tunedStep } from './tuning.js';

/** A number of its own, or a factor on that of the optimizer. */
export type OwnNumber = number | { readonly times: number };

/** How the parameters of a group are trained. */
export interface GroupOptions {
  /** `{ times: 10 }`, or a rate of its own, if that of the optimizer is a number. The optimizer's by default. */
  readonly learningRate?: OwnNumber;
  /** 0, `{ times: 0.5 }`, or a weight of its own. The optimizer's by default. */
  readonly weightDecay?: OwnNumber;
}

export type Group = readonly [ParameterRule, GroupOptions];

const keys: OptionKeys<GroupOptions> = { learningRate: true, weightDecay: true };

/**
 * Return the optimizer with other learning rates and weight decays for groups of parameters; a parameter belongs to the first
 * group that takes it. A factor of 1 changes nothing. What the optimizer shares between parameters, such as the norm of all
 * gradients or the curvature, stays shared: see `partition` for different optimizers.
 * @param groups pairs of a glob on names, or a predicate, and what differs for the parameters that it takes
 * @throws OptionError for unknown options and numbers out of range; when a run begins, for a glob that matches no parameter, for
 *   a group whose parameters all belong to earlier ones, and if the optimizer has no such number
 * @example
 * const optimizer = parameterGroups(adamw(), [
 *   ['head.*', { learningRate: { times: 10 } }],
 *   ['*.bias', { weightDecay: 0 }],
 * ]);
 */
export function parameterGroups(optimizer: Optimizer, groups: readonly Group[]): Optimizer {
  if (!Array.isArray(groups) || groups.length === 0) {
    throw new OptionError(
      `the groups of parameterGroups are ${described(groups)}; give pairs such as ['head.*', { learningRate: { times: 10 } }]`,
    );
  }
  const parts = groups.map((group: unknown, i) => checkedGroup(group, i + 1));
  return {
    ...optimizer,
    build(context) {
      const groupOf = assigned(context, parts);
      const needs: TuningPurpose['needs'] = [
        ...(parts.some(({ rate }) => rate) ? (['learning rate'] as const) : []),
        ...(parts.some(({ decay }) => decay) ? (['weight decay'] as const) : []),
      ];
      return tunedStep(
        optimizer,
        context,
        { what: `the group '${parts[0]?.label}'`, needs },
        {
          share: (name, own) => groupOf.get(name)?.rate?.(own) ?? 1,
          decay: (name, own) => groupOf.get(name)?.decay?.(own) ?? own,
        },
      );
    },
  };
}

/** A group as the step asks it. */
interface Part {
  readonly label: string;
  readonly takes: ReturnType<typeof parameterRule>;
  /** Returns the factor on the learning rate. */
  readonly rate: ((own: Schedule) => number) | undefined;
  readonly decay: ((own: Schedule) => Schedule) | undefined;
}

function checkedGroup(group: unknown, number: number): Part {
  if (!Array.isArray(group) || group.length !== 2) {
    throw new OptionError(
      `group ${number} of parameterGroups is ${described(group)}; give a pair such as ['head.*', { learningRate: { times: 10 } }]`,
    );
  }
  const [rule, options] = group as unknown as Group;
  const label = typeof rule === 'string' ? rule : described(rule);
  const of = `the group '${label}'`;
  checkKeys(of, options, keys);
  const { learningRate, weightDecay } = options;
  if (learningRate === undefined && weightDecay === undefined) {
    throw new OptionError(`${of} changes nothing: give learningRate or weightDecay`);
  }
  return {
    label,
    takes: parameterRule(rule),
    rate: learningRate === undefined ? undefined : rateOf(of, learningRate),
    decay: weightDecay === undefined ? undefined : decayOf(of, weightDecay),
  };
}

function rateOf(of: string, given: OwnNumber): (own: Schedule) => number {
  if (typeof given === 'object') {
    const times = factorOf(`the factor on the learning rate of ${of}`, given);
    return () => times;
  }
  const rate = checkedNumber(`learningRate of ${of}`, given, { atLeast: 0 });
  return (own) => {
    if (typeof own === 'number') return rate / own;
    throw new OptionError(
      `learningRate of ${of} is ${rate}, and that of the optimizer changes from step to step: give a factor such as { times: 10 } (10x)`,
    );
  };
}

function decayOf(of: string, given: OwnNumber): (own: Schedule) => Schedule {
  if (typeof given !== 'object') {
    const weight = checkedNumber(`weightDecay of ${of}`, given, { atLeast: 0 });
    return () => weight;
  }
  const times = factorOf(`the factor on the weight decay of ${of}`, given);
  // One function for one schedule: parameters that decay alike share a scalar.
  const known = new Map<Schedule, Schedule>();
  return (own) => {
    if (typeof own === 'number' || times === 1) return times === 1 ? own : Number(own) * times;
    const scaled = known.get(own) ?? ((step: number) => times * at(own, step));
    known.set(own, scaled);
    return scaled;
  };
}

function factorOf(name: string, given: { readonly times: number }): number {
  checkKeys(name, given, { times: true });
  return checkedNumber(name, given.times, { atLeast: 0 });
}

/** Return the group of each parameter. @throws OptionError for groups without one */
function assigned(context: StepContext, parts: readonly Part[]): ReadonlyMap<string, Part> {
  const all = parametersOf(context);
  const groupOf = new Map<string, Part>();
  for (const part of parts) {
    const wanted = part.takes(all);
    const free = wanted.filter(({ name }) => !groupOf.has(name));
    if (free.length === 0) {
      throw new OptionError(
        wanted.length === 0
          ? `the group '${part.label}' takes no parameter that is trained; they are ${listed(all)}`
          : `the group '${part.label}' gets no parameter: the groups before it take all that it matches; put it before them, or leave it out`,
      );
    }
    for (const { name } of free) groupOf.set(name, part);
  }
  return groupOf;
}
