import { describe, expect, it } from 'vitest';
import { onlyInput } from '../data/dataset.js';
import { drawnDigits } from '../data/digits/digits.js';
import { grammarText, halvedPictures, madeClasses, madeNumbers, madeText } from './made-data.js';
import { problemNames, problemsOf } from './problems.js';

it('halves pictures by the means of four pixels', () => {
  const digits = drawnDigits({ trainSize: 3, testSize: 1 });
  const { train } = halvedPictures(digits);
  const [from, to] = [onlyInput(digits.train).data, onlyInput(train).data];
  expect(train.picture).toEqual({ width: 14, height: 14, channels: 1 });
  // Picture 2, row 7, column 5.
  const corner = 2 * 784 + 14 * 28 + 10;
  const mean = [0, 1, 28, 29].reduce((sum, offset) => sum + Number(from[corner + offset]), 0) / 4 / 255;
  expect(to[2 * 196 + 7 * 14 + 5]).toBeCloseTo(mean, 6);
  expect(train.targets).toBe(digits.train.targets);
});

describe('made tables', () => {
  it('are functions of the seed, with columns of different units', () => {
    const [a, again, other] = [madeClasses(0, 200, 50), madeClasses(0, 200, 50), madeClasses(1, 200, 50)];
    expect(onlyInput(a.train).data).toEqual(onlyInput(again.train).data);
    expect(a.test.targets.data).toEqual(again.test.targets.data);
    expect(onlyInput(other.train).data).not.toEqual(onlyInput(a.train).data);
    const spread = Array.from({ length: 20 }, (_, column) => {
      const values = Array.from({ length: 200 }, (_, row) => Number(onlyInput(a.train).data[20 * row + column]));
      return Math.max(...values) - Math.min(...values);
    });
    expect(Math.max(...spread) / Math.min(...spread)).toBeGreaterThan(100);
    expect(new Set(a.train.targets.data.subarray(0, 200)).size).toBe(5);
  });

  it('hold the numbers of Friedman’s function', () => {
    const { train, test } = madeNumbers(0, 2000, 100);
    expect([train.size, test.size]).toEqual([2000, 100]);
    const targets = Array.from(train.targets.data.subarray(0, 2000), Number);
    // Its mean is 14.4, and its deviation 4.9 without the noise.
    const mean = targets.reduce((sum, y) => sum + y, 0) / 2000;
    expect(mean).toBeGreaterThan(13.8);
    expect(mean).toBeLessThan(15);
  });
});

it('the grammar agrees in number, and is a function of the seed', () => {
  const text = grammarText(0, 20_000);
  expect(text).toBe(grammarText(0, 20_000));
  expect(text).not.toBe(grammarText(1, 20_000));
  expect(text).toHaveLength(20_000);
  for (const wrong of [/\bthe dogs sleeps\b/, /\bthe dog sleep\b/, /\bchilds\b/]) expect(text).not.toMatch(wrong);
  expect(text).toMatch(/that/);
  const { train, test } = madeText(0, 20_000, 32);
  expect(onlyInput(train).shape).toEqual([32]);
  expect(test.classes).toEqual(train.classes);
});

it('problems say what stands in for data that were not given', () => {
  const titles = problemsOf({ quick: true }).map(({ title }) => title);
  expect(new Set(problemNames).size).toBe(problemNames.length);
  expect(problemNames).toHaveLength(11);
  expect(titles.filter((title) => /was not given|no text was given/.test(title))).toHaveLength(3);
  const given = problemsOf({ quick: true, mnist: 'data/mnist', text: 'book.txt' }).map(({ title }) => title);
  expect(given.join()).toMatch(/on MNIST.*book\.txt/s);
  expect(given.join()).not.toMatch(/not given/);
});
