import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { PullResponse, subjects, validator } from '@sync/protocol';
import { GatewayRig } from '../testing/gateway-rig.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { until } from '../testing/until.ts';
import { pullsWait } from '../testing/waiting-pulls.ts';

let rig: GatewayRig;
const isPullResponse = validator(PullResponse);

beforeAll(async () => {
  rig = await GatewayRig.start();
});
afterAll(() => rig.stop());

interface Asked {
  readonly scope: string;
  readonly cursor: string | null;
}

async function pull(
  device: TestDevice,
  scopes: readonly Asked[] | undefined,
  more: object = {},
  url?: string,
): Promise<PullResponse> {
  const body = { ...(scopes ? { scopes } : {}), ...more };
  const answer = await rig.call<PullResponse>(device, 'pull', body, url === undefined ? {} : { url });
  expect(answer.status).toBe(200);
  expect(isPullResponse(answer.body)).toMatchObject({ ok: true });
  return answer.body;
}

/** The same scopes with the cursors that the answer gave. */
function goOn(answer: PullResponse): Asked[] {
  return answer.scopes.map(({ scope, cursor }) => ({ scope, cursor }));
}

async function learner(): Promise<{ device: TestDevice; scope: string }> {
  const device = await rig.device();
  return { device, scope: `user:${device.userId}` };
}

/** A device that has pulled everything and whose empty pull is known in memory. */
async function quiet(): Promise<{ device: TestDevice; scope: string; asked: Asked[] }> {
  const { device, scope } = await learner();
  rig.projector.put('t1', scope, 'n1');
  await rig.ingest();
  const asked = goOn(await pull(device, [{ scope, cursor: null }]));
  await pull(device, asked);
  return { device, scope, asked };
}

/**
 * Round trips that `work` causes; the sweep's own are a fixed one a second, so the least of a few attempts is
 * the truth.
 */
async function roundTrips(work: () => Promise<unknown>): Promise<number> {
  const counts: number[] = [];
  for (let attempt = 0; attempt < 4; attempt += 1) {
    const before = rig.gateway.foundation.database.roundTrips;
    await work();
    counts.push(rig.gateway.foundation.database.roundTrips - before);
  }
  return Math.min(...counts);
}

