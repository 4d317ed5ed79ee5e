import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { PullResponse } from '@sync/protocol';
import { GatewayRig } from '../testing/gateway-rig.ts';
import type { RunningGateway } from '../start-gateway.ts';
import type { Answer } from '../testing/signed-call.ts';
import type { TestDevice } from '../testing/test-identity.ts';

/** Few places, so that a flood is one with few requests. */
const PLACES = 4;

let rig: GatewayRig;
beforeAll(async () => {
  rig = await GatewayRig.start({ MAX_REQUESTS_AT_WORK: String(PLACES), MAX_REQUESTS_IN_LINE: '250' });
});
afterAll(() => rig.stop());

async function askAdmin(
  tenantId: string,
  path: string,
): Promise<{ status: number; retryAfter: string | null }> {
  const token = await rig.identity.token(tenantId, 'admin', { roles: ['sync-admin'] });
  const headers = { authorization: `Bearer ${token}` };
  const answer = await fetch(new URL(`/admin/v1/${path}`, rig.url), { headers });
  await answer.arrayBuffer();
  return { status: answer.status, retryAfter: answer.headers.get('retry-after') };
}

async function metric(line: string, opsUrl = rig.gateway.opsUrl): Promise<number> {
  const text = await (await fetch(new URL('/metrics', opsUrl))).text();
  return Number(
    text
      .split('\n')
      .find((each) => each.startsWith(line))
      ?.split(' ')[1],
  );
}

/** Everything that a device or an administrator can send, from many devices of one tenant, all at once. */
function flood(
  devices: readonly TestDevice[],
  rounds: number,
): Promise<{ status: number; retryAfter: string | null }>[] {
  const of = async (answer: Promise<Answer>): Promise<{ status: number; retryAfter: string | null }> => {
    const { status, headers } = await answer;
    return { status, retryAfter: headers.get('retry-after') };
  };
  return Array.from({ length: rounds }, () =>
    devices.flatMap((device) => [
      of(rig.call(device, 'pull', {})),
      of(rig.call(device, 'pull', { scopes: [{ scope: `user:${device.userId}`, cursor: null }] })),
      of(rig.call(device, 'ack', { outcomes: [randomUUID()] })),
      of(rig.call(device, 'tickets', {})),
      of(rig.call(device, 'push', { sentAt: new Date().toISOString(), mutations: [] })),
      askAdmin(device.tenantId, `scopes/${device.userId}`),
    ]),
  ).flat();
}

const all = async <T>(count: number, make: () => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, make));

it('answers a tenant while another one floods, and not behind the flood', async () => {
  const hostile = await all(10, () => rig.device('hostile'));
  const victim = await rig.device('victim');
  const first = await rig.call<PullResponse>(victim, 'pull', {});
  const [page] = first.body.scopes;
  const cursors = [{ scope: page?.scope ?? '', cursor: page?.cursor ?? '' }];
  let answered = 0;
  const requests: ReturnType<typeof flood> = [];
  const floodAgain = (): void => {
    const more = flood(hostile, 6);
    for (const request of more) void request.then(() => (answered += 1));
    requests.push(...more);
  };
  // A busy machine may answer all of them before it shows that they wait.
  while ((await metric('sync_requests_in_line')) < 2 * PLACES) {
    if (answered === requests.length) floodAgain();
    await new Promise(setImmediate);
  }
  const before = answered;
  const statuses: number[] = [];
  for (const [path, body] of [
    ['ack', { cursors }],
    ['push', { sentAt: new Date().toISOString(), mutations: [] }],
    ['pull', { scopes: cursors }],
    ['pull', {}],
    ['tickets', {}],
  ] as const) {
    statuses.push((await rig.call(victim, path, body)).status);
  }
  statuses.push((await askAdmin('victim', 'purges/missing')).status);
  const meanwhile = answered - before;
  const answers = await Promise.all(requests);
  expect(statuses).toEqual([200, 200, 200, 200, 200, 200]);
  // Behind the flood, all of it would have been answered before. In turn, each of six waits for a few.
  expect(meanwhile).toBeLessThan(requests.length / 2);
  expect(answers.filter(({ status }) => ![200, 429, 503].includes(status))).toEqual([]);
  const refused = answers.filter(({ status }) => status !== 200);
  expect(refused.filter(({ retryAfter }) => !(Number(retryAfter) > 0))).toEqual([]);
});

