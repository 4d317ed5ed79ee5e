import { adminToken, changeOnServer, operatorToken } from '@sync/e2e-device';
import type { AuditEntry } from '@sync/protocol';
import {
  type Bound,
  appendStatements,
  boundUser,
  entityOf,
  fresh,
  platform,
  pullUntil,
} from './kit/platform.ts';

async function admin<T = Record<string, unknown>>(
  tenantId: string,
  path: string,
  init: RequestInit = {},
): Promise<{ status: number; body: T }> {
  const token = await adminToken(platform(), tenantId);
  return adminWith(token, path, init);
}

async function adminWith<T = Record<string, unknown>>(
  token: string,
  path: string,
  init: RequestInit = {},
): Promise<{ status: number; body: T }> {
  const answer = await fetch(new URL(path, platform().gateway), {
    ...init,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
  });
  return { status: answer.status, body: (await answer.json()) as T };
}

describe('admin', () => {
  let user: Bound;

  beforeAll(async () => {
    user = await boundUser();
    appendStatements(user.device, user.scope, 2);
    await user.device.push();
    await pullUntil(user.device, () => user.device.replica(user.scope).digest.count === 2);
  });

  it('refuses a token without the role, and no token', async () => {
    const url = new URL('/admin/v1/registrations', platform().gateway);
    const ordinary = await fetch(url, {
      headers: { authorization: `Bearer ${user.device.credentials.accessToken}` },
    });
    expect([ordinary.status, (await fetch(url)).status]).toEqual([403, 401]);
  });

  it('lists the registrations of all owning services with policy, scopes and grants', async () => {
    const { status, body } = await admin(user.tenantId, '/admin/v1/registrations');
    expect(status).toBe(200);
    const text = JSON.stringify(body);
    for (const entityType of [
      'statement',
      'progress',
      'note',
      'enrollment',
      'certificate',
      'bundle',
      'document',
      'conflict',
    ]) {
      expect(text).toContain(`"entityType":"${entityType}"`);
    }
    expect(text).toContain('course:{courseId}');
  });

  it('refuses a registration that contradicts itself, with the path', async () => {
    const entity = {
      entityType: fresh('x'),
      schemaVersion: 1,
      policy: 'crdt_yjs',
      projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
    };
    const operator = await operatorToken(platform());
    const put = (body: unknown): Promise<{ status: number; body: Record<string, unknown> }> =>
      adminWith(operator, '/admin/v1/registrations/newcomer', { method: 'PUT', body: JSON.stringify(body) });
    const { status, body } = await put({ service: 'newcomer', entityTypes: [entity] });
    expect([status, body['code']]).toEqual([400, 'registration_invalid']);
    expect(JSON.stringify(body['errors'])).toContain('/entityTypes/0');
  });

  it('refuses an entity type that another service owns', async () => {
    const entity = {
      entityType: 'note',
      schemaVersion: 1,
      policy: 'lww',
      projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
    };
    const { status, body } = await adminWith(
      await operatorToken(platform()),
      '/admin/v1/registrations/thief',
      {
        method: 'PUT',
        body: JSON.stringify({ service: 'thief', entityTypes: [entity] }),
      },
    );
    expect([status, body['code']]).toEqual([409, 'entity_type_taken']);
  });

  it('shows the health of a device, to its own tenant only', async () => {
    const path = `/admin/v1/devices/${user.device.credentials.deviceId}`;
    let found = await admin(user.tenantId, path);
    for (let attempt = 0; attempt < 100 && found.status !== 200; attempt += 1) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      found = await admin(user.tenantId, path);
    }
    expect(found.status).toBe(200);
    expect(JSON.stringify(found.body)).toContain(user.userId);
    expect((await admin(fresh('t'), path)).status).toBe(404);
  });

  it('explains why a device has an entity, and why another lacks it', async () => {
    const noteId = fresh('n');
    await changeOnServer(platform().learning, user.tenantId, 'note', noteId, {
      userId: user.userId,
      text: 'x',
    });
    await pullUntil(user.device, () => entityOf(user.device, user.scope, 'note', noteId) !== undefined);
    const stranger = await boundUser(user.tenantId);
    const explain = (deviceId: string): Promise<{ status: number; body: Record<string, unknown> }> =>
      admin(user.tenantId, `/admin/v1/explain?device=${deviceId}&entity=note/${noteId}`);
    const has = await explain(user.device.credentials.deviceId);
    const lacks = await explain(stranger.device.credentials.deviceId);
    expect([has.status, lacks.status]).toEqual([200, 200]);
    expect(JSON.stringify(has.body)).not.toEqual(JSON.stringify(lacks.body));
  });

  it('lists dead letters', async () => {
    const { status, body } = await admin<{ deadLetters: unknown[] }>(user.tenantId, '/admin/v1/dead-letters');
    expect([status, body.deadLetters]).toEqual([200, []]);
  });

  it('keeps a log of what is changed and who was refused, which verifies', async () => {
    const tenantId = fresh('t');
    const replay = '/admin/v1/dead-letters/replay';
    expect((await admin(tenantId, replay, { method: 'POST' })).status).toBe(200);
    expect((await admin(tenantId, '/admin/v1/devices?limit=x')).status).toBe(400);
    const { body } = await admin<{ entries: AuditEntry[] }>(tenantId, '/admin/v1/audit');
    expect(body.entries.map(({ operation, outcome, code }) => [operation, outcome, code])).toEqual([
      ['getDevices', 'refused', 'schema_invalid'],
      ['postDeadLettersReplay', 'done', null],
      ['postDeadLettersReplay', 'attempted', null],
    ]);
    const verified = await admin(tenantId, '/admin/v1/audit/verify');
    expect(verified.body).toMatchObject({ checked: 3, broken: null, hash: body.entries[0]?.hash });
  });
});
