// The document around a report: one file that contains everything, asks nothing of the network and runs no script.
import { type Html, html, trusted } from './html.js';
import { reportCss } from './style.js';

export interface DocumentParts {
  readonly title: string;
  /** The exact command line that produced it. */
  readonly command: string;
  /** Versions, threads, processor. */
  readonly environment: Readonly<Record<string, string>>;
  readonly contents: Html | false;
  readonly main: readonly Html[];
  /** The address of a script, for a page that is served; a report that is a file has none. */
  readonly script?: string;
}

/** Return the document as text. */
export function htmlDocument({ title, command, environment, contents, main, script }: DocumentParts): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${trusted(reportCss)}</style>${script !== undefined && html`<script src="${script}" defer></script>`}
</head>
<body>
<header><h1>${title}</h1>${contents}</header>
<main>${main}</main>
<footer>${provenance(command, environment)}</footer>
</body>
</html>
`;
  return page.html;
}

/** Return the text with each number and its unit on one line. */
export function unbroken(text: string): string {
  return text.replace(/(\d) (?=(?:%|ms|s|min|h|B|[KMGT]iB|steps)(?![\w]))/g, '$1\u00a0');
}

/** The command, and where it ran: how to repeat it. */
function provenance(command: string, environment: DocumentParts['environment']): Html {
  const entries = Object.entries(environment).map(
    ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`,
  );
  return html`<h3>Made by</h3><pre tabindex="0"><code>${commandLine(command)}</code></pre><dl>${entries}</dl>`;
}

/** Lines break before an option, not within one. */
function commandLine(command: string): Html {
  const parts = command.split(/ (?=-)/);
  return html`${parts.map((part, index) => html`${index > 0 && ' '}<span>${part}</span>`)}`;
}
