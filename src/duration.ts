// Lengths of time as one types them: 90s, 30m, 2h, 1h30m.
const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };

/**
 * Return the seconds of a length of time; undefined if the text has not that form.
 * @example secondsOf('1h30m') // 5400
 */
export function secondsOf(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s)?$/.test(text) || text === '') return undefined;
  const parts = [...text.matchAll(/([\d.]+)([hms])/g)];
  return parts.reduce((sum, [, count, unit = 's']) => sum + Number(count) * (units[unit] ?? 1), 0);
}
