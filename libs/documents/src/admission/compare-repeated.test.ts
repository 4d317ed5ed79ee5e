import { describe, expect, it } from '@jest/globals';
import * as Y from 'yjs';
import { ALICE, BOB, Ledger, LedgerDevice, text } from '../testing/document-ledger.ts';
import { admitUpdate } from './admit-update.ts';

describe('what an update repeats', () => {
  it('refuses other content under clocks that the document has, however much of it is other', () => {
    const ledger = new Ledger();
    ledger.admit(text(7, 'honest'), ALICE);
    const other = { ok: false, code: 'client_id_foreign', splitClient: 7 };
    for (const words of ['forged', 'forg', 'forged-and-more', 'honesty-or-not', 'x']) {
      const expected = words.startsWith('honest') ? { ok: true } : other;
      expect(admitUpdate(text(7, words), ledger.head, ALICE)).toMatchObject(expected);
    }
    // The same letters elsewhere are not the same.
    const elsewhere = new Y.Doc();
    elsewhere.clientID = 7;
    elsewhere.getText('title').insert(0, 'honest');
    expect(admitUpdate(Y.encodeStateAsUpdate(elsewhere), ledger.head, ALICE)).toMatchObject(other);
    // A whole foreign state repeated adds nothing and is harmless, whoever sends it.
    expect(admitUpdate(text(7, 'honest'), ledger.head, BOB)).toMatchObject({ ok: true, changes: false });
    expect(admitUpdate(text(7, 'forged'), ledger.head, BOB)).toMatchObject(other);
  });

  it.each<[string, (doc: Y.Doc) => void, (doc: Y.Doc) => void]>([
    ['a value', (doc) => doc.getMap('m').set('a', 1), (doc) => doc.getMap('m').set('a', 2)],
    ['a key', (doc) => doc.getMap('m').set('a', 1), (doc) => doc.getMap('m').set('b', 1)],
    [
      'bytes',
      (doc) => doc.getArray('l').push([Uint8Array.of(1)]),
      (doc) => doc.getArray('l').push([Uint8Array.of(2)]),
    ],
    [
      'an embed',
      (doc) => doc.getText('t').insertEmbed(0, { a: 1 }),
      (doc) => doc.getText('t').insertEmbed(0, { a: 2 }),
    ],
    [
      'a format',
      (doc) => doc.getText('t').insert(0, 'x', { b: 1 }),
      (doc) => doc.getText('t').insert(0, 'x', { b: 2 }),
    ],
    [
      'a type',
      (doc) => doc.getArray('l').push([new Y.Map()]),
      (doc) => doc.getArray('l').push([new Y.Array()]),
    ],
    [
      'a name',
      (doc) => doc.getXmlFragment('p').push([new Y.XmlElement('p')]),
      (doc) => doc.getXmlFragment('p').push([new Y.XmlElement('h1')]),
    ],
    ['a kind', (doc) => doc.getArray('l').push(['x']), (doc) => doc.getText('l').insert(0, 'x')],
  ])('tells %s from another', (_what, first, second) => {
    const made = (edit: (doc: Y.Doc) => void): Uint8Array => {
      const doc = new Y.Doc();
      doc.clientID = 7;
      edit(doc);
      return Y.encodeStateAsUpdate(doc);
    };
    const ledger = new Ledger();
    ledger.admit(made(first), ALICE);
    expect(ledger.admit(made(first), ALICE)).toBe('admitted');
    expect(admitUpdate(made(second), ledger.head, ALICE)).toMatchObject({ splitClient: 7 });
  });

  it('knows a word again that somebody else cut a letter of two units out of', () => {
    const ledger = new Ledger();
    ledger.admit(text(7, 'a🙂b'), ALICE);
    const other = new LedgerDevice(9, true);
    other.receive(ledger);
    other.doc.getText('body').insert(2, 'x');
    for (const update of other.unsent) ledger.admit(update, BOB);
    expect(ledger.admit(text(7, 'a🙂b'), ALICE)).toBe('admitted');
    expect(ledger.admit(text(7, 'a🙃c'), ALICE)).toContain('other content');
  });

  it('asks the log for what was deleted meanwhile, and says when that has it no more', () => {
    const ledger = new Ledger(true);
    ledger.admit(text(7, 'words'), ALICE);
    const other = new LedgerDevice(9, true);
    other.receive(ledger);
    other.doc.getText('body').delete(0, 5);
    for (const update of other.unsent) ledger.admit(update, BOB);
    const [same, forged] = [text(7, 'words'), text(7, 'sword')];
    expect(admitUpdate(same, ledger.head, ALICE)).toMatchObject({ ok: true, repeatsGone: true });
    expect([same, forged].map((update) => ledger.compareWithLog(update))).toEqual(['same', 'other']);
    expect([same, forged].map((update) => ledger.compareWithLog(update, []))).toEqual(['gone', 'gone']);
    // Who deletes it as well says nothing that could be lost.
    const deleting = Y.mergeUpdates([forged, ...other.unsent]);
    expect(admitUpdate(deleting, ledger.head, ALICE)).toMatchObject({ ok: true, repeatsGone: false });
  });
});
