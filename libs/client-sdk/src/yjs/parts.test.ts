import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import * as Y from 'yjs';
import { MAX_NESTED_TYPES, partsOf } from './parts.ts';

/** @returns the update of each change */
function updatesOf(doc: Y.Doc, changes: readonly (() => void)[]): Uint8Array[] {
  const updates: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => updates.push(update));
  for (const change of changes) change();
  return updates;
}

function merged(updates: readonly Uint8Array[]): string {
  const doc = new Y.Doc();
  for (const update of updates) Y.applyUpdate(doc, update);
  return doc.getText('body').toJSON();
}

it('says the same in as few parts as may be pushed, in their order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 1, maxLength: 900 }), { minLength: 1, maxLength: 12 }),
      (words) => {
        const doc = new Y.Doc();
        const body = doc.getText('body');
        const updates = updatesOf(
          doc,
          words.map((word) => () => body.insert(body.length, word)),
        );
        const parts = partsOf(updates, 3_000);
        for (let count = 1; count <= parts.length; count += 1) {
          // Each part builds on those before it, and on nothing else.
          expect(body.toJSON().startsWith(merged(parts.slice(0, count)))).toBe(true);
        }
        expect(merged(parts)).toBe(body.toJSON());
        for (const part of parts) expect(part.length).toBeLessThanOrEqual(3_000);
        expect(partsOf(updates)).toHaveLength(1);
      },
    ),
  );
});

it('leaves one that is too large alone', () => {
  const doc = new Y.Doc();
  const body = doc.getText('body');
  const typed = ['one', 'x'.repeat(5_000), 'two'].map((word) => () => body.insert(0, word));
  expect(partsOf(updatesOf(doc, typed), 3_000).map(({ length }) => length > 3_000)).toEqual([
    false,
    true,
    false,
  ]);
});

it('counts nested types, of which an update has a bound', () => {
  const doc = new Y.Doc();
  const list = doc.getArray<Y.Map<string>>('list');
  const added = Array.from({ length: 3 }, () => () => {
    list.push(Array.from({ length: 200 }, () => new Y.Map<string>()));
  });
  const parts = partsOf(updatesOf(doc, added));
  expect(MAX_NESTED_TYPES).toBe(500);
  expect(parts.map((part) => Y.decodeUpdate(part).structs.length)).toEqual([400, 200]);
});
