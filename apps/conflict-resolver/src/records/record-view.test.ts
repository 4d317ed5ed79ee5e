import { describe, expect, it } from '@jest/globals';
import type { ConflictDraft, JsonObject, JsonValue } from '@sync/domain';
import { isNestedDeeper, MESSAGE_DEPTH } from '@sync/protocol';
import type { ConflictRow } from './conflict-store.ts';
import { viewOf } from './record-view.ts';

function nested(levels: number): JsonValue {
  return levels === 0 ? 'inside' : { in: nested(levels - 1) };
}

function rowOf(ours: JsonObject, theirs: JsonObject): ConflictRow {
  const draft: ConflictDraft = {
    ...{
      policy: 'lww',
      entityType: 'note',
      entityId: 'n1',
      mutationId: 'm1',
      op: 'patch',
      theirsUpdate: null,
    },
    ...{ base: null, baseUnknown: [''], ours, theirs, decision: 'open', clockOurs: {}, clockTheirs: {} },
    fields: [{ field: 'deep', ours: ours['deep'] ?? null, theirs: theirs['deep'] ?? null, winner: 'open' }],
  };
  const ids = { conflictId: 'c1', userId: 'u1', deviceId: 'd1', mutationId: 'm1', scope: 'user:u1' };
  return {
    ...ids,
    ...{
      entityType: 'note',
      entityId: 'n1',
      policy: 'lww',
      status: 'open',
      detectedAt: '2026-01-01T00:00:00.000Z',
    },
    ...{ draft, resolvedAt: null, decision: null, decider: null },
  };
}

describe('a record about deeply nested data', () => {
  const asEvents = (record: object): string => JSON.stringify([{ data: record }]);

  it('is whole when a device could have sent both sides', () => {
    const record = viewOf(rowOf({ deep: nested(29) }, { deep: nested(29) }), [], []);
    expect(record.omitted).toBeUndefined();
    expect(isNestedDeeper(asEvents(record), MESSAGE_DEPTH)).toBe(false);
  });

  it('leaves out the server’s side when its owner nested that deeper than any message, never what the mutation wrote', () => {
    const record = viewOf(rowOf({ deep: nested(61) }, { deep: nested(29) }), [], []);
    expect(isNestedDeeper(asEvents(record), MESSAGE_DEPTH)).toBe(false);
    expect(record.omitted).toContain('ours');
    expect(record.theirs).toEqual({ deep: nested(29) });
  });
});
