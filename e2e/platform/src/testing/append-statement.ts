import type { EntityData, HandlerAnswer } from '@sync/owner-sdk';
import { statement } from '../learning/statement/statement.ts';
import { mutationOf } from './platform-rig.ts';

export const ENTITY_ID = '6690e6c9-3ef0-4ed3-8b37-7f3964730bee';
export const OTHER_ID = '6690e6c9-3ef0-4ed3-8b37-7f3964730bef';
export const NOW_ISO = '2026-05-01T10:00:00.000Z';
export const VERB = { id: 'http://adlnet.gov/expapi/verbs/experienced' };
export const OBJECT = { id: 'https://example.org/courses/c1' };

/** What the service answers to a statement of a device, without a database. @param given besides verb and object */
export function appendStatement(given: EntityData, entityId = ENTITY_ID): HandlerAnswer {
  const data = { verb: VERB, object: OBJECT, ...given };
  const mutation = mutationOf({ entityType: 'statement', op: 'append', entityId, data });
  const { userId, deviceId } = mutation;
  const context = { tenantId: 'acme', userId, deviceId, nowIso: NOW_ISO };
  return statement.definition.handle(mutation, null, context);
}

/** Null when it was refused. */
export function storedOf(answer: HandlerAnswer): EntityData | null {
  return answer.kind === 'accepted' ? answer.data : null;
}

/** Where the statement is wrong; empty when it was taken. */
export function pathOf(answer: HandlerAnswer): string {
  return answer.kind === 'rejected' ? answer.message.slice(0, answer.message.indexOf(':')) : '';
}
