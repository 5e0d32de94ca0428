import { expect, it } from 'vitest';
import { formatBytes, formatMetric, formatNumber, formatSeconds, formatTarget, words } from './format.js';

it.each([
  [0, '0'],
  [5.4119, '5.41'],
  [0.01234, '0.0123'],
  [1234.5, '1,235'],
  [999.6, '1,000'],
  [3.24e-7, '3.2e-7'],
  [1e-4, '1e-4'],
  [2.5e9, '2.5e9'],
  [-0.5, '-0.5'],
  [Number.NaN, 'NaN'],
  [Number.POSITIVE_INFINITY, '∞'],
])('writes the number %d as %s', (value, text) => expect(formatNumber(value)).toBe(text));

it.each([
  [1.00012, 5, '1.0001'],
  [1234.56, 5, '1,234.6'],
  [123456, 3, '123,456'],
  [1.2345e-7, 4, '1.23e-7'],
  [2e9, 9, '2e9'],
])('writes %d in %d digits as %s', (value, digits, text) => expect(formatNumber(value, digits)).toBe(text));

it.each([
  [0.0421, '0.042 s'],
  [7.33, '7.3 s'],
  [59.96, '1 min 00 s'],
  [65, '1 min 05 s'],
  [3599.9, '1 h 00 min'],
  [7385, '2 h 03 min'],
])('writes %d seconds as %s', (value, text) => expect(formatSeconds(value)).toBe(text));

it.each([
  [0, '0 B'],
  [512, '512 B'],
  [1536, '1.5 KiB'],
  [1024 ** 2 - 1, '1 MiB'],
  [22_886_000, '21.8 MiB'],
])('writes %d bytes as %s', (value, text) => expect(formatBytes(value)).toBe(text));

it('writes metrics by what they are', () => {
  expect(formatMetric('testAccuracy', 0.98765)).toBe('98.77 %');
  expect(formatMetric('squaredError', 0.24)).toBe('0.240');
  expect(formatTarget('accuracy', 0.98)).toBe('98 %');
  expect(formatTarget('squaredError', 12)).toBe('12');
  expect(words('testSquaredError')).toBe('test squared error');
});
