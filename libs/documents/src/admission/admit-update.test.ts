import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import * as Y from 'yjs';
import { advanceStateVector } from '../state/state-vector.ts';
import { varUint } from '../testing/hostile-updates.ts';
import { ADMISSION_LIMITS, admitUpdate, type DocumentHead, type UpdateAuthor } from './admit-update.ts';

const ALICE: UpdateAuthor = { kind: 'device', id: 'alice' };
const BOB: UpdateAuthor = { kind: 'device', id: 'bob' };
const NOTHING: DocumentHead = { stateVector: new Map(), clientOwners: new Map() };

const codeOf = (update: Uint8Array, head = NOTHING, author = ALICE): string => {
  const answer = admitUpdate(update, head, author);
  return answer.ok ? 'admitted' : answer.code;
};

/** A document's head as an owner keeps it, from what was admitted. */
class Ledger {
  head: DocumentHead = NOTHING;
  readonly doc = new Y.Doc({ gc: false });

  admit(update: Uint8Array, author: UpdateAuthor): string {
    const answer = admitUpdate(update, this.head, author);
    if (!answer.ok) return answer.message;
    this.head = {
      stateVector: advanceStateVector(this.head.stateVector, answer.added),
      clientOwners: new Map([
        ...this.head.clientOwners,
        ...answer.claimed.map((client): [number, string] => [client, author.id]),
      ]),
    };
    Y.applyUpdate(this.doc, answer.update);
    return 'admitted';
  }
}

/** One device: its document, and the updates that it has not sent. */
class Device {
  readonly doc: Y.Doc;
  readonly unsent: Uint8Array[] = [];

  constructor(clientId: number, gc: boolean) {
    this.doc = new Y.Doc({ gc });
    this.doc.clientID = clientId;
    this.doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== 'server') this.unsent.push(update);
    });
  }

  receive(ledger: Ledger): void {
    Y.applyUpdate(this.doc, Y.encodeStateAsUpdate(ledger.doc), 'server');
  }
}

const EDITS: readonly ((doc: Y.Doc, at: number) => void)[] = [
  (doc, at) => doc.getText('body').insert(at % (doc.getText('body').length + 1), 'wörd 🙂 '),
  (doc, at) => {
    const text = doc.getText('body');
    if (text.length > 1) text.delete(at % (text.length - 1), 1 + (at % 2));
  },
  (doc, at) => doc.getText('body').format(0, at % (doc.getText('body').length + 1), { color: `#${at}` }),
  (doc, at) => doc.getText('body').insertEmbed(0, { at, deep: [{ a: [1] }] }),
  (doc, at) =>
    doc.getMap('map').set(`key${at % 3}`, [at, at / 3, null, true, { s: 'x' }, new Uint8Array([1])]),
  (doc, at) => doc.getMap('map').delete(`key${at % 3}`),
  (doc, at) => doc.getMap('map').set('nested', new Y.Map([['at', at]])),
  (doc, at) => doc.getArray('list').push([at, 'two', { three: 3 }]),
  (doc) => {
    const paragraph = new Y.XmlElement('p');
    paragraph.insert(0, [new Y.XmlText('in a paragraph'), new Y.XmlElement('br')]);
    doc.getXmlFragment('page').push([paragraph]);
    paragraph.setAttribute('class', 'x');
  },
  (doc) => {
    // Made and deleted between two pushes: a GC struct where the device collects garbage.
    doc.transact(() => {
      const page = doc.getXmlFragment('page');
      const gone = new Y.XmlElement('gone');
      page.insert(0, [gone]);
      gone.insert(0, [new Y.XmlText('soon gone')]);
      page.delete(0, 1);
    });
  },
];

const step = fc.record({
  device: fc.nat(2),
  edit: fc.nat(EDITS.length - 1),
  at: fc.nat(1_000),
  then: fc.constantFrom('write', 'send', 'send-merged', 'send-again', 'receive'),
});

