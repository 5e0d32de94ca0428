// Predictions as text: a table for people, a line of JSON for each, or CSV.
import type { ClassShare, Prediction } from '../api/readout.js';
import type { ExampleLabel } from '../data/readers/examples.js';
import { inOneLine } from '../format.js';

/** A prediction with what is known of its example. */
export interface LabelledPrediction {
  readonly label: ExampleLabel;
  readonly prediction: Prediction;
}

/** How the columns of tables are named. */
export interface LineOptions {
  /** What is predicted. */
  readonly target: string;
  /** Whether examples are of several files. */
  readonly hasFiles: boolean;
}

type Stream = AsyncIterable<LabelledPrediction>;

/** Return the shortest decimal that is the same number in float32. */
export function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === Math.fround(value)) return rounded;
  }
  return value;
}

/** Yield a line of JSON for each prediction: the file or the row, then its class or its values. */
export async function* jsonLines(stream: Stream, options: LineOptions): AsyncGenerator<string> {
  for await (const { label, prediction } of stream) yield `${JSON.stringify(asJson(label, prediction, options))}\n`;
}

function asJson({ file, row, kept }: ExampleLabel, prediction: Prediction, { hasFiles }: LineOptions) {
  const place = {
    ...((hasFiles || row === undefined) && { file }),
    ...(row !== undefined && { row }),
    ...(kept && { kept }),
  };
  const share = (each: ClassShare) => ({ class: each.class, probability: shortest(each.probability) });
  switch (prediction.kind) {
    case 'class':
      return { ...place, ...share(prediction), top: prediction.top.map(share) };
    case 'positions':
      return { ...place, classes: prediction.classes };
    case 'numbers': {
      const values = Object.entries(prediction.values).map(([name, value]) => [
        name,
        typeof value === 'number' ? shortest(value) : value.map(shortest),
      ]);
      return { ...place, values: Object.fromEntries(values) };
    }
  }
}

/** A row of a table by the names of its columns. */
type Row = readonly (readonly [column: string, cell: string])[];

/** Yield CSV: a header line, and a line for each prediction with all that `top` asks for. */
export async function* csvLines(stream: Stream, options: LineOptions): AsyncGenerator<string> {
  let isFirst = true;
  for await (const { label, prediction } of stream) {
    const row = [...labelCells(label, options), ...csvCells(prediction, options, label)];
    if (isFirst) yield `${row.map(([column]) => quoted(column)).join(',')}\n`;
    isFirst = false;
    yield `${row.map(([, cell]) => quoted(cell)).join(',')}\n`;
  }
}

const quoted = (cell: string): string => (/[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

function labelCells({ file, row, kept }: ExampleLabel, { hasFiles }: LineOptions): Row {
  return [
    ...(hasFiles || row === undefined ? [['file', file] as const] : []),
    ...(row === undefined ? [] : [['row', String(row)] as const]),
    ...Object.entries(kept ?? {}),
  ];
}

/** The name of the predicted column; one of the data that is kept may have the same. */
const predictedName = (name: string, { kept }: ExampleLabel): string =>
  kept && Object.hasOwn(kept, name) ? `predicted ${name}` : name;

function csvCells(prediction: Prediction, { target }: LineOptions, label: ExampleLabel): Row {
  const text = (value: number) => String(shortest(value));
  switch (prediction.kind) {
    case 'class':
      return [
        [predictedName(target, label), prediction.class],
        ['probability', text(prediction.probability)],
        ...prediction.top.slice(1).flatMap(
          (share, i): Row => [
            [`${target} ${i + 2}`, share.class],
            [`probability ${i + 2}`, text(share.probability)],
          ],
        ),
      ];
    case 'positions':
      return [[predictedName(target, label), JSON.stringify(prediction.classes)]];
    case 'numbers':
      return Object.entries(prediction.values).flatMap(([name, value]): Row => {
        if (typeof value === 'number') return [[predictedName(name, label), text(value)]];
        return value.map((number, i) => [`${name} ${i + 1}`, text(number)]);
      });
  }
}

/** Rows that decide how wide the columns of a table are. */
const measuredRows = 200;

/** Yield the lines of a table for people, with columns as wide as the first rows need. */
export async function* tableLines(stream: Stream, options: LineOptions): AsyncGenerator<string> {
  let widths: readonly number[] | undefined;
  let held: Row[] = [];
  const line = (cells: readonly string[]): string =>
    `${cells
      .map((cell, i) => cell.padEnd(widths?.[i] ?? 0))
      .join('  ')
      .trimEnd()}\n`;
  const release = (): string => {
    const [first = []] = held;
    const header = first.map(([column]) => column);
    widths ??= header.map((column, i) => Math.max(column.length, ...held.map((row) => row[i]?.[1].length ?? 0)));
    const lines = held.map((row) => line(row.map(([, cell]) => cell)));
    return [line(header), ...lines].join('');
  };
  for await (const { label, prediction } of stream) {
    const cells = [...labelCells(label, options), ...tableCells(prediction, options, label)];
    const row = cells.map(([column, cell]) => [inOneLine(column), inOneLine(cell)] as const);
    if (widths) yield line(row.map(([, cell]) => cell));
    else if (held.push(row) === measuredRows) {
      yield release();
      held = [];
    }
  }
  if (held.length > 0) yield release();
}

function tableCells(prediction: Prediction, { target }: LineOptions, label: ExampleLabel): Row {
  switch (prediction.kind) {
    case 'class': {
      const others = prediction.top.slice(1).map((share) => `${share.class} ${percent(share.probability)}`);
      return [
        [predictedName(target, label), prediction.class],
        ['probability', percent(prediction.probability)],
        ...(others.length > 0 ? [['then', others.join(', ')] as const] : []),
      ];
    }
    case 'positions': {
      const { classes } = prediction;
      const areCharacters = classes.every((name) => Array.from(name).length === 1);
      return [[predictedName(target, label), areCharacters ? JSON.stringify(classes.join('')) : classes.join(' ')]];
    }
    case 'numbers':
      return Object.entries(prediction.values).map(
        ([name, value]) =>
          [predictedName(name, label), typeof value === 'number' ? rounded(value) : someNumbers(value)] as const,
      );
  }
}

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
const rounded = (value: number): string => String(Number(value.toPrecision(6)));

function someNumbers(values: readonly number[]): string {
  const shown = values.slice(0, 6).map((value) => String(Number(value.toPrecision(4))));
  return values.length > shown.length ? `${shown.join(' ')} … (${values.length} numbers)` : shown.join(' ');
}
