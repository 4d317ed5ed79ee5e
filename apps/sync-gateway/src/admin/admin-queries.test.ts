import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import {
  AdminConflictsQuery,
  AdminDeadLettersQuery,
  AdminDevicesQuery,
  AdminExplainQuery,
  AdminMissingPurgesQuery,
  validator,
} from '@sync/protocol';
import { TenantConflictsQuery } from '../conflicts/conflict-queries.ts';
import { DeadLettersQuery, DevicesQuery, ExplainQuery, PageQuery } from './admin-queries.ts';
import { decodeQuery } from './decode-query.ts';

const CASES = [
  { name: 'devices', type: DevicesQuery, schema: AdminDevicesQuery },
  { name: 'conflicts', type: TenantConflictsQuery, schema: AdminConflictsQuery },
  { name: 'dead letters', type: DeadLettersQuery, schema: AdminDeadLettersQuery },
  { name: 'explain', type: ExplainQuery, schema: AdminExplainQuery },
  { name: 'missing purges', type: PageQuery, schema: AdminMissingPurgesQuery },
] as const;

/** Every parameter with values that are right for one list, wrong for another, or wrong for all. */
const VALUES: Readonly<Record<string, readonly unknown[]>> = {
  cursor: ['a', '', 'x'.repeat(1024), 'x'.repeat(1025)],
  limit: ['1', '500', '501', '0', '-1', '1.5', 'ten', ''],
  status: ['healthy', 'at_risk', 'open', 'quarantined', 'replayed', 'asleep', ''],
  user: ['u1', 'a b', 'x'.repeat(129), ''],
  entityType: ['note', 'Note', 'no/te', ''],
  entityId: ['n1', 'n 1', ''],
  policy: ['lww', 'best', ''],
  from: [
    '2026-01-01T00:00:00Z',
    '2026-01-01T00:00:00.123+02:00',
    '2026-13-01T00:00:00Z',
    '2026-01-01',
    '2026-121T10:00:00Z',
    '2026-W18-5T10:00:00Z',
    '2016-12-31T23:59:60Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:00:00+23:00',
    '2026-01-01T00:00:00.1234567890Z',
    '0000-01-01T00:00:00Z',
    '+022026-01-01T00:00:00Z',
    '2026-01-01t00:00:00Z',
    'now',
    '',
  ],
  to: ['2026-02-29T00:00:00Z', '2026-02-28T00:00:00Z', '2026-02-28T00:00:00'],
  device: ['d1', 'a b', '', undefined],
  entity: ['note/n1', 'note', 'note/', 'Note/n1', 'note/a/b', undefined],
  tenantId: ['t2'],
};

describe('the decorators say what the schemas say', () => {
  it.each(CASES)('$name', ({ type, schema }) => {
    const check = validator(schema);
    const base = { device: 'd1', entity: 'note/n1' };
    for (const [name, values] of Object.entries(VALUES)) {
      for (const value of values) {
        const query = { ...base, [name]: value };
        const { limit } = query as { limit?: string };
        const typed = limit !== undefined && /^\d+$/.test(limit) ? { ...query, limit: Number(limit) } : query;
        const known = name in schema.properties ? typed : base;
        expect([name, value, accepts(type, query)]).toEqual([name, value, check(withoutUndefined(known)).ok]);
      }
    }
  });
});

function accepts(type: (typeof CASES)[number]['type'], query: object): boolean {
  try {
    decodeQuery<object>(type, query);
    return true;
  } catch {
    return false;
  }
}

function withoutUndefined(query: object): object {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
}
