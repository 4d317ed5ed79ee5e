import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request } from '@sync/messaging';
import { type EntityTypeRegistration, PLATFORM_TENANT, subjects } from '@sync/protocol';
import { GatewayRig } from '../testing/gateway-rig.ts';

/** What a gateway answers: a status and a body, or over NATS a code. */
interface Refusal {
  readonly status?: number;
  readonly code?: string;
}

let rig: GatewayRig;

async function put(
  registration: { readonly service: string; readonly entityTypes: readonly EntityTypeRegistration[] },
  tenantId: string,
  roles: readonly string[],
): Promise<Refusal> {
  const token = await rig.identity.token(tenantId, 'somebody', { roles });
  const answer = await fetch(new URL(`/admin/v1/registrations/${registration.service}`, rig.url), {
    method: 'PUT',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(registration),
  });
  const { code } = (await answer.json()) as { code?: string };
  return { status: answer.status, ...(code !== undefined && { code }) };
}

const operate = (registration: Parameters<typeof put>[0]): Promise<Refusal> =>
  put(registration, PLATFORM_TENANT, ['sync-operator']);

/** As the owning service itself, over NATS. */
async function register(
  service: string,
  entityTypes: readonly EntityTypeRegistration[],
  subject = subjects.registerAs(service),
): Promise<string> {
  try {
    await request(rig.nats, subject, { service, entityTypes }, { timeoutMs: 5_000 });
    return 'registered';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

function typeOf(entityType: string, more: Partial<EntityTypeRegistration> = {}): EntityTypeRegistration {
  const projection = { kind: 'declarative' as const, fields: '*' as const, scopes: ['user:{userId}'] };
  return { entityType, schemaVersion: 3, policy: 'lww', projection, ...more };
}

async function storedVersion(entityType: string): Promise<number | undefined> {
  const token = await rig.identity.token('t1', 'viewer', { roles: ['sync-viewer'] });
  const answer = await fetch(new URL('/admin/v1/registrations?limit=500', rig.url), {
    headers: { authorization: `Bearer ${token}` },
  });
  const { registrations } = (await answer.json()) as {
    registrations: { entityTypes: EntityTypeRegistration[] }[];
  };
  return registrations
    .flatMap(({ entityTypes }) => entityTypes)
    .find((type) => type.entityType === entityType)?.schemaVersion;
}

describe('without a file of rights', () => {
  beforeAll(async () => {
    rig = await GatewayRig.start();
  });
  afterAll(() => rig.stop());

  it('an administrator of a tenant changes no registration, whatever else he may do', async () => {
    expect(await register('learning', [typeOf('note')])).toBe('registered');
    const widened = typeOf('note', {
      projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}', 'user:x'] },
    });
    const body = { service: 'learning', entityTypes: [widened] };
    for (const roles of [['sync-admin'], ['sync-viewer'], ['sync-reviewer'], ['sync-operator'], []]) {
      expect(await put(body, 't1', roles)).toEqual({ status: 403, code: 'forbidden' });
    }
    expect(await operate(body)).toEqual({ status: 400, code: 'registration_invalid' });
  });

  it('a version cannot jump, and the service takes its own types back', async () => {
    await register('library', [typeOf('loan')]);
    const at = (schemaVersion: number): EntityTypeRegistration[] => [typeOf('loan', { schemaVersion })];
    expect(await operate({ service: 'library', entityTypes: at(1_000_000) })).toMatchObject({ status: 400 });
    expect(await register('library', at(14))).toBe('registration_invalid');
    expect(await operate({ service: 'library', entityTypes: at(9) })).toMatchObject({ status: 200 });
    expect(await storedVersion('loan')).toBe(9);
    expect(await register('library', at(2))).toBe('registration_invalid');
    expect(await register('library', at(3))).toBe('registered');
    expect(await storedVersion('loan')).toBe(3);
    expect(await register('library', [typeOf('shelf', { schemaVersion: 1_001 })])).toBe(
      'registration_invalid',
    );
  });

  it('what the service itself registered stays its lowest version after an operator said the same', async () => {
    await operate({ service: 'museum', entityTypes: [typeOf('exhibit')] });
    expect(await register('museum', [typeOf('exhibit', { schemaVersion: 2 })])).toBe('registered');
    expect(await register('museum', [typeOf('exhibit')])).toBe('registered');
    expect(await register('museum', [typeOf('exhibit', { schemaVersion: 2 })])).toBe('registration_invalid');
  });

  it('a service registers under its own name only', async () => {
    expect(await register('shop', [typeOf('order')], subjects.registerAs('thief'))).toBe('forbidden');
    expect(await register('thief', [typeOf('conflict')])).toBe('forbidden');
    expect(await register('shop', [typeOf('order')], subjects.register)).toBe('registered');
  });

  it.each([
    ['pushes', { pushSubject: 'other.app.command' }],
    ['snapshots', { snapshotSubject: 'sync.conflicts.v1.list' }],
    ['events', { eventSubjects: ['sync.>'] }],
    ['upcasts', { upcasters: [{ from: 2, subject: 'identity.device-binding.v1.verify' }] }],
  ])('%s go to no subject of others', async (_what, more) => {
    expect(await register('pointer', [typeOf('pointed', more)])).toBe('registration_invalid');
  });

  it('has a bound of entity types', async () => {
    const many = (from: number): EntityTypeRegistration[] =>
      Array.from({ length: 150 }, (_none, index) => typeOf(`many-${from + index}`));
    expect(await register('greedy', many(0))).toBe('registered');
    expect(await register('greedy', many(150))).toBe('registration_invalid');
    expect(await storedVersion('many-150')).toBeUndefined();
  });
});

describe('with a file of rights', () => {
  beforeAll(async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'rights-')), 'rights.json');
    const services = {
      learning: { entityTypes: ['note', 'enrollment'], grants: ['course'], subjects: ['legacy.notes.push'] },
      shop: { entityTypes: ['order'] },
    };
    await writeFile(file, JSON.stringify({ services }));
    rig = await GatewayRig.start({ SERVICE_RIGHTS_FILE: file });
  });
  afterAll(() => rig.stop());

  const grants = [{ scope: 'course:{courseId}', user: '{userId}' }];

  it('each service has what is assigned to it, and nothing else', async () => {
    expect(await register('learning', [typeOf('enrollment', { grants })])).toBe('registered');
    expect(await register('shop', [typeOf('order')])).toBe('registered');
    expect(await register('shop', [typeOf('note')])).toBe('forbidden');
    expect(await register('shop', [typeOf('cart')])).toBe('forbidden');
    expect(await register('shop', [typeOf('order', { grants })])).toBe('forbidden');
    expect(await register('stranger', [typeOf('thing')])).toBe('forbidden');
    expect(await register('conflict-resolver', [typeOf('conflict')])).toBe('registered');
    expect(await operate({ service: 'shop', entityTypes: [typeOf('note')] })).toMatchObject({ status: 403 });
  });

  it('subjects of others need the operators’ word', async () => {
    expect(await register('learning', [typeOf('note', { pushSubject: 'legacy.notes.push' })])).toBe(
      'registered',
    );
    expect(await register('shop', [typeOf('order', { pushSubject: 'legacy.notes.push' })])).toBe(
      'registration_invalid',
    );
  });

  it('nobody registers where no name is in the subject', async () => {
    expect(await register('learning', [typeOf('note')], subjects.register)).toBe('forbidden');
  });

  it('a type comes to the service that it is assigned to, from whoever had it', async () => {
    await rig.test.database.transaction((tx) =>
      tx.manager.query(
        `UPDATE registration SET service = 'squatter', schema_version = 900, own_version = 900
         WHERE entity_type = 'order'`,
      ),
    );
    expect(await register('shop', [typeOf('order')])).toBe('registered');
    expect(await storedVersion('order')).toBe(3);
  });
});
