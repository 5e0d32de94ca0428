// `cgfac study`: measurements over many runs, resumed where they stopped, as tables, one page and one JSON object.
import { access, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { OptionError } from '../errors.js';
import { lockFolder, unlockFolder } from '../files/folder-lock.js';
import { ensureWritableFolder, removeLeftovers, writeFileAtomically } from '../files/write.js';
import { mostThreads } from '../options.js';
import { paint, wantsColour } from '../reporting/colour.js';
import { CellFile, cellsName, measured } from '../study/cells.js';
import { studyPage } from '../study/page.js';
import type { Presentation, Study } from '../study/study.js';
import { textTable } from '../study/table.js';
import { didYouMean } from '../suggest.js';
import { debugFlag } from './debug-flag.js';
import { describeEnvironment, typedCommand } from './environment.js';
import { interruption } from './interruption.js';
import { number } from './number.js';
import { checkOptimizer, chooseOptimizer, sharedFor } from './optimizers.js';
import { type StudyFlags, type StudyName, studies, studyFlags, studyNames } from './studies.js';

const examples = `
Studies
${studyNames.map((name) => `  ${name.padEnd(11)} ${studies[name].summary}`).join('\n')}

A study that was interrupted goes on where it stopped if the same command is given again.

Examples
  cgfac study complexity --quick
  cgfac study complexity --widths 512,1024,2048 --threads 1 --out runs/widths
  cgfac study batch-size --problem mlp --target testAccuracy=0.95
  cgfac study defaults --mnist data/mnist --text book.txt --json`;

/** Files that a study writes beside its rows. */
const ownFiles = { page: 'report.html', result: 'result.json' };

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
      await carriedOut(study, folder, threads, flags.json === true);
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

/** Lock the folder while it is used; it holds a study, or nothing of another command. */
export async function inFolder(folder: string, overwrite: boolean, use: () => Promise<void>): Promise<void> {
  await ensureWritableFolder(folder);
  const holder = await lockFolder(folder);
  if (holder !== undefined)
    throw new OptionError(`'${folder}' is being written by ${holder}: wait for it, or choose another folder (--out)`);
  try {
    await removeLeftovers(folder);
    const has = (file: string) =>
      access(join(folder, file)).then(
        () => true,
        () => false,
      );
    if (await has('run.json')) throw new OptionError(`'${folder}' holds a run of training: choose another --out`);
    if (!(await has(cellsName)) && (await has(ownFiles.page)))
      throw new OptionError(`'${folder}' holds a report of something else: choose another --out`);
    if (overwrite)
      for (const file of [cellsName, ...Object.values(ownFiles)]) await rm(join(folder, file), { force: true });
    await use();
  } finally {
    await unlockFolder(folder);
  }
}

export async function carriedOut<Row, Result>(
  study: Study<Row, Result>,
  folder: string,
  threads: number,
  json: boolean,
): Promise<Result | undefined> {
  const { date, cgfac: version = '', ...machine } = await describeEnvironment(threads);
  const { name, options } = study;
  const file = await CellFile.open<Row>(folder, { study: name, version, machine, options });
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const stop = interruption(say, async () => undefined);
  stop.begin();
  try {
    const rows = await measured(file, study, stop.signal, (done, of, next) => say(`${done + 1} of ${of}: ${next}`));
    if (rows === undefined) {
      say(`Stopped. The same command goes on from here ('${folder}').`);
      if (stop.exitCode !== undefined) process.exitCode = stop.exitCode;
      return undefined;
    }
    // The page is made of what the file has: every number in it is one of the JSON.
    const text = JSON.stringify(study.result(rows));
    const shown = study.present(JSON.parse(text) as Result);
    const environment = { cgfac: version, ...machine, ...(date !== undefined && { date }) };
    const page = studyPage(shown, {
      title: `${study.title} · cgfac ${name === 'sweep' ? '' : 'study '}${name}`,
      command: typedCommand(),
      environment,
    });
    await writeFileAtomically(join(folder, ownFiles.result), `${text}\n`);
    await writeFileAtomically(join(folder, ownFiles.page), page);
    if (json) console.log(JSON.stringify({ ...(JSON.parse(text) as object), out: folder }));
    else print(shown, join(folder, ownFiles.page));
    return JSON.parse(text) as Result;
  } finally {
    stop.dispose();
  }
}

function print({ headline, findings, sections }: Presentation, path: string): void {
  const { bold, dim } = paint(wantsColour(process.stdout, process.env));
  console.log(`${bold(headline)}\n${findings.map((finding) => `- ${finding}`).join('\n')}`);
  for (const { title, notes, tables } of sections) {
    console.log(`\n${bold(title)}`);
    for (const note of notes) console.log(dim(note));
    for (const table of tables) console.log(`\n${textTable(table)}`);
  }
  console.log(`\nReport: ${path}`);
}
