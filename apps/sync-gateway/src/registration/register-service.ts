import { readJson } from '@sync/domain';
import { isDeepStrictEqual } from 'node:util';
import { appendToOutbox, eventMessages, type OutboxRow, syncEvent } from '@sync/messaging';
import type { Database, Tx } from '@sync/postgres';
import {
  type EntityTypeRegistration,
  type SchemaFault,
  STREAMS,
  SyncRegistration,
  validator,
} from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { AdminAct } from '../audit/admin-act.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import { findContradictions } from './check-registration.ts';
import type { RegistrationEntity } from './registration-entity.ts';
import { registrationLine } from './registration-line.ts';
import type { RegistrationRights } from './registration-rights.ts';
import { countTypes, lockRegistrations, saveRegistrations } from './registration-store.ts';

/** Told after a registration changed something. */
export type RegistrationChanged = () => Promise<void>;

const checkRegistration = validator(SyncRegistration);

/** Of one service, over all its registrations. */
const MAX_TYPES_PER_SERVICE = 200;
/** Of the platform: every app keeps all registrations in memory. */
const MAX_TYPES = 5_000;
/** Environments that were left out of a few releases still come along; a typing error does not. */
const MAX_VERSION_STEP = 10;
const MAX_FIRST_VERSION = 1_000;

/** Who registers: the owning service itself, or an operator on its behalf, who acts. */
export type Registrar = 'service' | AdminAct;

/**
 * Registers entity types of a service, or changes them. Types that the service registered before and does not
 * name now stay: replicas of an older version must not lose what a newer one added.
 *
 * What an operator changes lasts until the service registers again, which it does every minute: only the
 * service knows what it publishes and takes. So nobody can lock a service out of its own types.
 */
export class RegisterService {
  readonly #database: Database;
  readonly #rights: RegistrationRights;
  readonly #audit: AuditLog;
  readonly #changed: RegistrationChanged;

  constructor(database: Database, rights: RegistrationRights, audit: AuditLog, changed: RegistrationChanged) {
    this.#database = database;
    this.#rights = rights;
    this.#audit = audit;
    this.#changed = changed;
  }

  /**
   * @returns the entity types that are registered now; asking again for what is registered changes nothing
   * @throws ProblemError `schema_invalid` or `registration_invalid` with paths, `forbidden`,
   * `entity_type_taken`
   */
  async execute(body: unknown, registrar: Registrar): Promise<string[]> {
    const registration = this.#validate(body);
    // Registrations have no tenant; their line in the audit log is in the platform's chain.
    const changedTypes = await this.#database.inTenant(this.#audit.platformTenant, (tx) =>
      this.#change(tx, registration, registrar),
    );
    if (registrar !== 'service') registrar.recorded();
    if (changedTypes.length > 0) await this.#changed();
    return registration.entityTypes.map(({ entityType }) => entityType);
  }

  /** @returns the entity types that are not as they were before */
  async #change(tx: Tx, registration: SyncRegistration, registrar: Registrar): Promise<string[]> {
    const { service, entityTypes } = registration;
    const names = entityTypes.map(({ entityType }) => entityType);
    const known = await lockRegistrations(tx.manager, names);
    this.#refuseForeign(registration, known);
    const own = new Map(known.filter((row) => row.service === service).map((row) => [row.entityType, row]));
    refuseRegress(entityTypes, own, registrar);
    const changed = entityTypes.filter((spec) => !isKnown(spec, own.get(spec.entityType), registrar));
    // A service says every minute what it has said before; what a person does is told even if nothing changes.
    if (changed.length === 0 && registrar === 'service') return [];
    const stored = changed.map((spec) => {
      const before = own.get(spec.entityType)?.ownVersion ?? null;
      return { spec, ownVersion: registrar === 'service' ? spec.schemaVersion : before };
    });
    const line = registrationLine(service, registrar, changed, known);
    await saveRegistrations(tx.manager, service, stored);
    refuseTooMany(await countTypes(tx.manager, service), service);
    await this.#audit.append(tx, this.#audit.platformTenant, line);
    if (changed.length === 0) return [];
    const changedNames = changed.map(({ entityType }) => entityType);
    await appendToOutbox(tx, changedMessages(service, changedNames));
    return changedNames;
  }

  #validate(body: unknown): SyncRegistration {
    const checked = checkRegistration(body);
    if (!checked.ok) throw problemOf('schema_invalid', checked.faults);
    const { value } = checked;
    const contradictions = findContradictions(value, this.#rights.subjectsOf(value.service));
    if (contradictions.length > 0) throw problemOf('registration_invalid', contradictions);
    const forbidden = this.#rights.faultsOf(value);
    if (forbidden.length > 0) throw problemOf('forbidden', forbidden);
    return value;
  }

  /** A type that the operators assigned to the service comes to it from whoever had it before. */
  #refuseForeign({ service, entityTypes }: SyncRegistration, known: readonly RegistrationEntity[]): void {
    const errors = entityTypes.flatMap(({ entityType }, index): SchemaFault[] => {
      const owner = known.find((row) => row.entityType === entityType)?.service;
      if (owner === undefined || owner === service) return [];
      if (this.#rights.isAssigned(service, entityType)) return [];
      return [{ path: `/entityTypes/${index}/entityType`, message: `"${entityType}" is owned by ${owner}` }];
    });
    if (errors.length > 0) throw problemOf('entity_type_taken', errors);
  }
}

