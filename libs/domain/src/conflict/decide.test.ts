import { describe, expect, it } from '@jest/globals';
import type { EntityState, MutationInput } from '../entity.ts';
import { mutationOf } from '../testing/server-model.ts';
import { decide, wantsDeletedData } from './decide.ts';
import type { Decision, DecisionInput } from './decision.ts';
import type { ConflictPolicy } from './policies.ts';

const CURRENT: EntityState = {
  revision: 4,
  clock: { 's:svc': 2 },
  data: { status: 'active', courseId: 'c1' },
  deleted: false,
  deletedData: null,
  fieldWrites: { '': { atMs: 50, by: 's:svc', counter: 1 }, status: { atMs: 80, by: 's:svc', counter: 2 } },
};

function decideBy(
  policy: ConflictPolicy,
  mutation: MutationInput,
  current: EntityState | null,
  more: Partial<DecisionInput> = {},
): Decision {
  return decide({ mutation, current, policy, review: 'none', serverNowMs: 1_000, ...more });
}

describe('a claim of more than there is', () => {
  const BEYOND = { 's:svc': 99, 'd:b': 99, 's:folded': 99 };
  const claimed = (op: MutationInput['op'], baseClock = BEYOND): MutationInput => ({
    ...mutationOf({ deviceId: 'a', op, data: op === 'delete' ? null : { status: 'mine' } }),
    baseClock,
  });
  const deleted = { ...CURRENT, data: null, deleted: true };

  it.each(['lww', 'crdt_yjs', 'server_authoritative'] as const)(
    'counts like no claim at all under %s',
    (policy) => {
      for (const op of ['put', 'patch', 'delete'] as const) {
        for (const current of [CURRENT, deleted]) {
          for (const review of ['none', 'collisions'] as const) {
            const honest = { ...claimed(op), baseClock: {} };
            expect(decideBy(policy, claimed(op), current, { review })).toEqual(
              decideBy(policy, honest, current, { review }),
            );
          }
        }
      }
    },
  );

  it('leaves what is true beside it', () => {
    const mutation = claimed('patch', { ...BEYOND, 's:svc': 2 });
    expect(decideBy('server_authoritative', mutation, CURRENT)).toMatchObject({
      kind: 'submit',
      status: 'applied',
    });
  });

  it('wants what was deleted as one without it would', () => {
    const question = { current: deleted, policy: 'lww', review: 'none' } as const;
    expect(wantsDeletedData({ ...question, mutation: claimed('patch') })).toBe(true);
    expect(wantsDeletedData({ ...question, mutation: claimed('patch', { ...BEYOND, 's:svc': 2 }) })).toBe(
      false,
    );
  });
});

describe('server_authoritative', () => {
  const patch = mutationOf({
    deviceId: 'a',
    op: 'patch',
    data: { status: 'withdrawn', courseId: 'c1', note: 1 },
  });

  it('submits a clean mutation as sent', () => {
    const clean = { ...patch, baseClock: CURRENT.clock };
    expect(decideBy('server_authoritative', clean, CURRENT)).toMatchObject({
      kind: 'submit',
      status: 'applied',
      op: 'patch',
      data: patch.data,
      expectedRevision: 4,
      clock: { 's:svc': 2, 'd:a': 1 },
      record: null,
    });
    expect(decideBy('server_authoritative', patch, null)).toMatchObject({
      kind: 'submit',
      expectedRevision: 0,
    });
  });

  it('rejects a concurrent one with a record of what differs, review or not', () => {
    for (const review of ['none', 'collisions'] as const) {
      expect(decideBy('server_authoritative', patch, CURRENT, { review })).toEqual({
        kind: 'reject',
        code: 'server_changed',
        record: {
          policy: 'server_authoritative',
          entityType: 'thing',
          entityId: 'e1',
          mutationId: 'a-patch',
          base: null,
          baseUnknown: [],
          ours: CURRENT.data,
          theirs: patch.data,
          theirsUpdate: null,
          fields: [
            { field: 'status', ours: 'active', theirs: 'withdrawn', winner: 'ours' },
            { field: 'note', theirs: 1, winner: 'ours' },
          ],
          decision: 'auto',
          clockOurs: { 's:svc': 2 },
          clockTheirs: { 'd:a': 1 },
        },
      });
    }
  });

  it('rejects a concurrent delete, and an edit of what was deleted', () => {
    const remove = mutationOf({ deviceId: 'a', op: 'delete' });
    expect(decideBy('server_authoritative', remove, CURRENT)).toMatchObject({
      kind: 'reject',
      code: 'server_changed',
      record: { fields: [{ field: '', winner: 'ours' }], ours: CURRENT.data, theirs: null },
    });
    const gone = { ...CURRENT, data: null, deleted: true, deletedData: CURRENT.data };
    expect(decideBy('server_authoritative', patch, gone)).toMatchObject({
      kind: 'reject',
      code: 'server_changed',
      record: { ours: null },
    });
  });
});

