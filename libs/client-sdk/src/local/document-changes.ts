/** What is kept of Yjs documents: the increments of their present epoch, each once. */
import type { RemoteDelta } from '@sync/protocol';
import type { Page } from '../replica/apply-page.ts';
import { type DocumentRow, type EntityRow, type ScopeRow, entityKey } from '../replica/rows.ts';
import { type Store, type StoredRow, type TableName, keyOf } from '../storage/store.ts';
import type { Place } from './outbox-index.ts';

/** Of the number at the end of a key. */
const DIGITS = 16;

type Put = StoredRow & { readonly table: TableName };

/**
 * @param row of the scope, before the page
 * @param held what is stored of the page's entities, by {@link entityKey}
 * @returns the increments that the page adds, and those that go: of another epoch, or of what is deleted
 */
export function documentChanges({ deltas }: Page, row: ScopeRow, held: ReadonlyMap<string, EntityRow>) {
  const deletePrefixes: { readonly table: TableName; readonly prefix: string }[] = [];
  const puts = new Map<string, Put[]>();
  const epochs = new Map<string, number | undefined>();
  // Most pages have nothing of documents.
  const hasNone = held.size === 0 && deltas.every(({ update }) => update === undefined);
  let next = row.nextUpdate;
  for (const delta of hasNone ? [] : deltas) {
    const key = entityKey(row.scope, delta.entityType, delta.entityId);
    const before = epochs.has(key) ? epochs.get(key) : epochOf(held.get(key)?.delta, 0);
    const epoch = epochOf(delta, before);
    if (before !== undefined && before !== epoch) {
      deletePrefixes.push({ table: 'document', prefix: key });
      puts.delete(key);
    }
    epochs.set(key, epoch);
    if (delta.update === undefined) continue;
    const number = String(next).padStart(DIGITS, '0');
    const stored: DocumentRow = { epoch: epoch ?? 0, update: delta.update };
    const increments = puts.get(key) ?? [];
    increments.push({ table: 'document', key: `${key}${number}`, value: { ...stored } });
    puts.set(key, increments);
    next += 1;
  }
  return { deletePrefixes, puts: [...puts.values()].flat() };
}

/**
 * @param before of the delta before it, where it says nothing of it itself
 * @returns undefined where there is no document
 */
function epochOf(delta: RemoteDelta | null | undefined, before: number | undefined) {
  if (!delta || delta.op === 'delete') return undefined;
  const epoch = delta.data?.['epoch'];
  return typeof epoch === 'number' ? epoch : (before ?? 0);
}

/** The numbers of a document's increments. */
interface Increments extends Place {
  readonly numbers: number[];
}

/** @returns the documents that are stored of a scope, by {@link entityKey} */
export async function documentRows(
  store: Pick<Store, 'keys'>,
  scope: string,
): Promise<Map<string, Increments>> {
  const found = new Map<string, Increments>();
  for (const key of await store.keys('document', keyOf(scope))) {
    const [, entityType = '', entityId = '', number] = key.split('\0');
    const place = key.slice(0, -DIGITS);
    const increments = found.get(place) ?? { entityType, entityId, numbers: [] };
    increments.numbers.push(Number(number));
    found.set(place, increments);
  }
  return found;
}

/**
 * A full resync brings whole documents again, so what was there before goes when it is at its end.
 * @param stored without the increments of the last page
 * @param row of the scope, after the last page
 * @param isHeld whether the resync has brought the entity
 * @param added documents of which the last page has an increment
 */
export function oldDocuments(
  stored: ReadonlyMap<string, Increments>,
  { firstUpdate }: ScopeRow,
  isHeld: (key: string) => boolean,
  added: ReadonlySet<string>,
) {
  return [...stored].flatMap(([key, { numbers }]) => {
    const cameAgain = added.has(key) || numbers.some((number) => number >= firstUpdate);
    const isOld = (number: number): boolean => !isHeld(key) || (cameAgain && number < firstUpdate);
    return numbers.filter(isOld).map((number) => ({
      table: 'document' as const,
      key: `${key}${String(number).padStart(DIGITS, '0')}`,
    }));
  });
}
