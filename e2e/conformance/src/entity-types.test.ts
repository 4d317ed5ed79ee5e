import { randomUUID } from 'node:crypto';
import type { EntityTypesResponse } from '@sync/protocol';
import { boundUser, send, statement } from './kit/platform.ts';

const OPS = ['put', 'patch', 'delete', 'append', 'merge'] as const;
/** Whole entities, so that nothing but the op of a mutation can be wrong. */
const ENTITIES: Readonly<Record<string, (userId: string, entityId: string) => Record<string, unknown>>> = {
  statement: (_userId, entityId) => statement(entityId),
  progress: (userId) => ({ userId, courseId: 'c', percent: 1, status: 'in_progress' }),
};

describe('the entity types that a device may ask for', () => {
  it('are named with their policies, ops and versions', async () => {
    const { device } = await boundUser();
    const answer = await device.send<EntityTypesResponse>('/sync/v1/entity-types', null, { method: 'GET' });
    expect(answer.status).toBe(200);
    const { entityTypes } = answer.body;
    const names = entityTypes.map(({ entityType }) => entityType);
    expect(names).toEqual([...new Set(names)].sort());
    const usual = { review: 'none', requiresTags: false };
    const fields = ['put', 'patch', 'delete'];
    expect(entityTypes).toEqual(
      expect.arrayContaining(
        [
          { ...usual, entityType: 'statement', policy: 'append_only', ops: ['append'] },
          { ...usual, entityType: 'progress', policy: 'lww', ops: fields },
          { ...usual, entityType: 'note', policy: 'lww', review: 'collisions', ops: fields },
          { ...usual, entityType: 'enrollment', policy: 'server_authoritative', ops: fields },
          { ...usual, entityType: 'conflict', policy: 'server_authoritative', ops: [] },
        ].map((type) => expect.objectContaining(type) as object),
      ),
    );
    for (const { schemaVersion, oldestSchemaVersion } of entityTypes) {
      expect(oldestSchemaVersion).toBeLessThanOrEqual(schemaVersion);
    }
  });

  it.each(Object.keys(ENTITIES))('refuse the ops that are not named: %s', async (entityType) => {
    const { device, userId, scope } = await boundUser();
    const path = '/sync/v1/entity-types';
    const { body } = await device.send<EntityTypesResponse>(path, null, { method: 'GET' });
    const named = body.entityTypes.find((type) => type.entityType === entityType)?.ops ?? [];
    for (const op of OPS.filter((one) => !named.includes(one))) {
      const entityId = randomUUID();
      const data = ENTITIES[entityType]?.(userId, entityId) ?? {};
      const content = op === 'delete' ? {} : op === 'merge' ? { update: 'AAA=' } : { data };
      const [outcome] = await send(device, device.write({ scope, entityType, entityId, op, ...content }));
      expect(outcome).toMatchObject({
        status: 'rejected',
        code: expect.stringMatching(/^(op_not_allowed|append_only_violation)$/) as string,
      });
    }
  });
});
