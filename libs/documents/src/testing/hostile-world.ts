import * as Y from 'yjs';
import type { ClientOwner, DocumentHead, UpdateAuthor } from '../admission/admit-update.ts';
import { WrittenContent } from '../admission/written-content.ts';
import { SeededRandom } from './seeded-random.ts';

export const ALICE_CLIENT = 1_111;
export const BOB_CLIENT = 2_222_222_222;
/** Mallory has written before, under this clientID; everything else in the document belongs to others. */
export const MALLORY_CLIENT = 3_333_333;

export const MALLORY: UpdateAuthor = { kind: 'device', id: 'mallory', device: 'of-mallory' };

/** A document that several people wrote, and what Mallory can learn of it. */
export interface HostileWorld {
  readonly state: Uint8Array;
  readonly head: DocumentHead;
  /** Updates that Mallory could honestly send, V1, and the same changes in V2. */
  readonly honest: readonly Uint8Array[];
  readonly honestV2: readonly Uint8Array[];
  /** Everybody's single updates in the order in which they were made. */
  readonly history: readonly Uint8Array[];
}

function edit(doc: Y.Doc, random: SeededRandom): void {
  const text = doc.getText('body');
  const at = random.below(text.length + 1);
  const paragraph = new Y.XmlElement('p');
  switch (random.below(8)) {
    case 0:
      text.delete(Math.min(at, Math.max(0, text.length - 3)), Math.min(3, text.length));
      break;
    case 1:
      doc.getMap('fields').set(random.pick(['title', 'dose']), random.below(100));
      break;
    case 2:
      text.format(0, Math.min(4, text.length), { bold: true });
      break;
    case 3:
      doc.getXmlFragment('page').insert(0, [paragraph]);
      paragraph.insert(0, [new Y.XmlText('§ é 🙂')]);
      break;
    case 4:
      doc.getArray('list').push([{ nested: [1, 2.5, 'x', null, true, new Uint8Array([1])] }, 'plain']);
      break;
    case 5:
      text.insertEmbed(at, { image: 'a.png' });
      break;
    default:
      text.insert(at, random.pick(['word ', 'line\n', '5 mg ', 'é🙂']));
  }
}

/** Changes of one document by one client; deterministic in its arguments. */
function changesOf(
  state: Uint8Array,
  client: number,
  count: number,
  random: SeededRandom,
): [Uint8Array[], Uint8Array[]] {
  const doc = new Y.Doc({ gc: false });
  Y.applyUpdate(doc, state);
  doc.clientID = client;
  const v1: Uint8Array[] = [];
  const v2: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => v1.push(update));
  doc.on('updateV2', (update: Uint8Array) => v2.push(update));
  for (let made = 0; made < count; made += 1) edit(doc, random);
  return [v1, v2];
}

/** The world of a seed. */
export function hostileWorld(seed: number): HostileWorld {
  const random = new SeededRandom(seed);
  let state: Uint8Array = Y.encodeStateAsUpdate(new Y.Doc());
  const history: Uint8Array[] = [];
  for (const client of [ALICE_CLIENT, BOB_CLIENT, MALLORY_CLIENT, ALICE_CLIENT]) {
    const [updates] = changesOf(state, client, 8, random);
    history.push(...updates);
    state = Y.mergeUpdates([state, ...updates]);
  }
  const honest: Uint8Array[] = [];
  const honestV2: Uint8Array[] = [];
  for (let session = 0; session < 12; session += 1) {
    const client = session % 2 === 0 ? MALLORY_CLIENT : 40_000 + session;
    const [v1, v2] = changesOf(state, client, 5, random);
    // The first builds on the document; the second on the first, a gap when it is sent alone.
    honest.push(...v1, Y.mergeUpdates(v1));
    honestV2.push(...v2, Y.mergeUpdatesV2(v2));
  }
  const owned = (client: number, id: string): [number, ClientOwner] => [
    client,
    { id, device: `of-${id}`, closed: false },
  ];
  const clientOwners = new Map([
    owned(ALICE_CLIENT, 'alice'),
    owned(BOB_CLIENT, 'bob'),
    owned(MALLORY_CLIENT, 'mallory'),
  ]);
  const stateVector = Y.decodeStateVector(Y.encodeStateVectorFromUpdate(state));
  const head = { stateVector, clientOwners, content: new WrittenContent([state]) };
  return { state, head, honest, honestV2, history };
}
