// Makes a data set of a table: one column is the label (classification) or the target (regression), the others are numbers and
// become the inputs. A cell that is not a number is refused by column and row.
import { FileError, OptionError } from '../../errors.js';
import type { NamedColumn } from '../../meaning.js';
import { didYouMean } from '../../suggest.js';
import { type DataSplits, type Dataset, dataset, type ExampleArray } from '../dataset.js';
import { type SplitOptions, splitAtRandom } from '../split.js';

/** One named column; a cell is a number, bigint, boolean, text, or a list of numbers. */
export interface TableColumn {
  readonly name: string;
  readonly cells: ArrayLike<unknown>;
}

/** The roles of the columns. Exactly one of `label` and `target` is given. */
export interface TableOptions extends SplitOptions {
  /** The column of class names or numbers. */
  readonly label?: string | undefined;
  /** The column of numbers to predict. */
  readonly target?: string | undefined;
  /** The column of weights: how much each row counts. */
  readonly weights?: string | undefined;
  /** Columns to leave out, such as row numbers and free text. */
  readonly drop?: readonly string[];
}

/**
 * Return the data sets of a table. Inputs are float32 of shape [features]; labels are numbered in the order of their names
 * (numerically if all are numbers), targets are float32 of shape [1].
 * @param place names a row for messages
 * @param doubt what to add to a complaint about the names of the columns, or nothing
 * @throws OptionError for a column that does not exist, FileError for a cell that cannot be used
 */
export function tableSplits(
  columns: readonly TableColumn[],
  path: string,
  options: TableOptions,
  place: (row: number) => string,
  doubt: (names: readonly string[]) => string = () => '',
): DataSplits {
  const { label, target, weights, drop = [] } = options;
  const names = columns.map((column) => column.name);
  const shown = names.length > 40 ? `${names.slice(0, 40).join(', ')}, … (${names.length})` : names.join(', ');
  const listed = `${shown}${doubt(names)}`;
  const predicted = label ?? target;
  if (predicted === undefined || (label !== undefined && target !== undefined)) {
    throw new OptionError(
      `${path}: give one of ?label=COLUMN (classes) and ?target=COLUMN (a number): its columns are ${listed}`,
    );
  }
  for (const name of [predicted, ...(weights === undefined ? [] : [weights]), ...drop]) {
    if (!names.includes(name))
      throw new OptionError(
        `${path}: there is no column '${name}'${didYouMean(name, names)}: its columns are ${listed}`,
      );
  }
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined) {
    throw new FileError(`${path}: the column name '${repeated}' occurs twice: rename one of them`);
  }
  const answers = columns.find((column) => column.name === predicted)?.cells ?? [];
  const features = columns.filter(
    (column) => column.name !== predicted && column.name !== weights && !drop.includes(column.name),
  );
  if (features.length === 0) {
    throw new FileError(`${path}: only the column '${predicted}' is left, expected at least one more to learn from`);
  }
  const size = answers.length;
  const inputs = featureColumn(features, size, path, place);
  const targets = (label === undefined ? numberColumn : labelColumn)(answers, predicted, path, place);
  const weightCells = columns.find((column) => column.name === weights);
  const weighted = weightCells && { weights: weightColumn(weightCells.cells, weightCells.name, path, place) };
  const named = { columns: namedColumns(features), target: predicted };
  return splitAtRandom(dataset({ name: path, size, inputs, ...named, ...targets, ...weighted }), options);
}

type Place = (row: number) => string;

/** Return the columns with how many numbers each gives a row, by its first one. */
export const namedColumns = (features: readonly TableColumn[]): NamedColumn[] =>
  features.map(({ name, cells }) => ({ name, size: isList(cells[0]) ? cells[0].length : 1 }));