describe('append_only', () => {
  const append = mutationOf({ deviceId: 'a', op: 'append', data: { verb: 'passed', score: 3 } });
  const stored = (fields: Partial<EntityState>): EntityState => ({
    ...CURRENT,
    clock: { 'd:b': 1 },
    ...fields,
  });

  it('submits an append of a new entity', () => {
    expect(decideBy('append_only', append, null)).toMatchObject({
      kind: 'submit',
      status: 'applied',
      op: 'append',
      data: append.data,
      expectedRevision: 0,
      fieldWrites: { verb: { by: 'd:a' }, score: { by: 'd:a' }, '': { by: 'd:a' } },
    });
  });

  it('submits the same append again, for the owner to recognise', () => {
    const enriched = stored({ data: { ...append.data, storedAt: 'now' } });
    expect(decideBy('append_only', append, enriched)).toMatchObject({ kind: 'submit', expectedRevision: 0 });
    const empty = { ...append, data: null };
    expect(decideBy('append_only', empty, stored({ data: {} }))).toMatchObject({ kind: 'submit' });
  });

  it('rejects another record under a taken id and keeps it', () => {
    expect(decideBy('append_only', append, stored({ data: { verb: 'failed', score: 3 } }))).toMatchObject({
      kind: 'reject',
      code: 'append_only_violation',
      record: {
        theirs: append.data,
        fields: [{ field: 'verb', ours: 'failed', theirs: 'passed', winner: 'ours' }],
      },
    });
    // Its dot is another's: the device was restored, or makes its ids itself.
    const counted = stored({ clock: { 'd:a': 1 }, data: { verb: 'failed' } });
    expect(decideBy('append_only', append, counted)).toMatchObject({ kind: 'reject' });
    const gone = stored({ data: null, deleted: true });
    expect(decideBy('append_only', append, gone)).toMatchObject({
      kind: 'reject',
      code: 'append_only_violation',
      record: {
        ours: null,
        fields: [
          { field: '', winner: 'ours' },
          { field: 'verb', theirs: 'passed', winner: 'ours' },
          { field: 'score', theirs: 3, winner: 'ours' },
        ],
      },
    });
    const nothing = { ...append, data: null };
    expect(decideBy('append_only', nothing, gone)).toMatchObject({
      kind: 'reject',
      record: { fields: [{ field: '', winner: 'ours' }] },
    });
  });

  it.each(['put', 'patch', 'delete', 'merge'] as const)('rejects %s, existing or not', (op) => {
    const violation = { kind: 'reject', code: 'append_only_violation', record: null };
    expect(decideBy('append_only', mutationOf({ deviceId: 'a', op }), CURRENT)).toEqual(violation);
    expect(decideBy('append_only', mutationOf({ deviceId: 'a', op }), null)).toEqual(violation);
  });
});

