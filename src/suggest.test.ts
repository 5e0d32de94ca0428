import { expect, it } from 'vitest';
import { didYouMean } from './suggest.js';

it('suggests the nearest word, and nothing where none is near', () => {
  const known = ['cgfac', 'kfac', 'adam', 'adamw', 'sgd'];
  expect(didYouMean('adm', known)).toBe(" (did you mean 'adam'?)");
  expect(didYouMean('CGFAC', known)).toBe(" (did you mean 'cgfac'?)");
  expect(didYouMean('gsd', known)).toBe(" (did you mean 'sgd'?)");
  expect(didYouMean('sdg2', known)).toBe('');
  expect(didYouMean('rmsprop', known)).toBe('');
});
