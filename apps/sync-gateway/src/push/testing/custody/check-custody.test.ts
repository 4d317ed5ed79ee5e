import { describe, expect, it } from '@jest/globals';
import type { ConflictSeen, LocalMutation, Outcome } from '@sync/protocol';
import { checkCustody } from './check-custody.ts';
import type { History } from './history.ts';
import { tellFailure } from './tell-failure.ts';

const mutation: LocalMutation = {
  ...{
    mutationId: 'm1',
    sequence: 1,
    scope: 'user:u1',
    entityType: 'progress',
    entityId: 'e0-x',
    op: 'patch',
  },
  ...{
    data: { f0: 'a1' },
    baseClock: { 's:learning': 1 },
    occurredAt: '2026-01-01T00:00:00Z',
    schemaVersion: 1,
  },
};
const merged: Outcome = { mutationId: 'm1', status: 'merged' };
const superseded: Outcome = { mutationId: 'm1', status: 'superseded', conflictId: 'c1' };

/** The owner wrote s1 and s2, of which the device has seen s1; then its mutation came. */
function historyOf(changes: Partial<History>, data: Record<string, string>): History {
  const serverChanges = ['s1', 's2'].map((name, place) => {
    return [place + 1, { name, field: 'f0', counter: place + 1 }] as const;
  });
  return {
    rounds: [],
    written: new Map([['m1', { name: 'a1', deviceId: 'd1', mutation }]]),
    answers: new Map(),
    outcomes: new Map([['m1', merged]]),
    applied: ['m1'],
    entities: [{ entityId: 'e0-x', changes: new Map(serverChanges), data }],
    records: [],
    ...changes,
  };
}

function recordOf(ours: string, winner: string): ConflictSeen {
  const { mutationId, entityType, entityId, scope } = mutation;
  const draft = { fields: [{ field: 'f0', ours, theirs: 'a1', winner }] };
  return { conflictId: 'c1', mutationId, entityType, entityId, scope, status: 'auto_resolved', draft };
}

const outcomesOf = (outcome: Outcome): History['outcomes'] => new Map([['m1', outcome]]);
const named = outcomesOf({ ...merged, conflictId: 'c1' });
const textsOf = (history: History): string[] => checkCustody(history).map(({ text }) => text);

describe('custody', () => {
  it('is kept where what was overwritten is recorded, or the mutation lost and was not applied', () => {
    const kept = historyOf({ outcomes: named, records: [recordOf('s2', 'theirs')] }, { f0: 'a1' });
    const lost = { outcomes: outcomesOf(superseded), records: [recordOf('s2', 'ours')], applied: [] };
    expect([textsOf(kept), textsOf(historyOf(lost, { f0: 's2' })), tellFailure(1, kept)]).toEqual([
      [],
      [],
      '',
    ]);
  });

  it.each([
    ['a1 has not ended', { outcomes: new Map(), applied: [] }, 's2'],
    ['a1 is merged and was applied 0 times', { applied: [] }, 's2'],
    ['a1 overwrote s2 in f0 unseen and recorded nothing (revision 3)', {}, 'a1'],
    [
      'a1 overwrote s2 in f0 unseen and recorded s1 (revision 3)',
      { outcomes: named, records: [recordOf('s1', 'theirs')] },
      'a1',
    ],
    [
      'a1 is superseded and was applied 1 times',
      { outcomes: outcomesOf(superseded), records: [recordOf('s2', 'ours')] },
      's2',
    ],
    [
      'a1 is in f0, by the records it should be s2',
      { outcomes: named, records: [recordOf('s2', 'ours')] },
      'a1',
    ],
  ] as const)('%s', (text, changes: Partial<History>, value) => {
    expect(textsOf(historyOf(changes, { f0: value })).join('; ')).toContain(text);
  });

  it('tells the seed and the revisions that led to the first violation', () => {
    const lines = tellFailure(7, historyOf({}, { f0: 'a1' })).split('\n');
    expect([lines[0], ...lines.slice(-3)]).toEqual([
      'seed 7: npm run custody -- --runs 1 --seed 7',
      '  1 s1 in f0',
      '  2 s2 in f0',
      '  3 a1 in f0: merged',
    ]);
  });
});
