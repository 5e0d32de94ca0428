// "Did you mean …?": the nearest of some known words.

/**
 * Return ` (did you mean 'adam'?)` if a known word is at most a few letters away, but not all of them, else nothing;
 * `learning_rate` is `learningRate`.
 */
export function didYouMean(word: string, known: readonly string[]): string {
  const near = known
    .map((candidate) => ({ candidate, distance: distance(word, candidate) }))
    .filter(({ candidate, distance }) => distance < candidate.length && distance <= Math.max(1, candidate.length / 3))
    .sort((a, b) => a.distance - b.distance);
  return near[0] ? ` (did you mean '${near[0].candidate}'?)` : '';
}

/** Only the word itself is nearer than its initials: `lr` is `learningRate`. */
const distance = (word: string, candidate: string): number =>
  initials(candidate) === word.toLowerCase() && word.length > 1 ? 0.5 : editDistance(bare(word), bare(candidate));

const initials = (name: string): string =>
  name
    .replace(/([A-Z])/g, '-$1')
    .split(/[-_]/)
    .map((part) => part.charAt(0).toLowerCase())
    .join('');

const bare = (word: string): string => word.toLowerCase().replace(/[_-]/g, '');

/**
 * The number of letters to insert, delete or replace, and of neighbours to swap, from one word to the other (optimal string
 * alignment distance); infinite for words of very different lengths.
 */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 20) return Number.POSITIVE_INFINITY;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (before[j - 2] ?? i) + 1 : replaced;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replaced, swapped));
    }
    [before, row] = [row, next];
  }
  return row[b.length] ?? 0;
}
