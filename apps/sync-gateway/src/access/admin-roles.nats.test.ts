import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ADMIN_OPERATIONS, ADMIN_ROLES, PLATFORM_TENANT } from '@sync/protocol';
import { GatewayRig } from '../testing/gateway-rig.ts';

let rig: GatewayRig;

beforeAll(async () => {
  rig = await GatewayRig.start();
});
afterAll(() => rig.stop());

/**
 * Who may use which operation, written out beside the table that the code has. o: sync-operator in a token of
 * the platform's tenant, a: sync-admin, r: sync-reviewer, v: sync-viewer.
 */
const EXPECTED: Readonly<Record<string, string>> = {
  'get /admin/v1/registrations': 'oa-v',
  'get /admin/v1/registrations/{service}': 'oa-v',
  'put /admin/v1/registrations/{service}': 'o---',
  'get /admin/v1/devices': '-a-v',
  'get /admin/v1/devices/{deviceId}': '-a-v',
  'get /admin/v1/conflicts': '-arv',
  'get /admin/v1/conflicts/verify': '-arv',
  'get /admin/v1/conflicts/{id}': '-arv',
  'get /admin/v1/conflicts/{id}/history': '-arv',
  'get /admin/v1/dead-letters': '-a-v',
  'post /admin/v1/dead-letters/{id}/replay': '-a--',
  'post /admin/v1/dead-letters/replay': '-a--',
  'get /admin/v1/explain': '-a-v',
  'get /admin/v1/scopes/{user}': '-a-v',
  'get /admin/v1/suggestions': '-a-v',
  'put /admin/v1/suggestions': '-a--',
  'get /admin/v1/purges/missing': '-a-v',
  'get /admin/v1/audit': 'oa-v',
  'get /admin/v1/audit/verify': 'oa-v',
  'get /admin/v1/audit/export': 'oa-v',
};

/** Whether the door opened: what is behind it may well find fault with what was asked. */
async function opens(
  method: string,
  path: string,
  tenantId: string,
  roles: readonly string[],
): Promise<boolean> {
  const token = await rig.identity.token(tenantId, 'somebody', { roles });
  const answer = await fetch(new URL(path.replaceAll(/\{\w+\}/g, 'x'), rig.url), {
    method: method.toUpperCase(),
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(method === 'get' ? {} : { body: '{}' }),
  });
  await answer.text();
  return answer.status !== 403;
}

it('every operation opens to the roles that it names, and to no other', async () => {
  const found = await Promise.all(
    ADMIN_OPERATIONS.map(async ({ method, path }) => {
      const doors = await Promise.all(
        ADMIN_ROLES.map((role) =>
          opens(method, path, role === 'sync-operator' ? PLATFORM_TENANT : 't1', [role]),
        ),
      );
      return [`${method} ${path}`, doors.map((isOpen, index) => (isOpen ? 'oarv'[index] : '-')).join('')];
    }),
  );
  expect(Object.fromEntries(found)).toEqual(EXPECTED);
});

it('no tenant’s own operator is one, and no unknown role opens anything', async () => {
  const doors = await Promise.all(
    ADMIN_OPERATIONS.map(({ method, path }) =>
      opens(method, path, 't1', ['sync-operator', 'admin', '*', '']),
    ),
  );
  expect(doors).toEqual(doors.map(() => false));
});

it('one token may have several roles', async () => {
  expect(await opens('get', '/admin/v1/devices', 't1', ['sync-reviewer', 'sync-viewer'])).toBe(true);
});

it('a person who only looks can not do so by HEAD, OPTIONS or another spelling of the path either', async () => {
  const token = await rig.identity.token('t1', 'viewer', { roles: ['sync-viewer'] });
  const ask = async (method: string, path: string): Promise<number> =>
    (await fetch(new URL(path, rig.url), { method, headers: { authorization: `Bearer ${token}` } })).status;
  expect(await ask('HEAD', '/admin/v1/registrations')).toBe(200);
  for (const path of [
    '/admin/v1/registrations/x',
    '/admin//v1/registrations/x',
    '/admin/v1/%72egistrations/x',
  ]) {
    expect([403, 404]).toContain(await ask('PUT', path));
  }
});