describe('crdt_yjs', () => {
  const merge = mutationOf({ deviceId: 'a', op: 'merge', update: 'AAA=', occurredAtMs: 100 });
  const deletedAt = (atMs: number): EntityState => ({
    ...CURRENT,
    data: null,
    deleted: true,
    deletedData: CURRENT.data,
    fieldWrites: { '': { atMs, by: 's:svc', counter: 2 } },
  });

  it('submits an update, applied when clean and merged when concurrent', () => {
    const submitted = {
      kind: 'submit',
      op: 'merge',
      data: null,
      update: 'AAA=',
      record: null,
      fieldWrites: {},
    };
    const clean = { ...merge, baseClock: CURRENT.clock };
    expect(decideBy('crdt_yjs', merge, null)).toMatchObject({
      ...submitted,
      status: 'applied',
      expectedRevision: 0,
    });
    expect(decideBy('crdt_yjs', clean, CURRENT)).toMatchObject({
      ...submitted,
      status: 'applied',
      expectedRevision: 4,
    });
    expect(decideBy('crdt_yjs', merge, CURRENT)).toMatchObject({ ...submitted, status: 'merged' });
    expect(decideBy('crdt_yjs', merge, CURRENT, { review: 'collisions' })).toMatchObject({ kind: 'submit' });
  });

  it('keeps an update in the record when a later deletion has overtaken it', () => {
    expect(decideBy('crdt_yjs', merge, deletedAt(101))).toMatchObject({
      kind: 'supersede',
      record: {
        theirsUpdate: 'AAA=',
        theirs: null,
        fields: [{ field: '', winner: 'ours' }],
        decision: 'auto',
      },
    });
    expect(decideBy('crdt_yjs', merge, deletedAt(99))).toMatchObject({ kind: 'submit', status: 'merged' });
    const knowing = { ...merge, baseClock: { 's:svc': 2 } };
    const moved = { ...deletedAt(101), clock: { 's:svc': 2, 'd:z': 1 } };
    expect(decideBy('crdt_yjs', knowing, moved)).toMatchObject({ kind: 'submit', status: 'merged' });
    const unknown = { ...deletedAt(101), fieldWrites: {} };
    expect(decideBy('crdt_yjs', merge, unknown)).toMatchObject({ kind: 'submit' });
  });

  it('does so too when the document was made anew behind the deletion', () => {
    const again = { atMs: 120, by: 's:svc', counter: 3 };
    const remade = (atMs: number): EntityState => ({
      ...CURRENT,
      fieldWrites: { '': { ...again, deletion: { atMs, by: 's:svc', counter: 2 } } },
    });
    expect(decideBy('crdt_yjs', merge, remade(101))).toMatchObject({ kind: 'supersede' });
    expect(decideBy('crdt_yjs', merge, remade(99))).toMatchObject({ kind: 'submit', status: 'merged' });
    const knowing = { ...merge, baseClock: { 's:svc': 2 } };
    const moved = { ...remade(101), clock: { 's:svc': 3, 'd:z': 1 } };
    expect(decideBy('crdt_yjs', knowing, moved)).toMatchObject({ kind: 'submit', status: 'merged' });
  });

  it('decides plain fields as last writer wins does', () => {
    const patch = mutationOf({ deviceId: 'a', op: 'patch', data: { status: 'x' }, occurredAtMs: 79 });
    expect(decideBy('crdt_yjs', patch, CURRENT)).toMatchObject({
      kind: 'supersede',
      record: { policy: 'crdt_yjs' },
    });
  });
});

