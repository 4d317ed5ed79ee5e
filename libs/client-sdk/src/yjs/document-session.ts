import * as Y from 'yjs';
import { fromBase64, toBase64 } from '../net/base64.ts';
import type { DocumentBase } from '../local/write-queue.ts';
import type { DocumentState, Increments, OwnIncrement } from './increments.ts';
import { continues, joined } from './parts.ts';

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
  readonly #own = new Map<string, OwnIncrement>();
  /** What it has stored itself, by mutation, until it is seen. */
  readonly #stored = new Map<string, string>();
  /** What it has stored last. */
  #last: { readonly mutationId: string; readonly bytes: Uint8Array } | null = null;
  readonly #stop: () => void;
  readonly #gather: (update: Uint8Array) => void;

  /** @param onChange there is something to store */
  constructor(doc: Y.Doc, onChange: () => void) {
    this.doc = doc;
    this.#gather = (update) => {
      this.gathered.push(update);
      onChange();
    };
    const typed = (update: Uint8Array, origin: unknown): void => {
      if (origin !== this) this.#gather(update);
    };
    doc.on('update', typed);
    this.#stop = () => doc.off('update', typed);
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
    return [...this.#own.values()].some(({ write }) => write.state.hasFailed);
  }

  /**
   * Stores an increment of it. Those of another session are never in one write with it: the server may refuse
   * them all.
   * @throws as `Increments.merge`
   */
  async store(increments: Increments, part: Uint8Array, base: DocumentBase): Promise<void> {
    const last = this.#last;
    const bytes = last && joined(last.bytes, part);
    const both = bytes ? { mutationId: last.mutationId, update: toBase64(bytes) } : undefined;
    const update = toBase64(part);
    const write = await increments.merge(update, base, both);
    const isJoined = write.mutationId === both?.mutationId;
    const own = { write, update: isJoined ? both.update : update };
    this.#know(own);
    this.#stored.set(write.mutationId, own.update);
    this.#last = { mutationId: write.mutationId, bytes: isJoined && bytes ? bytes : part };
  }

  /** In place of what the same write said before. */
  #know(own: OwnIncrement): void {
    const { mutationId } = own.write;
    const before = this.#own.get(mutationId);
    if (before) this.#applied.delete(before.update);
    this.#applied.add(own.update);
    this.#own.set(mutationId, own);
  }

  /** The document is not there any more: nothing in it is to be stored or waited for. */
  forget(): void {
    this.gathered = [];
    this.#own.clear();
    this.#stored.clear();
  }

  /**
   * Of a damaged store another tab has saved what it had: an older form of an increment, to which nothing was
   * joined yet. That form may be sent by now, so the whole is to be stored once more, by itself.
   */
  compare(increments: Increments): void {
    for (const [mutationId, update] of this.#stored) {
      if ((increments.updateOf(mutationId) ?? update) === update) continue;
      this.#stored.delete(mutationId);
      this.#gather(fromBase64(update));
    }
  }

  /** Brings in what it does not have yet. */
  apply(state: DocumentState): void {
    this.base = state;
    const fresh = state.pulled.filter((update) => !this.#applied.has(update));
    if (fresh.length > 0) Y.applyUpdate(this.doc, Y.mergeUpdates(fresh.map(fromBase64)), this);
    for (const update of fresh) this.#applied.add(update);
    for (const own of state.own) {
      if (!this.#applied.has(own.update)) {
        const bytes = fromBase64(own.update);
        // It goes on from one that was refused, and will be refused as well.
        if (!continues(this.doc, bytes)) continue;
        Y.applyUpdate(this.doc, bytes, this);
      }
      this.#know(own);
    }
    for (const [mutationId, { write }] of this.#own) {
      if (write.state.tier !== 'seen') continue;
      this.#own.delete(mutationId);
      this.#stored.delete(mutationId);
    }
  }
}
