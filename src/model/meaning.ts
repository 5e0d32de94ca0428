// The meaning of a model's numbers, kept in its metadata: it goes with the model through edits and training into its file.
import { messageOf, OptionError } from '../errors.js';
import { type Meaning, meaningEntries, meaningIn, meaningKeys } from '../meaning.js';
import { decodeProto } from '../onnx/decode/message.js';
import { withMetadata } from '../onnx/edits/metadata.js';
import { Patch } from '../onnx/patch.js';
import { described, isRecord } from '../options.js';
import { isFileModel, withPatch } from './file-model.js';
import { checkModel, type Model } from './model.js';

/**
 * Return what a model's numbers mean: the names of its classes and columns, its task, the loss that it was trained with. A model
 * that was trained has it, and its file; for others it is empty.
 * @throws FileError if the file's metadata are not as cgfac writes them
 * @example
 * const result = await train(mlp({ seed: 1 }), { data: 'digits', optimizer: adam(), steps: 2 });
 * console.log(meaningOf(result.model).classes);
 */
export function meaningOf(model: Model): Meaning {
  checkModel('meaningOf', model);
  return meaningIn(model.metadata, `model '${model.name}'`);
}

/**
 * Return the model with another meaning, which its file gets as metadata under keys that begin with `cgfac.`. Metadata of other
 * programs stay.
 * @throws OptionError for a meaning that cannot be written
 * @example
 * const named = withMeaning(model, { task: 'classification', classes: ['zero', 'one', 'two'] });
 * console.log(meaningOf(named).classes);
 */
export function withMeaning(model: Model, meaning: Meaning): Model {
  checkModel('withMeaning', model);
  const own = checkedEntries(meaning, model);
  const others = Object.entries(model.metadata).filter(([key]) => !meaningKeys.has(key));
  const metadata = { ...Object.fromEntries(others), ...own };
  // Training again with the same data adds no layer to the way back to the file.
  if (isSame(metadata, model.metadata)) return model;
  const written = (proto: ReturnType<typeof decodeProto>) => withMetadata(proto, meaningKeys, own);
  if (isFileModel(model)) {
    const patch = model.patch.followedBy((elements) => elements, written);
    return { ...withPatch(model, {}, patch), metadata };
  }
  const patch = new Patch(model.name, (elements) => written(decodeProto(model.encode(elements))));
  return { ...model, metadata, encode: (updated = new Map()) => patch.encode(updated) };
}

/** Return the entries that tell a meaning. @throws OptionError if they would not tell all of it */
function checkedEntries(meaning: Meaning, { name }: Model): Readonly<Record<string, string>> {
  const given: unknown = meaning;
  if (!isRecord(given)) {
    throw new OptionError(
      `the meaning given for model '${name}' is ${described(given)}; give { classes: ['cat', 'dog'] }`,
    );
  }
  const entries = meaningEntries(meaning);
  let told: Meaning;
  try {
    told = meaningIn(entries, `model '${name}'`);
  } catch (cause) {
    throw new OptionError(`the meaning given for model '${name}' cannot be written: ${messageOf(cause)}`, { cause });
  }
  const lost = Object.keys(given).find((key) => given[key] !== undefined && !(key in told));
  if (lost === undefined) return entries;
  const parts = 'task, loss, hasOwnLossOptions, classes, columns, target, picture, text and heldOut';
  throw new OptionError(
    `the meaning given for model '${name}' has '${lost}', which is no part of one: it has ${parts}`,
  );
}

function isSame(some: Readonly<Record<string, string>>, others: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(some);
  return keys.length === Object.keys(others).length && keys.every((key) => some[key] === others[key]);
}
