import { expect, it } from '@jest/globals';
import { checkAnswer } from './check-answers.ts';

const PULL = { serverTime: '', scopes: [], revoked: [], outcomes: [], directives: [] };

it.each([
  ['that a later version knows, whatever it has', { kind: 'compact', above: 3 }, true],
  ['that this version knows', { kind: 'full_resync', scopes: ['user:u'] }, true],
  ['that this version knows, without what it needs', { kind: 'full_resync' }, false],
  ['of no kind', { scopes: [] }, false],
])('takes a directive %s: %s', (_what, directive, isTaken) => {
  const answer = checkAnswer('pull', { ok: true, body: { ...PULL, directives: [directive] } });
  expect(answer.ok).toBe(isTaken);
});