/**
 * What devices and heads were written under must stay readable: versions only rise, by a few at once, and a
 * policy changes only with one. For the service itself counts what it registered itself, so that it can take
 * back what others made of its types.
 */
function refuseRegress(
  entityTypes: readonly EntityTypeRegistration[],
  own: ReadonlyMap<string, RegistrationEntity>,
  registrar: Registrar,
): void {
  const errors = entityTypes.flatMap((spec, index): SchemaFault[] => {
    const row = own.get(spec.entityType);
    const fault = row === undefined ? firstVersionFault(spec) : changeFault(spec, row, registrar);
    return fault === null ? [] : [{ ...fault, path: `/entityTypes/${index}${fault.path}` }];
  });
  if (errors.length > 0) throw problemOf('registration_invalid', errors);
}

function firstVersionFault({ schemaVersion }: EntityTypeRegistration): SchemaFault | null {
  if (schemaVersion <= MAX_FIRST_VERSION) return null;
  return { path: '/schemaVersion', message: `must not begin above ${MAX_FIRST_VERSION}` };
}

function changeFault(
  { schemaVersion, policy }: EntityTypeRegistration,
  row: RegistrationEntity,
  registrar: Registrar,
): SchemaFault | null {
  const lowest = registrar === 'service' ? (row.ownVersion ?? 1) : row.schemaVersion;
  const highest = Math.max(row.schemaVersion, row.ownVersion ?? 1) + MAX_VERSION_STEP;
  if (schemaVersion < lowest) {
    return { path: '/schemaVersion', message: `must not go below ${lowest}` };
  }
  if (schemaVersion > highest) {
    return { path: '/schemaVersion', message: `must not go above ${highest} at once` };
  }
  if (policy !== row.policy && schemaVersion === row.schemaVersion) {
    const message = `is ${row.policy}; another policy needs a schemaVersion above ${row.schemaVersion}`;
    return { path: '/policy', message };
  }
  return null;
}

function refuseTooMany({ own, all }: { readonly own: number; readonly all: number }, service: string): void {
  const refuse = (message: string): never => {
    throw problemOf('registration_invalid', [{ path: '/entityTypes', message }]);
  };
  if (own > MAX_TYPES_PER_SERVICE) {
    refuse(`${service} has ${own} entity types, at most ${MAX_TYPES_PER_SERVICE}`);
  }
  if (all > MAX_TYPES) refuse(`the platform has ${all} entity types, at most ${MAX_TYPES}`);
}

/** @param row of the service, undefined for a type that it has not registered */
function isKnown(
  spec: EntityTypeRegistration,
  row: RegistrationEntity | undefined,
  registrar: Registrar,
): boolean {
  if (row === undefined) return false;
  // What an operator entered becomes the service's own word when it says the same.
  if (registrar === 'service' && row.ownVersion !== spec.schemaVersion) return false;
  return isDeepStrictEqual(row.spec, readJson(JSON.stringify(spec)));
}

function problemOf(
  code: 'schema_invalid' | 'registration_invalid' | 'entity_type_taken' | 'forbidden',
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
