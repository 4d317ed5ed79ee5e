import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { subscribe } from 'node:diagnostics_channel';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { ADMIN_OPERATIONS, DEVICE_OPERATIONS, PLATFORM_TENANT, type SyncRegistration } from '@sync/protocol';
import { type RunningPostgres, startPostgres } from '@sync/postgres/testing';
import { mutationOf } from '../push/testing/push-rig.ts';
import { GatewayRig } from '../testing/gateway-rig.ts';
import { signedHeaders } from '../testing/signed-call.ts';
import type { TestDevice } from '../testing/test-identity.ts';

let postgres: RunningPostgres;
let rig: GatewayRig;
let device: TestDevice;

/** What the gateway routes, as `POST /sync/v1/conflicts/{}/suggestions`. */
const routes = new Set<string>();
subscribe('fastify.initialization', (message) => {
  const { fastify } = message as { readonly fastify: FastifyInstance };
  fastify.addHook('onRoute', ({ method, url }) => {
    for (const verb of [method].flat()) routes.add(`${verb} ${url.replaceAll(/:\w+/g, '{}')}`);
  });
});

beforeAll(async () => {
  postgres = await startPostgres({ own: true });
  // Routes have to end by bounds of their own: the last resort, which answers for those that hang, is out of
  // reach.
  rig = await GatewayRig.start({ DATABASE_ANSWER_MS: '4000', REQUEST_LIMIT_MS: '60000' }, postgres);
  device = await rig.device();
  expect((await rig.call(device, 'pull', {})).status).toBe(200);
  expect(await ask(['PUT', 'registrations/learning', NOTES], await adminToken())).toBe('200');
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
const NOTES: SyncRegistration = {
  service: 'learning',
  entityTypes: [
    {
      entityType: 'note',
      schemaVersion: 1,
      policy: 'lww',
      projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
    },
  ],
};
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
  ['GET', 'entity-types'],
  ['GET', 'conflicts'],
  ['GET', `conflicts/${ID}`],
  ['POST', 'resolve-conflict', { conflictId: ID, expectedClock: {}, resolution: { kind: 'keep_server' } }],
  ['POST', `conflicts/${ID}/suggestions`, {}],
];

const ADMIN_ROUTES: readonly Asked[] = [
  ['GET', 'registrations'],
  ['GET', 'registrations/learning'],
  ['PUT', 'registrations/learning', NOTES],
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
  ['GET', 'audit'],
  ['GET', 'audit/verify'],
  ['GET', 'audit/export'],
];

const adminToken = (): Promise<string> =>
  rig.identity.token(PLATFORM_TENANT, 'operator', { roles: ['sync-operator', 'sync-admin'] });
const PATIENCE_MS = 40_000;

/** @returns the status, and of a 503 whether it says when to come back */
async function ask([method, path, value]: Asked, admin: string | null): Promise<string> {
  const url = new URL(`/${admin === null ? 'sync' : 'admin'}/v1/${path}`, rig.url);
  const bytes = method === 'GET' ? null : new TextEncoder().encode(JSON.stringify(value));
  const headers =
    admin === null
      ? signedHeaders(device, method, url, bytes)
      : { authorization: `Bearer ${admin}`, 'content-type': 'application/json' };
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const answer = await fetch(url, { method, headers, signal, ...(bytes === null ? {} : { body: bytes }) });
    const retryAfter = answer.headers.get('retry-after') === null ? 'without' : 'with';
    await answer.text();
    return answer.status === 503 ? `503 ${retryAfter} Retry-After` : String(answer.status);
  } catch (error) {
    return `no answer: ${String(error)}`;
  }
}

/** A right answer, or the word to come back. No 400: what is refused at the door never reaches its route. */
const ALLOWED = /^(2\d\d|404|503 with Retry-After)$/;

it.each([
  ['nobody but the gateway is there', () => undefined],
  ['Postgres is silent', () => postgres.kill('SIGSTOP')],
  ['NATS is silent', () => rig.server.kill('SIGSTOP')],
  ['identity is silent', () => void (rig.identity.answering = false)],
])(
  'every route is answered while %s: rightly, or with 503 and Retry-After',
  async (_what, stop) => {
    const admin = await adminToken();
    await stop();
    const answers = await Promise.all([
      ...deviceRoutes().map(async (asked) => [asked, await ask(asked, null)] as const),
      ...ADMIN_ROUTES.map(async (asked) => [asked, await ask(asked, admin)] as const),
    ]);
    const wrong = answers.filter(([, answer]) => !ALLOWED.test(answer));
    expect(wrong.map(([[method, path], answer]) => `${method} ${path}: ${answer}`)).toEqual([]);
  },
  2 * PATIENCE_MS,
);

it('routes what the documents describe, and nothing else', async () => {
  const described = ['sync-v1', 'admin-v1'].map(async (name): Promise<string[]> => {
    const file = resolve(import.meta.dirname, `../../../../docs/api/${name}.openapi.json`);
    const { paths } = JSON.parse(await readFile(file, 'utf8')) as { paths: Record<string, object> };
    return Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{\w+\}/g, '{}')}`),
    );
  });
  const inDocuments = (await Promise.all(described)).flat();
  // An upgrade passes the router by.
  expect(inDocuments.filter((route) => !routes.has(route))).toEqual(['GET /sync/v1/live']);
  // Fastify answers HEAD wherever it answers GET.
  const found = [...routes].filter((route) => !route.startsWith('HEAD '));
  expect(found.filter((route) => !inDocuments.includes(route))).toEqual([]);
});

it('asks for every route but the socket', () => {
  const isAsked = (prefix: string, routes: readonly Asked[], method: string, path: string): boolean => {
    const pattern = new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/?]+')}(\\?|$)`);
    return routes.some(([verb, asked]) => verb === method.toUpperCase() && pattern.test(prefix + asked));
  };
  const left = [
    ...DEVICE_OPERATIONS.filter(({ method, path }) => !isAsked('/sync/v1/', deviceRoutes(), method, path)),
    ...ADMIN_OPERATIONS.filter(({ method, path }) => !isAsked('/admin/v1/', ADMIN_ROUTES, method, path)),
  ];
  expect(left.map(({ path }) => path)).toEqual(['/sync/v1/live']);
});
