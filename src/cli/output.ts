// What commands print in the end: tables for people, one JSON object for programs.
import { wantsColour } from '../reporting/colour.js';
import type { Experiment, RunRecord } from '../reporting/run-record.js';
import { renderTable } from '../reporting/table.js';

export function printTable(experiment: Experiment): void {
  const width = process.stdout.columns ?? 120;
  console.log(renderTable(experiment, { width, colour: wantsColour(process.stdout, process.env) }));
}

/** A run's result as the last line of `--json`. */
export function runSummary({ name, steps, seconds, train, test, stateBytes, stepMilliseconds, toTarget }: RunRecord) {
  return {
    steps: steps.length,
    seconds,
    train,
    test,
    optimizer: { name, stateBytes },
    stepMilliseconds,
    ...(toTarget !== undefined && { toTarget }),
  };
}
