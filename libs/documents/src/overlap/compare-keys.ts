import * as Y from 'yjs';
import type { MergedDocument, Side } from './merged-document.ts';
import type { Finding } from './overlap.ts';

/** The four values of a key as texts; null where there is none. */
export interface KeyTexts {
  readonly base: string | null;
  readonly ours: string | null;
  readonly theirs: string | null;
  readonly merged: string | null;
}

/**
 * One key of a map, or one attribute, that both sides changed. Yjs keeps one value and drops the other
 * without a trace.
 * @returns null when both have the same value now
 */
export function compareKey(
  merged: MergedDocument,
  type: Y.AbstractType<unknown>,
  key: string,
): { readonly finding: Finding; readonly texts: KeyTexts } | null {
  const items = itemsOfKey(merged, type, key);
  const texts = {
    base: textOf(items.base),
    ours: textOf(items.ours),
    theirs: textOf(items.theirs),
    merged: textOf(items.merged),
  };
  const { ours, theirs } = texts;
  // Two shared types are two even where they look alike: whatever is written into the one that lost is lost
  // with it.
  if (ours === theirs && (items.ours === items.theirs || !isShared(items.ours))) return null;
  const kind =
    ours === null || theirs === null
      ? 'edit_deleted'
      : [ours, theirs].every((text) => /^-?\d/.test(text))
        ? 'same_number'
        : 'same_key';
  return { finding: { kind, grade: 'severe' }, texts };
}

const isShared = (item: Y.Item | null): boolean => item?.content instanceof Y.ContentType;
const textOf = (item: Y.Item | null): string | null => (item === null ? null : valueText(item));

/** A key's values are a list, newest last, of which only the last one shows. */
function itemsOfKey(
  merged: MergedDocument,
  type: Y.AbstractType<unknown>,
  key: string,
): Readonly<Record<keyof KeyTexts, Y.Item | null>> {
  const last = type._map.get(key) ?? null;
  const itemOf = (isThere: (item: Y.Item) => boolean, isGone: (item: Y.Item) => boolean): Y.Item | null => {
    for (let item = last; item !== null; item = item.left) {
      if (isThere(item)) return isGone(item) ? null : item;
    }
    return null;
  };
  const wrote = (side: Side, { id }: Y.Item): boolean => merged[side].inserted.has(id.client, id.clock);
  const deleted = (side: Side, { id }: Y.Item): boolean => merged[side].deleted.has(id.client, id.clock);
  const inBase = (item: Y.Item): boolean => !wrote('ours', item) && !wrote('theirs', item);
  const goneInBase = (item: Y.Item): boolean =>
    item.deleted && !deleted('ours', item) && !deleted('theirs', item);
  const valueOf = (side: Side): Y.Item | null => {
    const other: Side = side === 'ours' ? 'theirs' : 'ours';
    return itemOf(
      (item) => !wrote(other, item),
      (item) =>
        inBase(item) ? goneInBase(item) || deleted(side, item) : item.deleted && !lostTo(merged, item, other),
    );
  };
  return {
    base: itemOf(inBase, goneInBase),
    ours: valueOf('ours'),
    theirs: valueOf('theirs'),
    merged: itemOf(
      () => true,
      (item) => item.deleted,
    ),
  };
}

/** Its own side kept it; it is deleted because a value of the other side stands behind it. */
function lostTo(merged: MergedDocument, item: Y.Item, other: Side): boolean {
  for (let later = item.right; later !== null; later = later.right) {
    if (merged[other].inserted.has(later.id.client, later.id.clock)) return true;
  }
  return false;
}

function valueText(item: Y.Item): string {
  const [value] = item.content.getContent() as [unknown];
  if (value instanceof Y.AbstractType) return `[${value.constructor.name}]`;
  if (typeof value === 'bigint') return String(value);
  return value === undefined ? 'undefined' : JSON.stringify(value);
}
