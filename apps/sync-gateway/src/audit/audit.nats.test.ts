import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { RemoteError, request, Responder } from '@sync/messaging';
import {
  ADMIN_OPERATIONS,
  type AuditEntry,
  operationIdOf,
  PLATFORM_TENANT,
  type SuggestionSettings,
  subjects,
  type SyncRegistration,
} from '@sync/protocol';
import { silent } from '../push/testing/push-rig.ts';
import { GatewayRig } from '../testing/gateway-rig.ts';

let rig: GatewayRig;
const stops: Responder[] = [];
let answers: (subject: string) => unknown = () => undefined;

beforeAll(async () => {
  rig = await GatewayRig.start({ DATABASE_ANSWER_MS: '1500' });
  for (const subject of [subjects.deadLetterReplay, subjects.suggestionSettings]) {
    const handle = async (): Promise<unknown> => answers(subject);
    stops.push(new Responder({ nats: rig.nats, subject, queue: 'test', handle, logger: silent }));
  }
  await rig.nats.flush();
});
afterEach(() => {
  answers = () => undefined;
});
afterAll(async () => {
  for (const responder of stops) await responder.stop();
  await rig.stop();
});

const SETTINGS: SuggestionSettings = {
  ...{ enabled: false, tokensPerDay: 5, costPerDayMicros: 0 },
  ...{ redactFields: ['ssn'], redactPatterns: ['secret-[0-9]+'] },
};

interface Person {
  readonly tenantId: string;
  readonly userId: string;
  readonly roles: readonly string[];
}

/** An administrator of a tenant that nobody else uses. */
const person = (roles: readonly string[] = ['sync-admin'], tenantId = `t-${randomUUID()}`): Person => ({
  ...{ tenantId, roles },
  userId: `u-${randomUUID()}`,
});
const operator = (): Person => person(['sync-operator'], PLATFORM_TENANT);

