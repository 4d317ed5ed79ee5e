import { describe, expect, it } from '@jest/globals';
import type { RegisteredEntityType } from '@sync/protocol';
import { dueBackfill, type BackfillProgress } from './due-backfill.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const RECONCILE_MS = 60_000;
const type: RegisteredEntityType = {
  service: 'learning',
  entityType: 'progress',
  schemaVersion: 2,
  policy: 'lww',
  projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
};
const finished = (agoMs: number, more: Partial<BackfillProgress> = {}): BackfillProgress => ({
  entityType: 'progress',
  schemaVersion: 2,
  reason: 'first_seen',
  sweep: false,
  plain: false,
  cursor: null,
  done: true,
  run: 1,
  startedAt: new Date(NOW - agoMs),
  finishedAt: new Date(NOW - agoMs),
  ...more,
});
const due = (progress: BackfillProgress | undefined, registration = type) =>
  dueBackfill(registration, progress, NOW, RECONCILE_MS);

describe('a backfill is due', () => {
  it.each([
    ['a type that was never read', undefined, { kind: 'start', reason: 'first_seen', sweep: false }],
    ['a run that has not ended', finished(0, { done: false, finishedAt: null }), { kind: 'continue' }],
    [
      'a higher schema version',
      finished(0, { schemaVersion: 1 }),
      { kind: 'start', reason: 'schema_changed', sweep: false },
    ],
    [
      'a lower schema version',
      finished(0, { schemaVersion: 3 }),
      { kind: 'start', reason: 'schema_changed', sweep: false },
    ],
    [
      'another schema version during a rebuild, whose sweep is still owed',
      finished(0, { schemaVersion: 1, done: false, sweep: true }),
      { kind: 'start', reason: 'schema_changed', sweep: true },
    ],
    [
      'plain events, some time after the last comparison',
      finished(RECONCILE_MS, { plain: true }),
      { kind: 'start', reason: 'reconcile', sweep: true },
    ],
  ] as const)('for %s', (_why, progress, expected) => {
    expect(due(progress)).toEqual(expected);
  });

  it('for a type that names its own event subjects, which are plain', () => {
    const plain = { ...type, eventSubjects: ['shop.orders.*'] };
    expect(due(finished(RECONCILE_MS), plain)).toMatchObject({ reason: 'reconcile' });
    expect(due(finished(RECONCILE_MS - 1), plain)).toBeNull();
  });
});

describe('no backfill is due', () => {
  it.each([
    ['numbered events, however long ago', finished(1e9)],
    ['plain events, compared a moment ago', finished(RECONCILE_MS - 1, { plain: true })],
  ])('for %s', (_why, progress) => {
    expect(due(progress)).toBeNull();
  });
});
