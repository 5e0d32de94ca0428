// Different optimizers for different parameters of one network.
import { OptionError } from '../errors.js';
import { described } from '../options.js';
import { type Optimizer, restricted, type StepResult, scoped, stepResult } from './optimizer.js';
import { listed, type ParameterInfo, type ParameterRule, parameterRule, parametersOf } from './parameters.js';

/**
 * Return the optimizer that gives each parameter to the optimizer of the first rule that takes it.
 *
 * The reports of the first optimizer keep their names; those of the others, with their states and scalars, begin with the
 * name of their optimizer: `adamw.learningRate`. A transform of all updates, such as `clipByGlobalNorm`, gets those of its
 * part. Iterates are averaged if the optimizer of a part averages them, but not where a part says itself what is evaluated.
 * @param rules pairs of a glob on names, or a predicate, and the optimizer of the parameters that it takes
 * @throws OptionError if there is no rule; when a run begins, for parameters that no rule takes, for a glob that matches none,
 *   and for a rule whose parameters are all taken by earlier ones
 * @example
 * const optimizer = partition([
 *   [isMatrix, muon({ learningRate: 0.02 })],
 *   ['*', adamw({ learningRate: 0.001 })],
 * ]);
 */
export function partition(rules: readonly (readonly [ParameterRule, Optimizer])[]): Optimizer {
  if (!Array.isArray(rules) || rules.length === 0) {
    throw new OptionError(`the rules of partition are ${described(rules)}; give pairs such as ['*', adamw()]`);
  }
  const parts = rules.map((given, i) => {
    if (!Array.isArray(given) || given.length !== 2) {
      throw new OptionError(`rule ${i + 1} of partition is ${described(given)}; give a pair such as ['*', adamw()]`);
    }
    const [rule, optimizer] = given as (typeof rules)[number];
    if (typeof optimizer?.build !== 'function') {
      throw new OptionError(`rule ${i + 1} of partition gives ${described(optimizer)}; it must give an optimizer`);
    }
    const alike = rules.slice(0, i).filter(([, { name }]) => name === optimizer.name).length;
    return { takes: parameterRule(rule), optimizer, scope: `${optimizer.name}${alike > 0 ? alike + 1 : ''}` };
  });
  const averaging = parts.map(({ optimizer }) => optimizer.iterateAveraging).find((weight) => weight !== undefined);
  const advised = rules.map(([, optimizer]) => optimizer).find(({ remedy }) => remedy);
  return {
    name: parts.map(({ scope }) => scope).join('+'),
    ...(averaging !== undefined && { iterateAveraging: averaging }),
    build(context) {
      let left: readonly ParameterInfo[] = parametersOf(context);
      const all = left;
      const results = parts.flatMap(({ takes, optimizer, scope }, i): StepResult[] => {
        const wanted = new Set(takes(all));
        const taken = left.filter((parameter) => wanted.has(parameter));
        left = left.filter((parameter) => !wanted.has(parameter));
        if (taken.length === 0) {
          checkIdle(rules, i, wanted.size);
          return [];
        }
        const own = restricted(context, new Set(taken.map(({ name }) => name)));
        return [stepResult(optimizer, i === 0 ? own : scoped(own, scope))];
      });
      if (left.length > 0) {
        throw new OptionError(`no rule of partition takes ${listed(left)}; end with a rule for '*'`);
      }
      const accepted = results.flatMap(({ accept }) => accept ?? []);
      const evaluated = new Map(results.flatMap((result) => [...(result.evaluated ?? [])]));
      return {
        parameters: new Map(results.flatMap(({ parameters }) => [...parameters])),
        ...(evaluated.size > 0 && { evaluated }),
        ...(accepted.length > 0 && { accept: accepted.reduce((x, y) => context.b.and(x, y)) }),
      };
    },
    ...(advised?.remedy && { remedy: advised.remedy }),
    rateless: (setting) => {
      const reasons = parts.map(({ optimizer }) => optimizer.rateless?.(setting));
      return reasons.every((reason) => reason !== undefined) ? reasons[0] : undefined;
    },
    warnings: (setting) => parts.flatMap(({ optimizer }) => optimizer.warnings?.(setting) ?? []),
  };
}

/**
 * A rule may take nothing in this network, and one for '*' may be left without a parameter; any other that earlier ones leave
 * without one is a slip.
 */
function checkIdle(rules: readonly (readonly [ParameterRule, Optimizer])[], index: number, wanted: number): void {
  const isRest = rules[index]?.[0] === '*' && rules.slice(0, index).every(([rule]) => rule !== '*');
  if (wanted === 0 || isRest) return;
  throw new OptionError(
    `rule ${index + 1} of partition gets no parameter: the rules before it take all that it matches; put it before them, or leave it out`,
  );
}
