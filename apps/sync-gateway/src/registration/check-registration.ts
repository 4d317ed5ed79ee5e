import { checkUpcasters, parseScopeTemplate, parseUserTemplate, POLICIES } from '@sync/domain';
import type { EntityTypeRegistration, SchemaFault, SyncRegistration } from '@sync/protocol';
import { findUnstorable, subjects } from '@sync/protocol';
import { FOLDED_REPLICA, serviceReplica } from '@sync/vector-clock';

/**
 * What the schema of a SyncRegistration cannot say: places where it contradicts itself.
 * @returns JSON Pointers into the registration; empty when it is consistent
 */
export function findContradictions({ entityTypes, service }: SyncRegistration): SchemaFault[] {
  const faults = entityTypes.flatMap((registration, index) =>
    faultsOf(registration, service).map(({ path, message }) => ({
      path: `/entityTypes/${index}${path}`,
      message,
    })),
  );
  if (serviceReplica(service) === FOLDED_REPLICA) {
    faults.push({ path: '/service', message: `"${service}" stands for folded devices in clocks` });
  }
  entityTypes.forEach(({ entityType }, index) => {
    if (entityTypes.findIndex((other) => other.entityType === entityType) < index) {
      faults.push({
        path: `/entityTypes/${index}/entityType`,
        message: `"${entityType}" is registered twice`,
      });
    }
  });
  return faults;
}

function faultsOf(registration: EntityTypeRegistration, service: string): SchemaFault[] {
  return [
    ...policyFaults(registration),
    ...projectionFaults(registration),
    ...grantFaults(registration),
    ...subjectFaults(registration, service),
    ...upcasterFaults(registration),
    ...valueFaults(registration),
    ...sizeFaults(registration),
  ];
}

/** What fits no message would never reach the apps that keep a copy, and with it nothing else would. */
const MAX_TYPE_BYTES = 600_000;

function sizeFaults(registration: EntityTypeRegistration): SchemaFault[] {
  const bytes = Buffer.byteLength(JSON.stringify(registration));
  if (bytes <= MAX_TYPE_BYTES) return [];
  return [{ path: '', message: `has ${bytes} bytes, at most ${MAX_TYPE_BYTES} can be told to other apps` }];
}

/** Values of conditions and defaults may be anything that JSON is, and are kept as they are. */
function valueFaults(registration: EntityTypeRegistration): SchemaFault[] {
  const fault = findUnstorable(registration);
  return fault ? [fault] : [];
}

function upcasterFaults({ upcasters = [], schemaVersion }: EntityTypeRegistration): SchemaFault[] {
  return checkUpcasters(upcasters, schemaVersion).map(({ path, message }) => {
    return { path: `/upcasters${path}`, message };
  });
}

function policyFaults({ policy, review, projection }: EntityTypeRegistration): SchemaFault[] {
  const faults: SchemaFault[] = [];
  const { isReviewable, hasDocument } = POLICIES[policy];
  if (review === 'collisions' && !isReviewable) {
    faults.push({ path: '/review', message: `${policy} leaves a person nothing to decide` });
  }
  const docUpdateField = projection.kind === 'declarative' ? projection.docUpdateField : undefined;
  if (hasDocument && projection.kind === 'declarative' && docUpdateField === undefined) {
    faults.push({
      path: '/projection/docUpdateField',
      message: `${policy} needs the field that holds the document`,
    });
  }
  if (!hasDocument && docUpdateField !== undefined) {
    faults.push({ path: '/projection/docUpdateField', message: `${policy} has no document` });
  }
  return faults;
}

function projectionFaults({ projection }: EntityTypeRegistration): SchemaFault[] {
  if (projection.kind !== 'declarative') return [];
  const faults = projection.scopes.flatMap((scope, index): SchemaFault[] => {
    const parsed = parseScopeTemplate(scope);
    return parsed.ok ? [] : [{ path: `/projection/scopes/${index}`, message: parsed.reason }];
  });
  const repeated = projection.scopes.findIndex((scope, index) => projection.scopes.indexOf(scope) < index);
  if (repeated >= 0) faults.push({ path: `/projection/scopes/${repeated}`, message: 'stands here twice' });
  const { fields, docUpdateField } = projection;
  if (fields !== '*' && docUpdateField !== undefined && fields.includes(docUpdateField)) {
    faults.push({
      path: '/projection/fields',
      message: `"${docUpdateField}" is the document and travels as its update`,
    });
  }
  return faults;
}

function grantFaults({ grants = [] }: EntityTypeRegistration): SchemaFault[] {
  return grants.flatMap(({ scope, user }, index): SchemaFault[] => {
    const parsedScope = parseScopeTemplate(scope);
    const parsedUser = parseUserTemplate(user);
    const path = `/grants/${index}`;
    const faults: SchemaFault[] = [];
    if (!parsedScope.ok) faults.push({ path: `${path}/scope`, message: parsedScope.reason });
    if (!parsedUser.ok) faults.push({ path: `${path}/user`, message: parsedUser.reason });
    if (scope.startsWith('user:')) {
      faults.push({
        path: `${path}/scope`,
        message: 'a user scope belongs to its user alone and cannot be granted',
      });
    }
    return faults;
  });
}

/** Requests go to one subject; `>` and `*` are for listening. */
function subjectFaults(registration: EntityTypeRegistration, service: string): SchemaFault[] {
  const { pushSubject, snapshotSubject, projection, entityType, upcasters = [] } = registration;
  const asked = {
    '/pushSubject': pushSubject,
    '/snapshotSubject': snapshotSubject,
    '/projection/subject': projection.kind === 'remote' ? projection.subject : undefined,
    ...Object.fromEntries(
      upcasters.map((upcaster, index) => {
        return [`/upcasters/${index}/subject`, 'subject' in upcaster ? upcaster.subject : undefined];
      }),
    ),
  };
  return Object.entries(asked).flatMap(([path, subject]): SchemaFault[] => {
    if (subject === undefined) return [];
    if (/[*>]/.test(subject)) return [{ path, message: 'a request goes to one subject, without wildcards' }];
    if (isReserved(subject, service, entityType))
      return [{ path, message: 'this subject belongs to sync-service' }];
    return [];
  });
}

/**
 * A registration must not make the gateway send entity data to sync-service's own subjects, or to another
 * owner's.
 */
function isReserved(subject: string, service: string, entityType: string): boolean {
  const own = [subjects.push, subjects.snapshot, subjects.upcast].map((build) => build(service, entityType));
  if (own.includes(subject)) return false;
  return /^(\$|_INBOX\.|sync\.|identity\.|analytics\.)/.test(subject);
}
