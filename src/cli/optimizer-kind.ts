// What the command line knows of an optimizer: how it is made, which options it takes, and what help says of them.
import { OptionError } from '../errors.js';
import type { Optimizer, Setting } from '../optimizers/optimizer.js';
import { camel, type DescribedOptions, type OptionValues } from './named-options.js';

export interface OptimizerKind {
  /** Few words for the list. */
  readonly summary: string;
  readonly options: DescribedOptions;
  /** Options whose words decide which other options have an effect. */
  readonly choices?: Choices;
  /** What follows `cgfac train` in an example. */
  readonly example: string;
  /** @param setting undefined if it is not known yet: options that fit some setting are accepted */
  readonly create: (options: OptionValues, setting: Setting | undefined) => Optimizer;
}

/** Optimizers by name. */
export type OptimizerKinds = Readonly<Record<string, OptimizerKind>>;

/** The options, by their names in the library, that have an effect with a word and not with all others. */
interface Takes {
  readonly takes: readonly string[];
}
/** Words by the option that chooses one. */
type Choices = Readonly<Record<string, Readonly<Record<string, Takes>>>>;

/** A word of a choice with what messages call it. */
export interface Branch extends Takes {
  readonly called: string;
}

/**
 * Refuse the options of other branches.
 * @param here the branch that was chosen
 * @param beside branches of other choices, for messages: they take some of the options, too
 * @throws OptionError if an option that has no effect here is given
 */
export function refuseOthers(
  options: OptionValues,
  choice: Readonly<Record<string, Branch>>,
  here: Branch,
  beside: readonly Branch[] = [],
): void {
  const branches = [...Object.values(choice), ...beside];
  const idle = branches
    .flatMap(({ takes }) => takes)
    .find((name) => options[name] !== undefined && !here.takes.includes(name));
  if (idle === undefined) return;
  const owners = branches.filter(({ takes }) => takes.includes(idle)).map(({ called }) => called);
  throw new OptionError(`${idle} has no effect on ${here.called}; it is an option of ${owners.join(' and of ')}`);
}

/** Return the choices with which an option has an effect, one of which is enough: `form=primal`; none if it always has. */
export function conditionsOf({ options, choices = {} }: OptimizerKind, option: string): readonly string[] {
  const name = camel(option);
  const owners = (choice: string): readonly string[] =>
    Object.entries(choices[choice] ?? {}).flatMap(([word, { takes }]) => (takes.includes(name) ? [word] : []));
  return Object.keys(choices).flatMap((choice) => {
    const words = Object.entries(choices[choice] ?? {});
    // A form that takes a kind of damping takes the options of the kinds: these say more.
    const isOuter = (word: string): boolean =>
      Object.keys(choices).some(
        (inner) => choices[choice]?.[word]?.takes.includes(camel(inner)) && owners(inner).length > 0,
      );
    const taking = owners(choice).filter((word) => !isOuter(word));
    const isAlways = taking.length === words.length && options[choice]?.usual !== 'none';
    return taking.length === 0 || isAlways ? [] : [`${choice}=${taking.join('|')}`];
  });
}

/** Return the options of some names that are given. */
export const picked = (options: OptionValues, names: readonly string[]): object =>
  Object.fromEntries(names.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])));
