import { MatchersV3 } from '@pact-foundation/pact';
import type { PullResponse } from '@sync/protocol';
import { USER } from './contract-device.ts';
import { TIME } from './http-shapes.ts';

const { boolean, eachLike, integer, like, regex } = MatchersV3;

export const SCOPE = `user:${USER}`;
const CLOCK = like({ 's:learning': integer(1) });
/** A contract cannot hold a tag either, only its shape. */
const TAG = regex('^[A-Za-z0-9+/]{43}=$', `${'A'.repeat(43)}=`);
const CURSOR = regex('^[A-Za-z0-9._-]+$', 'cursor-1');

/** The ids of an app's writes, in their order. */
export function idsFrom(first: number): () => string {
  let next = first;
  return () => `00000000-0000-4000-8000-0000000001${String(next++).padStart(2, '0')}`;
}

/** What a device sends for its write of a note. */
export const mutationOf = (id: number, text: unknown): object => ({
  mutationId: idsFrom(id)(),
  sequence: id,
  scope: SCOPE,
  entityType: 'note',
  entityId: `pact-pushed-${id}`,
  op: 'put',
  data: { userId: USER, text },
  baseClock: {},
  occurredAt: TIME,
  schemaVersion: 1,
  tag: TAG,
});

/** What a page of the note's scope looks like to the device. */
export const PAGE = {
  scope: SCOPE,
  reset: boolean(true),
  deltas: eachLike({
    entityType: like('note'),
    entityId: like('pact-note'),
    op: regex('^(put|delete|merge)$', 'put'),
    clock: CLOCK,
    schemaVersion: integer(1),
    committedAt: TIME,
    data: like({ userId: USER, text: 'on the server' }),
  }),
  cursor: CURSOR,
  hasMore: false,
  digest: { count: integer(1), hash: regex('^[0-9a-f]{64}$', '0'.repeat(64)) },
};
/** What a device was answered when it pulled for the first time, of an empty scope. */
export const HELD: PullResponse = {
  serverTime: '2026-01-01T00:00:00.000Z',
  scopes: [
    {
      ...{ scope: SCOPE, reset: true, cursor: 'cursor-1', hasMore: false },
      ...{ deltas: [], digest: { count: 0, hash: '0'.repeat(64) } },
    },
  ],
  ...{ revoked: [], outcomes: [], directives: [] },
};
export const NOTHING_MORE = { revoked: [], outcomes: [], directives: [] };
