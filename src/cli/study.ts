// `cgfac study`: measurements over many runs, resumed where they stopped, as tables, one page and one JSON object.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { OptionError } from '../errors.js';
import { mostThreads } from '../options.js';
import { didYouMean } from '../suggest.js';
import { debugFlag } from './debug-flag.js';
import { number } from './number.js';
import { checkOptimizer, chooseOptimizer, sharedFor } from './optimizers.js';
import { type StudyFlags, type StudyName, studies, studyFlags, studyNames } from './studies.js';
import { carriedOut, inFolder } from './study-folder.js';

const examples = `
Studies
${studyNames.map((name) => `  ${name.padEnd(11)} ${studies[name].summary}`).join('\n')}

A study that was interrupted goes on where it stopped if the same command is given again.

Examples
  cgfac study complexity --quick
  cgfac study complexity --widths 512,1024,2048 --threads 1 --out runs/widths
  cgfac study batch-size --problem mlp --target testAccuracy=0.95
  cgfac study defaults --mnist data/mnist --text book.txt --json`;

export function command(): Command {
  const study = new Command('study')
    .description('Measure what optimizers cost and how they do over many runs, with tables and one HTML page')
    .argument('<study>', studyNames.join(', '));
  for (const { option } of studyFlags) study.addOption(option);
  return study
    .addOption(
      new Option('--threads <n>', 'number of threads (default: all cores)').argParser(
        number('--threads', { atLeast: 1, atMost: mostThreads, integer: true }),
      ),
    )
    .addOption(new Option('--quick', 'small sizes and few runs, under two minutes: the same tables'))
    .addOption(new Option('--out <dir>', 'folder for report.html, result.json and cells.jsonl (default: runs/study-…)'))
    .addOption(new Option('--overwrite', 'measure anew what the folder holds already'))
    .addOption(new Option('--json', 'print the result as one JSON object on the last line'))
    .addOption(debugFlag())
    .addHelpText('after', examples)
    .action(run);
}

async function run(given: string, flags: StudyFlags, command: Command): Promise<void> {
  const name = studyNames.find((each) => each === given);
  if (name === undefined)
    throw new OptionError(`unknown study '${given}'${didYouMean(given, studyNames)}; choose ${studyNames.join(', ')}`);
  refuseIdle(name, command);
  if (flags.out?.trim() === '') throw new OptionError('--out is empty; give a folder, or leave it out');
  const threads = flags.threads ?? Math.min(availableParallelism(), mostThreads);
  const study = await studies[name].make(flags, {
    threads,
    optimizers: {
      make: (word, setting) => chooseOptimizer(word, {}, setting).optimizer,
      takes: (word, option) => option in sharedOf(word, option),
    },
    check: (word) => checkOptimizer(word, {}),
  });
  const folder = flags.out ?? join('runs', `study-${name}${flags.quick ? '-quick' : ''}`);
  try {
    await inFolder(folder, flags.overwrite === true, async () => {
      await carriedOut(study, { folder, threads, json: flags.json === true, command: `study ${name}` });
    });
  } finally {
    await study.close();
  }
}

/** The option, if it can be added to a word. */
function sharedOf(word: string, option: 'damping' | 'learningRate'): object {
  if (option === 'damping') return sharedFor(word, { damping: 1 });
  return sharedFor(word, { learningRate: 1 });
}

/** @throws OptionError for a flag of other studies */
function refuseIdle(name: StudyName, command: Command): void {
  const idle = studyFlags.find(
    ({ option, of }) => !of.includes(name) && command.getOptionValueSource(option.attributeName()) === 'cli',
  );
  if (idle === undefined) return;
  const owners = idle.of.map((each) => `study ${each}`).join(' and ');
  throw new OptionError(`${idle.option.long} has no effect on study ${name}; it is an option of ${owners}`);
}
