// lint as: libs/domain/src/decide.test.ts
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { Pool } from 'pg'; // expect: @nx/enforce-module-boundaries

it('reads a golden file', () => expect([readFileSync, fc, Pool]).toHaveLength(3));
it.skip('is not run', () => undefined); // expect: no-restricted-syntax
describe.only('is run alone', () => undefined); // expect: no-restricted-syntax
