import { describe, expect, it } from '@jest/globals';
import * as Y from 'yjs';
import { squash } from './document-state.ts';
import { TooDeepError, nestingDepth } from './nesting-depth.ts';

/** Maps in maps, each step an update of its own. */
function chain(depth: number, doc = new Y.Doc()): { readonly doc: Y.Doc; readonly updates: Uint8Array[] } {
  const updates: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => updates.push(update));
  let inner = doc.getMap<unknown>('root');
  for (let at = 0; at < depth; at += 1) {
    const next = new Y.Map<unknown>();
    inner.set('in', next);
    inner = next;
  }
  return { doc, updates };
}

describe('the depth of a document', () => {
  it('counts shared types inside shared types', () => {
    expect(nestingDepth(new Y.Doc())).toBe(0);
    expect(nestingDepth(chain(7).doc)).toBe(7);
    const { doc } = chain(3);
    const fragment = doc.getXmlFragment('page');
    fragment.insert(0, [new Y.XmlElement('p'), new Y.XmlElement('p')]);
    expect(nestingDepth(doc)).toBe(3);
  });

  it('counts nothing that was deleted', () => {
    const { doc } = chain(7);
    doc.getMap('root').delete('in');
    expect(nestingDepth(doc)).toBe(0);
  });

  it('is bounded however small the steps are by which it grows', () => {
    const { updates } = chain(11);
    const state = squash(null, updates.slice(0, 10), 10);
    expect(() => squash(state, updates.slice(10), 10)).toThrow(TooDeepError);
    expect(() => squash(null, updates, 10)).toThrow(TooDeepError);
  });

  it('leaves a document usable that was deeper before', () => {
    const { doc, updates } = chain(11);
    const state = squash(null, updates);
    const before = Y.encodeStateVector(doc);
    doc.getText('body').insert(0, 'x');
    expect(squash(state, [Y.encodeStateAsUpdate(doc, before)], 10).length).toBeGreaterThan(state.length);
    doc.getMap('root').delete('in');
    expect(squash(state, [Y.encodeStateAsUpdate(doc, before)], 10)).toBeInstanceOf(Uint8Array);
  });

  it('is more than what it is bounded to before Yjs cannot delete it any more', () => {
    const { doc } = chain(500);
    doc.getMap('root').delete('in');
    expect(doc.getMap('root').size).toBe(0);
  });
});
