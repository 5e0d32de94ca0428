// The inputs of `cgfac predict` by the names of their files: pictures, tables and arrays, found before any is predicted.
import type { LabelledExamples } from '../data/readers/examples.js';
import { OptionError } from '../errors.js';
import type { Meaning } from '../meaning.js';
import { meaningOf } from '../model/meaning.js';
import type { Model } from '../model/model.js';

/** Which inputs a person gives, and how they are read. */
export interface InputFlags {
  readonly keep?: readonly string[];
  readonly drop?: readonly string[];
  readonly resize?: boolean;
}

interface OpenedInputs {
  readonly files: readonly string[];
  readonly parts: AsyncIterable<LabelledExamples>;
  readonly warnings: readonly string[];
}

/** Find all inputs before any is predicted. @throws FileError for one that is not there; OptionError for one of no known kind */
export async function openInputs(model: Model, inputs: readonly string[], flags: InputFlags): Promise<OpenedInputs> {
  const readers = await import('../data/readers/examples.js');
  const { isTable } = await import('../data/readers/rows.js');
  const meaning = meaningOf(model);
  const files = (await Promise.all(inputs.map(readers.filesOf))).flat();
  const isArray = (file: string) => /\.np[yz]$/i.test(file);
  const kinds = new Set(files.map((file) => kindOf(file, readers.isPicture(file), isTable(file), isArray(file))));
  if (meaning.text && !kinds.has('array')) {
    throw new OptionError(
      `model '${model.name}' continues texts: give it one with --prompt 'TEXT' instead of ${inputs[0]}`,
    );
  }
  const useless = (['keep', 'drop'] as const).find((name) => flags[name] !== undefined && !kinds.has('table'));
  if (useless) throw new OptionError(`--${useless} is for the columns of tables: leave it out`);
  if (flags.resize && !kinds.has('picture')) throw new OptionError('--resize is for pictures: leave it out');
  const pictures = files.filter(readers.isPicture);
  const decode = pictures.length > 0 ? await (await import('../data/readers/images.js')).loadDecoder() : undefined;
  const { setting, warnings } =
    pictures.length > 0 ? pictureSetting(model, meaning, flags) : { setting: undefined, warnings: [] };
  const choice = { drop: flags.drop ?? [], keep: flags.keep ?? [] };
  const modelInputs = model.graph.inputs.map(({ name }) => name);
  const [first] = model.graph.inputs;
  const width = modelInputs.length === 1 && first ? readers.numbersIn(first.shape) : undefined;
  const parts = (async function* (): AsyncGenerator<LabelledExamples> {
    if (decode && setting) yield* readers.pictureParts(decode, pictures, setting);
    for (const file of files) {
      if (isTable(file)) yield* readers.rowParts(file, meaning, width, choice);
      else if (isArray(file)) yield await readers.arrayExamples(file, modelInputs);
    }
  })();
  return { files, parts, warnings };
}

function kindOf(file: string, isPicture: boolean, isTable: boolean, isArray: boolean): 'picture' | 'table' | 'array' {
  if (isPicture) return 'picture';
  if (isTable) return 'table';
  if (isArray) return 'array';
  const advice = /\.txt$/i.test(file) ? ": a text to continue is given as --prompt 'TEXT'" : '';
  throw new OptionError(
    `${file}: cgfac does not know what this is by its name; expected a picture, a folder of pictures, or a .csv, .tsv, .parquet, .npy or .npz file${advice}`,
  );
}

/** How pictures become the model's input: by its file, or else by the shape of its input. */
function pictureSetting(model: Model, { picture }: Meaning, { resize = false }: InputFlags) {
  if (picture) {
    const { channels, height, width, scale, resized } = picture;
    return { setting: { channels, scale, size: { width, height }, resize: resize || resized === true }, warnings: [] };
  }
  const [input, ...others] = model.graph.inputs;
  const sizes = input?.shape.slice(1) ?? [];
  const isLast = sizes.length === 3 && (sizes[2] === 3 || sizes[2] === 1) && sizes[0] !== 3 && sizes[0] !== 1;
  const [channels, height, width] = isLast ? [sizes[2], sizes[0], sizes[1]] : sizes;
  if (!input || others.length > 0 || sizes.length !== 3 || (channels !== 1 && channels !== 3)) {
    throw new OptionError(
      `model '${model.name}' takes no pictures: its inputs are ${model.graph.inputs.map(({ name, shape }) => `'${name}' [${shape.join(', ')}]`).join(', ')}; give rows (CSV, Parquet, NPY, NPZ)`,
    );
  }
  const size = typeof height === 'number' && typeof width === 'number' ? { width, height } : undefined;
  if (resize && !size) throw new OptionError(`model '${model.name}' takes pictures of any size: leave --resize out`);
  const warnings = [
    `Model '${model.name}' does not say how pixels become numbers; they are given as 0 to 1. If it was trained on others, give it a normalization (withNormalization), or its arrays as NPY.`,
  ];
  return { setting: { channels, scale: 1 / 255, size, resize }, warnings };
}
