/** Events of one note and the heads they lead to. */
import type { JsonObject } from '../json.ts';
import { projectEvent } from '../projection/project-event.ts';
import type { DomainChange, EntityHead, ProjectionResult, ProjectionRule } from '../projection/projection.ts';

export const RULE: ProjectionRule = {
  schemaVersion: 1,
  policy: 'lww',
  fields: '*',
  scopes: ['user:{userId}'],
  grants: [],
  docUpdateField: null,
};

export const ENROLLMENT: ProjectionRule = {
  ...RULE,
  policy: 'server_authoritative',
  grants: [
    { scope: 'course:{courseId}', user: '{userId}', when: { field: 'status', in: ['active', 'completed'] } },
  ],
};

export function eventOf(
  revision: number,
  data: JsonObject | null,
  fields: Partial<DomainChange> = {},
): DomainChange {
  return {
    entityType: 'note',
    entityId: 'n1',
    revision,
    op: data === null ? 'delete' : 'put',
    data,
    clock: null,
    mutationClock: null,
    mutationDeviceId: null,
    occurredAtMs: revision * 10,
    service: 'learning',
    update: null,
    ...fields,
  };
}

export function changed(result: ProjectionResult): Extract<ProjectionResult, { kind: 'changed' }> {
  if (result.kind !== 'changed') throw new Error(`unexpected ${JSON.stringify(result)}`);
  return result;
}

/** The head after these events, each at the next revision. */
export function headAfter(rule: ProjectionRule, ...data: (JsonObject | null)[]): EntityHead {
  const heads = data.reduce<EntityHead | null>((head, item, index) => {
    return changed(projectEvent(head, eventOf(index + 1, item), rule)).head;
  }, null);
  if (heads === null) throw new Error('no event');
  return heads;
}

export const U1 = { userId: 'u1', text: 'a' };
export const U2 = { userId: 'u2', text: 'a' };
export const service = (atMs: number, counter: number): object => ({ atMs, by: 's:learning', counter });
