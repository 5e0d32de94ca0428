import { expect, it } from 'vitest';
import { differences } from './differences.js';

it('finds none in equal values, whatever the order of their keys', () => {
  expect(differences({ a: 1, b: { c: [1, 2] } }, { b: { c: [1, 2] }, a: 1 })).toEqual([]);
});

it('names each with its place', () => {
  expect(differences({ a: 1, b: { c: [1, 2] }, d: 'x' }, { a: 2, b: { c: [2, 1] } })).toEqual([
    'a was 1 and is 2',
    'b.c was [1,2] and is [2,1]',
    'd was "x" and is not given',
  ]);
  expect(differences(1, 2)).toEqual(['it was 1 and is 2']);
});
