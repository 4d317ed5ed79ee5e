import { expect, it } from '@jest/globals';
import { ResyncBudget } from './resync-budget.ts';

it('is spent and comes back a minute later', () => {
  const budget = new ResyncBudget(3, 0);
  expect(budget.left(10)).toBe(3);
  budget.spend(2);
  expect(budget.left(59_999)).toBe(1);
  budget.spend(5);
  expect(budget.left(59_999)).toBe(0);
  expect(budget.left(60_000)).toBe(3);
});
