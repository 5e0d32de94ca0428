// The page of a study: its headline, findings, tables and charts in one HTML document.
import { htmlDocument, unbroken } from '../reporting/report/document.js';
import { type Html, html } from '../reporting/report/html.js';
import type { Presentation, Section } from './study.js';
import { tableHtml } from './table.js';

export interface PageOptions {
  readonly title: string;
  readonly command: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Return the page as one HTML document. */
export function studyPage({ headline, findings, sections }: Presentation, options: PageOptions): string {
  const contents = sections.map(({ title }, i) => html`<li><a href="#part-${i + 1}">${title}</a></li>`);
  const more = findings.slice(mostFindings);
  const lead = html`
<section>
<h2>${unbroken(headline)}</h2>
${findingList(findings.slice(0, mostFindings))}
${more.length > 0 && html`<details><summary>${more.length === 1 ? 'One more finding' : `${more.length} more findings`}</summary>${findingList(more)}</details>`}
</section>`;
  return htmlDocument({
    ...options,
    contents: sections.length > 1 && html`<nav aria-label="Contents"><ol>${contents}</ol></nav>`,
    main: [lead, ...sections.map(sectionHtml)],
  });
}

/** Findings that are read at once; a study puts those against us first. */
const mostFindings = 5;

const findingList = (findings: readonly string[]): Html | false =>
  findings.length > 0 &&
  html`<ul class="findings">${findings.map((finding) => html`<li>${unbroken(finding)}</li>`)}</ul>`;

function sectionHtml({ title, notes, tables, charts }: Section, index: number): Html {
  return html`
<section id="part-${index + 1}" class="part">
<h3>${title}</h3>
${notes.map((note) => html`<p class="note">${unbroken(note)}</p>`)}
${charts.length > 0 && html`<div class="charts">${charts}</div>`}
${tables.map(tableHtml)}
</section>`;
}
