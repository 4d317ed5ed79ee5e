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

export async function saveRegistrations(
  manager: EntityManager,
  service: string,
  entityTypes: readonly EntityTypeRegistration[],
): Promise<void> {
  const updatedAt = new Date();
  const rows = entityTypes.map((spec) => {
    const { entityType, schemaVersion, policy } = spec;
    return { entityType, service, schemaVersion, policy, spec, updatedAt };
  });
  await manager.save(RegistrationEntity, rows);
}
