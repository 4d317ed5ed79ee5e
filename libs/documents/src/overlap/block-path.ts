import * as Y from 'yjs';
import { parentOf } from './merged-document.ts';

/**
 * Where a shared type stands: `body`, `page/2/0`, `fields/address`. An index counts visible siblings in the
 * merged document, so that an editor can find it.
 */
export function pathOf(type: Y.AbstractType<unknown>): string {
  const parts: string[] = [];
  let current = type;
  for (let item = current._item; item !== null; item = current._item) {
    parts.push(item.parentSub ?? String(indexOf(item)));
    const parent = parentOf(item);
    if (parent === null) return parts.reverse().join('/');
    current = parent;
  }
  parts.push(Y.findRootTypeKey(current));
  return parts.reverse().join('/');
}

function indexOf(item: Y.Item): number {
  let index = 0;
  for (let left = item.left; left !== null; left = left.left) {
    if (!left.deleted && left.countable) index += left.length;
  }
  return index;
}
