// The folder of a study or a sweep: locked, measured where it stopped, with a page and a result of its rows.
import { access, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { OptionError } from '../errors.js';
import { lockFolder, unlockFolder } from '../files/folder-lock.js';
import { ensureWritableFolder, removeLeftovers, writeFileAtomically } from '../files/write.js';
import { paint, wantsColour } from '../reporting/colour.js';
import { CellFile, cellsName, measured } from '../study/cells.js';
import { studyPage } from '../study/page.js';
import type { Presentation, Study } from '../study/study.js';
import { textTable } from '../study/table.js';
import { describeEnvironment, typedCommand } from './environment.js';
import { interruption } from './interruption.js';

/** Files that a study writes beside its rows. */
const ownFiles = { page: 'report.html', result: 'result.json' };

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

export interface StudyRun {
  readonly folder: string;
  readonly threads: number;
  /** Whether the result is printed as JSON. */
  readonly json: boolean;
  /** The command, for the title of the page: `study complexity`. */
  readonly command: string;
}

/**
 * Measure what the folder lacks, write the page and the result, and print them.
 * @returns the result; undefined if a signal came first
 */
export async function carriedOut<Row, Result>(
  study: Study<Row, Result>,
  { folder, threads, json, command }: StudyRun,
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
      title: `${study.title} · cgfac ${command}`,
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
