import { expect, it } from '@jest/globals';
import { PresentTenants } from './present-tenants.ts';

it('counts each tenant once, for a while after it came last', () => {
  const present = new PresentTenants(1_000);
  present.note('a', 0);
  present.note('b', 500);
  present.note('a', 900);
  expect([present.count(1_499), present.count(1_500), present.count(1_899), present.count(1_900)]).toEqual([
    2, 1, 1, 0,
  ]);
});
