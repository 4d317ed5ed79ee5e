import * as Y from 'yjs';
import { admitUpdate, type Admission } from '../admission/admit-update.ts';
import { readUpdate } from '../admission/read-update.ts';
import { hostileUpdate } from './hostile-updates.ts';
import { MALLORY, hostileWorld, type HostileWorld } from './hostile-world.ts';
import { SeededRandom } from './seeded-random.ts';

/** How often each kind of bytes ended how: kind → refusal code or `admitted` → count. */
export type AttackReport = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Harm that an admitted update did, with what is needed to see it again. */
export class HarmError extends Error {
  constructor(what: string, kind: string, update: Uint8Array) {
    super(`${what}; ${kind}: ${Buffer.from(update).toString('hex')}`);
    this.name = 'HarmError';
  }
}

const CASES_PER_WORLD = 2_000;

/**
 * Sends `cases` hostile updates, one after the other, each to an unharmed document: refused with a code, or
 * harmless. Harmless: applying it does not throw, nothing stays pending, the document has what admission
 * said, everybody else's content is what it was except for what the update deletes, and squashing it into the
 * document's state gives the same document.
 *
 * @throws HarmError
 */
export function attackDocument(cases: number, seed: number): AttackReport {
  const report: Record<string, Record<string, number>> = {};
  let world: HostileWorld | null = null;
  const random = new SeededRandom(seed);
  for (let index = 0; index < cases; index += 1) {
    if (world === null || index % CASES_PER_WORLD === 0) world = hostileWorld(seed + index);
    const { kind, update } = hostileUpdate(world, random);
    const answer = admitUpdate(update, world.head, MALLORY);
    if (answer.ok) assertHarmless(world, answer, kind, update);
    const counts = (report[kind] ??= {});
    const outcome = answer.ok ? 'admitted' : answer.code;
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return report;
}

function assertHarmless(world: HostileWorld, admission: Admission, kind: string, update: Uint8Array): void {
  const harm = (what: string): HarmError => new HarmError(what, kind, update);
  const before = documentOf([world.state]);
  const after = documentOf([world.state]);
  try {
    Y.applyUpdate(after, admission.update);
  } catch (error) {
    throw harm(`applying it throws ${String(error)}`);
  }
  if (after.store.pendingStructs !== null || after.store.pendingDs !== null) throw harm('it stays pending');
  const { added } = admission;
  for (const [client, clock] of Y.decodeStateVector(Y.encodeStateVector(after))) {
    const expected = added.find((run) => run.client === client)?.to ?? world.head.stateVector.get(client);
    if (clock !== expected) throw harm(`clientID ${client} is at ${clock} instead of ${expected}`);
  }
  assertOthersKept(before, after, admission, harm);
  const squashed = documentOf([Y.mergeUpdates([world.state, admission.update])]);
  for (const client of after.store.clients.keys()) {
    if (contentOf(squashed, client).join() !== contentOf(after, client).join())
      throw harm('it squashes otherwise');
  }
}

function assertOthersKept(
  before: Y.Doc,
  after: Y.Doc,
  admission: Admission,
  harm: (what: string) => HarmError,
): void {
  const named = deletedBy(admission);
  for (const client of before.store.clients.keys()) {
    const was = contentOf(before, client);
    const is = contentOf(after, client);
    was.forEach((unit, clock) => {
      const id = `${client}:${clock}`;
      const mayGo = named.has(id) || goesWithoutName(Y.getItem(after.store, Y.createID(client, clock)));
      if (is[clock] === unit || (mayGo && is[clock] === `-${unit.slice(1)}`)) return;
      throw harm(`${id} was ${unit} and is ${is[clock]}`);
    });
  }
}

/** A key's value goes when the key gets another, and what is inside of something goes with it. */
function goesWithoutName(item: Y.Item | Y.GC): boolean {
  if (!(item instanceof Y.Item)) return false;
  const parent = item.parent instanceof Y.AbstractType ? item.parent._item : null;
  return item.parentSub !== null || parent?.deleted === true;
}

function deletedBy(admission: Admission): Set<string> {
  const ids = new Set<string>();
  const { deletes } = readUpdate(admission.update);
  for (let at = 0; at < deletes.length; at += 3) {
    const [client = 0, from = 0, length = 0] = deletes.slice(at, at + 3);
    for (let clock = from; clock < from + length; clock += 1) ids.add(`${client}:${clock}`);
  }
  return ids;
}

function documentOf(updates: readonly Uint8Array[]): Y.Doc {
  const doc = new Y.Doc({ gc: false });
  for (const update of updates) Y.applyUpdate(doc, update);
  return doc;
}

/**
 * Who writes into the middle of an emoji destroys it: Yjs puts U+FFFD there, as if it had been deleted and
 * written again.
 */
const HALF_PAIR = /[\uD800-\uDFFF]/;

/**
 * One entry per clock of a clientID: `+` or `-` (deleted) and what stands there. Independent of how structs
 * are split.
 */
function contentOf(doc: Y.Doc, client: number): string[] {
  return (doc.store.clients.get(client) ?? []).flatMap((struct) => {
    const sign = struct.deleted ? '-' : '+';
    if (!(struct instanceof Y.Item))
      return Array.from({ length: Math.min(struct.length, 10_000) }, () => `${sign}gc`);
    const { content } = struct;
    if (content instanceof Y.ContentString)
      return content.str.split('').map((unit) => sign + unit.replace(HALF_PAIR, '\uFFFD'));
    if (content instanceof Y.ContentDeleted) {
      return Array.from({ length: Math.min(content.len, 10_000) }, () => `${sign}deleted`);
    }
    return content.getContent().length === struct.length && content instanceof Y.ContentAny
      ? content.getContent().map((value) => sign + String(value))
      : Array.from({ length: struct.length }, () => sign + content.constructor.name);
  });
}
