import { describe, expect, it } from '@jest/globals';
import { SYNC_EVENT_DATA, type SyncEvent, validator } from '@sync/protocol';
import { postponed, type Settled, type Settlement } from '../outcome/settlement.ts';
import { completionEvents } from './completion-events.ts';
import type { Completed } from './completion.ts';

const NOW = '2026-11-30T12:00:00.000Z';
const UUID = '00000000-0000-4000-8000-00000000000';
const AUTHOR = { tenantId: `${UUID}a`, userId: `${UUID}b`, deviceId: `${UUID}c` };
const ENTITY = { entityType: 'note', entityId: 'n1' };

let made = 0;
function completedOf(settlement: Settlement, changes: Partial<Completed> = {}): Completed {
  made += 1;
  const mutationId = `00000000-0000-4000-8000-${String(made).padStart(12, '0')}`;
  const address = { ...ENTITY, scope: 'user:u1' };
  return { mutationId, address, counter: 1, attempt: 0, fresh: true, settlement, ...changes };
}

function settled(status: Settled['status'], code?: string): Settled {
  return { kind: 'settled', status, ...(code !== undefined && { code }) };
}

/** The events that count and list; each has the form that the protocol says. */
function told(completed: readonly Completed[], listsMutations = false): Pick<SyncEvent, 'type' | 'data'>[] {
  const { told: text } = completionEvents(AUTHOR, completed, NOW, listsMutations);
  const events = JSON.parse(`[${text ?? ''}]`) as SyncEvent[];
  return events.map(({ type, data }) => {
    expect(validator(SYNC_EVENT_DATA[type])(data)).toMatchObject({ ok: true });
    return { type, data };
  });
}

describe('what a push came to', () => {
  it('is told in less than 600 bytes where everything was applied, however much it was', () => {
    const completed = Array.from({ length: 500 }, () => completedOf(settled('applied')));
    const { told: text, conflicts } = completionEvents(AUTHOR, completed, NOW, false);
    expect(JSON.parse(text ?? '')).toEqual({
      ...{ specversion: '1.0', id: expect.any(String), source: 'sync-gateway' },
      ...{ type: 'sync.push.completed.v1', time: NOW, datacontenttype: 'application/json' },
      ...{ tenantid: AUTHOR.tenantId, userid: AUTHOR.userId, deviceid: AUTHOR.deviceId },
      data: { counts: { applied: 500 }, mutations: [] },
    });
    expect(text?.length).toBeLessThan(600);
    expect(conflicts).toEqual([]);
  });

  it('is counted by status; all that was not simply applied is found by its id', () => {
    const applied = [completedOf(settled('applied')), completedOf(settled('applied'))];
    const others = [
      completedOf(settled('merged')),
      completedOf(settled('superseded')),
      completedOf(settled('rejected', 'forbidden')),
      completedOf(settled('conflict')),
      completedOf(postponed('owner_unavailable')),
    ];
    const [a, b, c, d, e] = others.map(({ mutationId }) => mutationId);
    expect(told([...applied, ...others])).toEqual([
      {
        type: 'sync.push.completed.v1',
        data: {
          counts: { applied: 2, merged: 1, superseded: 1, rejected: 1, conflict: 1, accepted: 1 },
          mutations: [
            { mutationId: a, ...ENTITY, status: 'merged' },
            { mutationId: b, ...ENTITY, status: 'superseded' },
            { mutationId: c, ...ENTITY, status: 'rejected', code: 'forbidden' },
            { mutationId: d, ...ENTITY, status: 'conflict' },
            { mutationId: e, ...ENTITY, status: 'accepted' },
          ],
        },
      },
    ]);
  });

  it('counts what names no entity as well', () => {
    const nameless = completedOf(settled('rejected', 'mutation_invalid'), { address: null });
    const { mutationId } = nameless;
    expect(told([nameless], true)).toEqual([
      {
        type: 'sync.push.completed.v1',
        data: {
          counts: { rejected: 1 },
          mutations: [{ mutationId, status: 'rejected', code: 'mutation_invalid' }],
        },
      },
    ]);
  });

  it('says nothing of what goes on waiting', () => {
    const waits = completedOf(postponed('owner_unavailable'), { fresh: false });
    expect(told([waits], true)).toEqual([]);
    expect(told([waits, completedOf(settled('applied'))])).toMatchObject([
      { data: { counts: { applied: 1 }, mutations: [] } },
    ]);
  });

  it('is listed mutation by mutation beside that, where this is wanted', () => {
    const [a, b, c, d] = [
      completedOf(settled('applied')),
      completedOf(settled('rejected', 'forbidden')),
      completedOf(settled('merged')),
      completedOf(postponed('owner_unavailable')),
    ];
    expect(told([a, b, c, d], true).slice(1)).toEqual([
      {
        type: 'sync.mutation.applied.v1',
        data: {
          mutations: [
            { mutationId: a.mutationId, ...ENTITY, status: 'applied' },
            { mutationId: c.mutationId, ...ENTITY, status: 'merged' },
          ],
        },
      },
      {
        type: 'sync.mutation.rejected.v1',
        data: {
          mutations: [{ mutationId: b.mutationId, ...ENTITY, status: 'rejected', code: 'forbidden' }],
        },
      },
      {
        type: 'sync.mutation.accepted.v1',
        data: { mutations: [{ mutationId: d.mutationId, ...ENTITY, status: 'accepted' }] },
      },
    ]);
  });
});
