// Which form the Fisher block of each layer has: the first rule that takes the weight of a block decides.
import type { BlockTable } from '../../curvature/blocks.js';
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import { OptionError } from '../../errors.js';
import { described, isRecord } from '../../options.js';
import type { StepContext } from '../optimizer.js';
import { type ParameterRule, parameterRule, parametersOf } from '../parameters.js';
import { type BlockForm, isMeasured, kronecker } from './block-form.js';
import type { Damping } from './damping.js';

/** A glob on the names of weights, such as `head.*`, or a predicate, and the form of the blocks that it takes. */
export type BlockRule = readonly [ParameterRule, BlockForm];

/**
 * Return the rules.
 * @throws OptionError for anything but pairs of a glob or a predicate and a form
 */
export function checkedBlockRules(given: readonly BlockRule[] | undefined): readonly BlockRule[] {
  if (given === undefined) return [];
  const example = "give pairs such as [['head.*', full()], ['*.norm', diagonal()]]";
  if (!Array.isArray(given) || given.length === 0) throw new OptionError(`blocks is ${described(given)}; ${example}`);
  for (const [i, rule] of given.entries()) {
    const isPair = Array.isArray(rule) && rule.length === 2;
    const form: unknown = isPair ? rule[1] : undefined;
    if (!isPair || !isRecord(form) || typeof form.name !== 'string') {
      throw new OptionError(`rule ${i + 1} of blocks is ${described(isPair ? form : rule)}; ${example}`);
    }
    parameterRule(rule[0]);
  }
  return given;
}

/**
 * @throws OptionError for a rule that gives layers a Kronecker product if none is made
 */
export function refuseIdleForms(name: string, { isExact }: Damping, rules: readonly BlockRule[]): void {
  if (!isExact) return;
  for (const [i, [, form]] of rules.entries()) {
    if (isMeasured(form) || form.isRest) continue;
    throw new OptionError(
      `rule ${i + 1} of blocks has no effect: ${name} makes no Kronecker products of which ${form.name}() is a form; leave the rule out, or give diagonal(), full(), scaledIdentity() or none()`,
    );
  }
}

export interface ChosenBlocks {
  /** The blocks that have a form; the parameters of all others are among the rest. */
  readonly table: BlockTable;
  formOf(block: KroneckerBlock): BlockForm;
}

/**
 * Give each block the form of the first rule that takes its weight; a Kronecker product if none does. A bias belongs to the
 * block of its weight.
 * @throws OptionError for a glob that matches no parameter, and for a rule that decides no block
 */
export function chosenBlocks(context: StepContext, found: BlockTable, rules: readonly BlockRule[]): ChosenBlocks {
  // By name: steps that measure in a branch find the blocks once more.
  const forms = new Map<string, BlockForm>();
  const all = rules.length > 0 ? parametersOf(context) : [];
  for (const [i, [rule, form]] of rules.entries()) {
    const wanted = new Set(parameterRule(rule)(all).map(({ name }) => name));
    const own = found.blocks.filter((block) => wanted.has(block.weight) && !forms.has(block.weight));
    for (const block of own) forms.set(block.weight, form);
    if (own.length === 0 && rule !== '*') throw new OptionError(`rule ${i + 1} of blocks ${idle(found, wanted)}`);
  }
  const usual = kronecker();
  const formOf = (block: KroneckerBlock): BlockForm => forms.get(block.weight) ?? usual;
  const rest = new Map(found.rest);
  for (const block of found.blocks.filter((each) => formOf(each).isRest)) {
    for (const name of [block.weight, ...(block.bias === undefined ? [] : [block.bias])])
      rest.set(name, 'left to the rest');
  }
  return { table: { blocks: found.blocks.filter((block) => !formOf(block).isRest), rest }, formOf };
}

/** Why a rule decides nothing. */
function idle({ blocks, rest }: BlockTable, wanted: ReadonlySet<string>): string {
  const [name = ''] = wanted;
  const owner = blocks.find(({ bias }) => bias !== undefined && wanted.has(bias));
  if (wanted.size === 0) return 'takes no parameter; leave it out';
  if (blocks.some(({ weight }) => wanted.has(weight))) {
    return 'decides no block: the rules before it take all that it matches; put it before them, or leave it out';
  }
  if (owner) return `takes the bias '${owner.bias}', which belongs to the block of '${owner.weight}': match that name`;
  return `takes '${name}', which has no block (${rest.get(name) ?? 'none'}): the rest trains it`;
}
