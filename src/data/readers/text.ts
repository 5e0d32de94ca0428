// A text as characters: windows of `context` characters whose targets are the next characters. The vocabulary is every character
// that occurs, in code-point order; the last tenth of the text is held out.
import { FileError } from '../../errors.js';
import { type DataSplits, type Dataset, dataset } from '../dataset.js';
import { decodeText, readBytes } from './files.js';

/** How to cut the text. */
export interface TextOptions {
  /** Characters of a window; 64 by default. */
  readonly context?: number;
  /**
   * Characters between the starts of two training windows; 1 by default (every window). With the value of `context`, an epoch
   * shows each character once. Test windows never overlap.
   */
  readonly stride?: number;
}

/** Share of the text, from its beginning, that is trained on. */
const trainShare = 0.9;

/**
 * Read a UTF-8 text file. Inputs and targets are int64 of shape [context], `classes` is the vocabulary.
 * @throws FileError if the file is not text, or too short for one window in each part
 */
export async function readText(path: string, options: TextOptions = {}): Promise<DataSplits> {
  return textSplits(await readBytes(path, 'text file'), path, options);
}

/** Cut the bytes of a text file into windows; `path` is for messages. */
export function textSplits(bytes: Uint8Array, path: string, options: TextOptions = {}): DataSplits {
  const { context = 64, stride = 1 } = options;
  const characters = Array.from(decodeText(bytes, path));
  const cut = Math.floor(characters.length * trainShare);
  if (Math.min(cut, characters.length - cut) < context + 1) {
    throw new FileError(
      `${path}: expected at least ${context + 1} characters in its last tenth (a window of ${context} and the next), found ${characters.length - cut} of ${characters.length}: give more text or a smaller context`,
    );
  }
  const codePoint = (character: string): number => character.codePointAt(0) ?? 0;
  const classes = [...new Set(characters)].sort((a, b) => codePoint(a) - codePoint(b));
  const numbers = new Map(classes.map((character, index) => [character, index]));
  const tokens = Int32Array.from(characters, (character) => numbers.get(character) ?? 0);
  const windows = (name: string, part: Int32Array, step: number): Dataset =>
    dataset({
      name: `${path} ${name}`,
      size: Math.floor((part.length - context - 1) / step) + 1,
      inputs: { dtype: 'int64', shape: [context], stride: step, data: part },
      targets: { dtype: 'int64', shape: [context], stride: step, data: part.subarray(1) },
      ...{ classes, vocabulary: classes },
    });
  return {
    train: windows('train', tokens.subarray(0, cut), stride),
    test: windows('test', tokens.subarray(cut), context),
  };
}
