import { expect, it } from '@jest/globals';
import { ResyncBudget } from './resync-budget.ts';

const BOUNDS = { ownPerMinute: 2, commonPerMinute: 3 };

it('is spent and comes back a minute later', () => {
  const budget = new ResyncBudget(BOUNDS, 0);
  expect(budget.left('t', 10)).toBe(5);
  budget.spend('t', 2);
  expect(budget.left('t', 59_999)).toBe(3);
  budget.spend('t', 5);
  expect(budget.left('t', 59_999)).toBe(0);
  expect(budget.left('t', 60_000)).toBe(5);
});

it('leaves others what is theirs, whatever one tenant spends', () => {
  const budget = new ResyncBudget(BOUNDS, 0);
  budget.spend('hostile', 50);
  expect([budget.left('hostile', 1), budget.left('victim', 1)]).toEqual([0, 2]);
  budget.spend('victim', 1);
  expect([budget.left('victim', 2), budget.left('third', 2)]).toEqual([1, 2]);
});
