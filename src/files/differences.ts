// The differences between two values of JSON in words: why a folder that was begun is not one to go on with.
import { isRecord } from '../options.js';

/** Return each difference: `options.seeds was 3 and is 1`. */
export function differences(was: unknown, is: unknown, at: readonly string[] = []): string[] {
  if (isRecord(was) && isRecord(is)) {
    const keys = [...new Set([...Object.keys(was), ...Object.keys(is)])];
    return keys.flatMap((key) => differences(was[key], is[key], [...at, key]));
  }
  const [before, now] = [JSON.stringify(was), JSON.stringify(is)];
  return before === now ? [] : [`${at.join('.') || 'it'} was ${before ?? 'not given'} and is ${now ?? 'not given'}`];
}