/** Return columns of numbers, and of lists of numbers, as rows. @throws FileError for a cell that is neither */
export function featureColumn(
  features: readonly TableColumn[],
  size: number,
  path: string,
  place: Place,
  advice = leaveOut,
): ExampleArray {
  const widths = namedColumns(features).map((column) => column.size);
  const width = widths.reduce((sum, count) => sum + count, 0);
  const data = new Float32Array(size * width);
  let offset = 0;
  for (const [index, { name, cells }] of features.entries()) {
    const count = widths[index] ?? 1;
    for (let row = 0; row < size; row++) {
      const cell = cells[row];
      const list = isList(cell) ? cell : [cell];
      if (list.length !== count) {
        throw new FileError(
          `${path}, ${place(row)}: column '${name}' holds ${list.length} numbers, but ${count} in the first row: expected lists of one length`,
        );
      }
      for (let element = 0; element < count; element++) {
        data[row * width + offset + element] = numberOf(list[element], name, path, row, place, advice);
      }
    }
    offset += count;
  }
  return { dtype: 'float32', shape: [width], data };
}

function numberColumn(cells: ArrayLike<unknown>, name: string, path: string, place: Place): Pick<Dataset, 'targets'> {
  const data = Float32Array.from(cells, (cell, row) => numberOf(cell, name, path, row, place));
  return { targets: { dtype: 'float32', shape: [1], data } };
}

function weightColumn(cells: ArrayLike<unknown>, name: string, path: string, place: Place): ExampleArray {
  const data = Float32Array.from(cells, (cell, row) => {
    const weight = numberOf(cell, name, path, row, place);
    if (weight >= 0) return weight;
    throw new FileError(
      `${path}, ${place(row)}: the weight in column '${name}' is ${weight}, expected a number of at least 0: correct it or remove the row`,
    );
  });
  return { dtype: 'float32', shape: [], data };
}

function labelColumn(
  cells: ArrayLike<unknown>,
  name: string,
  path: string,
  place: Place,
): Pick<Dataset, 'targets' | 'classes'> {
  const texts = Array.from(cells, (cell, row) => {
    const text = typeof cell === 'object' || cell === undefined ? '' : String(cell).trim();
    if (text === '') {
      throw new FileError(
        `${path}, ${place(row)}: the label column '${name}' is ${cell === null || cell === undefined || cell === '' ? 'empty' : 'not text or a number'}: expected a class in every row; remove or fill the row`,
      );
    }
    return text;
  });
  const distinct = [...new Set(texts)];
  const numeric = distinct.every((text) => Number.isFinite(Number(text)));
  const classes = distinct.sort((a, b) => (numeric ? Number(a) - Number(b) : a < b ? -1 : 1));
  const numbers = new Map(classes.map((text, index) => [text, index]));
  const data = Int32Array.from(texts, (text) => numbers.get(text) ?? 0);
  return { targets: { dtype: 'int64', shape: [], data }, classes };
}

/** What to do about a column that holds something else than numbers. */
const leaveOut = (column: string): string => `leave the column out with ?drop=${column}, or turn it into numbers`;

function numberOf(cell: unknown, name: string, path: string, row: number, place: Place, advice = leaveOut): number {
  const isNumber = typeof cell === 'string' ? cell.trim() !== '' : isScalar(cell);
  const value = isNumber ? Number(cell) : Number.NaN;
  if (Number.isFinite(Math.fround(value))) return value;
  const found = typeof cell === 'object' && cell !== null ? 'no number' : `'${String(cell).slice(0, 40)}'`;
  throw new FileError(
    `${path}, ${place(row)}: column '${name}' holds ${found}, expected a finite number: ${advice(name)}`,
  );
}

function isScalar(cell: unknown): cell is number | bigint | boolean {
  return typeof cell === 'number' || typeof cell === 'bigint' || typeof cell === 'boolean';
}

function isList(cell: unknown): cell is ArrayLike<unknown> {
  return (
    Array.isArray(cell) || cell instanceof Float32Array || cell instanceof Float64Array || cell instanceof Int32Array
  );
}
