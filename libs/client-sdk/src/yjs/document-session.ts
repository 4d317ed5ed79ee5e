import * as Y from 'yjs';
import type { Write } from '../client/write.ts';
import { fromBase64 } from '../net/base64.ts';
import type { DocumentState } from './increments.ts';
import { continues } from './parts.ts';

/**
 * One `Y.Doc` from its first increment until another one takes its place. Yjs forgets nothing, so a document
 * in which something is that does not stand any more has to be left behind.
 */
export class DocumentSession {
  readonly doc: Y.Doc;
  /** What it was last brought up to; null before the first time. */
  base: DocumentState | null = null;
  /** What was typed and is not stored yet, in its order. */
  gathered: Uint8Array[] = [];
  /** Base64: increments are known by what they say, for numbers of rows come again in a store made anew. */
  readonly #applied = new Set<string>();
  /** Own increments in the document that no pull has brought back, by mutation. */
  readonly #own = new Map<string, Write>();
  readonly #stop: () => void;

  /** @param onChange somebody but this session has changed the document */
  constructor(doc: Y.Doc, onChange: () => void) {
    this.doc = doc;
    const gather = (update: Uint8Array, origin: unknown): void => {
      if (origin === this) return;
      this.gathered.push(update);
      onChange();
    };
    doc.on('update', gather);
    this.#stop = () => doc.off('update', gather);
  }

  /** Nothing that is typed in it from now on is stored. */
  end(): void {
    this.#stop();
  }

  /** Whether something in it waits for the server. */
  get isPending(): boolean {
    return this.gathered.length > 0 || this.#own.size > 0;
  }

  /** An increment of it was refused, or lost: the document has it, and the server's has not. */
  get hasLost(): boolean {
    return [...this.#own.values()].some(({ state }) => state.hasFailed);
  }

  /** What it has told of itself is stored. */
  stored(update: string, write: Write): void {
    this.#applied.add(update);
    this.#own.set(write.mutationId, write);
  }

  /** The document is not there any more: nothing in it is to be stored or waited for. */
  forget(): void {
    this.gathered = [];
    this.#own.clear();
  }

  /** Brings in what it does not have yet. */
  apply(state: DocumentState): void {
    this.base = state;
    const fresh = state.pulled.filter((update) => !this.#applied.has(update));
    if (fresh.length > 0) Y.applyUpdate(this.doc, Y.mergeUpdates(fresh.map(fromBase64)), this);
    for (const update of fresh) this.#applied.add(update);
    for (const { update, write } of state.own) {
      if (!this.#applied.has(update)) {
        const bytes = fromBase64(update);
        // It goes on from one that was refused, and will be refused as well.
        if (!continues(this.doc, bytes)) continue;
        Y.applyUpdate(this.doc, bytes, this);
        this.#applied.add(update);
      }
      this.#own.set(write.mutationId, write);
    }
    for (const [
      mutationId,
      {
        state: { tier },
      },
    ] of this.#own) {
      if (tier === 'seen') this.#own.delete(mutationId);
    }
  }
}
