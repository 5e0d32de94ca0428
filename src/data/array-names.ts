// The roles of named arrays (inputs or targets, of which part of the data) by their names, as the usual archives spell them.
import { FileError, OptionError } from '../errors.js';
import type { NumberArray } from './readers/npy.js';

/**
 * The names of arrays. A given name is that of an array, or the part that the names of several share: `x` of `x_train` and
 * `x_test`.
 */
export interface ArrayNames {
  /** Name of the array of inputs, if its own name does not say so; or several, as the model names its inputs. */
  readonly inputs?: readonly string[] | undefined;
  /** Name of the array of targets, if its own name does not say so. A single input without targets is autoencoded. */
  readonly targets?: string | undefined;
  /** Names of the model's inputs: arrays of these names are inputs, unless `inputs` names others. */
  readonly modelInputs?: readonly string[] | undefined;
}

type Role = 'inputs' | 'targets';
export type Part = 'train' | 'test' | 'validation' | 'whole';

const roleWords: Readonly<Record<string, Role>> = {
  x: 'inputs',
  input: 'inputs',
  inputs: 'inputs',
  image: 'inputs',
  images: 'inputs',
  data: 'inputs',
  features: 'inputs',
  y: 'targets',
  target: 'targets',
  targets: 'targets',
  label: 'targets',
  labels: 'targets',
};
const partWords: Readonly<Record<string, Part>> = {
  train: 'train',
  training: 'train',
  test: 'test',
  val: 'validation',
  valid: 'validation',
  validation: 'validation',
};

/** The names of a role's arrays, by the part of the data that they hold. */
type Parts = ReadonlyMap<Part, string>;

export interface InputArrays {
  /** Undefined if there is one input, which any model with one takes. */
  readonly name: string | undefined;
  readonly parts: Parts;
}

/** Return the arrays of each input: those that are given, those named as the model's inputs, or those whose names say so. */
export function inputArrays(
  arrays: ReadonlyMap<string, NumberArray>,
  path: string,
  { inputs, targets, modelInputs = [] }: ArrayNames,
): InputArrays[] {
  if (inputs !== undefined) {
    const alone = inputs.length === 1;
    return inputs.map((name) => ({
      name: alone ? undefined : name,
      parts: givenArrays(arrays, path, name, 'inputs'),
    }));
  }
  const known = modelInputs.flatMap((name) => {
    const parts = arraysNamed(arrays, name);
    return parts.size > 0 ? [{ name: modelInputs.length === 1 ? undefined : name, parts }] : [];
  });
  if (known.length > 0) return known;
  const taken = targets === undefined ? [] : arraysNamed(arrays, targets).values();
  return [{ name: undefined, parts: arraysOfRole(arrays, path, 'inputs', [...taken]) }];
}

/** Return the arrays of targets; none if the inputs are to be autoencoded. */
export function targetArrays(
  arrays: ReadonlyMap<string, NumberArray>,
  path: string,
  options: ArrayNames,
  inputs: readonly InputArrays[],
): Parts {
  if (options.targets !== undefined) return givenArrays(arrays, path, options.targets, 'targets');
  if (options.inputs?.length === 1) return new Map();
  const taken = inputs.flatMap(({ parts }) => [...parts.values()]);
  const found = arraysOfRole(arrays, path, 'targets', taken);
  if (found.size > 0 || inputs[0]?.name === undefined) return found;
  throw new FileError(
    `${path}: found ${describeArrays(arrays)}, none named as targets, and inputs by name cannot be autoencoded: name one with ?targets=NAME`,
  );
}

/** The arrays whose names say their role; a single array with any name holds inputs. */
function arraysOfRole(
  arrays: ReadonlyMap<string, NumberArray>,
  path: string,
  role: Role,
  taken: readonly string[],
): Parts {
  const found = new Map<Part, string>();
  let isAnyKnown = false;
  for (const name of arrays.keys()) {
    const words = name.toLowerCase().split(/[^a-z]+/);
    const known = words.map((word) => roleWords[word]).find((word) => word !== undefined);
    isAnyKnown ||= known !== undefined;
    if (known !== role || taken.includes(name)) continue;
    const part = words.map((word) => partWords[word]).find((word) => word !== undefined) ?? 'whole';
    const other = found.get(part);
    if (other !== undefined) {
      throw new FileError(
        `${path}: '${other}' and '${name}' could both be its ${part} ${role}: choose with ?inputs=NAME&targets=NAME`,
      );
    }
    found.set(part, name);
  }
  const [only] = arrays.keys();
  if (!isAnyKnown && role === 'inputs' && arrays.size === 1 && only !== undefined) found.set('whole', only);
  return found;
}

/** Return the arrays of a name that the user gives. @throws OptionError if there is none */
export function givenArrays(
  arrays: ReadonlyMap<string, NumberArray>,
  path: string,
  name: string,
  role: Role | 'weights',
): Parts {
  const found = arraysNamed(arrays, name);
  if (found.size > 0) return found;
  throw new OptionError(`${path}: there is no array '${name}' for ${role}: expected one of ${describeArrays(arrays)}`);
}

/** The array of a name, or those of its parts: `x_train` and `test_x` of `x`. */
function arraysNamed(arrays: ReadonlyMap<string, NumberArray>, name: string): Parts {
  if (arrays.has(name)) return new Map([['whole', name]]);
  const found = new Map<Part, string>();
  for (const array of arrays.keys()) {
    const [, first = '', rest] = /^([a-z]+)[^a-z](.+)$/i.exec(array) ?? [];
    const [, begin, last = ''] = /^(.+)[^a-z]([a-z]+)$/i.exec(array) ?? [];
    const inFront = rest === name ? partWords[first.toLowerCase()] : undefined;
    const part = inFront ?? (begin === name ? partWords[last.toLowerCase()] : undefined);
    if (part) found.set(part, array);
  }
  return found;
}

/** Return `'x' [100,784], 'y' [100]`, for messages. */
export function describeArrays(arrays: ReadonlyMap<string, NumberArray>): string {
  return [...arrays].map(([name, { shape }]) => `'${name}' [${shape}]`).join(', ');
}