it('gives no place to a long poll that only waits', async () => {
  const waiters = await all(PLACES + 1, () => rig.device('waiting'));
  const controller = new AbortController();
  const polls = waiters.map(async (device) => {
    const { body } = await rig.call<PullResponse>(device, 'pull', {});
    const scopes = body.scopes.map(({ scope, cursor }) => ({ scope, cursor }));
    return rig.call(device, 'pull', { scopes, waitMs: 30_000 }, { signal: controller.signal });
  });
  while ((await metric('sync_waiting_pulls')) < waiters.length) await new Promise(setImmediate);
  expect(await metric('sync_request_places{state="taken"')).toBe(0);
  const device = await rig.device('waiting');
  expect((await rig.call(device, 'pull', {})).status).toBe(200);
  controller.abort();
  await Promise.allSettled(polls);
});

interface Bucket {
  readonly kind: 'device' | 'user' | 'tenant';
  /** Tenant and user of somebody who has another bucket, and of somebody who has the same one. */
  readonly other: readonly [string, string];
  readonly same: readonly [string, string] | null;
}

const BUCKETS: readonly Bucket[] = [
  { kind: 'device', other: ['busy', 'busy'], same: null },
  { kind: 'user', other: ['busy', 'other'], same: ['busy', 'busy'] },
  { kind: 'tenant', other: ['other', 'busy'], same: ['busy', 'other'] },
];

/** A megabyte costs ten milliseconds, so whoever sent one is let in after four seconds. */
function startWithSmall({ kind }: Bucket): Promise<RunningGateway> {
  const limit = `${kind.toUpperCase()}_WORK`;
  return rig.addGateway({ [`${limit}_MS_PER_SECOND`]: '2', [`${limit}_BURST_MS`]: '2' });
}

/** Fills the bucket with a megabyte, and asks who is let in then, and after the pause. */
async function exhaust(
  { kind, other, same }: Bucket,
  { url, opsUrl }: Pick<RunningGateway, 'url' | 'opsUrl'>,
): Promise<unknown[]> {
  const ask = (device: TestDevice, body = {}): Promise<Answer> => rig.call(device, 'pull', body, { url });
  const device = await rig.device('busy', 'busy');
  const neighbour = same ? await rig.device(...same) : device;
  const dear = await ask(device, { padding: 'x'.repeat(1_000_000) });
  const refused = await ask(device);
  const statuses = [
    dear.status,
    refused.status,
    (await ask(neighbour)).status,
    (await ask(await rig.device(...other))).status,
  ];
  const counted = await metric(`sync_rate_limited_total{by="${kind}"`, opsUrl);
  const seconds = Number(refused.headers.get('retry-after'));
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  const { code, retryable } = refused.body;
  return [kind, statuses, counted, code, retryable, seconds > 0, (await ask(device)).status];
}

it('refuses whoever has caused too much work, is there for others, and lets him in when it said so', async () => {
  // All of them run before anybody is refused: starting takes a busy machine longer than the pause.
  const started = BUCKETS.map(async (bucket) => ({ bucket, gateway: await startWithSmall(bucket) }));
  const pairs = await Promise.all(started);
  const results = await Promise.all(pairs.map(({ bucket, gateway }) => exhaust(bucket, gateway)));
  expect(results).toEqual(
    BUCKETS.map(({ kind }) => [kind, [200, 429, 429, 200], 2, 'rate_limited', true, true, 200]),
  );
});

it.each([
  ['request of its own', 'ack', (ack: object) => ack],
  ['push', 'push', (ack: object) => ({ sentAt: new Date().toISOString(), mutations: [], ack })],
  ['pull', 'pull', (ack: object) => ({ scopes: [], ack })],
] as const)('charges as much for an ack in a %s', async (_in, path, bodyOf) => {
  // Of 1,000 outcomes: 20 milliseconds, far more than the rest of such a request.
  const outcomes = Array.from({ length: 1_000 }, () => randomUUID());
  const { url } = await rig.addGateway({ DEVICE_WORK_MS_PER_SECOND: '1', DEVICE_WORK_BURST_MS: '15' });
  const device = await rig.device();
  const dear = await rig.call(device, path, bodyOf({ outcomes }), { url });
  const next = await rig.call(device, 'ack', {}, { url });
  expect([dear.status, next.status]).toEqual([200, 429]);
});

it('remembers nothing of those who have not proven who they are', async () => {
  const { url, opsUrl } = await rig.addGateway();
  const device = await rig.device();
  const made = Array.from({ length: 50 }, (_each, at) => ({ ...device, deviceId: `made-up-${at}` }));
  const forged = { ...device, hmacKey: Buffer.alloc(32).toString('base64') };
  const answers = await Promise.all([...made, forged].map((each) => rig.call(each, 'pull', {}, { url })));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401, 403]));
  for (const kind of ['device', 'user', 'tenant']) {
    expect(await metric(`sync_work_buckets{of="${kind}"`, opsUrl)).toBe(0);
  }
});
