// The studies by name, with the flags that each takes.
import { Option } from 'commander';
import { OptionError } from '../errors.js';
import { complexityStudy, fullComplexity, quickComplexity } from '../study/complexity.js';
import type { Optimizers, Study } from '../study/study.js';
import { number } from './flags.js';

const names = ['complexity'] as const;
export type StudyName = (typeof names)[number];
export const studyNames: readonly StudyName[] = names;

/** The values of the flags. */
export interface StudyFlags {
  readonly optimizers?: readonly string[];
  readonly widths?: readonly number[];
  readonly batches?: readonly number[];
  readonly depths?: readonly number[];
  readonly ranks?: readonly number[];
  readonly threads?: number;
  readonly quick?: boolean;
  readonly out?: string;
  readonly overwrite?: boolean;
  readonly json?: boolean;
}

/** What a study is made with. */
export interface StudyContext {
  readonly threads: number;
  readonly optimizers: Optimizers;
  /** @throws OptionError for an optimizer that does not exist */
  readonly check: (word: string) => void;
}

interface StudyEntry {
  readonly summary: string;
  // Rows and results are the study's own affair.
  readonly make: (flags: StudyFlags, context: StudyContext) => Promise<Study<object, object>>;
}

const separated = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** Reads different whole numbers with commas between them. */
const counts =
  (flag: string) =>
  (text: string): number[] => {
    const read = separated(text).map(number(flag, { atLeast: 1, integer: true }));
    const twice = read.find((value, i) => read.indexOf(value) !== i);
    if (twice !== undefined) throw new OptionError(`${flag} names ${twice} twice; name it once`);
    if (read.length === 0) throw new OptionError(`${flag} is '${text}'; give numbers with commas between them`);
    return read;
  };

const list = (flag: string, help: string, of: readonly StudyName[]) => ({
  option: new Option(`${flag} <list>`, help).argParser(counts(flag)),
  of,
});

/** Flags of single studies. */
export const studyFlags: readonly { readonly option: Option; readonly of: readonly StudyName[] }[] = [
  {
    option: new Option(
      '--optimizers <list>',
      'optimizers as `compare` writes them, separated by commas (default: those of the study)',
    ).argParser(separated),
    of: names,
  },
  list('--widths', 'complexity: widths of the hidden layers', ['complexity']),
  list('--batches', 'sizes of batches', ['complexity']),
  list('--depths', 'complexity: numbers of hidden layers', ['complexity']),
  list('--ranks', 'complexity: ranks of cgfac', ['complexity']),
];

/** @throws OptionError for words that name no optimizer, or one twice */
function checkedOptimizers(flags: StudyFlags, usual: readonly string[], { check }: StudyContext): readonly string[] {
  const { optimizers = usual } = flags;
  if (optimizers.length === 0) throw new OptionError('--optimizers names no optimizer');
  for (const word of optimizers) check(word);
  const twice = optimizers.find((word, i) => optimizers.indexOf(word) !== i);
  if (twice !== undefined) throw new OptionError(`--optimizers names '${twice}' twice; name it once`);
  return optimizers;
}

/** The given values of some flags. */
function given<Key extends keyof StudyFlags>(
  flags: StudyFlags,
  ...keys: readonly Key[]
): Partial<Pick<StudyFlags, Key>> {
  return Object.fromEntries(keys.filter((key) => flags[key] !== undefined).map((key) => [key, flags[key]])) as Partial<
    Pick<StudyFlags, Key>
  >;
}

export const studies: Readonly<Record<StudyName, StudyEntry>> = {
  complexity: {
    summary: 'time, CG iterations, state and peak memory of a step against width, batch, depth and rank',
    async make(flags, context) {
      const usual = flags.quick ? quickComplexity : fullComplexity;
      const options = {
        ...usual,
        ...given(flags, 'widths', 'batches', 'depths', 'ranks'),
        optimizers: checkedOptimizers(flags, usual.optimizers, context),
        threads: context.threads,
      };
      return complexityStudy(options, new URL('./study-cell.js', import.meta.url)) as Study<object, object>;
    },
  },
};
