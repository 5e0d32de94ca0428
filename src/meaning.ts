// What a model's numbers mean to a person: the names of classes and columns, what the targets are, how a picture becomes numbers.
// Training learns it from the data and writes it into the metadata of the model's file, under keys that begin with `cgfac.`.
import { FileError } from './errors.js';
import { isRecord } from './options.js';

/** A column of a table among the inputs: one number of each row, or a list of `size` numbers. */
export interface NamedColumn {
  readonly name: string;
  readonly size: number;
}

/** How much of a file was held out for testing at random, and by which seed it was chosen. */
export interface HeldOut {
  readonly share: number;
  readonly seed: number;
}

/** How a picture becomes the numbers of an example. */
export interface PictureMeaning {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** A pixel's number is its byte times this. */
  readonly scale: number;
  /** Pictures of other sizes were scaled and cropped to this one. */
  readonly resized?: true;
}

/** What the numbers that a model takes and returns mean. */
export interface Meaning {
  readonly task?: 'classification' | 'regression' | 'autoencoding';
  /** The word of the loss that the model was trained with. */
  readonly loss?: string;
  /** The loss had options of its own, which the word does not tell. */
  readonly hasOwnLossOptions?: true;
  /** Names of the classes 0, 1, …. */
  readonly classes?: readonly string[];
  /** The columns of a table, in the order of the numbers in the input. */
  readonly columns?: readonly NamedColumn[];
  /** The name of what is predicted, such as the target's column in a table. */
  readonly target?: string;
  readonly picture?: PictureMeaning;
  /** The characters that the tokens 0, 1, … stand for, and how many of them a window of the training text had. */
  readonly text?: { readonly vocabulary: readonly string[]; readonly context: number };
  /** The part of the training data that was held out. */
  readonly heldOut?: HeldOut;
}

/** A part of a meaning as an entry of a file's metadata. */
interface Entry {
  readonly key: string;
  /** What the text of the entry must be. */
  readonly expected: string;
  /** Return the text; undefined if the meaning does not have this part. */
  write(meaning: Meaning): string | undefined;
  /** Return the part that a text tells; undefined if it is not as expected. */
  read(text: string): Meaning | undefined;
}

const tasks = ['classification', 'regression', 'autoencoding'] as const;
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 1;
const isPositive = (value: unknown): value is number => Number.isFinite(value) && Number(value) > 0;
const json = (value: unknown): string | undefined => (value === undefined ? undefined : JSON.stringify(value));

const entries: readonly Entry[] = [
  {
    key: 'cgfac.task',
    expected: tasks.join(', '),
    write: ({ task }) => task,
    read: (text) => {
      const task = tasks.find((word) => word === text);
      return task && { task };
    },
  },
  {
    key: 'cgfac.loss',
    expected: 'the name of a loss',
    write: ({ loss }) => loss,
    read: (loss) => ({ loss }),
  },
  {
    key: 'cgfac.loss.options',
    expected: 'own',
    write: ({ hasOwnLossOptions }) => (hasOwnLossOptions ? 'own' : undefined),
    read: (text) => (text === 'own' ? { hasOwnLossOptions: true } : undefined),
  },
  {
    key: 'cgfac.classes',
    expected: 'a JSON array of names',
    write: ({ classes }) => json(classes),
    read: (text) => {
      const classes = textsIn(text);
      return classes && { classes };
    },
  },
  {
    key: 'cgfac.columns',
    expected: 'a JSON array of names, or of [name, count] for a list of numbers',
    write: ({ columns }) => json(columns?.map(({ name, size }) => (size === 1 ? name : [name, size]))),
    read: (text) => {
      const list = parsed(text);
      if (!Array.isArray(list) || list.length === 0) return undefined;
      const columns = list.flatMap((column: unknown): NamedColumn[] => {
        const [name, size] = Array.isArray(column) ? column : [column, 1];
        return typeof name === 'string' && isCount(size) ? [{ name, size }] : [];
      });
      return columns.length === list.length ? { columns } : undefined;
    },
  },
  {
    key: 'cgfac.target',
    expected: 'a name',
    write: ({ target }) => target,
    read: (target) => ({ target }),
  },
  {
    key: 'cgfac.picture',
    expected: '{"channels":N,"height":N,"width":N,"scale":X}, perhaps with "resized":true',
    write: ({ picture }) => json(picture),
    read: (text) => {
      const value = parsed(text);
      if (!isRecord(value)) return undefined;
      const { channels, height, width, scale, resized } = value;
      if (!isCount(channels) || !isCount(height) || !isCount(width) || !isPositive(scale)) return undefined;
      return { picture: { channels, height, width, scale, ...(resized === true && { resized }) } };
    },
  },
  {
    key: 'cgfac.text',
    expected: '{"context":N,"vocabulary":[characters]}',
    write: ({ text }) => json(text && { context: text.context, vocabulary: text.vocabulary }),
    read: (text) => {
      const value = parsed(text);
      if (!isRecord(value) || !isCount(value.context)) return undefined;
      const vocabulary = textsIn(JSON.stringify(value.vocabulary ?? null));
      return vocabulary && { text: { context: value.context, vocabulary } };
    },
  },
  {
    key: 'cgfac.held-out',
    expected: '{"share":X,"seed":N}',
    write: ({ heldOut }) => json(heldOut),
    read: (text) => {
      const value = parsed(text);
      if (!isRecord(value) || !isPositive(value.share) || !Number.isSafeInteger(value.seed)) return undefined;
      return value.share < 1 ? { heldOut: { share: value.share, seed: Number(value.seed) } } : undefined;
    },
  },
];

/** The keys of the entries that tell a meaning. */
export const meaningKeys: ReadonlySet<string> = new Set(entries.map(({ key }) => key));

/**
 * Return the meaning that a file's metadata tell; an empty one for the file of another program.
 * @param where names what has the metadata, for messages: `model 'x'`
 * @throws FileError for an entry of cgfac that is not as cgfac writes it
 */
export function meaningIn(metadata: Readonly<Record<string, string>>, where: string): Meaning {
  const parts = entries.map(({ key, expected, read }): Meaning => {
    if (!Object.hasOwn(metadata, key)) return {};
    const text = metadata[key] ?? '';
    const part = read(text);
    if (part) return part;
    const found = text.length > 60 ? `${text.slice(0, 60)}…` : text;
    throw new FileError(
      `the metadata '${key}' of ${where} are ${JSON.stringify(found)}; expected ${expected}: train the model again, or remove the entry from the file`,
    );
  });
  return Object.assign({}, ...parts);
}

/** Return the entries that tell a meaning. */
export const meaningEntries = (meaning: Meaning): Readonly<Record<string, string>> =>
  Object.fromEntries(
    entries.flatMap(({ key, write }) => {
      const text = write(meaning);
      return text === undefined ? [] : [[key, text] as const];
    }),
  );

/** The value of a JSON text; undefined if it is none. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The texts of a JSON array, undefined if it is none or empty. */
function textsIn(text: string): readonly string[] | undefined {
  const list = parsed(text);
  return Array.isArray(list) && list.length > 0 && list.every((name) => typeof name === 'string') ? list : undefined;
}
