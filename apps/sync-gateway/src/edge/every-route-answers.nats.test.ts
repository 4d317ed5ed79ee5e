import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { type RunningPostgres, startPostgres } from '@sync/postgres/testing';
import { mutationOf } from '../push/testing/push-rig.ts';
import { GatewayRig } from '../testing/gateway-rig.ts';
import { signedHeaders } from '../testing/signed-call.ts';
import type { TestDevice } from '../testing/test-identity.ts';

let postgres: RunningPostgres;
let rig: GatewayRig;
let device: TestDevice;

beforeAll(async () => {
  postgres = await startPostgres({ own: true });
  rig = await GatewayRig.start({ DATABASE_ANSWER_MS: '4000' }, postgres);
  device = await rig.device();
  expect((await rig.call(device, 'pull', {})).status).toBe(200);
});
afterEach(async () => {
  rig.identity.answering = true;
  await postgres.kill('SIGCONT');
  await rig.server.kill('SIGCONT');
});
afterAll(async () => {
  await rig.stop();
  await postgres.stop();
});

type Asked = readonly [method: string, path: string, body?: unknown];

const ID = randomUUID();
const SETTINGS = {
  enabled: false,
  tokensPerDay: 1,
  costPerDayMicros: 1,
  redactFields: [],
  redactPatterns: [],
};

const deviceRoutes = (): Asked[] => [
  ['POST', 'pull', {}],
  ['POST', 'pull', { scopes: [{ scope: `user:${device.userId}`, cursor: null }], waitMs: 1_000 }],
  ['POST', 'push', { sentAt: new Date().toISOString(), mutations: [mutationOf(device)] }],
  ['POST', 'ack', { outcomes: [ID] }],
  ['POST', 'tickets', {}],
  ['GET', 'conflicts'],
  ['GET', `conflicts/${ID}`],
  ['POST', 'resolve-conflict', { conflictId: ID, expectedClock: {}, resolution: { choice: 'keep_server' } }],
  ['POST', `conflicts/${ID}/suggestions`, {}],
];

const ADMIN_ROUTES: readonly Asked[] = [
  ['GET', 'registrations'],
  ['GET', 'registrations/learning'],
  ['PUT', 'registrations/learning', { service: 'learning', entityTypes: [] }],
  ['GET', 'devices'],
  ['GET', 'devices/d1'],
  ['GET', 'dead-letters'],
  ['POST', 'dead-letters/replay', {}],
  ['POST', 'dead-letters/1/replay', {}],
  ['GET', 'explain?device=d1&entity=note/n1'],
  ['GET', 'scopes/u1'],
  ['GET', 'purges/missing'],
  ['GET', 'conflicts'],
  ['GET', 'conflicts/verify'],
  ['GET', `conflicts/${ID}`],
  ['GET', `conflicts/${ID}/history`],
  ['GET', 'suggestions'],
  ['PUT', 'suggestions', SETTINGS],
];

async function ask([method, path, value]: Asked, admin: string | null): Promise<string> {
  const url = new URL(`/${admin === null ? 'sync' : 'admin'}/v1/${path}`, rig.url);
  const bytes = method === 'GET' ? null : new TextEncoder().encode(JSON.stringify(value));
  const headers =
    admin === null
      ? signedHeaders(device, method, url, bytes)
      : { authorization: `Bearer ${admin}`, 'content-type': 'application/json' };
  const answer = await fetch(url, { method, headers, ...(bytes === null ? {} : { body: bytes }) });
  const retryAfter = answer.headers.get('retry-after') === null ? 'without' : 'with';
  await answer.text();
  return answer.status === 503 ? `503 ${retryAfter} Retry-After` : String(answer.status);
}

const PATIENCE_MS = 120_000;
/** A right answer, a refusal of what was asked, or the word to come back. */
const ALLOWED = /^(2\d\d|400|404|409|503 with Retry-After)$/;

it.each([
  ['nobody but the gateway is there', () => undefined],
  ['Postgres is silent', () => postgres.kill('SIGSTOP')],
  ['NATS is silent', () => rig.server.kill('SIGSTOP')],
  ['identity is silent', () => void (rig.identity.answering = false)],
])(
  'every route is answered while %s: rightly, or with 503 and Retry-After',
  async (_what, stop) => {
    const admin = await rig.identity.token('t1', 'admin', { roles: ['sync-admin'] });
    await stop();
    const answers = await Promise.all([
      ...deviceRoutes().map(async (asked) => [asked, await ask(asked, null)] as const),
      ...ADMIN_ROUTES.map(async (asked) => [asked, await ask(asked, admin)] as const),
    ]);
    const wrong = answers.filter(([, answer]) => !ALLOWED.test(answer));
    expect(wrong.map(([[method, path], answer]) => `${method} ${path}: ${answer}`)).toEqual([]);
  },
  PATIENCE_MS,
);
