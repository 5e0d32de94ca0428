// The comparison of runs as text: an aligned table for the console, and the same as Markdown.

import type { Experiment } from '../training/run-record.js';
import { paint } from './colour.js';
import { withDistinctNames } from './names.js';
import { type SummaryCell, summaryColumns, summaryNotes } from './summary.js';

/**
 * Return an aligned table with a line for each run; `*` (and bold, in colour) marks the best of each column, `!` a loss that rose.
 * If it would be wider than `width` columns it is transposed: a few runs have more numbers than names.
 * @example
 * const { record } = await train(model, { data, optimizer: adam(), steps: 100 });
 * const experiment = { model: 'mlp', data: 'digits', parameters: 6370, batchSize: 128, runs: [record] };
 * console.log(renderTable(experiment));
 */
export function renderTable(given: Experiment, options: { width?: number; colour?: boolean } = {}): string {
  const { width = 100, colour = false } = options;
  const experiment = withDistinctNames(given);
  const wide = cellsByRun(experiment);
  const table = tableWidth(wide) <= width ? wide : transposed(wide);
  const widths = columnWidths(table);
  const { bold, dim } = paint(colour);
  const lines = table.map((row, rowIndex) =>
    row
      .map(({ text, best, warning }, column) => {
        const marked = `${text}${best ? '*' : warning ? '!' : ' '}`; // a space keeps unmarked numbers aligned with marked ones
        const padding = ' '.repeat((widths[column] ?? 0) - marked.length);
        const styled = best ? bold(marked) : rowIndex === 0 || column === 0 ? dim(marked) : marked;
        return column === 0 ? styled + padding : padding + styled;
      })
      .join('  ')
      .trimEnd(),
  );
  const rule = dim('─'.repeat(tableWidth(table)));
  return [...lines.slice(0, 1), rule, ...lines.slice(1), ...summaryNotes(experiment)].join('\n');
}

/**
 * Return the same comparison as a Markdown table, the best of each column in bold.
 * @example
 * const { record } = await train(model, { data, optimizer: adam(), steps: 100 });
 * const experiment = { model: 'mlp', data: 'digits', parameters: 6370, batchSize: 128, runs: [record] };
 * console.log(renderMarkdownTable(experiment));
 */
export function renderMarkdownTable(given: Experiment): string {
  const experiment = withDistinctNames(given);
  const escaped = (text: string) => text.replace(/([\\|*_`<>[\]])/g, '\\$1').replace(/\r?\n/g, ' ');
  const [header = [], ...rows] = cellsByRun(experiment).map((row) =>
    row.map(({ text, best, warning }) => (best ? `**${escaped(text)}**` : `${escaped(text)}${warning ? ' !' : ''}`)),
  );
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const notes = summaryNotes(experiment).map((note) => `\n${escaped(note)}`);
  return [
    line(header),
    line(header.map((_, index) => (index === 0 ? '---' : '---:'))),
    ...rows.map(line),
    ...notes,
  ].join('\n');
}

/** A header row and a row for each run. */
function cellsByRun(experiment: Experiment): SummaryCell[][] {
  const plain = (text: string): SummaryCell => ({ text, best: false });
  const columns = summaryColumns(experiment);
  return [
    [plain('optimizer'), ...columns.map(({ header }) => plain(header))],
    ...experiment.runs.map((run, index) => [plain(run.name), ...columns.map(({ cells }) => cells[index] ?? plain(''))]),
  ];
}

function transposed(rows: readonly (readonly SummaryCell[])[]): SummaryCell[][] {
  return (rows[0] ?? []).map((_, column) => rows.map((row) => row[column] ?? { text: '', best: false }));
}

function columnWidths(table: readonly (readonly SummaryCell[])[]): number[] {
  return (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => (row[column]?.text.length ?? 0) + 1)));
}

function tableWidth(table: readonly (readonly SummaryCell[])[]): number {
  return columnWidths(table).reduce((sum, width) => sum + width + 2, -2);
}
