// Data sets larger than memory: examples in parts that are read when they are needed. In memory are a random sample of all
// examples, on which everything is measured that a data set is measured for, and the parts of which batches are made.
import { OptionError } from '../errors.js';
import { inputNamed, listInputs } from '../graph/inputs.js';
import { elementCount } from '../graph/tensor.js';
import { checkedCount, checkKeys, described, isRecord, type OptionKeys } from '../options.js';
import { random } from '../random.js';
import { type Dataset, dataset, type ExampleArray, exampleStride } from './dataset.js';
import { checkFinite } from './normalization.js';
import { mapColumns } from './views.js';

/**
 * Examples in parts, such as files, each of which fits in memory.
 * @example
 * const squares: ExampleSource = {
 *   name: 'squares',
 *   parts: 20,
 *   read: async (part) => {
 *     const data = Float32Array.from({ length: 100 }, (_, i) => Math.sin(100 * part + i));
 *     const targets = { dtype: 'float32', shape: [1], data: data.map((x) => x * x) } as const;
 *     return dataset({ name: `squares ${part}`, size: 100, inputs: { dtype: 'float32', shape: [1], data }, targets });
 *   },
 * };
 */
export interface ExampleSource {
  readonly name: string;
  /** Number of parts. */
  readonly parts: number;
  /** Return the examples of a part (0, 1, …): always the same, with columns, classes and pictures as in the other parts. */
  read(part: number): Promise<Dataset>;
}

export interface StreamOptions {
  /** Parts that are in memory together, whose examples are shuffled with one another; 4 by default. */
  readonly window?: number;
  /** Examples of the sample; 5000 by default. */
  readonly sample?: number;
  /** Seed that chooses the sample; 0 by default. */
  readonly seed?: number;
}

const keys: OptionKeys<StreamOptions> = { window: true, sample: true, seed: true };

/**
 * Return the data set of a source. All parts are read once, checked and counted; a uniform sample of the examples stays in
 * memory: it has the statistics by which inputs are normalized, and evaluations during a run are of it. Training reads the parts in
 * a new order in each epoch, and the evaluations at its end are of all parts.
 * @throws OptionError if parts are no data sets, or not of one kind
 * @example
 * const part = async (seed: number) => drawnDigits({ trainSize: 50, testSize: 10, seed }).train;
 * const digits = await streamed({ name: 'digits', parts: 4, read: part }, { window: 2 });
 * const { record } = await train(model, { data: { train: digits, test: data.test }, optimizer: cgfac(), steps: 5 });
 */
export async function streamed(source: ExampleSource, options: StreamOptions = {}): Promise<Dataset> {
  checkSource(source);
  checkKeys('streamed', options, keys);
  const { window = 4, sample = 5000, seed = 0 } = options;
  checkedCount('window', window);
  checkedCount('sample', sample);
  const read = async (part: number): Promise<Dataset> => {
    const set = dataset(await source.read(part));
    if (set.parts) throw new OptionError(`part ${part} of '${source.name}' is streamed itself: give one in memory`);
    checkFinite(set);
    return set;
  };
  const stream = random(seed, 'sample');
  const sizes: number[] = [];
  let kept: Reservoir | undefined;
  let total = 0;
  for (let part = 0; part < source.parts; part++) {
    const set = await read(part);
    kept ??= new Reservoir(set, sample);
    checkSameKind(source.name, part, kept.first, set);
    // Algorithm R of Vitter: each example is equally likely to stay.
    const slots = new Map<number, number>();
    for (let row = 0; row < set.size; row++, total++) {
      const slot = total < sample ? total : stream.integer(total + 1);
      if (slot < sample) slots.set(slot, row);
    }
    kept.put(set, slots);
    sizes.push(set.size);
  }
  if (!kept || total === 0) throw new OptionError(`'${source.name}' has no examples to learn from`);
  const parts = { sizes, window, read };
  return dataset({ ...kept.taken(Math.min(total, sample)), name: source.name, parts });
}

function checkSource(source: ExampleSource): void {
  const given: unknown = source;
  if (!isRecord(given) || typeof given.read !== 'function' || typeof given.name !== 'string') {
    throw new OptionError(`streamed is given ${described(given)}; give a source: { name, parts, read(part) }`);
  }
  checkedCount(`parts of '${source.name}'`, source.parts);
}

/** @throws OptionError if a part has other columns or classes than the first */
function checkSameKind(name: string, part: number, first: Dataset, set: Dataset): void {
  const kind = ({ inputs, targets, weights, classes, picture }: Dataset): string => {
    const column = (what: string, each: ExampleArray | undefined): string =>
      each ? `${what} ${each.dtype}[${each.shape.join()}]${'scale' in each ? ` of scale ${each.scale}` : ''}` : '';
    const listed = listInputs(inputs).map(([input = 'inputs', each]) => column(input, each));
    const size = picture ? `pictures of ${picture.channels} × ${picture.height} × ${picture.width}` : '';
    const names = classes ? `classes ${classes.join(', ')}` : '';
    return [...listed, column('targets', targets), column('weights', weights), size, names].filter(Boolean).join('; ');
  };
  const [wanted, found] = [first, set].map(kind);
  if (wanted === found) return;
  throw new OptionError(`part ${part} of '${name}' has ${found}, and part 0 has ${wanted}; give all parts one kind`);
}

/** A sample of rows in memory, of the columns of a data set. */
class Reservoir {
  readonly first: Dataset;
  readonly #columns: ReadonlyMap<ExampleArray, ExampleArray>;

  constructor(first: Dataset, size: number) {
    this.first = first;
    const columns = new Map<ExampleArray, ExampleArray>();
    mapColumns(first, (column) => {
      const { stride: _, ...dense } = column;
      const length = size * elementCount(column.shape);
      const empty: ExampleArray =
        dense.dtype === 'int64'
          ? { ...dense, data: new Int32Array(length) }
          : 'scale' in dense
            ? { ...dense, data: new Uint8Array(length) }
            : { ...dense, data: new Float32Array(length) };
      columns.set(column, empty);
      return column;
    });
    this.#columns = columns;
  }

  /** Copy rows of a part into slots. */
  put(set: Dataset, slots: ReadonlyMap<number, number>): void {
    const done = new Set<ExampleArray>();
    for (const [name, column] of columnsOf(this.first)) {
      const [to, from] = [this.#columns.get(column), columnNamed(set, name)];
      if (!to || !from || done.has(to)) continue;
      done.add(to);
      const [length, stride] = [elementCount(from.shape), exampleStride(from)];
      for (const [slot, row] of slots) {
        to.data.set(from.data.subarray(row * stride, row * stride + length), slot * length);
      }
    }
  }

  /** The data set of the first slots. */
  taken(size: number): Dataset {
    return { ...this.first, size, ...mapColumns(this.first, (column) => this.#columns.get(column) ?? column) };
  }
}

type Role = readonly ['input', string | undefined] | readonly ['targets'] | readonly ['weights'];

const columnsOf = ({ inputs, targets, weights }: Dataset): (readonly [Role, ExampleArray])[] => [
  ...listInputs(inputs).map(([name, column]) => [['input', name], column] as const),
  [['targets'], targets] as const,
  ...(weights ? [[['weights'], weights] as const] : []),
];

const columnNamed = ({ inputs, targets, weights }: Dataset, [role, name]: Role): ExampleArray | undefined =>
  role === 'input' ? inputNamed(inputs, name) : role === 'targets' ? targets : weights;
