import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { EntityTypeRegistration, SyncRegistration } from '@sync/protocol';
import { RegistrationRights } from './registration-rights.ts';

const CONFIGURED = RegistrationRights.of(
  {
    services: {
      learning: { entityTypes: ['course', 'note'], grants: ['course'] },
      shop: { entityTypes: ['order'], subjects: ['legacy.orders.>'] },
    },
  },
  'rights',
);

function registration(
  service: string,
  entityType: string,
  more: Partial<EntityTypeRegistration> = {},
): SyncRegistration {
  const projection = { kind: 'declarative' as const, fields: '*' as const, scopes: ['user:{userId}'] };
  return { service, entityTypes: [{ entityType, schemaVersion: 1, policy: 'lww', projection, ...more }] };
}

const grants = [{ scope: 'course:{courseId}', user: '{userId}' }];

describe('RegistrationRights', () => {
  it('let a service register what is assigned to it, and grant the scopes it may', () => {
    expect(CONFIGURED.faultsOf(registration('learning', 'course', { grants }))).toEqual([]);
    expect(CONFIGURED.faultsOf(registration('shop', 'order'))).toEqual([]);
    expect(CONFIGURED.subjectsOf('shop')).toEqual(['legacy.orders.>']);
    expect(CONFIGURED.subjectsOf('learning')).toEqual([]);
  });

  it.each([
    ['a type of another service', registration('shop', 'note'), '/entityTypes/0/entityType'],
    ['a type that nobody has', registration('shop', 'cart'), '/entityTypes/0/entityType'],
    ['a service that nobody knows', registration('thief', 'cart'), '/entityTypes/0/entityType'],
    ['a name that objects have', registration('constructor', 'cart'), '/entityTypes/0/entityType'],
    [
      'grants of another’s scopes',
      registration('shop', 'order', { grants }),
      '/entityTypes/0/grants/0/scope',
    ],
    ['a type of the platform', registration('shop', 'conflict'), '/entityTypes/0/entityType'],
  ])('refuse %s', (_name, asked, path) => {
    expect(CONFIGURED.faultsOf(asked)).toEqual([{ path, message: expect.any(String) }]);
  });

  it('leave everything to the first in development, but not what the platform itself has', () => {
    const open = RegistrationRights.development();
    expect(open.faultsOf(registration('anybody', 'anything', { grants }))).toEqual([]);
    expect(open.faultsOf(registration('conflict-resolver', 'conflict'))).toEqual([]);
    expect(open.faultsOf(registration('thief', 'conflict'))).toHaveLength(1);
    expect(open.faultsOf(registration('conflict-resolver', 'anything'))).toHaveLength(1);
  });

  it('let no configuration take away what the platform has', () => {
    const value = { services: { thief: { entityTypes: ['conflict'] } } };
    expect(() => RegistrationRights.of(value, 'rights')).toThrow(/"conflict" belongs to thief and to/);
  });

  it('refuse a file that nobody can follow, and say where', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'rights-')), 'rights.json');
    await expect(RegistrationRights.fromFile(file)).rejects.toThrow(/rights\.json.*ENOENT/);
    await writeFile(file, '{"services":');
    await expect(RegistrationRights.fromFile(file)).rejects.toThrow(/rights\.json.*JSON/);
    await writeFile(file, '{"services":{"shop":{"entityTypes":["Order"]}}}');
    await expect(RegistrationRights.fromFile(file)).rejects.toThrow('/services/shop/entityTypes/0');
    await writeFile(
      file,
      '{"services":{"shop":{"entityTypes":[]}, "other":{"entityTypes":["a"]}, "x":{"entityTypes":["a"]}}}',
    );
    await expect(RegistrationRights.fromFile(file)).rejects.toThrow(/"a" belongs to other and to x/);
  });
});
