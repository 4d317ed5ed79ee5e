import type { EntityTypeRegistration } from '@sync/protocol';
import type { AdminAct } from '../audit/admin-act.ts';
import type { AuditDraft } from '../audit/audit-entry.ts';
import type { RegistrationEntity } from './registration-entity.ts';

/** Entity types that a line names; a service may have 200. */
const NAMED_TYPES = 20;
/** In the audit log, beside the operations of the admin API. */
const OPERATION = 'registerService';

/**
 * The line of the audit log about a registration that changes something, or that a person sends.
 * @param registrar the act of an operator, or the service itself
 * @param known rows as they were before, of whichever service
 */
export function registrationLine(
  service: string,
  registrar: 'service' | AdminAct,
  changed: readonly EntityTypeRegistration[],
  known: readonly RegistrationEntity[],
): AuditDraft {
  const before = new Map(known.map((row) => [row.entityType, row]));
  const types = changed.slice(0, NAMED_TYPES).map(({ entityType, schemaVersion, policy }) => {
    const row = before.get(entityType);
    const was = row && { service: row.service, schemaVersion: row.schemaVersion, policy: row.policy };
    return { entityType, schemaVersion, policy, before: was ?? null };
  });
  const detail = { changedTypes: changed.length, types };
  return registrar === 'service'
    ? { ...serviceDraft(service, service), outcome: 'done', code: null, detail }
    : registrar.draft('done', { detail });
}

/**
 * The line about a registration over NATS that was refused.
 * @param sender the service that NATS lets send on the subject, or the one that the body names
 * @param named what the body says whose registration it is
 */
export function refusedRegistration(sender: string, named: string, code: string): AuditDraft {
  return { ...serviceDraft(sender, named), outcome: 'refused', code, detail: {} };
}

function serviceDraft(service: string, named: string): Omit<AuditDraft, 'outcome' | 'code' | 'detail'> {
  return {
    at: new Date().toISOString(),
    actor: { kind: 'service', service },
    operation: OPERATION,
    target: `registrations/${named}`,
    ...{ requestId: null, attempt: null, count: 1 },
  };
}
