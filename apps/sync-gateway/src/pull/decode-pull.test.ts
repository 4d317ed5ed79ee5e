import { expect, it } from '@jest/globals';
import fastify from 'fastify';
import { CursorTokens } from './cursor-token.ts';
import { decodePull } from './decode-pull.ts';

const owner = { tenantId: 't1', userId: 'u1', deviceId: 'd1' };
const tokens = new CursorTokens('a secret of sixteen');
const junk = { ignored: 'x'.repeat(100_000) };

it('keeps nothing of a body but what a pull needs: neither ignored fields nor the body itself', async () => {
  const app = fastify();
  app.post('/', (request) => {
    const pull = decodePull(request, { ...owner, receivedAtMs: 0, clockOffsetMs: 0 }, tokens);
    return { pull, left: request.body ?? null };
  });
  const cursor = tokens.mint(owner, 'user:u1', {
    ...{ origin: 'o', epoch: 'e', sequence: '1', floor: '0', generation: '1' },
  });
  const document = { entityType: 'doc', entityId: 'd1', epoch: 0, stateVector: 'AA==', ...junk };
  const payload = {
    scopes: [{ scope: 'user:u1', cursor, documents: [document], ...junk }],
    backlog: { pending: 1, ...junk },
    waitMs: 30_000,
    ...junk,
  };
  const { body } = await app.inject({ method: 'POST', url: '/', payload });
  await app.close();
  expect(body).toContain('"pending":1');
  expect(body).toContain('"left":null');
  expect(body.length).toBeLessThan(1_000);
});
