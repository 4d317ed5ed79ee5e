import { type FieldWrites, mutationClock, mutationCounter } from '@sync/domain';
import type { OwnerPushResult, RegisteredEntityType, RemoteDelta } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';
import { Lane, type LaneContext } from '../decide/lane.ts';
import type { EntityHead } from '../../read-model/entity-head.ts';
import { postponed, type Work } from '../outcome/settlement.ts';
import type { PreparedMutation } from '../prepare/prepare-mutation.ts';

export const NOW_ISO = '2026-01-01T00:00:00.000Z';
export const context: LaneContext = {
  deviceId: 'd1',
  serverNowMs: Date.parse(NOW_ISO),
  nowIso: NOW_ISO,
  apart: false,
  gate: () => null,
};
export const unanswered = postponed('owner_unanswered', true);

export const lww: RegisteredEntityType = {
  service: 'learning',
  entityType: 'note',
  schemaVersion: 1,
  policy: 'lww',
  pushChains: true,
  projection: { kind: 'declarative', fields: ['text', 'colour'], scopes: ['user:{userId}'] },
};
export const append: RegisteredEntityType = { ...lww, policy: 'append_only' };

let count = 0;
export function workOf(changes: Partial<PreparedMutation> = {}, more: Partial<Work> = {}): Work {
  count += 1;
  const baseClock: VectorClock = changes.baseClock ?? {};
  const mutation: PreparedMutation = {
    mutationId: `0190d0de-0000-4000-8000-${String(count).padStart(12, '0')}`,
    sequence: count,
    scope: 'user:u1',
    entityType: 'note',
    entityId: 'n1',
    op: 'patch',
    data: { text: `text ${count}` },
    occurredAt: NOW_ISO,
    occurredAtMs: Date.parse(NOW_ISO) - 1_000,
    identity: '0'.repeat(72),
    schemaVersion: 1,
    dependsOn: [],
    ...changes,
    baseClock,
    counter: mutationCounter({ baseClock, deviceId: 'd1' }),
    clock: mutationClock({ baseClock, deviceId: 'd1' }),
  };
  return {
    mutation,
    registration: lww,
    payloadBytes: 100,
    receivedAtMs: Date.parse(NOW_ISO),
    mayForget: false,
    head: null,
    mayBeSent: false,
    kept: null,
    hold: null,
    refuse: null,
    ...more,
  };
}

/** The colour's last write, by the server, is later than anything that a device writes here. */
export const COLOURED = {
  colour: { atMs: Date.parse(NOW_ISO), by: 's:learning', counter: 1 },
} satisfies FieldWrites;

export function headOf(
  revision: number,
  clock: VectorClock,
  data: Record<string, unknown> | null,
  writes: FieldWrites | null = null,
): EntityHead {
  const wire: RemoteDelta = {
    entityType: 'note',
    entityId: 'n1',
    op: data ? 'put' : 'delete',
    clock,
    schemaVersion: 1,
    committedAt: NOW_ISO,
    data,
  };
  const fieldWrites = writes && JSON.stringify(writes);
  return { revision, deleted: data === null, clock, fieldWrites, wire: JSON.stringify(wire) };
}

export const applied = (work: Work, revision: number, clock?: VectorClock): OwnerPushResult => ({
  mutationId: work.mutation.mutationId,
  status: 'applied',
  revision,
  ...(clock ? { clock } : {}),
});
export const conflict = (
  work: Work,
  revision: number,
  clock: VectorClock,
  data: Record<string, unknown> | null,
): OwnerPushResult => ({
  mutationId: work.mutation.mutationId,
  status: 'conflict',
  current: { revision, clock, data, deleted: data === null },
});

/** A lane with these works, planned as far as it goes. */
export function planned(works: readonly Work[], head: EntityHead | null = null): Lane {
  const lane = new Lane(head, context);
  lane.extend(works);
  plan(lane);
  return lane;
}

export function plan(lane: Lane): void {
  while (lane.planNext());
}

export function absorb(lane: Lane, ...results: readonly OwnerPushResult[]): void {
  lane.absorb(new Map(results.map((result) => [result.mutationId, result])), unanswered);
}