async function call(
  { tenantId, userId, roles }: Person,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ readonly status: number; readonly text: string; readonly body: Record<string, unknown> }> {
  const token = await rig.identity.token(tenantId, userId, { roles });
  const answer = await fetch(new URL(`/admin/v1/${path}`, rig.url), {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, text, body: parsed(text) };
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** What the log says of one actor, oldest first. */
async function linesOf(actor: string, tenantId: string): Promise<AuditEntry[]> {
  const reader = person(['sync-viewer'], tenantId);
  const { body } = await call(reader, 'GET', `audit?actor=${actor}`);
  return (body['entries'] as AuditEntry[]).reverse();
}

const registrationOf = (service: string): SyncRegistration => ({
  service,
  entityTypes: [
    {
      entityType: `type-${service}`,
      schemaVersion: 1,
      policy: 'lww',
      projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
    },
  ],
});
const fresh = (): string => `s${randomUUID().slice(0, 8)}`;

/** A request that each change accepts, and what the log then says of it. */
const CHANGES: Readonly<Record<string, readonly [path: string, body: unknown, outcomes: string[]]>> = {
  putRegistrationsService: ['registrations/SERVICE', 'REGISTRATION', ['done']],
  postDeadLettersIdReplay: ['dead-letters/17/replay', {}, ['attempted', 'done']],
  postDeadLettersReplay: ['dead-letters/replay', { entityType: 'note' }, ['attempted', 'done']],
  putSuggestions: ['suggestions', SETTINGS, ['attempted', 'done']],
};

describe('a change', () => {
  const changes = ADMIN_OPERATIONS.filter(({ method }) => method !== 'get');

  it.each(changes.map((operation) => [operationIdOf(operation), operation] as const))(
    '%s is in the log once, with who did it and to what',
    async (id, { method, roles }) => {
      answers = (subject) =>
        subject === subjects.suggestionSettings
          ? {
              settings: SETTINGS,
              usage: { day: '2026-01-01', tokens: 0, costMicros: 0 },
              endpoint: { model: 'm' },
            }
          : { replayed: 3, failed: [], remaining: { quarantined: 0 } };
      const [template, sent, outcomes] = CHANGES[id] ?? ['', {}, []];
      const service = fresh();
      const path = template.replace('SERVICE', service);
      const who = roles.includes('sync-operator') ? operator() : person();
      const body = sent === 'REGISTRATION' ? registrationOf(service) : sent;
      expect((await call(who, method.toUpperCase(), path, body)).status).toBe(200);
      const lines = await linesOf(who.userId, who.tenantId);
      expect(lines.map(({ outcome }) => outcome)).toEqual(outcomes);
      for (const line of lines) {
        expect(line).toMatchObject({
          actor: { kind: 'person', ...who },
          operation: id,
          target: path,
          code: null,
          count: 1,
        });
      }
      if (lines.length > 1) expect(lines[1]?.attempt).toBe(lines[0]?.position);
    },
  );

  it('of registrations tells what was there before, and is told again when it changes nothing', async () => {
    const [who, service] = [operator(), fresh()];
    for (let count = 0; count < 2; count += 1)
      expect((await call(who, 'PUT', `registrations/${service}`, registrationOf(service))).status).toBe(200);
    const [first, second] = await linesOf(who.userId, PLATFORM_TENANT);
    expect(first?.detail).toMatchObject({
      changedTypes: 1,
      types: [{ entityType: `type-${service}`, before: null }],
    });
    expect(second?.detail).toMatchObject({ changedTypes: 0, types: [] });
  });

  it('by a service over NATS is in the platform’s log, its repetition is not', async () => {
    const service = fresh();
    for (let count = 0; count < 2; count += 1)
      await request(rig.nats, subjects.registerAs(service), registrationOf(service), { timeoutMs: 5_000 });
    expect(await linesOf(service, PLATFORM_TENANT)).toMatchObject([
      {
        actor: { kind: 'service', service },
        operation: 'registerService',
        target: `registrations/${service}`,
        outcome: 'done',
      },
    ]);
  });

  it('that another app refuses, or does not answer, says so', async () => {
    const who = person();
    answers = () => {
      throw new RemoteError('suggestions_disabled', 'no endpoint');
    };
    expect((await call(who, 'PUT', 'suggestions', SETTINGS)).status).toBe(409);
    answers = () => ({ nonsense: true });
    expect((await call(who, 'PUT', 'suggestions', SETTINGS)).status).toBe(503);
    expect(await linesOf(who.userId, who.tenantId)).toMatchObject([
      { outcome: 'attempted' },
      { outcome: 'refused', code: 'suggestions_disabled' },
      { outcome: 'attempted' },
      { outcome: 'unknown', code: 'unavailable' },
    ]);
  });

  it('of a dead letter that the tenant does not have is refused', async () => {
    const who = person();
    const failed = [{ deadLetterId: '17', code: 'not_found', cause: 'none' }];
    answers = () => ({ replayed: 0, failed, remaining: { quarantined: 0 } });
    expect((await call(who, 'POST', 'dead-letters/17/replay')).status).toBe(404);
    expect(await linesOf(who.userId, who.tenantId)).toMatchObject([
      { outcome: 'attempted', target: 'dead-letters/17/replay', detail: { deadLetterIds: ['17'] } },
      { outcome: 'refused', code: 'not_found', attempt: '1' },
    ]);
  });

  it('never quotes what settings hide', async () => {
    const who = person();
    await call(who, 'PUT', 'suggestions', SETTINGS);
    const [attempt] = await linesOf(who.userId, who.tenantId);
    expect(attempt?.detail).toMatchObject({ redactFields: 1, redactPatterns: 1 });
    expect(JSON.stringify(attempt)).not.toContain('secret-');
  });

  it('is not asked of another app while its line cannot be written', async () => {
    const who = person();
    let asked = 0;
    answers = () => (asked += 1);
    await rig.test.database.transaction(async (tx) => {
      await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
        `audit-entry:${who.tenantId}`,
      ]);
      const answer = await call(who, 'POST', 'dead-letters/replay');
      expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    });
    expect(asked).toBe(0);
    expect((await linesOf(who.userId, who.tenantId)).filter(({ outcome }) => outcome === 'done')).toEqual([]);
  });
});