describe('admitUpdate', () => {
  it('admits whatever honest devices write, in any form in which Yjs sends it', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, gc) => {
        const ledger = new Ledger();
        const devices = [new Device(5, gc), new Device(4_000_000_000, gc), new Device(77, gc)];
        for (const { device: index, edit, at, then } of steps) {
          const device = devices[index];
          if (!device) throw new RangeError();
          EDITS[edit]?.(device.doc, at);
          const author = { kind: 'device', id: `user${index}` } as const;
          if (then === 'write') continue;
          if (then === 'receive') device.receive(ledger);
          const merged = Y.mergeUpdates([...device.unsent]);
          const difference = Y.encodeStateAsUpdate(device.doc, Y.encodeStateVector(ledger.doc));
          const sent = then === 'send' ? device.unsent : [then === 'send-merged' ? merged : difference];
          if (device.unsent.length === 0) continue;
          for (const update of [...sent, ...(then === 'send-again' ? sent : [])]) {
            expect(ledger.admit(update, author)).toBe('admitted');
          }
          device.unsent.length = 0;
          device.receive(ledger);
          expect(Y.encodeStateVector(device.doc)).toEqual(Y.encodeStateVector(ledger.doc));
          expect(device.doc.getText('body').toDelta()).toEqual(ledger.doc.getText('body').toDelta());
        }
        expect(ledger.doc.store.pendingStructs).toBeNull();
      }),
      { numRuns: 200 },
    );
  });

  const text = (clientId: number, words: string): Uint8Array => {
    const doc = new Y.Doc();
    doc.clientID = clientId;
    doc.getText('body').insert(0, words);
    return Y.encodeStateAsUpdate(doc);
  };

  it('refuses bytes that are no update, in V2, empty, cut off, or longer than the update', () => {
    const update = text(7, 'words');
    const v2 = Y.convertUpdateFormatV1ToV2(update);
    expect(codeOf(new Uint8Array())).toBe('update_invalid');
    expect(codeOf(Uint8Array.of(0, 0))).toBe('update_empty');
    // V2 begins with a zero: read as V1 it is an empty update with bytes behind it.
    expect([v2[0], codeOf(v2)]).toEqual([0, 'update_invalid']);
    expect(codeOf(Y.encodeStateAsUpdateV2(new Y.Doc()))).toBe('update_invalid');
    for (let end = 0; end < update.length; end += 1)
      expect(codeOf(update.subarray(0, end))).toBe('update_invalid');
    expect(codeOf(Uint8Array.from([...update, 0]))).toBe('update_invalid');
    expect(codeOf(update)).toBe('admitted');
  });

  it('refuses the 13 bytes that would hide what a clientID writes later', () => {
    const hiding = Uint8Array.from([1, 1, ...varUint(7), 0, 0, ...varUint(2 ** 40), 0]);
    expect(hiding.length).toBeLessThanOrEqual(13);
    const head = { stateVector: new Map([[7, 0]]), clientOwners: new Map([[7, 'bob']]) };
    expect(codeOf(hiding)).toBe('clock_jump');
    const short = Uint8Array.from([1, 1, ...varUint(7), 0, 0, ...varUint(900_000), 0]);
    expect([codeOf(short, head, ALICE), codeOf(short, head, BOB)]).toEqual(['client_id_foreign', 'admitted']);
  });

  it('ends a clientID’s history where its clock would leave 32 bits', () => {
    const near = 2 ** 31 - 10;
    const head = { stateVector: new Map([[7, near]]), clientOwners: new Map([[7, 'alice']]) };
    const by = (length: number): Uint8Array => Uint8Array.from([1, 1, 7, ...varUint(near), 0, length, 0]);
    expect([codeOf(by(10), head), codeOf(by(11), head)]).toEqual(['admitted', 'document_exhausted']);
  });

  it('gives a clientID to whoever writes first, and keeps reserved ranges for their authors', () => {
    const ledger = new Ledger();
    expect(ledger.admit(text(7, 'first'), ALICE)).toBe('admitted');
    expect(ledger.admit(text(7, 'first and more'), BOB)).toContain('belongs to another');
    expect(codeOf(text(2 ** 32, 'x'))).toBe('client_id_foreign');
    expect(codeOf(text(2 ** 33, 'x'), NOTHING, { kind: 'server', id: 's' })).toBe('client_id_foreign');
    expect(codeOf(text(2 ** 32, 'x'), NOTHING, { kind: 'server', id: 's' })).toBe('admitted');
    expect(codeOf(text(2 ** 33, 'x'), NOTHING, { kind: 'suggestion', id: 'alice' })).toBe('admitted');
    expect(codeOf(text(2 ** 34, 'x'), NOTHING, { kind: 'suggestion', id: 'alice' })).toBe(
      'client_id_foreign',
    );
    const unowned = { stateVector: new Map([[7, 3]]), clientOwners: new Map() };
    expect(codeOf(text(7, 'longer'), unowned)).toBe('client_id_foreign');
  });

  it('cuts off what the document has, so that nobody rewrites history', () => {
    const ledger = new Ledger();
    ledger.admit(text(7, 'honest'), ALICE);
    const forged = admitUpdate(text(7, 'forged-and-more'), ledger.head, ALICE);
    expect(forged).toMatchObject({ ok: true, added: [{ client: 7, from: 6, to: 15 }] });
    ledger.admit(text(7, 'forged-and-more'), ALICE);
    expect(ledger.doc.getText('body').toJSON()).toBe('honest-and-more');
    // A whole foreign state repeated adds nothing and is harmless, whoever sends it.
    expect(admitUpdate(text(7, 'honest'), ledger.head, BOB)).toMatchObject({ ok: true, changes: false });
  });

  it('refuses what builds on, goes on after, or deletes what is not there', () => {
    const doc = new Y.Doc();
    doc.clientID = 7;
    const updates: Uint8Array[] = [];
    doc.on('update', (update: Uint8Array) => updates.push(update));
    doc.getText('body').insert(0, 'a');
    doc.getText('body').insert(1, 'b');
    doc.getText('body').delete(0, 1);
    const [first = new Uint8Array(), second = new Uint8Array(), third = new Uint8Array()] = updates;
    expect([second, third].map((update) => codeOf(update))).toEqual([
      'update_incomplete',
      'update_incomplete',
    ]);
    const other = new Y.Doc();
    other.clientID = 9;
    Y.applyUpdate(other, first);
    const before = Y.encodeStateVector(other);
    other.getText('body').insert(1, 'c');
    expect(codeOf(Y.encodeStateAsUpdate(other, before))).toBe('update_incomplete');
    expect(codeOf(Y.mergeUpdates([first, third]))).toBe('admitted');
    const skipping = Y.mergeUpdates([first, text(8, 'x'), third]);
    expect(codeOf(skipping)).toBe('admitted');
    doc.getText('body').insert(0, 'z');
    expect(codeOf(Y.mergeUpdates([first, updates[3] ?? third]))).toBe('update_incomplete');
  });

  it('refuses structs that wait for each other in a circle, which Yjs would hold back for ever', () => {
    // clientID 9, clock 0 stands behind (7, 0); clientID 7, clock 0 stands behind (9, 0).
    const circle = Uint8Array.of(2, 1, 9, 0, 0x84, 7, 0, 1, 97, 1, 7, 0, 0x84, 9, 0, 1, 98, 0);
    const doc = new Y.Doc();
    Y.applyUpdate(doc, circle);
    expect(doc.store.pendingStructs).not.toBeNull();
    expect(codeOf(circle)).toBe('update_incomplete');
    const chain = Uint8Array.of(2, 1, 9, 0, 0x84, 7, 0, 1, 97, 1, 7, 0, 4, 1, 1, 116, 1, 98, 0);
    expect(codeOf(chain)).toBe('admitted');
  });

  it('refuses content that a document cannot carry', () => {
    const withContent = (write: (doc: Y.Doc) => void): string => {
      const doc = new Y.Doc();
      write(doc);
      return codeOf(Y.encodeStateAsUpdate(doc));
    };
    const deep = JSON.parse('['.repeat(40) + ']'.repeat(40)) as unknown[];
    expect(withContent((doc) => doc.getMap('m').set('sub', new Y.Doc()))).toBe('content_not_allowed');
    expect(withContent((doc) => doc.getMap('m').set('__proto__', 1))).toBe('content_not_allowed');
    expect(withContent((doc) => doc.getMap('m').set('k', JSON.parse('{"__proto__":1}') as unknown))).toBe(
      'content_not_allowed',
    );
    expect(withContent((doc) => doc.getMap('m').set('deep', deep))).toBe('content_not_allowed');
    expect(withContent((doc) => doc.getText('t').insertEmbed(0, { deep }))).toBe('content_not_allowed');
    expect(withContent((doc) => doc.getText('t').insertEmbed(0, { about: '__proto__' }))).toBe('admitted');
  });

  it('bounds shared types inside shared types, which Yjs deletes by recursion', () => {
    const doc = new Y.Doc();
    let inner = doc.getMap('root');
    for (let depth = 0; depth <= ADMISSION_LIMITS.nestedTypes; depth += 1) {
      const next = new Y.Map();
      inner.set('in', next);
      inner = next;
    }
    const update = Y.encodeStateAsUpdate(doc);
    expect(codeOf(update)).toBe('update_too_large');
    const more = { ...ADMISSION_LIMITS, nestedTypes: ADMISSION_LIMITS.nestedTypes + 1 };
    expect(admitUpdate(update, NOTHING, ALICE, more).ok).toBe(true);
    const none = { ...ADMISSION_LIMITS, nestedTypes: 0 };
    expect(admitUpdate(update, NOTHING, ALICE, none)).toMatchObject({ code: 'content_not_allowed' });
  });

  it('counts only the shared types that an update adds: a whole page may be sent again with one more', () => {
    const ledger = new Ledger();
    const device = new Device(7, true);
    const page = device.doc.getXmlFragment('page');
    for (let count = 0; count < 3 * ADMISSION_LIMITS.nestedTypes; count += 1) {
      page.push([new Y.XmlElement('p')]);
    }
    for (const update of device.unsent) expect(ledger.admit(update, ALICE)).toBe('admitted');
    page.push([new Y.XmlElement('p')]);
    expect(ledger.admit(Y.encodeStateAsUpdate(device.doc), ALICE)).toBe('admitted');
    expect(ledger.doc.getXmlFragment('page').length).toBe(page.length);
  });

  it('takes what many offline sessions wrote as one update', () => {
    for (const sessions of [40, 1_024]) {
      const ledger = new Ledger();
      const updates = Array.from({ length: sessions }, (_unused, at) => text(at + 1, `s${at} `));
      expect(ledger.admit(Y.mergeUpdates(updates), ALICE)).toBe('admitted');
      expect(ledger.head.clientOwners.size).toBe(sessions);
    }
  });

  it('finds out in one pass whether what many sessions wrote upon each other can be put together', () => {
    const sessions = 5_000;
    const chain = (last: number): Uint8Array =>
      Uint8Array.from([
        ...varUint(sessions),
        ...Array.from({ length: sessions }, (_unused, at) => sessions - at).flatMap((client) => {
          const before = client === 1 ? last : client - 1;
          const origin = before === 0 ? [4, 1, 1, 116] : [0x84, ...varUint(before), 0];
          return [1, ...varUint(client), 0, ...origin, 1, 97];
        }),
        0,
      ]);
    expect(codeOf(chain(0))).toBe('admitted');
    expect(codeOf(chain(sessions))).toBe('update_incomplete');
  });

  it('bounds the bytes of an update and the clientIDs of a document', () => {
    const limits = { ...ADMISSION_LIMITS, bytes: 200, documentClients: 1 };
    const refused = (update: Uint8Array, head = NOTHING): string => {
      const answer = admitUpdate(update, head, ALICE, limits);
      return answer.ok ? 'admitted' : answer.code;
    };
    expect(refused(text(7, 'x'.repeat(300)))).toBe('update_too_large');
    expect(refused(Y.mergeUpdates([text(7, 'x'), text(8, 'x')]))).toBe('document_exhausted');
    const full = { stateVector: new Map([[1, 1]]), clientOwners: new Map() };
    expect(refused(text(7, 'x'), full)).toBe('document_exhausted');
    expect(refused(text(7, 'x'))).toBe('admitted');
  });
});
