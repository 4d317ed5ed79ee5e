import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import * as Y from 'yjs';
import {
  ALICE,
  ALICES_TABLET,
  BOB,
  Ledger,
  LedgerDevice,
  NOTHING,
  headOf,
  text,
} from '../testing/document-ledger.ts';
import { varUint } from '../testing/hostile-updates.ts';
import { ADMISSION_LIMITS, admitUpdate } from './admit-update.ts';

const codeOf = (update: Uint8Array, head = NOTHING, author = ALICE): string => {
  const answer = admitUpdate(update, head, author);
  return answer.ok ? 'admitted' : answer.code;
};

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
  then: fc.constantFrom(
    'write',
    'send',
    'send-merged',
    'send-again',
    'send-whole',
    'repeat-whole',
    'receive',
  ),
});

describe('admitUpdate', () => {
  it('admits whatever honest devices write, in any form in which Yjs sends it', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, gc) => {
        const ledger = new Ledger(true);
        const devices = [
          new LedgerDevice(5, gc),
          new LedgerDevice(4_000_000_000, gc),
          new LedgerDevice(77, gc),
        ];
        for (const { device: index, edit, at, then } of steps) {
          const device = devices[index];
          if (!device) throw new RangeError();
          EDITS[edit]?.(device.doc, at);
          // Two of them are one user's.
          const author = { kind: 'device', id: index === 0 ? 'a' : 'b', device: `d${index}` } as const;
          if (then === 'write') continue;
          if (then === 'receive') device.receive(ledger);
          // What a device has of others it may send again whenever it likes, also what was deleted meanwhile.
          if (then === 'repeat-whole' && device.unsent.length === 0 && device.doc.store.clients.size > 0) {
            expect(ledger.admit(Y.encodeStateAsUpdate(device.doc), author)).toBe('admitted');
          }
          const merged = Y.mergeUpdates([...device.unsent]);
          const difference = Y.encodeStateAsUpdate(device.doc, Y.encodeStateVector(ledger.doc));
          const whole = Y.encodeStateAsUpdate(device.doc);
          const forms = { send: device.unsent, 'send-merged': [merged], 'send-whole': [whole] };
          const sent = then in forms ? forms[then as keyof typeof forms] : [difference];
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
    const head = headOf({}, { 7: BOB });
    expect(codeOf(hiding)).toBe('clock_jump');
    const short = Uint8Array.from([1, 1, ...varUint(7), 0, 0, ...varUint(900_000), 0]);
    expect([codeOf(short, head, ALICE), codeOf(short, head, BOB)]).toEqual(['client_id_foreign', 'admitted']);
  });

  it('ends a clientID’s history where its clock would leave 32 bits', () => {
    const near = 2 ** 31 - 10;
    const head = headOf({ 7: near }, { 7: ALICE });
    const by = (length: number): Uint8Array => Uint8Array.from([1, 1, 7, ...varUint(near), 0, length, 0]);
    expect([codeOf(by(10), head), codeOf(by(11), head)]).toEqual(['admitted', 'document_exhausted']);
  });

  it('gives a clientID to whoever writes first, and keeps reserved ranges for their authors', () => {
    const ledger = new Ledger();
    expect(ledger.admit(text(7, 'first'), ALICE)).toBe('admitted');
    expect(ledger.admit(text(7, 'first and more'), BOB)).toContain('belongs to another');
    expect(codeOf(text(2 ** 32, 'x'))).toBe('client_id_foreign');
    expect(codeOf(text(2 ** 33, 'x'), NOTHING, { kind: 'server', id: 's', device: null })).toBe(
      'client_id_foreign',
    );
    expect(codeOf(text(2 ** 32, 'x'), NOTHING, { kind: 'server', id: 's', device: null })).toBe('admitted');
    expect(codeOf(text(2 ** 33, 'x'), NOTHING, { kind: 'suggestion', id: 'alice', device: null })).toBe(
      'admitted',
    );
    expect(codeOf(text(2 ** 34, 'x'), NOTHING, { kind: 'suggestion', id: 'alice', device: null })).toBe(
      'client_id_foreign',
    );
    const unowned = headOf({ 7: 3 }, {});
    expect(codeOf(text(7, 'longer'), unowned)).toBe('client_id_foreign');
  });

  it('binds a clientID to the device that writes first, and an unbound one to the next', () => {
    const ledger = new Ledger();
    expect(ledger.admit(text(7, 'first'), ALICE)).toBe('admitted');
    expect(ledger.admit(text(7, 'first'), ALICES_TABLET)).toBe('admitted');
    const doc = new Y.Doc();
    Y.applyUpdate(doc, text(7, 'first'));
    doc.clientID = 7;
    const before = Y.encodeStateVector(doc);
    doc.getText('body').insert(5, ' and more');
    const more = Y.encodeStateAsUpdate(doc, before);
    expect(ledger.admit(more, ALICES_TABLET)).toContain('belongs to another device');
    const owners = new Map([[7, { id: 'alice', device: null, closed: false }]]);
    const unbound = { ...ledger.head, clientOwners: owners };
    expect(admitUpdate(more, unbound, ALICES_TABLET)).toMatchObject({ ok: true, claimed: [7] });
    const closed = new Map([[7, { id: 'alice', device: 'phone', closed: true }]]);
    expect(admitUpdate(more, { ...unbound, clientOwners: closed }, ALICE)).toMatchObject({
      code: 'client_id_foreign',
      message: expect.stringContaining('two histories') as unknown,
    });
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
    const device = new LedgerDevice(7, true);
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
    const full = headOf({ 1: 1 }, {});
    expect(refused(text(7, 'x'), full)).toBe('document_exhausted');
    expect(refused(text(7, 'x'))).toBe('admitted');
  });
});