describe('a change and its line', () => {
  it.each(['killed', 'let go on'])('of a process that is %s between them: both, or none', async (fate) => {
    const [who, service] = [operator(), fresh()];
    let answer = Promise.resolve({ status: 0 });
    await rig.test.database.transaction(async (tx) => {
      await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
        `audit-entry:${PLATFORM_TENANT}`,
      ]);
      answer = call(who, 'PUT', `registrations/${service}`, registrationOf(service));
      const pid = await backendThatWaits();
      if (fate === 'killed') await rig.test.tamper(`SELECT pg_terminate_backend(${pid})`);
    });
    const { status } = await answer;
    const stored = await rig.test.database.transaction((tx) =>
      tx.query('SELECT FROM registration WHERE service = $1', [service]),
    );
    const lines = await linesOf(who.userId, PLATFORM_TENANT);
    const expected = fate === 'killed' ? [503, 0, 0] : [200, 1, 1];
    expect([status, stored.length, lines.length]).toEqual(expected);
  });

  it('cannot be had one without the other: a line that is refused takes the change back', async () => {
    const [who, service] = [operator(), fresh()];
    await rig.test.tamper(`ALTER TABLE audit_entry ADD CONSTRAINT nobody CHECK (actor <> '${who.userId}')`);
    const { status } = await call(who, 'PUT', `registrations/${service}`, registrationOf(service));
    await rig.test.tamper('ALTER TABLE audit_entry DROP CONSTRAINT nobody');
    expect(status).toBe(500);
    expect((await call(operator(), 'GET', `registrations/${service}`)).status).toBe(404);
  });
});

it('the line of a change that fails after it is taken back with the change', async () => {
  const [who, service] = [operator(), fresh()];
  await rig.test.tamper(
    `ALTER TABLE sync_outbox ADD CONSTRAINT nobody CHECK (payload NOT LIKE '%${service}%')`,
  );
  const { status } = await call(who, 'PUT', `registrations/${service}`, registrationOf(service));
  await rig.test.tamper('ALTER TABLE sync_outbox DROP CONSTRAINT nobody');
  expect(status).toBe(500);
  expect((await call(operator(), 'GET', `registrations/${service}`)).status).toBe(404);
  expect(await linesOf(who.userId, PLATFORM_TENANT)).toEqual([]);
});

/** The process id of the backend that has changed registrations and waits for the chain. */
async function backendThatWaits(): Promise<number> {
  for (;;) {
    const [row] = await rig.test.database.transaction((tx) =>
      tx.query<{ pid: number }>(
        `SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE NOT l.granted AND l.locktype = 'advisory' AND a.datname = current_database()
           AND a.application_name = 'sync-gateway'`,
      ),
    );
    if (row) return row.pid;
  }
}

describe('a refused attempt', () => {
  const admin = (tenantId?: string): Person => person(['sync-admin'], tenantId);

  it.each([
    [
      'a role that does not fit a change',
      person(['sync-viewer']),
      'PUT',
      'suggestions',
      SETTINGS,
      'forbidden',
    ],
    ['a role that does not fit a read', person(['sync-reviewer']), 'GET', 'devices', undefined, 'forbidden'],
    ['no role at all', person([]), 'POST', 'dead-letters/replay', {}, 'forbidden'],
    ['what can be no settings', admin(), 'PUT', 'suggestions', { enabled: 'yes' }, 'schema_invalid'],
    ['what is no JSON', admin(), 'PUT', 'suggestions', '{', 'malformed_json'],
    ['a filter that is none', admin(), 'GET', 'devices?limit=x', undefined, 'schema_invalid'],
    [
      'a registration of another name',
      operator(),
      'PUT',
      'registrations/a',
      registrationOf('b'),
      'registration_invalid',
    ],
    ['a parameter that no database keeps', admin(), 'GET', 'scopes/%00', undefined, 'schema_invalid'],
  ] as const)(
    '(%s) is in the log once, with actor, target and code',
    async (_what, who, method, path, body, code) => {
      expect((await call(who, method, path, body)).body).toMatchObject({ code });
      expect(await linesOf(who.userId, who.tenantId)).toMatchObject([
        {
          actor: { kind: 'person', ...who },
          target: path.split('?')[0],
          ...{ outcome: 'refused', code, count: 1 },
        },
      ]);
    },
  );

  it('at what all tenants share is in the log of the platform, whatever the tenant', async () => {
    const who = person(['sync-operator', 'sync-admin']);
    const { status } = await call(who, 'PUT', 'registrations/billing', registrationOf('billing'));
    expect(status).toBe(403);
    expect(await linesOf(who.userId, who.tenantId)).toEqual([]);
    expect(await linesOf(who.userId, PLATFORM_TENANT)).toMatchObject([
      { actor: who, operation: 'putRegistrationsService', outcome: 'refused', code: 'forbidden' },
    ]);
  });

  it('of a service is in the log of the platform', async () => {
    const service = fresh();
    const other = registrationOf('another');
    await expect(
      request(rig.nats, subjects.registerAs(service), other, { timeoutMs: 5_000 }),
    ).rejects.toMatchObject({ code: 'forbidden' });
    expect(await linesOf(service, PLATFORM_TENANT)).toMatchObject([
      { actor: { kind: 'service', service }, target: 'registrations/another', code: 'forbidden' },
    ]);
  });

  it('of nobody in particular is not in the log', async () => {
    const before = (await exported(PLATFORM_TENANT)).length;
    expect((await fetch(new URL('/admin/v1/registrations', rig.url))).status).toBe(401);
    expect((await exported(PLATFORM_TENANT)).length).toBe(before);
  });

  it('that is repeated without end adds one line at once', async () => {
    const who = person(['sync-viewer']);
    const try50 = Array.from({ length: 50 }, () => call(who, 'PUT', 'suggestions', SETTINGS));
    for (const { status } of await Promise.all(try50)) expect(status).toBe(403);
    expect(await linesOf(who.userId, who.tenantId)).toMatchObject([{ count: 1 }]);
  });
});

