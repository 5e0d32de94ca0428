// Three terminal styles, and the one rule for when to use them (https://no-color.org).

/** Styles text for a terminal, or returns it as it is. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  accent(text: string): string;
}

/** Escape sequences where `enabled`, plain text otherwise. */
export function paint(enabled: boolean): Paint {
  const style = (open: number, close: number) => (text: string) =>
    enabled && text !== '' ? `\u001b[${open}m${text}\u001b[${close}m` : text;
  return { bold: style(1, 22), dim: style(2, 22), accent: style(36, 39) };
}

/** Colour only on a terminal that can, and not where the user has set NO_COLOR to anything. */
export function wantsColour(
  stream: { isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  return stream.isTTY === true && !environment.NO_COLOR && environment.TERM !== 'dumb';
}
