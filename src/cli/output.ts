// The output of commands at their end: tables for people, one JSON object for programs.
import { paint, wantsColour } from '../reporting/colour.js';
import { renderTable } from '../reporting/table.js';
import type { Experiment, RunRecord } from '../training/run-record.js';

export function printTable(experiment: Experiment): void {
  const width = process.stdout.columns ?? 120;
  console.log(renderTable(experiment, { width, colour: wantsColour(process.stdout, process.env) }));
}

/** Print warnings, after the table so that they stay visible. */
export function printWarnings(warnings: readonly string[]): void {
  const { bold } = paint(wantsColour(process.stderr, process.env));
  for (const warning of warnings) process.stderr.write(`\n${bold('Warning:')} ${warning}\n`);
}

/** Return a run's result for `--json`. */
export function runSummary(record: RunRecord, warnings: readonly string[]) {
  const { name, steps, seconds, train, test, validation, batchSize, stateBytes, stepMilliseconds, toTarget, rejected } =
    record;
  const { best, stopped = 'finished' } = record;
  return {
    steps: steps.at(-1)?.step ?? 0,
    ...(rejected !== undefined && { takenBack: rejected }),
    stopped,
    seconds,
    train,
    ...(validation && { validation }),
    test,
    ...(best && { best }),
    optimizer: { name, stateBytes },
    batchSize,
    stepMilliseconds,
    ...(toTarget !== undefined && { toTarget }),
    warnings,
  };
}

/** Return rows with aligned columns; those from `firstNumber` on are flush right. */
export function aligned(rows: readonly (readonly string[])[], firstNumber: number): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((text, column) =>
        column < firstNumber ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}
