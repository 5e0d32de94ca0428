// Numbers and names for people to read, the same on the console, in tables and in the report.

/** Return a number to about `digits` significant digits: `0.0123`, `5.4`, `1,234`, `3.2e-7`, `NaN`, `∞`. */
export function formatNumber(value: number, digits = 3): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '-∞';
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size < 1e-3 || size >= 1e7) {
    return value
      .toExponential(digits - 2)
      .replace(/\.?0*e/, 'e')
      .replace('e+', 'e');
  }
  if (size >= 999.5) {
    const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
    return value.toLocaleString('en-US', { maximumFractionDigits: decimals });
  }
  return String(Number(value.toPrecision(digits)));
}

/** Return a measured number like `formatNumber`, but with all its three digits: `0.240`. */
export function formatMeasured(value: number): string {
  const size = Math.abs(value);
  return size >= 1e-3 && size < 999.5 ? value.toPrecision(3) : formatNumber(value);
}

/** Return a duration: `0.42 s`, `7.3 s`, `1 min 05 s`, `2 h 03 min`. */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return formatNumber(seconds);
  if (seconds < 0.995) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const pad = (n: number) => String(n).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
}

/** Return bytes in binary units: `0 B`, `512 B`, `1.5 KiB`, `21.8 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : Number(value.toFixed(1))} ${units[unit]}`;
}

/** Return a count with separators: `2,837,314`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** Return `1 step`, `2,000 steps`. */
export function formatSteps(count: number): string {
  return `${formatCount(count)} ${count === 1 ? 'step' : 'steps'}`;
}

/** Return a metric's value: accuracies in percent, all else as a number. */
export function formatMetric(name: string, value: number): string {
  return isShare(name) && Number.isFinite(value) ? `${(100 * value).toFixed(2)} %` : formatMeasured(value);
}

/** Return a metric's value that was chosen, not measured: `12`; a measurement is `12.0`. */
export function formatTarget(name: string, value: number): string {
  return isShare(name) ? `${Number((100 * value).toPrecision(6))} %` : formatNumber(value);
}

/** Return whether a metric is a share of right answers, shown in percent. */
export function isShare(name: string): boolean {
  return /accuracy/i.test(name);
}

/** Return an identifier as words: `testSquaredError` is `test squared error`. */
export function words(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/[_-]+/g, ' ')
    .toLowerCase();
}

/** Return the text with its first letter in upper case. */
export function capitalized(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** Return `a, b and c`; with another comma `a; b; and c`. */
export function listed(parts: readonly string[], comma = ','): string {
  if (parts.length < 2) return parts.join('');
  return `${parts.slice(0, -1).join(`${comma} `)}${comma === ',' ? '' : comma} and ${parts.at(-1)}`;
}

/**
 * Return a text whose control characters, but those of new lines and tabs, and marks that reverse a line are written out: texts
 * and names come from files of anyone, and are shown in a terminal.
 */
export const printable = (text: string): string =>
  text.replace(/[^\P{Cc}\n\r\t]|[\u2028-\u202e\u2066-\u2069]/gu, escaped);

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Return a text as `printable` does, with new lines and tabs written out as well. */
export const inOneLine = (text: string): string =>
  printable(text.replace(/[\n\r\t]/g, (space) => JSON.stringify(space).slice(1, -1)));