describe('pull', () => {
  it('pages through a scope to its digest', async () => {
    const { device, scope } = await learner();
    for (let at = 0; at < 5; at += 1) rig.projector.put('t1', scope, `n${at}`, { at });
    await rig.ingest();
    const first = await pull(device, [{ scope, cursor: null }], { limit: 3 });
    expect(first.scopes[0]).toMatchObject({ scope, reset: true, hasMore: true });
    expect(first.scopes[0]).not.toHaveProperty('digest');
    const second = await pull(device, goOn(first), { limit: 3 });
    expect(second.scopes[0]).toMatchObject({
      reset: false,
      hasMore: false,
      digest: rig.projector.digest('t1', scope),
    });
    const ids = [...first.scopes, ...second.scopes].flatMap((page) =>
      page.deltas.map((delta) => delta.entityId),
    );
    expect(ids).toEqual(['n0', 'n1', 'n2', 'n3', 'n4']);
  });

  it('answers an empty scope with a cursor and the empty digest', async () => {
    const { device, scope } = await learner();
    const empty = await pull(device, undefined);
    expect(empty.scopes).toMatchObject([
      { scope, reset: true, deltas: [], hasMore: false, digest: { count: 0, hash: '0'.repeat(64) } },
    ]);
    rig.projector.put('t1', scope, 'n1');
    await rig.ingest();
    expect((await pull(device, goOn(empty))).scopes).toMatchObject([
      { reset: false, deltas: [{ entityId: 'n1' }] },
    ]);
  });

  it.each([
    ['made up', () => 'abc.def'],
    ['changed in its payload', (token: string) => `x${token}`],
    ['changed in its signature', (token: string) => token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A')],
  ])('refuses a cursor that was %s, with its path', async (_name, forge) => {
    const { device, scope, asked } = await quiet();
    const cursor = forge(asked[0]?.cursor ?? '');
    const body = {
      scopes: [
        { scope: 'course:a', cursor: null },
        { scope, cursor },
      ],
    };
    const answer = await rig.call(device, 'pull', body);
    expect(answer.body).toMatchObject({
      status: 400,
      code: 'cursor_invalid',
      errors: [{ path: '/scopes/1/cursor' }],
    });
  });

  it('refuses the cursor of another device, user, tenant or scope', async () => {
    const { device, scope, asked } = await quiet();
    const sibling = await rig.device('t1', device.userId);
    const other = await rig.device('t1');
    const namesake = await rig.device('t2', device.userId);
    const cursor = asked[0]?.cursor ?? '';
    for (const thief of [sibling, other, namesake]) {
      expect((await rig.call(thief, 'pull', { scopes: [{ scope, cursor }] })).body['code']).toBe(
        'cursor_invalid',
      );
    }
    const elsewhere = { scopes: [{ scope: 'course:a', cursor }] };
    expect((await rig.call(device, 'pull', elsewhere)).body['code']).toBe('cursor_invalid');
    expect((await rig.call(device, 'ack', { cursors: [{ scope: 'course:a', cursor }] })).body).toMatchObject({
      code: 'cursor_invalid',
      errors: [{ path: '/cursors/0/cursor' }],
    });
  });

  it('repairs a wrong digest with a full resync that it also directs', async () => {
    const { device, scope, asked } = await quiet();
    const digest = { count: 7, hash: 'a'.repeat(64) };
    const ack = await rig.call(device, 'ack', { cursors: [{ ...asked[0], digest }] });
    expect(ack.body['cursors']).toEqual([{ scope, status: 'advanced' }]);
    const answer = await pull(device, asked);
    expect(answer.directives).toEqual([{ kind: 'full_resync', scopes: [scope], reason: 'digest_mismatch' }]);
    expect(answer.scopes[0]).toMatchObject({ reset: true, deltas: [{ entityId: 'n1' }] });
    const after = await pull(device, goOn(answer));
    expect([after.directives, after.scopes[0]?.reset]).toEqual([[], false]);
    // A tab that still has the old cursor, while memory knows this device to be in good order.
    await pull(device, goOn(answer));
    expect((await pull(device, asked)).scopes[0]?.reset).toBe(true);
  });
});

describe('an empty pull', () => {
  it('costs no round trip when it is asked again', async () => {
    const { device, asked } = await quiet();
    expect(await roundTrips(() => pull(device, asked))).toBe(0);
  });

  it('says the same from memory as from the database', async () => {
    const { device, scope, asked } = await quiet();
    const remembered = await pull(device, asked);
    expect(remembered).toMatchObject({
      scopes: [
        {
          scope,
          reset: false,
          deltas: [],
          cursor: asked[0]?.cursor,
          hasMore: false,
          digest: rig.projector.digest('t1', scope),
        },
      ],
      ...{ revoked: [], outcomes: [], directives: [] },
    });
  });

  it('notices within a moment what changed without a hint: deltas, grants, outcomes', async () => {
    const { device, scope, asked } = await quiet();
    rig.projector.put('t1', scope, 'n2');
    await rig.ingest();
    const delta = await until(async () => {
      const answer = await pull(device, asked);
      return answer.scopes[0]?.deltas.length ? answer : null;
    });
    const next = goOn(delta);
    await pull(device, next);
    rig.projector.grant('t1', device.userId, 'course:late');
    await rig.ingest();
    await until(async () => (await pull(device, next)).granted?.includes('course:late') || null);
    await storeOutcome(device);
    const outcome = await until(async () => (await pull(device, next)).outcomes[0]);
    expect(outcome).toMatchObject({ status: 'applied' });
  });

  it('is never told across tenants and users', async () => {
    const { device, scope, asked } = await quiet();
    await pull(device, asked);
    const other = await rig.device('t1');
    const answer = await pull(other, [{ scope, cursor: null }]);
    expect([answer.scopes, answer.revoked]).toEqual([[], [scope]]);
  });
});

async function storeOutcome(device: TestDevice): Promise<string> {
  const id = randomUUID();
  await rig.test.database.inTenant(device.tenantId, (tx) =>
    tx.query(
      `INSERT INTO mutation (tenant_id, mutation_id, user_id, device_id, payload_hash, status, outcome, terminal_at)
       VALUES ($1, $2, $3, $4, '', 'applied', $5, now())`,
      [device.tenantId, id, device.userId, device.deviceId, `{"mutationId":"${id}","status":"applied"}`],
    ),
  );
  return id;
}

describe('a long poll', () => {
  it('answers when its time is over', async () => {
    const { device, asked } = await quiet();
    const answer = await pull(device, asked, { waitMs: 150 });
    expect(answer.scopes[0]?.deltas).toEqual([]);
  });

  it('answers at once when there is something', async () => {
    const { device } = await learner();
    const answer = await pull(device, undefined, { waitMs: 30_000 });
    expect(answer.scopes[0]?.reset).toBe(true);
  });

  it('answers with what comes through the stream of deltas', async () => {
    const { device, scope, asked } = await quiet();
    const waiting = pull(device, asked, { waitMs: 30_000 });
    await isWaiting(1);
    rig.projector.put('t1', scope, 'n2');
    await rig.ingest();
    rig.nats.publish(
      subjects.gatewayHint,
      JSON.stringify({ from: 'x', news: { scopes: [{ tenantId: 't1', scope }] } }),
    );
    expect((await waiting).scopes[0]?.deltas).toMatchObject([{ entityId: 'n2' }]);
  });

  it('finds by itself what no hint told: deltas, outcomes, revoked and granted scopes', async () => {
    for (const change of [
      (device: TestDevice) => void rig.projector.put('t1', `user:${device.userId}`, 'n2'),
      (device: TestDevice) => storeOutcome(device),
      (device: TestDevice) => void rig.projector.grant('t1', device.userId, 'course:new'),
    ]) {
      const { device, asked } = await quiet();
      const waiting = pull(device, asked, { waitMs: 30_000 });
      await isWaiting(1);
      await change(device);
      await rig.ingest();
      const answer = await waiting;
      expect(
        answer.outcomes.length + (answer.scopes[0]?.deltas.length ?? 0) + (answer.granted?.length ?? 0),
      ).toBe(1);
    }
  });

  it('stands beside those of other windows of its device, and each gets the news', async () => {
    const { device, asked } = await quiet();
    const windows = [1, 2, 3].map(() => pull(device, asked, { waitMs: 30_000 }));
    await isWaiting(3);
    rig.projector.put('t1', `user:${device.userId}`, 'n2');
    await rig.ingest();
    for (const answer of await Promise.all(windows)) {
      expect(answer.scopes[0]?.deltas).toMatchObject([{ entityId: 'n2' }]);
    }
  });

  it('ends when its device has too many, and far too many are told to come back', async () => {
    const { device, asked } = await quiet();
    const body = { scopes: asked, waitMs: 30_000 };
    const polls = Array.from({ length: 24 }, () => rig.call(device, 'pull', body));
    await isWaiting(8);
    rig.projector.put('t1', `user:${device.userId}`, 'n3');
    await rig.ingest();
    const answers = await Promise.all(polls);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 429]));
    for (const { headers } of answers.filter(({ status }) => status === 429)) {
      expect(headers.get('retry-after')).toBe('5');
    }
  });

  it('is left when the client goes', async () => {
    const { device, asked } = await quiet();
    const gone = new AbortController();
    const answer = rig.call(device, 'pull', { scopes: asked, waitMs: 30_000 }, { signal: gone.signal });
    await isWaiting(1);
    gone.abort();
    await expect(answer).rejects.toThrow();
    await isWaiting(0);
  });

  it('is refused when the device is revoked', async () => {
    const { device, asked } = await quiet();
    const answer = rig.call(device, 'pull', { scopes: asked, waitMs: 30_000 });
    await isWaiting(1);
    await rig.identity.revoke(device);
    expect((await answer).body['code']).toBe('device_revoked');
  });

  it('is answered with what there is when its replica stops, and its connection ends', async () => {
    const other = await rig.addGateway();
    rig.gateways.splice(rig.gateways.indexOf(other), 1);
    const { device, asked } = await quiet();
    const body = { scopes: asked, waitMs: 30_000 };
    const waiting = rig.call<PullResponse>(device, 'pull', body, { url: other.url });
    await pullsWait(other.opsUrl, 1);
    await other.stop();
    const { status, headers, body: answer } = await waiting;
    expect([status, headers.get('connection')]).toEqual([200, 'close']);
    expect(answer.scopes[0]).toMatchObject({ deltas: [], cursor: asked[0]?.cursor });
  });

  it('is refused when too many wait already', async () => {
    const small = await rig.addGateway({ MAX_WAITING_PULLS: '1' });
    const first = await quiet();
    const second = await quiet();
    const waiting = pull(first.device, first.asked, { waitMs: 30_000 }, small.url);
    await pullsWait(small.opsUrl, 1);
    const refused = await rig.call(
      second.device,
      'pull',
      { scopes: second.asked, waitMs: 1000 },
      { url: small.url },
    );
    expect([refused.status, refused.body['code'], refused.headers.get('retry-after')]).toEqual([
      503,
      'unavailable',
      '5',
    ]);
    expect((await pull(second.device, second.asked, {}, small.url)).scopes).toHaveLength(1);
    await small.stop();
    expect((await waiting).scopes[0]?.deltas).toEqual([]);
    rig.gateways.splice(rig.gateways.indexOf(small), 1);
  });
});

const isWaiting = (count: number): Promise<void> => pullsWait(rig.gateway.opsUrl, count);
