import * as Y from 'yjs';

/** The updates would nest shared types deeper than a document may have them. */
export class TooDeepError extends Error {
  constructor(depth: number, allowed: number) {
    super(`shared types would be nested ${depth} deep, ${allowed} are allowed`);
    this.name = 'TooDeepError';
  }
}

/**
 * How deep shared types are nested in shared types, of what is not deleted; 0: only the document's own types
 * hold content.
 */
export function nestingDepth(doc: Y.Doc): number {
  const depths = new Map<Y.Item, number>();
  let deepest = 0;
  for (const structs of doc.store.clients.values()) {
    for (const struct of structs) {
      if (!(struct instanceof Y.Item) || struct.deleted || !(struct.content instanceof Y.ContentType))
        continue;
      deepest = Math.max(deepest, depthOf(struct, depths));
    }
  }
  return deepest;
}

/** Without recursion: its own depth is what is in question. */
function depthOf(item: Y.Item, depths: Map<Y.Item, number>): number {
  const path: Y.Item[] = [];
  let at: Y.Item | null = item;
  while (at !== null && !depths.has(at)) {
    path.push(at);
    const { parent } = at as { readonly parent: unknown };
    at = parent instanceof Y.AbstractType ? parent._item : null;
  }
  let depth = at === null ? 0 : (depths.get(at) ?? 0);
  for (const one of path.reverse()) depths.set(one, (depth += 1));
  return depth;
}
