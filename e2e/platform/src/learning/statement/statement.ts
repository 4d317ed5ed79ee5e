import { accept, defineEntity, type EntityData, jsonEntityStore, reject } from '@sync/owner-sdk';
import { type SchemaFault, USER_ID_PATTERN } from '@sync/protocol';
import { type OwnedEntity, type Prepared, faultsOf, invalid } from '../../owning-service/owned-entity.ts';
import { ReferringStatement, STATEMENT_FIELDS, Statement, VOIDED } from './statement-schema.ts';

/** The home page of this platform's accounts, which makes `name` a user of ours (xAPI, account object). */
const HOME_PAGE = 'https://identity.sync.local';
/** Answers for the statements that this service makes itself. */
const SERVICE = agent('https://learning.sync.local', 'learning');
const USER_ID = new RegExp(USER_ID_PATTERN);

const checkPlain = faultsOf(Statement);
const checkReferring = faultsOf(ReferringStatement);

/**
 * A voiding statement is one more append: it names the statement that it voids, and both stay. Reports are
 * what leaves a voided one out; a record store that marked it would have to change what is append_only.
 */
function check(statement: EntityData): readonly SchemaFault[] {
  const { object, verb } = statement;
  const refers = isObject(object) && object['objectType'] === 'StatementRef';
  if (refers) return checkReferring(statement);
  const faults = checkPlain(statement);
  if (!isObject(verb) || verb['id'] !== VOIDED) return faults;
  return [
    ...faults,
    { path: '/object/objectType', message: 'must be StatementRef: what is voided is a statement' },
  ];
}

/**
 * What a learner did, as an xAPI 1.0.3 statement. Stored and shown with the actor stamped from the token's
 * user; `userId` stands beside the statement in the event, because scope templates see top-level fields only,
 * and is not shown.
 */
export const statement: OwnedEntity = {
  definition: defineEntity({
    entityType: 'statement',
    schemaVersion: 1,
    policy: 'append_only',
    projection: { kind: 'declarative', fields: STATEMENT_FIELDS, scopes: ['user:{userId}'] },
    ...jsonEntityStore('statement'),
    handle(mutation, _current, { userId, nowIso }) {
      const data = mutation.data ?? {};
      const named = namedUser(data);
      if (named !== undefined && named !== userId) {
        return reject('forbidden', 'the statement names another user as its actor');
      }
      const { entityId, occurredAt } = mutation;
      const authority = agent(HOME_PAGE, userId);
      const stamped = stamp(entityId, data, userId, { stored: nowIso, timestamp: occurredAt, authority });
      return stamped.ok ? accept(stamped.data) : invalid(stamped.faults);
    },
  }),
  prepare(entityId, data, _current, nowIso) {
    const userId = namedUser(data);
    if (userId === undefined || !USER_ID.test(userId)) {
      return { ok: false, faults: [{ path: '/userId', message: 'must say whose statement it is' }] };
    }
    return stamp(entityId, data, userId, { stored: nowIso, timestamp: nowIso, authority: SERVICE });
  },
};

/** The user of this platform that a statement speaks of, beside it or as its actor's account. */
function namedUser(data: EntityData): string | undefined {
  const { userId, actor } = data;
  if (typeof userId === 'string') return userId;
  const account = isObject(actor) ? actor['account'] : undefined;
  if (!isObject(account) || account['homePage'] !== HOME_PAGE) return undefined;
  return typeof account['name'] === 'string' ? account['name'] : undefined;
}

/**
 * Checks the statement as it was sent, and adds what the record store is responsible for: id, actor,
 * authority, times and version.
 */
function stamp(
  entityId: string,
  given: EntityData,
  userId: string,
  { timestamp, stored, authority }: Record<'timestamp' | 'stored', string> & { readonly authority: object },
): Prepared {
  const { userId: _beside, ...sent } = given;
  const statement = { timestamp, version: '1.0.0', ...sent, id: sent['id'] ?? entityId };
  const faults = [...check(statement)];
  if (!isSameUuid(statement.id, entityId)) {
    faults.push({ path: '/id', message: 'must be the entityId' });
  }
  if (faults.length > 0) return { ok: false, faults };
  const actor = agent(HOME_PAGE, userId);
  return { ok: true, data: { ...withLists(statement), actor, stored, authority, userId } };
}

/** A UUID in capitals is the same one (RFC 9562), so the id stays as it was sent. */
function isSameUuid(id: unknown, entityId: string): boolean {
  return typeof id === 'string' && id.toLowerCase() === entityId.toLowerCase();
}

/** Activities of the context are always a list in a stored statement (section 2.4.6.2). */
function withLists(statement: EntityData): EntityData {
  const { context } = statement;
  if (!isObject(context) || !isObject(context['contextActivities'])) return statement;
  const contextActivities: Record<string, unknown> = {};
  for (const [kind, activities] of Object.entries(context['contextActivities'])) {
    contextActivities[kind] = Array.isArray(activities) ? activities : [activities];
  }
  return { ...statement, context: { ...context, contextActivities } };
}

/** An agent of xAPI that is known by its account. */
function agent(homePage: string, name: string): object {
  return { objectType: 'Agent', account: { homePage, name } };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