describe('every policy', () => {
  const policies = ['append_only', 'crdt_yjs', 'lww', 'server_authoritative'] as const;
  const opOf = (policy: ConflictPolicy): MutationInput['op'] => (policy === 'append_only' ? 'append' : 'put');
  const wide = (count: number): Record<string, number> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`d:${index}`, 1]));

  it('refuses ops that it does not know', () => {
    const code = 'op_not_allowed';
    const append = mutationOf({ deviceId: 'a', op: 'append' });
    expect(decideBy('lww', append, null)).toEqual({ kind: 'reject', code, record: null });
    expect(decideBy('server_authoritative', append, CURRENT)).toEqual({ kind: 'reject', code, record: null });
  });

  it.each(policies)('%s refuses a counter that cannot go higher, and keeps what was sent', (policy) => {
    const refused = { kind: 'reject', code: 'clock_limit_exceeded', record: null };
    const baseClock = { 'd:a': Number.MAX_SAFE_INTEGER };
    const sent = mutationOf({ deviceId: 'a', op: opOf(policy), data: { status: 'mine' }, baseClock });
    expect(decideBy(policy, sent, null)).toEqual(refused);
    const fields = [{ field: 'status', ours: 'active', theirs: 'mine', winner: 'ours' }];
    const record = {
      theirs: sent.data,
      ours: CURRENT.data,
      fields,
      clockOurs: CURRENT.clock,
      clockTheirs: baseClock,
    };
    expect(decideBy(policy, sent, CURRENT)).toMatchObject({ ...refused, record });
    const last = { ...sent, baseClock: { 'd:a': Number.MAX_SAFE_INTEGER - 1 } };
    expect(decideBy(policy, last, null)).toMatchObject({
      kind: 'submit',
      clock: { 'd:a': Number.MAX_SAFE_INTEGER },
    });
  });

  it('never refuses for the number of entries, and submits a clock that the wire takes', () => {
    const mutation = mutationOf({ deviceId: 'a', op: 'put', data: {} });
    const onFull = decideBy('lww', { ...mutation, baseClock: wide(256) }, { ...CURRENT, clock: wide(256) });
    expect(onFull).toMatchObject({ kind: 'submit', clock: { 'd:a': 1, 's:folded': 2 }, status: 'applied' });
    const fits = decideBy('lww', { ...mutation, baseClock: wide(255) }, { ...CURRENT, clock: wide(255) });
    expect(fits).toMatchObject({ kind: 'submit', clock: { ...wide(255), 'd:a': 1 } });
  });

  it('submits nothing of baseClock but the mutation’s own dot', () => {
    const mutation = mutationOf({ deviceId: 'a', op: 'put', data: {}, baseClock: { 'd:a': 4, 'd:z': 9 } });
    expect(decideBy('lww', mutation, CURRENT)).toMatchObject({ clock: { ...CURRENT.clock, 'd:a': 5 } });
    expect(decideBy('lww', mutation, null)).toMatchObject({ clock: { 'd:a': 5 } });
  });

  it.each(policies)('%s submits again what the owner may have applied already', (policy) => {
    const mutation = mutationOf({
      deviceId: 'a',
      op: opOf(policy),
      data: { status: 'mine' },
      occurredAtMs: 1,
    });
    const applied = { ...CURRENT, clock: { 's:svc': 2, 'd:a': 1 } };
    expect(decideBy(policy, mutation, applied, { mayBeApplied: true })).toMatchObject({
      kind: 'submit',
      status: 'applied',
      data: { status: 'mine' },
      // No entity's that exists: an inbox that does not know the mutation must not apply it over somebody
      // else's change.
      expectedRevision: 0,
    });
  });

  it('submits again, too, what may have been folded away behind its device', () => {
    const mutation = mutationOf({
      deviceId: 'a',
      op: 'put',
      data: { status: 'mine' },
      baseClock: { 's:folded': 3 },
    });
    const folded = (folds: number): EntityState => ({ ...CURRENT, clock: { 's:svc': 2, 's:folded': folds } });
    const decided = (folds: number): unknown =>
      decideBy('server_authoritative', mutation, folded(folds), { mayBeApplied: true });
    expect(decided(4)).toMatchObject({ kind: 'submit', expectedRevision: 0 });
    expect(decided(3)).toMatchObject({ kind: 'reject', code: 'server_changed' });
  });

  it('decides as usual when the dot is not there, or the owner has answered', () => {
    const mutation = mutationOf({ deviceId: 'a', op: 'put', data: { status: 'mine' } });
    const rejected = { kind: 'reject', code: 'server_changed' };
    const applied = { ...CURRENT, clock: { 's:svc': 2, 'd:a': 1 } };
    expect(decideBy('server_authoritative', mutation, CURRENT, { mayBeApplied: true })).toMatchObject(
      rejected,
    );
    expect(decideBy('server_authoritative', mutation, applied, { mayBeApplied: false })).toMatchObject(
      rejected,
    );
    expect(decideBy('server_authoritative', mutation, applied)).toMatchObject(rejected);
    expect(decideBy('server_authoritative', mutation, null, { mayBeApplied: true })).toMatchObject({
      kind: 'submit',
    });
  });
});
