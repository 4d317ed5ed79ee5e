import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import * as Y from 'yjs';
import { advanceStateVector, decodeStateVector, encodeStateVector } from './state-vector.ts';
import { IncompleteStateError, diffFor, squash, stateVectorOf } from './document-state.ts';
import { stateHash } from '../pool/state-hash.ts';
import { restoreUpdate } from './restore-update.ts';

interface Step {
  readonly who: number;
  readonly kind: number;
  readonly at: number;
  readonly sync: boolean;
}

const steps = fc.array(fc.record({ who: fc.nat(2), kind: fc.nat(9), at: fc.nat(500), sync: fc.boolean() }), {
  maxLength: 40,
});

function edit(doc: Y.Doc, { kind, at }: Step): void {
  const text = doc.getText('body');
  const page = doc.getXmlFragment('page');
  const list = doc.getArray('list');
  const fields = doc.getMap('fields');
  const edits = [
    (): void => text.delete(at % text.length, 1),
    (): void => text.delete(0, Math.min(4, text.length)),
    (): void => void fields.set(`k${at % 2}`, at),
    (): void => fields.delete(`k${at % 2}`),
    (): void => text.format(0, text.length, { bold: at % 2 === 0 ? true : null }),
    (): void => page.insert(at % (page.length + 1), [new Y.XmlText('hello')]),
    (): void => page.delete(at % page.length, 1),
    (): void => (page.get(at % page.length) as Y.XmlText).insert(1, 'XX'),
    (): void => list.insert(at % (list.length + 1), [at, { a: [1] }]),
    (): void => text.insert(at % (text.length + 1), `w${at} `),
  ];
  if (kind === 0 && text.length === 0) return;
  if ((kind === 6 || kind === 7) && page.length === 0) return;
  edits[kind]?.();
}

/** Three devices that write and sometimes meet; their updates in an order in which they were admitted. */
function history(made: readonly Step[]): Uint8Array[] {
  const log: Uint8Array[] = [];
  const docs = [1, 2, 3].map((clientId) => {
    const doc = new Y.Doc();
    doc.clientID = clientId;
    doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== 'sync') log.push(update);
    });
    return doc;
  });
  for (const step of made) {
    const doc = docs[step.who];
    if (doc) edit(doc, step);
    if (!step.sync) continue;
    const everything = Y.mergeUpdates(log.length > 0 ? log : [Y.encodeStateAsUpdate(new Y.Doc())]);
    for (const one of docs) Y.applyUpdate(one, everything, 'sync');
  }
  return log;
}

function viewOf(...updates: readonly Uint8Array[]): unknown {
  const doc = new Y.Doc();
  for (const update of updates) Y.applyUpdate(doc, update);
  expect(doc.store.pendingStructs).toBeNull();
  return {
    body: doc.getText('body').toDelta() as unknown,
    fields: doc.getMap('fields').toJSON(),
    page: doc.getXmlFragment('page').toJSON(),
    list: doc.getArray('list').toJSON(),
  };
}

describe('squash', () => {
  it('has the content, the state vector and the hash of all updates, however they are grouped', () => {
    fc.assert(
      fc.property(steps, fc.nat(40), (made, cut) => {
        const log = history(made);
        const whole = squash(null, log);
        const inParts = squash(squash(null, log.slice(0, cut)), log.slice(cut));
        expect(viewOf(inParts)).toEqual(viewOf(...log));
        expect([stateHash(inParts), stateHash(Y.mergeUpdates([whole, whole]))]).toEqual([
          stateHash(whole),
          stateHash(whole),
        ]);
        const vector = stateVectorOf(whole);
        expect(vector).toEqual(Y.decodeStateVector(Y.encodeStateVectorFromUpdate(whole)));
        expect(decodeStateVector(encodeStateVector(vector))).toEqual(vector);
      }),
      { numRuns: 200 },
    );
  });

  it('refuses updates between which something is missing', () => {
    const [first, second, third] = history([9, 9, 9].map((kind) => ({ who: 0, kind, at: 0, sync: false })));
    if (!first || !second || !third) throw new RangeError();
    expect(() => squash(first, [third])).toThrow(IncompleteStateError);
    expect(squash(first, [second, third]).length).toBeGreaterThan(0);
  });

  it('hashes deletions, which no state vector shows', () => {
    const log = history([9, 1].map((kind) => ({ who: 0, kind, at: 0, sync: false })));
    const [written, deleted] = [squash(null, log.slice(0, 1)), squash(null, log)];
    expect(stateVectorOf(written)).toEqual(stateVectorOf(deleted));
    expect(stateHash(written)).not.toBe(stateHash(deleted));
  });
});

describe('diffFor', () => {
  it('completes a device that has a part, deletions included', () => {
    fc.assert(
      fc.property(steps, fc.nat(40), (made, cut) => {
        const log = history(made);
        const held = squash(null, log.slice(0, cut));
        const difference = diffFor(squash(null, log), stateVectorOf(held));
        expect(viewOf(held, difference)).toEqual(viewOf(...log));
      }),
      { numRuns: 200 },
    );
  });

  it('is small for a device that has nearly everything', () => {
    const log = history(Array.from({ length: 200 }, (_unused, at) => ({ who: 0, kind: 9, at, sync: false })));
    const all = squash(null, log);
    const difference = diffFor(all, stateVectorOf(squash(null, log.slice(0, -1))));
    expect(difference.length).toBeLessThan(all.length / 20);
    expect(
      advanceStateVector(new Map([[1, 5]]), [
        { client: 1, to: 3 },
        { client: 2, to: 4 },
      ]),
    ).toEqual(
      new Map([
        [1, 5],
        [2, 4],
      ]),
    );
  });
});

describe('restoreUpdate', () => {
  it('brings the content of any earlier point back, as a change that others can merge', () => {
    fc.assert(
      fc.property(steps, fc.nat(40), (made, cut) => {
        const log = history(made);
        const then = squash(null, log.slice(0, cut));
        const update = restoreUpdate(then, log.slice(cut), 2 ** 32 + 7);
        const restored = update === null ? log : [...log, update];
        expect(viewOf(...restored)).toEqual(viewOf(then));
        if (update === null) return;
        // Forward: nothing of the history is taken back, and all of the new content is the restorer's.
        const before = stateVectorOf(squash(null, log));
        const after = stateVectorOf(squash(null, restored));
        after.delete(2 ** 32 + 7);
        expect(after).toEqual(before);
        expect(viewOf(...restored, ...log)).toEqual(viewOf(then));
      }),
      { numRuns: 300 },
    );
  });
});
