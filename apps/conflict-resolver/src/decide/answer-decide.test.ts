import type { DecideItem } from '@sync/protocol';
import { answerDecide } from './answer-decide.ts';

const item = (policy: DecideItem['policy'], atMs: number): DecideItem => ({
  mutation: {
    mutationId: '00000000-0000-4000-8000-000000000001',
    deviceId: 'a',
    entityType: 'progress',
    entityId: 'p1',
    op: 'patch',
    data: { percent: 40 },
    update: null,
    baseClock: {},
    occurredAtMs: atMs,
    schemaVersion: 1,
  },
  current: {
    revision: 3,
    clock: { 'd:b': 1 },
    data: { percent: 60, status: 'in_progress' },
    deleted: false,
    deletedData: null,
    fieldWrites: {
      percent: { atMs: 1_000, by: 'd:b', counter: 1 },
      status: { atMs: 1_000, by: 'd:b', counter: 1 },
    },
  },
  policy,
  review: 'none',
  serverNowMs: 5_000,
});

describe('answerDecide', () => {
  it('answers one decision per item, in order', () => {
    const { decisions } = answerDecide({
      tenantId: 't1',
      items: [
        item('lww', 2_000),
        item('lww', 500),
        item('server_authoritative', 2_000),
        item('append_only', 2_000),
      ],
    });
    expect(decisions.map((decision) => decision.kind)).toEqual(['submit', 'supersede', 'reject', 'reject']);
    expect(decisions[0]).toMatchObject({
      expectedRevision: 3,
      status: 'merged',
      clock: { 'd:a': 1, 'd:b': 1 },
    });
    expect(decisions[2]).toMatchObject({ code: 'server_changed', record: { theirs: { percent: 40 } } });
  });

  it.each([[null], [{}], [{ items: [] }], [{ items: [{ policy: 'lww' }] }]])('refuses %j', (body) => {
    expect(() => answerDecide(body)).toThrow('DecideRequest');
  });

  it('names the mutation that cannot be decided', () => {
    const broken = { ...item('lww', 1), policy: 'nonsense' };
    expect(() => answerDecide({ tenantId: 't1', items: [broken] })).toThrow(
      /00000000-0000-4000-8000-000000000001/,
    );
  });
});
