// The studies by name, with the flags that each takes.
import { Option } from 'commander';
import { OptionError } from '../errors.js';
import { batchSizeStudy, quickBatchSize, usualBatchSize } from '../study/batch-size.js';
import { complexityStudy, fullComplexity, quickComplexity } from '../study/complexity.js';
import type { Shape } from '../study/complexity-result.js';
import { defaultsStudy, quickDefaults, usualDefaults } from '../study/defaults.js';
import { gridAround } from '../study/grid-edge.js';
import { problemNames } from '../study/problems.js';
import type { Optimizers, Study } from '../study/study.js';
import { didYouMean } from '../suggest.js';
import { target } from './flags.js';
import { number } from './number.js';

const names = ['complexity', 'batch-size', 'defaults'] as const;
export type StudyName = (typeof names)[number];
export const studyNames: readonly StudyName[] = names;

/** The values of the flags. */
export interface StudyFlags {
  readonly optimizers?: readonly string[];
  readonly base?: Shape;
  readonly widths?: readonly number[];
  readonly batches?: readonly number[];
  readonly depths?: readonly number[];
  readonly ranks?: readonly number[];
  readonly problem?: string;
  readonly problems?: readonly string[];
  readonly target?: { readonly metric: string; readonly value: number };
  readonly rates?: number;
  readonly dampings?: number;
  readonly seeds?: number;
  readonly budget?: number;
  readonly baseline?: string;
  readonly mnist?: string;
  readonly text?: string;
  readonly threads?: number;
  readonly quick?: boolean;
  readonly out?: string;
  readonly overwrite?: boolean;
  readonly json?: boolean;
}

/** What a study is made with. */
interface StudyContext {
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
  {
    option: new Option(
      '--base <width,batch,depth>',
      'complexity: the values from which one at a time is varied (default: 1024,128,2)',
    ).argParser(base),
    of: ['complexity'],
  },
  list('--widths', 'complexity: widths of the hidden layers', ['complexity']),
  list('--batches', 'complexity, batch-size: sizes of batches', ['complexity', 'batch-size']),
  list('--depths', 'complexity: numbers of hidden layers', ['complexity']),
  list('--ranks', 'complexity: ranks of cgfac', ['complexity']),
  {
    option: new Option('--problem <name>', `batch-size: one of ${problemNames.join(', ')} (default: mlp)`).argParser(
      problem,
    ),
    of: ['batch-size'],
  },
  {
    option: new Option(
      '--target <metric=value>',
      'batch-size: what to reach, such as testLoss=0.2 (default for mlp: testAccuracy=0.95, with --quick 0.8)',
    ).argParser(target),
    of: ['batch-size'],
  },
  {
    option: new Option(
      '--problems <list>',
      'defaults: some of its problems, separated by commas (default: all)',
    ).argParser((text) => separated(text).map(problem)),
    of: ['defaults'],
  },
  {
    option: new Option(
      '--rates <n>',
      'batch-size: learning rates of each grid (default: 5); defaults: rates of the baseline, around 0.003 (default: 8)',
    ).argParser(number('--rates', { atLeast: 1, atMost: 100, integer: true })),
    of: ['batch-size', 'defaults'],
  },
  {
    option: new Option('--dampings <n>', 'batch-size: dampings of each grid (default: 3)').argParser(
      number('--dampings', { atLeast: 1, atMost: 100, integer: true }),
    ),
    of: ['batch-size'],
  },
  {
    option: new Option(
      '--seeds <n>',
      'runs of each point with different seeds (default: batch-size 1, defaults 3)',
    ).argParser(number('--seeds', { atLeast: 1, atMost: 1000, integer: true })),
    of: ['batch-size', 'defaults'],
  },
  {
    option: new Option('--budget <x>', 'factor on the length of all runs (default: 1)').argParser(
      number('--budget', { above: 0 }),
    ),
    of: ['batch-size', 'defaults'],
  },
  {
    option: new Option(
      '--baseline <optimizer>',
      'defaults: the optimizer that is tuned on each problem (default: adamw)',
    ),
    of: ['defaults'],
  },
  {
    option: new Option('--mnist <dir>', "folder of MNIST's files, for the deep autoencoder (default: drawn digits)"),
    of: ['batch-size', 'defaults'],
  },
  {
    option: new Option('--text <file>', 'a text, for the character models (default: the text of a grammar)'),
    of: ['batch-size', 'defaults'],
  },
];

/** Reads width, batch and depth. */
function base(text: string): Shape {
  const [width, batch, depth, ...more] = text.split(',').map(number('--base', { atLeast: 1, integer: true }));
  if (width !== undefined && batch !== undefined && depth !== undefined && more.length === 0)
    return { width, batch, depth };
  throw new OptionError(`--base is '${text}'; give width, batch and depth, such as 1024,128,2`);
}

function problem(name: string): string {
  if (problemNames.includes(name)) return name;
  throw new OptionError(
    `unknown problem '${name}'${didYouMean(name, problemNames)}; choose one of ${problemNames.join(', ')}`,
  );
}

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
        ...given(flags, 'base', 'widths', 'batches', 'depths', 'ranks'),
        optimizers: checkedOptimizers(flags, usual.optimizers, context),
        threads: context.threads,
      };
      return complexityStudy(options, new URL('./study-cell.js', import.meta.url)) as Study<object, object>;
    },
  },
  'batch-size': {
    summary: 'steps and seconds to a target against the size of batches, over rates and dampings',
    async make(flags, context) {
      const usual = flags.quick ? quickBatchSize : usualBatchSize;
      const optimizers = checkedOptimizers(flags, usual.optimizers, context);
      if (flags.dampings !== undefined && !optimizers.some((word) => context.optimizers.takes(word, 'damping')))
        throw new OptionError(`--dampings has no effect on ${optimizers.join(', ')}: none of them takes a damping`);
      const options = {
        ...usual,
        ...given(flags, 'problem', 'target', 'batches', 'rates', 'dampings', 'seeds', 'budget', 'mnist', 'text'),
        quick: flags.quick === true,
        optimizers,
        threads: context.threads,
      };
      return (await batchSizeStudy(options, context.optimizers)) as Study<object, object>;
    },
  },
  defaults: {
    summary: 'one configuration of each optimizer on eleven problems, against AdamW tuned on each',
    async make(flags, context) {
      const usual = flags.quick ? quickDefaults : usualDefaults;
      const { rates, baseline = usual.baseline } = flags;
      context.check(baseline);
      const options = {
        ...usual,
        ...given(flags, 'problems', 'seeds', 'budget', 'mnist', 'text'),
        ...(rates !== undefined && { rates: gridAround(3e-3, 2, rates) }),
        baseline,
        quick: flags.quick === true,
        optimizers: checkedOptimizers(flags, usual.optimizers, context),
        threads: context.threads,
      };
      return (await defaultsStudy(options, context.optimizers)) as Study<object, object>;
    },
  },
};
