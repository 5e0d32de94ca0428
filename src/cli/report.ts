// `cgfac report`: the runs of several folders on one page.
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { packageVersion } from '../api/package-version.js';
import { FileError, OptionError } from '../errors.js';
import { advice, ensureWritableFolder, systemCode, writeFileAtomically } from '../files/write.js';
import { comparisonOf, type FoundRun } from '../reporting/comparison.js';
import { dataName } from '../reporting/names.js';
import { debugFlag } from './debug-flag.js';
import { typedCommand } from './environment.js';
import { foundRuns } from './found-runs.js';
import { printTable } from './output.js';

const usualFile = 'comparison.html';

const examples = `
The runs may be finished, interrupted or still running. Runs of different data or metrics get sections of their own.

Examples
  cgfac report runs/lenet-cgfac runs/lenet-adam
  cgfac report runs --out all.html`;

interface ReportFlags {
  readonly out: string;
  readonly overwrite?: boolean;
}

export function command(): Command {
  return new Command('report')
    .description('Compare the runs of several folders on one page')
    .argument('<dirs...>', 'folders of runs, or folders with such folders')
    .addOption(new Option('--out <file>', 'the page').default(usualFile))
    .addOption(new Option('--overwrite', 'replace the file even if it is no page of cgfac'))
    .addOption(debugFlag())
    .addHelpText('after', examples)
    .action(run);
}

async function run(folders: readonly string[], { out, overwrite = false }: ReportFlags): Promise<void> {
  if (out.trim() === '') throw new OptionError('--out is empty; give a file, or leave it out');
  const runs = await runsOf(folders);
  if (!overwrite) await refuseForeign(out);
  const { experiments, notes } = comparisonOf(runs);
  const { renderReport } = await import('../reporting/report/index.js');
  const page = renderReport({
    title: titleOf(runs),
    command: typedCommand(),
    environment: { cgfac: await packageVersion(), date: new Date().toISOString().slice(0, 10) },
    experiments,
  });
  await ensureWritableFolder(dirname(resolve(out)));
  await writeFileAtomically(out, page);
  for (const experiment of experiments) {
    if (experiments.length > 1) console.log(`\n${experiment.model} on ${dataName(experiment.data)}`);
    printTable(experiment);
  }
  for (const note of notes) process.stderr.write(`\nNote: ${note}\n`);
  console.log(`\nReport: ${out}`);
}

/** All runs, each once though folders may lie in one another. */
async function runsOf(folders: readonly string[]): Promise<FoundRun[]> {
  const runs = new Map<string, FoundRun>();
  for (const folder of folders)
    for (const run of await foundRuns(folder)) if (!runs.has(resolve(run.folder))) runs.set(resolve(run.folder), run);
  return [...runs.values()];
}

function titleOf(runs: readonly FoundRun[]): string {
  const settings = new Set(runs.map(({ model, data }) => `${model} on ${dataName(data)}`));
  const [only] = settings;
  return settings.size === 1 && only !== undefined ? only : `${runs.length} runs`;
}

/** @throws OptionError for a file that is no page of cgfac, or a folder */
async function refuseForeign(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return;
  if (found.isDirectory())
    throw new OptionError(`--out '${path}' is a folder; give a file, such as ${path}/${usualFile}`);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return;
    throw new FileError(`cannot read '${path}': ${advice(cause)}`, { cause });
  }
  if (text === '' || text.slice(0, 1000).includes('<meta name="generator" content="cgfac">')) return;
  throw new OptionError(`'${path}' is no page of cgfac: choose another --out, or replace it with --overwrite`);
}
