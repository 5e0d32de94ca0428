import { expect, it } from 'vitest';
import { headStart } from './head-start.js';

it('is 1 for new weights, chance over loss for trained ones, and at most 100', () => {
  expect(headStart({})).toBe(1);
  expect(headStart({ startLoss: 1 })).toBe(1);
  expect(headStart({ startLoss: 0.5 })).toBe(2);
  expect(headStart({ startLoss: 0.001 })).toBe(100);
  expect(headStart({ startLoss: 0 })).toBe(100);
});
