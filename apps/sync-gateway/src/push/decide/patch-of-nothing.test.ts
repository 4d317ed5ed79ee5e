import { describe, expect, it } from '@jest/globals';
import type { OwnerPushResult, RegisteredEntityType } from '@sync/protocol';
import type { Settlement, Work } from '../outcome/settlement.ts';
import { absorb, applied, headOf, lww, plan, planned, unanswered, workOf } from '../testing/lane-rig.ts';

/** A patch of what is not there is refused for what it does not name: nobody can say that it is wrong. */
const own = (count: number) => ({ baseClock: { 'd:d1': count } });
const refused = ({ mutation: { mutationId } }: Work, code = 'data_invalid'): OwnerPushResult => {
  return { mutationId, status: 'rejected', code };
};
const document: RegisteredEntityType = { ...lww, policy: 'crdt_yjs' };
const authoritative: RegisteredEntityType = { ...lww, policy: 'server_authoritative' };
const remote: RegisteredEntityType = { ...lww, projection: { kind: 'remote', subject: 'project.note' } };
const ALIVE = headOf(2, { 'd:d1': 2 }, { text: 'before' });
const GONE = headOf(3, { 'd:d1': 3 }, null);
const KEPT = {
  conflict: { draft: { op: 'patch', decision: 'auto', ours: null, theirs: { text: 'edit' } } },
};
const edit = (base: number, registration = lww): Work =>
  workOf({ ...own(base), data: { text: 'edit' } }, { registration });

describe('a patch that its owner refuses', () => {
  it.each(['data_invalid', 'forbidden', 'not_found'])('of what its device deleted is kept: %s', (code) => {
    for (const registration of [lww, document, authoritative, remote]) {
      const patch = edit(3, registration);
      const lane = planned([patch], GONE);
      absorb(lane, refused(patch, code));
      expect(lane.settlements.get(patch)).toMatchObject({ status: 'rejected', code, ...KEPT });
    }
  });

  it('behind the deletion, in one request, is kept', () => {
    const [deletion, patch] = [workOf({ op: 'delete', data: null, ...own(2) }), edit(3)];
    const lane = planned([deletion, patch], ALIVE);
    absorb(lane, applied(deletion, 3), refused(patch));
    expect(lane.settlements.get(patch)).toMatchObject({
      ...KEPT,
      current: expect.stringContaining('delete'),
    });
  });

  it('of what was never made, or whose creation was refused, is kept', () => {
    const [put, patch, first] = [workOf({ op: 'put' }), edit(1), edit(0)];
    const lane = planned([put, patch]);
    absorb(lane, refused(put, 'forbidden'), {
      mutationId: patch.mutation.mutationId,
      status: 'conflict',
      current: { revision: 0, clock: {}, data: null, deleted: false },
    });
    plan(lane);
    absorb(lane, refused(patch));
    expect(lane.settlements.get(put)).not.toHaveProperty('conflict');
    expect(lane.settlements.get(patch)).toMatchObject(KEPT);
    const alone = planned([first]);
    absorb(alone, refused(first));
    expect(alone.settlements.get(first)).toMatchObject(KEPT);
  });

  it('of what its owner made nothing of is kept, and so is what follows, whoever projects it', () => {
    const [put, patch, next] = [1, 2, 3].map((count) => {
      const op = count === 1 ? 'put' : 'patch';
      return workOf({ op, data: { text: 'edit' }, ...own(count) }, { registration: remote });
    }) as [Work, Work, Work];
    const lane = planned([put, patch], headOf(1, { 'd:d1': 1 }, { text: 'before' }));
    const taken = { ...applied(put, 2, { 'd:d1': 2 }), changed: true, data: null } as OwnerPushResult;
    absorb(lane, taken, refused(patch));
    expect(lane.settlements.get(patch)).toMatchObject(KEPT);
    lane.extend([next]);
    plan(lane);
    absorb(lane, refused(next));
    expect(lane.settlements.get(next)).toMatchObject(KEPT);
  });

  it('shows nothing as there of which its device was told that it is gone', () => {
    const patch = edit(3);
    const lane = planned([patch], ALIVE);
    expect(lane.need).toEqual({ what: 'ledger' });
    const told = { revision: 3, clock: { 'd:d1': 3 }, deleted: true };
    lane.learnKnown({ head: ALIVE, told, counted: 3, restored: false, ownSequence: null });
    plan(lane);
    absorb(lane, refused(patch));
    expect(lane.settlements.get(patch)).toMatchObject(KEPT);
  });

  it('again, after an answer that was lost, is kept: it may have been of nothing', () => {
    const again = headOf(2, { 'd:d1': 1, 's:learning': 1 }, { text: 'made anew' });
    const patch = edit(0);
    const lane = planned([patch], again);
    lane.learnKnown({ head: again, told: null, counted: 1, restored: false, ownSequence: null });
    plan(lane);
    expect(lane.submissions).toMatchObject([{ change: { status: 'applied', expectedRevision: 0 } }]);
    absorb(lane, refused(patch));
    expect(lane.settlements.get(patch)).toMatchObject({ conflict: { draft: { theirs: { text: 'edit' } } } });
  });

  it('like a put, again, is kept where it had met a change that its device had not seen', () => {
    const again = headOf(2, { 'd:d1': 1, 's:learning': 1 }, { text: 'server' });
    const ended = (kept: Work['kept']): Settlement | undefined => {
      const put = workOf({ op: 'put', data: { text: 'edit' } }, { mayBeSent: true, kept });
      const lane = planned([put], again);
      absorb(lane, refused(put));
      return lane.settlements.get(put);
    };
    expect(ended({ status: 'merged', record: null })).toMatchObject({
      conflict: { draft: { theirs: { text: 'edit' } } },
    });
    expect(ended(null)).not.toHaveProperty('conflict');
  });

  it('for what it says itself is not kept, nor is any other op', () => {
    const ended = (work: Work, head: typeof ALIVE | null): Settlement | undefined => {
      const lane = planned([work], head);
      lane.absorb(new Map([[work.mutation.mutationId, refused(work)]]), unanswered);
      return lane.settlements.get(work);
    };
    expect(ended(edit(2), ALIVE)).not.toHaveProperty('conflict');
    expect(ended(workOf({ op: 'put', ...own(3) }), GONE)).not.toHaveProperty('conflict');
    expect(ended(workOf({ op: 'put' }), null)).not.toHaveProperty('conflict');
    expect(ended(workOf({ op: 'delete', data: null, ...own(3) }), GONE)).not.toHaveProperty('conflict');
  });
});
