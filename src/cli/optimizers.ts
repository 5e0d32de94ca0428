// Optimizers by name with their options, as the command line writes them: `adam`, `cgfac:rank=64:damping=3`.
import { OptionError } from '../errors.js';
import type { Optimizer, Setting } from '../optimizers/optimizer.js';
import type { Schedule } from '../optimizers/schedules.js';
import { didYouMean } from '../suggest.js';
import { withClipping } from './clipping.js';
import { firstOrderKinds } from './first-order.js';
import { diagonalKinds, matrixKinds, parameterFreeKinds, wholeSetKinds } from './further-optimizers.js';
import { camelCased, kindsOf, known, type OptionValue, readOptions, someOf } from './named-options.js';
import type { OptimizerKind, OptimizerKinds } from './optimizer-kind.js';
import { scheduleHelp } from './schedules.js';
import { secondOrderKinds } from './second-order.js';

/** Optimizers in the groups of the help. */
export const optimizerGroups: Readonly<Record<string, OptimizerKinds>> = {
  'Second order': withClipping(secondOrderKinds),
  'First order': withClipping(firstOrderKinds),
  Matrices: withClipping(matrixKinds),
  'Diagonal of the Hessian': withClipping(diagonalKinds),
  'Without a rate to tune, or a schedule': withClipping(parameterFreeKinds),
  'Whole training set': wholeSetKinds, // its line searches need the gradient itself
};

const kinds: OptimizerKinds = Object.assign({}, ...Object.values(optimizerGroups));

export const optimizerNames: readonly string[] = Object.keys(kinds);

/** Return the kind of optimizer of a name. @throws OptionError for an unknown one */
export function optimizerKind(name: string): OptimizerKind {
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (kind) return kind;
  const choice = someOf(optimizerNames, 'cgfac optimizers');
  throw new OptionError(`unknown optimizer '${name}'${didYouMean(name, optimizerNames)}; choose one of ${choice}`);
}

/** Return the text about optimizers for --help. */
export function optimizerHelp(): string {
  const width = Math.max(...optimizerNames.map(({ length }) => length));
  return [
    'Optimizers; write options as NAME:option=value:option=value',
    'The options of one, with their values, defaults and an example: cgfac optimizers NAME',
    ...Object.entries(optimizerGroups).flatMap(([group, members]) => [
      ` ${group}`,
      ...Object.entries(members).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
    ]),
    '',
    scheduleHelp(),
  ].join('\n');
}

/** An optimizer with the text that chose it. */
export interface ChosenOptimizer {
  /** `adam`, or with its own options `adam:learning-rate=0.003`: unique in a comparison. */
  readonly label: string;
  readonly optimizer: Optimizer;
}

/** Options that are given beside an optimizer: in a comparison they hold for those that do not set their own. */
export interface SharedOptions {
  readonly learningRate?: Schedule;
  readonly damping?: Schedule;
  readonly rank?: number;
  readonly clipNorm?: Schedule;
  readonly clipValue?: Schedule;
  readonly diagnostics?: boolean;
}

/** Make the optimizer of a spec. @throws OptionError for an unknown optimizer or option, or a value that it does not take */
export function chooseOptimizer(spec: string, shared: SharedOptions, setting: Setting): ChosenOptimizer {
  return { label: spec, optimizer: created(spec, shared, setting) };
}

function created(spec: string, shared: SharedOptions, setting: Setting | undefined): Optimizer {
  const [name = '', ...parts] = spec.split(':');
  const kind = optimizerKind(name);
  const listing = `cgfac optimizers ${name}`;
  const takes = kindsOf(kind.options);
  const own: Record<string, OptionValue> = { ...readOptions(`optimizer '${spec}'`, parts, takes, listing) };
  for (const [key, value] of Object.entries(shared)) {
    const option = kebab(key);
    if (value === undefined) continue;
    if (!(option in takes)) throw new OptionError(`--${option} is not an option of ${name}; ${known(takes, listing)}`);
    if (option in own) throw new OptionError(`optimizer '${spec}' and --${option} both give ${option}; give it once`);
    own[option] = value;
  }
  try {
    return kind.create(camelCased(own), setting);
  } catch (error) {
    if (error instanceof OptionError) throw new OptionError(`optimizer '${spec}': ${error.message}`, { cause: error });
    throw error;
  }
}

/**
 * Check a spec like `chooseOptimizer`, before the data are known: options that fit some setting are accepted.
 * @throws OptionError
 */
export function checkOptimizer(spec: string, shared: SharedOptions): void {
  created(spec, shared, undefined);
}

/** Return the shared options among a command's flags. */
export const sharedOptions = ({
  learningRate,
  damping,
  rank,
  clipNorm,
  clipValue,
  diagnostics,
}: SharedOptions): SharedOptions => ({
  ...(learningRate !== undefined && { learningRate }),
  ...(damping !== undefined && { damping }),
  ...(rank !== undefined && { rank }),
  ...(clipNorm !== undefined && { clipNorm }),
  ...(clipValue !== undefined && { clipValue }),
  ...(diagnostics !== undefined && { diagnostics }),
});

/**
 * Return those of the shared options that concern an optimizer of a comparison, and that it does not set itself: a learning rate is
 * for first-order ones.
 */
export function sharedFor(spec: string, shared: SharedOptions): SharedOptions {
  const [name = '', ...parts] = spec.split(':');
  const own = parts.map((part) => part.split('=')[0]);
  const kind = kinds[name];
  if (!kind) return {};
  const isSecondOrder = 'damping' in kind.options;
  return Object.fromEntries(
    Object.entries(shared).filter(
      ([key]) => kebab(key) in kind.options && !own.includes(kebab(key)) && !(isSecondOrder && key === 'learningRate'),
    ),
  );
}

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
