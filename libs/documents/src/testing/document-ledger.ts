import * as Y from 'yjs';
import { admitUpdate, type DocumentHead, type UpdateAuthor } from '../admission/admit-update.ts';
import { compareRepeated } from '../admission/compare-repeated.ts';
import { WrittenContent } from '../admission/written-content.ts';
import { advanceStateVector } from '../state/state-vector.ts';

export const ALICE: UpdateAuthor = { kind: 'device', id: 'alice', device: 'phone' };
export const ALICES_TABLET: UpdateAuthor = { ...ALICE, device: 'tablet' };
export const BOB: UpdateAuthor = { kind: 'device', id: 'bob', device: 'laptop' };

export const headOf = (
  vector: Record<number, number>,
  owners: Record<number, UpdateAuthor>,
): DocumentHead => ({
  stateVector: new Map(Object.entries(vector).map(([client, clock]) => [Number(client), clock])),
  clientOwners: new Map(
    Object.entries(owners).map(([client, { id, device }]) => [Number(client), { id, device, closed: false }]),
  ),
  content: new WrittenContent([]),
});
export const NOTHING = headOf({}, {});

/** A document as an owner keeps it, from what was admitted. */
export class Ledger {
  head: DocumentHead = NOTHING;
  readonly doc: Y.Doc;
  readonly log: Uint8Array[] = [];

  /** @param gc whether the document forgets what is deleted, as that of an owner does */
  constructor(gc = false) {
    this.doc = new Y.Doc({ gc });
  }

  /** @returns `admitted`, or the reason why not */
  admit(update: Uint8Array, author: UpdateAuthor): string {
    const answer = admitUpdate(update, this.head, author);
    if (!answer.ok) return answer.message;
    const repeated = this.compareWithLog(update);
    if (answer.repeatsGone && repeated !== 'same') return repeated;
    Y.applyUpdate(this.doc, answer.update);
    this.log.push(answer.update);
    const { id, device } = author;
    this.head = {
      stateVector: advanceStateVector(this.head.stateVector, answer.added),
      clientOwners: new Map([
        ...this.head.clientOwners,
        ...answer.claimed.map((client) => [client, { id, device, closed: false }] as const),
      ]),
      content: new WrittenContent([Y.encodeStateAsUpdate(this.doc)]),
    };
    return 'admitted';
  }

  compareWithLog(update: Uint8Array, log: readonly Uint8Array[] = this.log): string {
    const written = [this.head.content, new WrittenContent(log)];
    return compareRepeated(update, this.head.stateVector, written).kind;
  }
}

/** One device: its document, and the updates that it has not sent. */
export class LedgerDevice {
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

/** A text as one update. */
export function text(clientId: number, words: string): Uint8Array {
  const doc = new Y.Doc();
  doc.clientID = clientId;
  doc.getText('body').insert(0, words);
  return Y.encodeStateAsUpdate(doc);
}
