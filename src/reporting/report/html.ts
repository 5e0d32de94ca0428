// HTML by tagged templates: a value in a template is escaped unless it is HTML itself.

/** Text that is HTML already. */
export interface Html {
  readonly html: string;
}

type HtmlValue = Html | string | number | false | undefined | readonly HtmlValue[];

/** Return HTML whose values are escaped; arrays are joined; `false` and `undefined` vanish. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return { html: strings.reduce((text, string, index) => `${text}${rendered(values[index - 1])}${string}`) };
}

/** Declare a string to be HTML: only one that this package has made itself. */
export function trusted(text: string): Html {
  return { html: text };
}

/** Escape text for element content and quoted attributes. */
function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

function rendered(value: HtmlValue): string {
  if (value === undefined || value === false) return '';
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value));
  return 'html' in value ? value.html : value.map(rendered).join('');
}
