import { type EntityTypes, type SyncClient, SyncError } from '@sync/client';
import { type OpenDocument, type Replaced, openDocument } from '@sync/client/yjs';
import type * as Y from 'yjs';

/** A document as components show it. The same object until something in it changes. */
export interface DocumentView {
  /**
   * | state     |                                                                             |
   * | --------- | --------------------------------------------------------------------------- |
   * | `loading` | there is no client yet, it was closed, or what is stored has not been read  |
   * | `open`    | what is typed is stored and pushed                                          |
   * | `absent`  | not pulled yet, deleted, or taken away: nothing that is typed is stored     |
   */
  readonly state: 'loading' | 'open' | 'absent';
  /** Null while it is `loading`. Yjs changes it in place: what shows it listens to it. */
  readonly doc: Y.Doc | null;
  /** Another one for each `doc`: as `key` of an editor it has the editor bound anew. */
  readonly docKey: string;
  /** Why this `doc` took the place of another one, and that one; null for the first. */
  readonly replaced: Replaced | null;
  /** Something of this device is in it that no pull has confirmed yet. */
  readonly isPending: boolean;
  /** Why the last attempt to read or store failed; what was typed is kept, and tried again. */
  readonly problem: unknown;
}

/** What a document is before anybody has opened it. */
export const LOADING: DocumentView = {
  ...{ state: 'loading', doc: null, docKey: '', replaced: null, isPending: false, problem: null },
};

/** What is asked of a client here. */
export type DocumentClient = Pick<SyncClient<EntityTypes>, 'entity'>;

const documents = new WeakMap<DocumentClient, Map<string, SharedDocument>>();
let opened = 0;

/** One for all components that show this document of this client. */
export function sharedDocument(client: DocumentClient, entityType: string, entityId: string): SharedDocument {
  const known = documents.get(client) ?? new Map<string, SharedDocument>();
  documents.set(client, known);
  const key = JSON.stringify([entityType, entityId]);
  const shared =
    known.get(key) ?? new SharedDocument(() => openDocument(client.entity(entityType), entityId));
  known.set(key, shared);
  return shared;
}

/**
 * An open document with those who show it. It is opened for the first of them, and closed once the last
 * has been gone for a turn of the event loop: React in StrictMode takes each component away once, and puts
 * it back.
 */
export class SharedDocument {
  readonly #make: () => OpenDocument;
  readonly #listeners = new Set<() => void>();
  #open: OpenDocument | null = null;
  #isClosing = false;
  #view: DocumentView = LOADING;

  constructor(make: () => OpenDocument) {
    this.#make = make;
  }

  readonly snapshot = (): DocumentView => this.#view;

  /** @returns ends it */
  readonly subscribe = (listener: () => void): (() => void) => {
    // The same function may come twice.
    const own = (): void => listener();
    if (!this.#open) this.#begin();
    this.#listeners.add(own);
    return () => {
      if (this.#listeners.delete(own) && this.#listeners.size === 0) setTimeout(() => void this.#close(), 0);
    };
  };

  /**
   * Stores what was typed until now; once this has answered, it is durable.
   * @throws as `flush` of `OpenDocument`
   */
  readonly flush = async (): Promise<void> => this.#open?.flush();

  #begin(): void {
    let open: OpenDocument;
    try {
      open = this.#make();
    } catch (problem) {
      // Thrown where React subscribes, it would take the page away: of a client that was closed, above all.
      this.#set({ ...LOADING, problem });
      return;
    }
    this.#open = open;
    this.#set({ ...LOADING, docKey: nextKey() });
    open.onStatus(() => this.#look(open));
    open.onReplaced((replaced) => {
      if (open === this.#open) this.#set({ ...this.#view, doc: replaced.doc, docKey: nextKey(), replaced });
    });
  }

  #look(open: OpenDocument): void {
    const { state, isPending, problem } = open.status;
    if (open !== this.#open) return;
    if (state === 'closed') {
      // The end of its client: what is typed now would be stored nowhere.
      this.#open = null;
      this.#set({ ...LOADING, problem: new SyncError('closed', 'This client was closed') });
      return;
    }
    this.#set({ ...this.#view, state, isPending, problem, doc: state === 'loading' ? null : open.doc });
  }

  /** What was typed is stored first; where it cannot be, the document stays open and tries again. */
  async #close(): Promise<void> {
    const open = this.#open;
    if (!open || this.#isClosing || this.#listeners.size > 0) return;
    this.#isClosing = true;
    try {
      await open.flush();
      // Somebody may have come back, and be typing.
      if (this.#listeners.size > 0) return;
      this.#open = null;
      this.#set(LOADING);
      await open.destroy();
    } catch {
      // The status has it, which nobody shows any more. It is found open by whoever comes back.
      if (this.#listeners.size === 0) this.#open = open;
    } finally {
      this.#isClosing = false;
    }
  }

  #set(view: DocumentView): void {
    this.#view = view;
    for (const listener of [...this.#listeners]) listener();
  }
}

function nextKey(): string {
  opened += 1;
  return String(opened);
}
