import { checkUpcasters, parseScopeTemplate, parseUserTemplate, POLICIES } from '@sync/domain';
import type { EntityTypeRegistration, SchemaFault, SyncRegistration } from '@sync/protocol';
import { findUnstorable, subjects } from '@sync/protocol';
import { FOLDED_REPLICA, serviceReplica } from '@sync/vector-clock';

/**
 * What the schema of a SyncRegistration cannot say: where it contradicts itself, or names a subject that is
 * not its service's.
 * @param otherSubjects patterns of subjects that the service may name beside its own
 * @returns JSON Pointers into the registration; empty when it is consistent
 */
export function findContradictions(
  { entityTypes, service }: SyncRegistration,
  otherSubjects: readonly string[] = [],
): SchemaFault[] {
  const faults = entityTypes.flatMap((registration, index) =>
    [...faultsOf(registration), ...subjectFaults(registration, service, otherSubjects)].map(
      ({ path, message }) => ({
        path: `/entityTypes/${index}${path}`,
        message,
      }),
    ),
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

function faultsOf(registration: EntityTypeRegistration): SchemaFault[] {
  return [
    ...policyFaults(registration),
    ...projectionFaults(registration),
    ...grantFaults(registration),
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
    const path = `/projection/scopes/${index}`;
    const parsed = parseScopeTemplate(scope);
    if (!parsed.ok) return [{ path, message: parsed.reason }];
    // One user, the same in every tenant, would get what all others write.
    if (!scope.startsWith('user:') || parsed.template.fields.length > 0) return [];
    return [{ path, message: 'names one user; which user it is has to come from the entity’s data' }];
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

/**
 * A registration makes the platform send entity data to subjects, and listen on others, with the platform's
 * own rights in NATS. So it may name only subjects that are its service's: those that begin with its name,
 * the standard ones, and those that the operators allow it.
 */
function subjectFaults(
  {
    entityType,
    pushSubject,
    snapshotSubject,
    projection,
    eventSubjects = [],
    upcasters = [],
  }: EntityTypeRegistration,
  service: string,
  otherSubjects: readonly string[],
): SchemaFault[] {
  const asked: [path: string, subject: string | undefined][] = [
    ['/pushSubject', pushSubject],
    ['/snapshotSubject', snapshotSubject],
    ['/projection/subject', projection.kind === 'remote' ? projection.subject : undefined],
    ...upcasters.map((upcaster, index): [string, string | undefined] => [
      `/upcasters/${index}/subject`,
      'subject' in upcaster ? upcaster.subject : undefined,
    ]),
  ];
  const heard = eventSubjects.map((subject, index): [string, string] => [`/eventSubjects/${index}`, subject]);
  const standard = [subjects.push, subjects.snapshot, subjects.upcast, subjects.plainEvents].map((build) =>
    build(service, entityType),
  );
  return [...asked, ...heard].flatMap(([path, subject]): SchemaFault[] => {
    if (subject === undefined) return [];
    if (!path.startsWith('/eventSubjects') && /[*>]/.test(subject)) {
      return [{ path, message: 'a request goes to one subject, without wildcards' }];
    }
    const isOwn = standard.includes(subject) || isOwnName(subject, service);
    if (isOwn || otherSubjects.some((pattern) => covers(pattern, subject))) return [];
    return [{ path, message: `"${subject}" does not begin with "${service}."` }];
  });
}

/** First tokens of subjects that have a meaning here or in NATS, and belong to no service of that name. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(['sync', 'identity', 'analytics']);

function isOwnName(subject: string, service: string): boolean {
  return subject.startsWith(`${service}.`) && !RESERVED_NAMES.has(service);
}

/** Whether everything that `subject` matches is matched by `pattern` too; both as NATS reads them. */
export function covers(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const named = subject.split('.');
  for (const [index, token] of wanted.entries()) {
    const other = named[index];
    if (token === '>') return other !== undefined;
    if (other === undefined || other === '>') return false;
    if (token !== '*' && token !== other) return false;
  }
  return wanted.length === named.length;
}
