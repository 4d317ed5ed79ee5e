import { isDeepStrictEqual } from 'node:util';
import { appendToOutbox, eventMessages, type OutboxRow, syncEvent } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import {
  type EntityTypeRegistration,
  type SchemaFault,
  STREAMS,
  SyncRegistration,
  validator,
} from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import { findContradictions } from './check-registration.ts';
import type { RegistrationEntity } from './registration-entity.ts';
import { lockRegistrations, saveRegistrations } from './registration-store.ts';

/** Told after a registration changed something. */
export type RegistrationChanged = () => Promise<void>;

const checkRegistration = validator(SyncRegistration);

/**
 * Registers entity types of a service, or changes them. Types that the service registered before and does not
 * name now stay: replicas of an older version must not lose what a newer one added.
 */
export class RegisterService {
  readonly #database: Database;
  readonly #changed: RegistrationChanged;

  constructor(database: Database, changed: RegistrationChanged) {
    this.#database = database;
    this.#changed = changed;
  }

  /**
   * @returns the entity types that are registered now; asking again for what is registered changes nothing
   * @throws ProblemError `schema_invalid` or `registration_invalid` with paths, `entity_type_taken`
   */
  async execute(body: unknown): Promise<string[]> {
    const registration = validate(body);
    const changedTypes = await this.#database.transaction(async (tx) => {
      const { service, entityTypes } = registration;
      const names = entityTypes.map(({ entityType }) => entityType);
      const known = await lockRegistrations(tx.manager, names);
      refuseForeign(registration, known);
      refuseRegress(registration, known);
      const changed = entityTypes.filter((spec) => !isKnown(spec, known));
      if (changed.length === 0) return [];
      await saveRegistrations(tx.manager, service, changed);
      const changedNames = changed.map(({ entityType }) => entityType);
      await appendToOutbox(tx, changedMessages(service, changedNames));
      return changedNames;
    });
    if (changedTypes.length > 0) await this.#changed();
    return registration.entityTypes.map(({ entityType }) => entityType);
  }
}

function validate(body: unknown): SyncRegistration {
  const checked = checkRegistration(body);
  if (!checked.ok) throw problemOf('schema_invalid', checked.faults);
  const contradictions = findContradictions(checked.value);
  if (contradictions.length > 0) throw problemOf('registration_invalid', contradictions);
  return checked.value;
}

function refuseForeign(
  { service, entityTypes }: SyncRegistration,
  known: readonly RegistrationEntity[],
): void {
  const errors = entityTypes.flatMap(({ entityType }, index): SchemaFault[] => {
    const owner = known.find((row) => row.entityType === entityType)?.service;
    if (owner === undefined || owner === service) return [];
    return [{ path: `/entityTypes/${index}/entityType`, message: `"${entityType}" is owned by ${owner}` }];
  });
  if (errors.length > 0) throw problemOf('entity_type_taken', errors);
}

/**
 * What devices and heads were written under must stay readable: versions only rise, and a policy changes only
 * with one.
 */
function refuseRegress({ entityTypes }: SyncRegistration, known: readonly RegistrationEntity[]): void {
  const errors = entityTypes.flatMap(({ entityType, schemaVersion, policy }, index): SchemaFault[] => {
    const row = known.find((candidate) => candidate.entityType === entityType);
    const path = `/entityTypes/${index}`;
    if (!row) return [];
    if (schemaVersion < row.schemaVersion) {
      return [{ path: `${path}/schemaVersion`, message: `must not go below ${row.schemaVersion}` }];
    }
    if (policy !== row.policy && schemaVersion === row.schemaVersion) {
      const message = `is ${row.policy}; another policy needs a schemaVersion above ${row.schemaVersion}`;
      return [{ path: `${path}/policy`, message }];
    }
    return [];
  });
  if (errors.length > 0) throw problemOf('registration_invalid', errors);
}

function isKnown(spec: EntityTypeRegistration, known: readonly RegistrationEntity[]): boolean {
  const row = known.find(({ entityType }) => entityType === spec.entityType);
  return row !== undefined && isDeepStrictEqual(row.spec, JSON.parse(JSON.stringify(spec)));
}

function problemOf(
  code: 'schema_invalid' | 'registration_invalid' | 'entity_type_taken',
  faults: readonly SchemaFault[],
): ProblemError {
  const [first] = faults;
  return new ProblemError(code, `${first?.path ?? ''}: ${first?.message ?? ''}`, { errors: faults });
}

/** Registrations belong to no tenant; CloudEvents of the platform itself carry the tenant `_platform`. */
function changedMessages(service: string, entityTypes: readonly string[]): OutboxRow[] {
  const teller = { source: 'sync-gateway', tenantId: '_platform' } as const;
  const event = syncEvent('sync.registration.changed.v1', { service, entityTypes }, teller);
  return eventMessages(STREAMS.SYNC_EVENTS, [{ orderKey: service, text: JSON.stringify(event) }]);
}
