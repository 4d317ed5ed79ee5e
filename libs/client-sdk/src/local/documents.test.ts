/** What is kept of documents: the increments of their present epoch, and nothing of one that is gone. */
import { describe, expect, it } from '@jest/globals';
import type { RemoteDelta } from '@sync/protocol';
import { storePull } from './store-answers.ts';
import { CrashingDevice, NOW, SCOPE } from './testing/crashing-device.ts';

type Part = Partial<RemoteDelta>;

const merge = (update: string, epoch: number): Part => ({ op: 'merge', data: { epoch }, update });
const fields = (data: Record<string, unknown>): Part => ({ op: 'put', data });
const gone: Part = { op: 'delete', data: null };

it.each<[string, readonly (readonly Part[])[], readonly string[]]>([
  [
    'every increment of an epoch',
    [[merge('one', 1)], [merge('two', 1), merge('three', 1)]],
    ['one', 'two', 'three'],
  ],
  ['none of an epoch before', [[merge('old', 1)], [merge('new', 2)]], ['new']],
  ['none of an epoch before in the same page', [[merge('old', 1), merge('new', 2)]], ['new']],
  [
    'none of an epoch that fields have ended',
    [[merge('old', 1)], [fields({ epoch: 2 })], [merge('new', 2)]],
    ['new'],
  ],
  ['all where fields say nothing of it', [[merge('one', 1)], [fields({ title: 't' })]], ['one']],
  ['nothing of one that is deleted', [[merge('old', 1)], [gone]], []],
  ['nothing of one that is deleted in the same page', [[merge('old', 1), gone]], []],
  ['nothing of one without an epoch that is deleted', [[{ ...merge('old', 0), data: {} }], [gone]], []],
  ['what was made after a deletion', [[merge('old', 1), gone, merge('new', 2)]], ['new']],
])('keeps %s', async (_what, pages, kept) => {
  const device = new CrashingDevice();
  await device.start();
  let counter = 0;
  for (const [at, parts] of pages.entries()) {
    const cursor = at === 0 ? null : String(at - 1);
    const deltas = parts.map((part): RemoteDelta => {
      const place = { entityType: 'note', entityId: 'a', schemaVersion: 1, committedAt: NOW };
      counter += 1;
      return { ...place, op: 'put', data: {}, clock: { 's:owner': counter }, ...part };
    });
    const page = { scope: SCOPE, reset: at === 0, deltas, cursor: String(at), hasMore: true };
    const answer = { serverTime: NOW, scopes: [page], revoked: [], outcomes: [], directives: [] };
    await storePull(device.local, [{ scope: SCOPE, cursor }], answer, NOW);
  }
  const rows = await device.store.list('document', '');
  expect(rows.map(({ value }) => value['update'])).toEqual(kept);
});

describe('a full resync that is at its end', () => {
  async function afterResync(...pages: readonly (readonly [entityId: string, part: Part][])[]) {
    const device = new CrashingDevice();
    await device.start();
    const first: [string, Part][] = [
      ['a', merge('a1', 1)],
      ['b', merge('b1', 1)],
      ['c', merge('c1', 1)],
    ];
    let counter = 0;
    for (const [generation, rest] of [[first], pages].entries()) {
      for (const [at, parts] of rest.entries()) {
        const cursor = `${generation}:${at}`;
        const deltas = parts.map(([entityId, part]): RemoteDelta => {
          const place = { entityType: 'note', entityId, schemaVersion: 1, committedAt: NOW };
          counter += 1;
          return { ...place, op: 'put', data: {}, clock: { 's:owner': counter }, ...part };
        });
        const hasMore = at < rest.length - 1;
        const page = { scope: SCOPE, reset: at === 0, deltas, cursor, hasMore };
        const answer = { serverTime: NOW, scopes: [page], revoked: [], outcomes: [], directives: [] };
        const asked = at === 0 ? null : `${generation}:${at - 1}`;
        await storePull(device.local, [{ scope: SCOPE, cursor: asked }], answer, NOW);
      }
    }
    const rows = await device.store.list('document', '');
    return rows.map(({ value }) => value['update']);
  }

  it('has put its increments in the place of older ones, and keeps what has not come again', async () => {
    const kept = await afterResync(
      [
        ['a', merge('a2', 1)],
        ['b', fields({ title: 't' })],
      ],
      [['a', merge('a3', 1)]],
    );
    // Of `c` the resync has brought nothing: it is gone.
    expect(kept).toEqual(['a2', 'a3', 'b1']);
  });

  it('keeps what its last page brings, and all of it before that page', async () => {
    expect(await afterResync([], [['a', merge('a2', 1)]])).toEqual(['a2']);
    expect(await afterResync([['a', merge('a2', 1)]])).toEqual(['a2']);
  });
});
