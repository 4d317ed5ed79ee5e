import { describe, expect, it } from '@jest/globals';
import { decide } from '@sync/domain';
import type {
  DecisionInput,
  ConflictDraft as DomainDraft,
  Decision as DomainDecision,
  FieldWrites as DomainWrites,
} from '@sync/domain';
import type { Static } from 'typebox';
import type { FieldWrites } from './field-writes.ts';
import type { ReadOnly } from './read-only.ts';
import { DecideReply, DecideRequest } from './resolve-api.ts';
import type { ConflictDraft, DecideItem, Decision } from './resolve-api.ts';
import { validator } from './validate.ts';

/** `true` only when each type can stand for the other; anything else does not compile below. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;

const SAME_TYPES: readonly [
  Same<ReadOnly<Static<typeof FieldWrites>>, DomainWrites>,
  Same<ReadOnly<Static<typeof DecideItem>>, DecideItem>,
  Same<ReadOnly<Static<typeof DecideRequest>>, DecideRequest>,
  Same<ReadOnly<Static<typeof Decision>>, DomainDecision>,
  Same<ReadOnly<Static<typeof DecideReply>>, DecideReply>,
  Same<ReadOnly<Static<typeof ConflictDraft>>, DomainDraft>,
] = [true, true, true, true, true, true];

const write = { atMs: 1_000, by: 's:learning', counter: 1 };
const concurrent: DecisionInput = {
  mutation: {
    mutationId: '01890a5d-ac96-774b-bcce-b302099a8057',
    deviceId: 'dev-1',
    entityType: 'note',
    entityId: 'n1',
    op: 'patch',
    data: { text: 'mine' },
    update: null,
    baseClock: {},
    occurredAtMs: 2_000,
    schemaVersion: 1,
  },
  current: {
    revision: 1,
    clock: { 's:learning': 1 },
    data: { text: 'yours' },
    deleted: false,
    deletedData: null,
    fieldWrites: { '': write, text: { ...write, removedBy: write } },
  },
  policy: 'lww',
  review: 'none',
  serverNowMs: 3_000,
};

describe('the schemas of decide', () => {
  it('have the types of libs/domain', () => {
    expect(SAME_TYPES).not.toContain(false);
  });

  it('take a question of the gateway and every kind of answer of libs/domain', () => {
    const items: DecisionInput[] = [
      concurrent,
      { ...concurrent, review: 'collisions', mayBeApplied: true },
      { ...concurrent, policy: 'server_authoritative', current: null },
      { ...concurrent, policy: 'server_authoritative' },
      { ...concurrent, policy: 'append_only' },
      { ...concurrent, mutation: { ...concurrent.mutation, occurredAtMs: 500 } },
    ];
    expect(validator(DecideRequest)({ tenantId: 't1', items })).toMatchObject({ ok: true });
    const decisions = items.map(decide);
    expect([...new Set(decisions.map(({ kind }) => kind))].sort()).toEqual([
      'hold',
      'reject',
      'submit',
      'supersede',
    ]);
    expect(validator(DecideReply)({ decisions })).toMatchObject({ ok: true });
  });
});
