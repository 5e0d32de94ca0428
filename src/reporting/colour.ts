// Three terminal styles, and when to use them (https://no-color.org).

/** Style text for a terminal, or return it as it is. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  accent(text: string): string;
}

/** Return styles by escape sequences if `enabled`, else styles that change nothing. */
export function paint(enabled: boolean): Paint {
  const style = (open: number, close: number) => (text: string) =>
    enabled && text !== '' ? `\u001b[${open}m${text}\u001b[${close}m` : text;
  return { bold: style(1, 22), dim: style(2, 22), accent: style(36, 39) };
}

/** Return whether the stream is a terminal with colours and the user has not set NO_COLOR. */
export function wantsColour(
  stream: { isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  return stream.isTTY === true && !environment.NO_COLOR && environment.TERM !== 'dumb';
}
