// What commands print in the end: tables for people, one JSON object for programs.
import { wantsColour } from '../reporting/colour.js';
import type { Experiment, RunRecord } from '../reporting/run-record.js';
import { renderTable } from '../reporting/table.js';
import { stepsTakenBack } from '../reporting/verdict.js';

export function printTable(experiment: Experiment): void {
  const width = process.stdout.columns ?? 120;
  console.log(renderTable(experiment, { width, colour: wantsColour(process.stdout, process.env) }));
}

/** A run's result as the last line of `--json`. */
export function runSummary(run: RunRecord) {
  const { name, steps, seconds, train, test, stateBytes, stepMilliseconds, toTarget } = run;
  const takenBack = stepsTakenBack(run);
  return {
    steps: steps.length,
    ...(takenBack !== undefined && { takenBack }),
    seconds,
    train,
    test,
    optimizer: { name, stateBytes },
    stepMilliseconds,
    ...(toTarget !== undefined && { toTarget }),
  };
}

/** Columns side by side; those from `firstNumber` on are flush right. */
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
