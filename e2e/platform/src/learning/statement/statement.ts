import { accept, defineEntity, type EntityData, jsonEntityStore, reject } from '@sync/owner-sdk';
import { type SchemaFault, USER_ID_PATTERN } from '@sync/protocol';
import { type OwnedEntity, type Prepared, faultsOf, invalid } from '../../owning-service/owned-entity.ts';
import { ReferringStatement, STATEMENT_FIELDS, Statement, VOIDED } from './statement-schema.ts';

/** The home page of this platform's accounts, which makes `name` a user of ours (xAPI, account object). */
const HOME_PAGE = 'https://identity.sync.local';
const USER_ID = new RegExp(USER_ID_PATTERN);

const checkPlain = faultsOf(Statement);
const checkReferring = faultsOf(ReferringStatement);

/**
 * A voiding statement is one more append: it names the statement that it voids, and both stay. Reports are what leaves a voided one out;
 * a record store that marked it would have to change what is append_only.
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
 * What a learner did, as an xAPI 1.0.3 statement. Stored and shown with the actor stamped from the token's user; `userId`
 * stands beside the statement in the event, because scope templates see top-level fields only, and is not shown.
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
      const stamped = stamp(mutation.entityId, data, userId, { nowIso, occurredAt: mutation.occurredAt });
      return stamped.ok ? accept(stamped.data) : invalid(stamped.faults);
    },
  }),
  prepare(entityId, data, _current, nowIso) {
    const userId = namedUser(data);
    if (userId === undefined || !USER_ID.test(userId)) {
      return { ok: false, faults: [{ path: '/userId', message: 'must say whose statement it is' }] };
    }
    return stamp(entityId, data, userId, { nowIso, occurredAt: nowIso });
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

/** Checks the statement and adds what the record store is responsible for: id, actor, times and version. */
function stamp(
  entityId: string,
  given: EntityData,
  userId: string,
  times: { readonly nowIso: string; readonly occurredAt: string },
): Prepared {
  const { userId: _beside, ...sent } = given;
  const statement = {
    timestamp: times.occurredAt,
    version: '1.0.0',
    ...sent,
    id: sent['id'] ?? entityId,
    actor: { objectType: 'Agent', account: { homePage: HOME_PAGE, name: userId } },
    stored: times.nowIso,
  };
  const faults = [...check(statement)];
  if (statement.id !== entityId) faults.push({ path: '/id', message: 'must be the entityId' });
  return faults.length > 0 ? { ok: false, faults } : { ok: true, data: { ...statement, userId } };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
