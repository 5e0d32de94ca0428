// A table of a study, as aligned text for the console and as HTML for the page.
import { type Html, html } from '../reporting/report/html.js';

export interface StudyCell {
  readonly text: string;
  /** `best` in bold; `warning` with `!`: not reached, diverged, at the edge of a grid. */
  readonly mark?: 'best' | 'warning' | undefined;
  /** From 0 to 1: how deeply the page colours it, as in a heat map. */
  readonly strength?: number | undefined;
}

export interface StudyTable {
  readonly caption: string;
  /** The first column names the rows. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (StudyCell | string)[])[];
}

/** Marks behind a text; a space keeps unmarked numbers aligned with marked ones. */
const marks = { best: '*', warning: '!', none: ' ' };

const cellOf = (cell: StudyCell | string): StudyCell => (typeof cell === 'string' ? { text: cell } : cell);

/** Return the table as lines: the first column flush left, the others flush right, `*` behind the best and `!` as a warning. */
export function textTable({ caption, columns, rows }: StudyTable): string {
  const cells = [
    columns.map((text) => `${text}${marks.none}`),
    ...rows.map((row) => row.map(cellOf).map(({ text, mark }) => `${text}${marks[mark ?? 'none']}`)),
  ];
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0)))
      .join(' ')
      .trimEnd(),
  );
  const rule = '─'.repeat(widths.reduce((sum, width) => sum + width + 1, -2));
  return [caption, lines[0], rule, ...lines.slice(1)].join('\n');
}

/** Return the table as HTML that scrolls within its own box if the page is narrow. */
export function tableHtml({ caption, columns, rows }: StudyTable): Html {
  const head = columns.map((text) => html`<th scope="col">${text}</th>`);
  const body = rows.map((row) => {
    const [name = '', ...others] = row.map(cellOf);
    const first = typeof name === 'string' ? name : name.text;
    return html`<tr><th scope="row">${first}</th>${others.map(cellHtml)}</tr>`;
  });
  // A caption inside would be as wide as the table, and scroll with it.
  return html`<figure class="study"><figcaption>${caption}</figcaption><div class="scroll" tabindex="0" role="group" aria-label="${caption}"><table class="summary" aria-label="${caption}"><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div></figure>`;
}

/** Colour in percent of the deepest cell, on which text can still be read. */
const deepest = 45;

function cellHtml({ text, mark, strength }: StudyCell): Html {
  const classes = [mark, strength !== undefined && 'heat'].filter((name) => typeof name === 'string').join(' ');
  const shade = strength !== undefined && html` style="--strength:${Math.round(deepest * strength)}%"`;
  return html`<td${classes !== '' && html` class="${classes}"`}${shade}>${text}${mark === 'warning' && ' !'}</td>`;
}
