import type { Database } from '@sync/postgres';
import type { EntityTypeRegistration } from '@sync/protocol';
import type { EntityManager } from 'typeorm';
import { RegistrationEntity } from './registration-entity.ts';

/** Everything that is registered, in the order of service and entity type. */
export async function loadRegistrations(database: Database): Promise<RegistrationEntity[]> {
  return database.transaction((tx) =>
    tx.manager.find(RegistrationEntity, { order: { service: 'ASC', entityType: 'ASC' } }),
  );
}

/**
 * The rows of these entity types, locked until the end of the transaction. The table is locked against other
 * registrations first: rows that are not there yet cannot be, and services register rarely.
 */
export async function lockRegistrations(
  manager: EntityManager,
  entityTypes: readonly string[],
): Promise<RegistrationEntity[]> {
  await manager.query('SELECT pg_advisory_xact_lock(hashtext($1))', ['registration']);
  return manager
    .createQueryBuilder(RegistrationEntity, 'r')
    .where('r.entityType IN (:...entityTypes)', { entityTypes })
    .getMany();
}

/** How many entity types a service has, and all services together. */
export async function countTypes(
  manager: EntityManager,
  service: string,
): Promise<{ readonly own: number; readonly all: number }> {
  const [own, all] = [
    await manager.countBy(RegistrationEntity, { service }),
    await manager.count(RegistrationEntity),
  ];
  return { own, all };
}

/** An entity type to store; `ownVersion` is the version that its service registered itself, if it ever has. */
export interface StoredRegistration {
  readonly spec: EntityTypeRegistration;
  readonly ownVersion: number | null;
}

export async function saveRegistrations(
  manager: EntityManager,
  service: string,
  registrations: readonly StoredRegistration[],
): Promise<void> {
  const updatedAt = new Date();
  const rows = registrations.map(({ spec, ownVersion }) => {
    const { entityType, schemaVersion, policy } = spec;
    return { entityType, service, schemaVersion, ownVersion, policy, spec, updatedAt };
  });
  await manager.save(RegistrationEntity, rows);
}