/** The lines of an export as objects: head, entries, end. */
async function exported(tenantId: string, query = ''): Promise<Record<string, unknown>[]> {
  const { text } = await call(person(['sync-viewer'], tenantId), 'GET', `audit/export${query}`);
  return text.trimEnd().split('\n').map(parsed);
}

describe('the log', () => {
  it('is of one tenant only: list, verification and export', async () => {
    const [mine, yours] = [person(), person()];
    await call(mine, 'GET', 'devices?limit=x');
    await call(yours, 'GET', 'devices?limit=x');
    const { body } = await call(mine, 'GET', 'audit');
    expect(body['entries']).toMatchObject([{ actor: mine }]);
    expect((await call(mine, 'GET', `audit?actor=${yours.userId}`)).body['entries']).toEqual([]);
    expect((await call(mine, 'GET', 'audit/verify')).body).toMatchObject({ checked: 1, broken: null });
    expect(await exported(mine.tenantId)).toMatchObject([
      { head: { tenantId: mine.tenantId, after: '0', hash: '' } },
      { actor: mine, position: '1' },
      { end: { position: '1', entries: '1' } },
    ]);
  });

  it('is exported from a line on, and from no line that it does not have', async () => {
    const who = person();
    for (const path of ['devices?limit=x', 'conflicts?limit=x', 'purges/missing?limit=x'])
      await call(who, 'GET', path);
    const all = await exported(who.tenantId);
    const [head, ...rest] = await exported(who.tenantId, '?after=1');
    expect(head).toMatchObject({ head: { after: '1', hash: all[1]?.['hash'] } });
    expect(rest).toEqual(all.slice(2));
    for (const after of ['4', '-1', 'x', '99999999999999999999'])
      expect((await call(who, 'GET', `audit/export?after=${after}`)).status).toBe(400);
  });

  it('is not read by those who see conflicts only, or by strangers', async () => {
    for (const path of ['audit', 'audit/verify', 'audit/export']) {
      expect((await call(person(['sync-reviewer']), 'GET', path)).status).toBe(403);
      expect((await fetch(new URL(`/admin/v1/${path}`, rig.url))).status).toBe(401);
    }
  });

  it('refuses cursors that are not its own', async () => {
    const noTimes = ['x', '1', '0000-01-01T00:00:00Z', '+275760-09-13T00:00:00.000Z'];
    for (const parts of [...noTimes.map((at) => [at, '1']), ['2026-01-01T00:00:00Z', 'x'], ['1'], []]) {
      const cursor = Buffer.from(JSON.stringify(parts)).toString('base64url');
      expect((await call(person(), 'GET', `audit?cursor=${cursor}`)).status).toBe(400);
    }
  });
});
