// Tells cgfac's model cards from README files of others.
import { readFile } from 'node:fs/promises';

/** A card with this line is cgfac's: only such a one is replaced. */
export const ownLine = '<!-- Written by cgfac. Without this line it counts as yours and is never replaced. -->';

/** Return whether a card may be written to a path: nothing is there, or a card of cgfac that nobody has taken over. */
export async function mayWriteCard(path: string): Promise<boolean> {
  const found = await readFile(path, 'utf8').catch(() => undefined);
  return found === undefined || found.includes(ownLine);
}
