// Brings data to the meaning that a model's numbers have: its order of columns, its numbers of classes, its tokens of characters.
// Data number their classes by the names that occur in them; only by name do the labels of two files agree.
import { inOneLine, listed } from '../format.js';
import { isUnnamed } from '../graph/inputs.js';
import type { Meaning, NamedColumn } from '../meaning.js';
import { didYouMean } from '../suggest.js';
import { type Dataset, type ExampleArray, exampleStride } from './dataset.js';

/** A data set without targets, as predictions take it. */
export type Examples = Omit<Dataset, 'targets' | 'weights' | 'classes' | 'heldOut'>;

/** The aligned data; or why they cannot be, in words that begin with what the data have. */
export type Aligned<Set> = { readonly set: Set } | { readonly misfit: string };

/**
 * Return the data with their columns in the order of a model's, their labels as numbers of its classes, and their text in its
 * tokens. What the model or the data do not name stays as it is.
 */
export function aligned(meaning: Meaning, set: Dataset): Aligned<Dataset> {
  const inputs = alignedExamples(meaning, set);
  if ('misfit' in inputs) return inputs;
  return alignedLabels(meaning, { ...set, ...inputs.set });
}

/** Return examples without targets as `aligned` does. */
export function alignedExamples<Set extends Examples>(meaning: Meaning, set: Set): Aligned<Set> {
  const { columns, vocabulary } = set;
  if (meaning.columns && columns) return withColumns(meaning.columns, columns, set);
  if (meaning.text && vocabulary) return withTokens(meaning.text.vocabulary, vocabulary, set);
  return { set };
}

/** Return the names of a few things, for messages: `'a', 'b', … (120 of them)`. */
export function someNames(names: readonly string[]): string {
  const shown = names.slice(0, 12).map((name) => `'${inOneLine(name)}'`);
  return names.length > shown.length ? `${shown.join(', ')}, … (${names.length} of them)` : shown.join(', ');
}

function withColumns<Set extends Examples>(
  wanted: readonly NamedColumn[],
  given: readonly NamedColumn[],
  set: Set,
): Aligned<Set> {
  const { inputs, name } = set;
  if (!isUnnamed(inputs) || sameColumns(wanted, given)) return { set };
  const known = new Map(given.map((column) => [column.name, column]));
  const names = wanted.map((column) => column.name);
  const missing = names.filter((column) => !known.has(column));
  const unknown = given.map((column) => column.name).filter((column) => !names.includes(column));
  if (missing.length > 0 || unknown.length > 0) {
    const [first = ''] = missing;
    const parts = [
      ...(missing.length > 0 ? [`lack ${someNames(missing)}${didYouMean(first, unknown)}`] : []),
      ...(unknown.length > 0 ? [`have ${someNames(unknown)}, which the model does not take`] : []),
    ];
    return {
      misfit: `the columns of '${name}' ${listed(parts)}: the model takes ${someNames(names)}${
        missing.length === 0 ? `: leave out the others with ?drop=${unknown.join(',')}` : ''
      }`,
    };
  }
  const other = wanted.find((column) => known.get(column.name)?.size !== column.size);
  if (other) {
    return {
      misfit: `column '${other.name}' of '${name}' has ${known.get(other.name)?.size} numbers in a row: the model takes ${other.size}`,
    };
  }
  const starts = new Map<string, number>();
  let width = 0;
  for (const column of given) {
    starts.set(column.name, width);
    width += column.size;
  }
  const order = wanted.flatMap((column) =>
    Array.from({ length: column.size }, (_, i) => (starts.get(column.name) ?? 0) + i),
  );
  return { set: { ...set, columns: wanted, inputs: inOrder(inputs, order, set.size) } };
}

const sameColumns = (some: readonly NamedColumn[], others: readonly NamedColumn[]): boolean =>
  some.length === others.length &&
  some.every(({ name, size }, i) => name === others[i]?.name && size === others[i]?.size);

/** Each example with its numbers in another order. */
function inOrder(column: ExampleArray, order: readonly number[], size: number): ExampleArray {
  const { stride: _, ...dense } = column;
  const stride = exampleStride(column);
  const width = order.length;
  const arranged = <Values extends Float32Array | Uint8Array | Int32Array>(source: Values, target: Values): Values => {
    for (let row = 0; row < size; row++) {
      for (let i = 0; i < width; i++) target[row * width + i] = source[row * stride + (order[i] ?? 0)] ?? 0;
    }
    return target;
  };
  if (dense.dtype === 'int64') return { ...dense, data: arranged(dense.data, new Int32Array(size * width)) };
  if ('scale' in dense) return { ...dense, data: arranged(dense.data, new Uint8Array(size * width)) };
  return { ...dense, data: arranged(dense.data, new Float32Array(size * width)) };
}

function withTokens<Set extends Examples>(wanted: readonly string[], given: readonly string[], set: Set): Aligned<Set> {
  const { inputs, name } = set;
  if (!isUnnamed(inputs) || inputs.dtype !== 'int64' || sameTexts(wanted, given)) return { set };
  const strangers = given.filter((character) => !wanted.includes(character));
  if (strangers.length > 0) {
    return {
      misfit: `the text of '${name}' has ${someNames(strangers)}, not among the ${wanted.length} characters that the model knows`,
    };
  }
  return { set: { ...set, vocabulary: wanted, inputs: renumbered(inputs, given, wanted) } };
}

/** Whether classes have no names but their numbers, as those of arrays, for a model that has names which are no numbers. */
export const areNumbersOf = (given: readonly string[], names: readonly string[]): boolean =>
  given.length <= names.length &&
  given.every((name, i) => name === String(i)) &&
  names.every((name) => Number.isNaN(Number(name)));

function alignedLabels({ classes: wanted }: Meaning, set: Dataset): Aligned<Dataset> {
  const { targets, classes: given, name } = set;
  if (!wanted || !given || targets.dtype !== 'int64' || sameTexts(wanted, given)) return { set };
  if (areNumbersOf(given, wanted)) return { set: { ...set, classes: wanted } };
  const strangers = given.filter((label) => !wanted.includes(label));
  if (strangers.length === 0) return { set: { ...set, classes: wanted, targets: renumbered(targets, given, wanted) } };
  return {
    misfit: `the data '${name}' have the class${strangers.length > 1 ? 'es' : ''} ${someNames(strangers)}, not among the model's: ${someNames(wanted)}`,
  };
}

const sameTexts = (some: readonly string[], others: readonly string[]): boolean =>
  some.length === others.length && some.every((text, i) => text === others[i]);

/** Numbers of names in one list as numbers of the same names in another; numbers without a name stay. */
function renumbered<Column extends ExampleArray & { readonly dtype: 'int64' }>(
  column: Column,
  from: readonly string[],
  to: readonly string[],
): Column {
  const places = new Map(to.map((name, i) => [name, i]));
  const numbers = from.map((name) => places.get(name) ?? -1);
  return { ...column, data: column.data.map((number) => numbers[number] ?? number) };
}
