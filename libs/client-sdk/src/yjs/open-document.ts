import * as Y from 'yjs';
import type { EntitySet } from '../client/entity-set.ts';
import { type Clock, systemClock } from '../clock/clock.ts';
import { Listeners } from '../local/listeners.ts';
import type { LocalState } from '../local/local-state.ts';
import { Serial } from '../local/serial.ts';
import { SyncError } from '../sync-error.ts';
import { type DocumentState, Increments } from './increments.ts';
import { DocumentSession } from './document-session.ts';
import { MAX_UPDATE_BYTES, partsOf } from './parts.ts';

/**
 * How long typing is gathered before it is stored, in milliseconds: what a crash can lose at most. Each
 * stored increment is a flush of the disk, a mutation of its own, and a delta for every other device.
 */
const GATHER_MS = 500;
/** After the store could not take it. */
const RETRY_MS = 10_000;

/** How a document stands on this device. The same object until something in it changes. */
export interface DocumentStatus {
  /**
   * | state     |                                                                                         |
   * | --------- | --------------------------------------------------------------------------------------- |
   * | `loading` | what is stored has not been read yet; what is typed is kept                              |
   * | `open`    | what is typed is stored                                                                  |
   * | `absent`  | not pulled yet, deleted, or taken away: nothing that is typed is stored                  |
   * | `closed`  | after `destroy`                                                                          |
   */
  readonly state: 'loading' | 'open' | 'absent' | 'closed';
  /** Something of this device is in it that no pull has confirmed yet. */
  readonly isPending: boolean;
  /** Why the last attempt to read or store failed; what was typed is kept, and tried again. */
  readonly problem: unknown;
}

/** Why another `Y.Doc` has taken the place of the one before. */
export type ReplacedReason =
  /** Its owner has begun the document anew. */
  | 'new_epoch'
  /** The server has refused an increment of this device; `client.outcomes()` says why. */
  | 'refused'
  /** One transaction was longer than an update may be: it is not stored. */
  | 'too_large'
  /** It was absent, and is there again. */
  | 'returned';

/** What {@link OpenDocument.onReplaced} tells. */
export interface Replaced {
  readonly reason: ReplacedReason;
  /** What counts from now on. */
  readonly doc: Y.Doc;
  /** With all that was typed in it, for the person to take over from. Nothing of it is stored any more. */
  readonly previous: Y.Doc;
}

/** What {@link openDocument} may be told. */
export interface OpenDocumentOptions {
  /** To bring the document into, in place of a new one. Empty, and with the clientID that it has drawn. */
  readonly doc?: Y.Doc;
  /** The platform's unless given, for tests. */
  readonly clock?: Clock;
}

/**
 * Opens the Yjs document of an entity as this device has it, without a network: what was pulled, and what
 * this device has typed since. What is typed from now on is pushed, and what others type comes with pulls.
 * @param entities of a type with the policy `crdt_yjs`: `client.entity('document')`
 */
export function openDocument(
  entities: EntitySet<object>,
  entityId: string,
  options: OpenDocumentOptions = {},
): OpenDocument {
  const load = async (): Promise<Increments> => new Increments(await entities.load(), entityId);
  const document = new OpenDocument(load, options);
  endWithClient(entities.parts.local, document);
  return document;
}

/** Those of each client that are open. */
const openOf = new WeakMap<LocalState, Set<OpenDocument>>();

/** What is typed in it is stored before the client is closed. */
function endWithClient(local: LocalState, document: OpenDocument): void {
  const documents = openOf.get(local) ?? new Set();
  openOf.set(local, documents.add(document));
  document.onStatus(({ state }) => {
    if (state === 'closed') documents.delete(document);
  });
  local.beforeClose ??= async () => {
    const ends = await Promise.allSettled(Array.from(documents, (each) => each.destroy()));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  };
}

/** A Yjs document that is kept in step with what the device stores, until `destroy`. */
export class OpenDocument {
  /**
   * The document shows what the device has. Rejected with StorageError or SyncError, as `status.problem`,
   * where the first attempt has failed; after a StorageError there are others.
   */
  readonly whenLoaded: Promise<void>;
  readonly #make: () => Promise<Increments>;
  #increments: Promise<Increments> | null = null;
  #loading: Promise<void> | null = null;
  readonly #clock: Clock;
  readonly #statusListeners = new Listeners<DocumentStatus>();
  readonly #replacedListeners = new Listeners<Replaced>();
  /** Increments are stored in their order: each builds on those before it. */
  readonly #storing = new Serial();
  /** Was replaced, and has typing that is to be stored all the same. */
  #left: DocumentSession[] = [];
  #session: DocumentSession;
  #status: DocumentStatus = { state: 'loading', isPending: false, problem: null };
  #hasNews = true;
  #reading: Promise<void> | null = null;
  #stopTimer: (() => void) | null = null;
  #stopWatching: (() => void) | null = null;

  /** See {@link openDocument}. */
  constructor(
    increments: () => Promise<Increments>,
    { doc = new Y.Doc(), clock = systemClock }: OpenDocumentOptions,
  ) {
    this.#make = increments;
    this.#clock = clock;
    this.#session = this.#begin(doc);
    this.whenLoaded = this.#load();
    // Whoever does not wait for it finds it in the status.
    this.whenLoaded.catch(() => undefined);
  }

  /** Another one after {@link onReplaced}. */
  get doc(): Y.Doc {
    return this.#session.doc;
  }

  /** The same object until something in it changes. */
  get status(): DocumentStatus {
    return this.#status;
  }

  /** @returns stops it */
  onStatus(listener: (status: DocumentStatus) => void): () => void {
    return this.#statusListeners.add(listener);
  }

  /**
   * Yjs cannot take back what is in a document, so another one takes its place: show that.
   * @returns stops it
   */
  onReplaced(listener: (replaced: Replaced) => void): () => void {
    return this.#replacedListeners.add(listener);
  }

  /**
   * Stores what was typed until now. Once this has answered, it is durable. For `visibilitychange` and
   * `pagehide`, and for everything that ends an app.
   * @throws SyncError `data_too_large`, `entity_unknown`, `closed`, `device_revoked`; StorageError
   */
  async flush(): Promise<void> {
    this.#stopTimer?.();
    this.#stopTimer = null;
    await this.#storing.run(async () => {
      if (this.#status.state === 'loading') await this.#load();
      for (const session of [...this.#left, this.#session]) await this.#store(session);
      this.#left = this.#left.filter(({ gathered }) => gathered.length > 0);
    });
    this.#tell({ problem: null });
  }

  /**
   * Stores what was typed, and lets go of the `Y.Doc`, which stays as it is. `client.close()` does it with
   * all that are open.
   * @throws as `flush`; then it is not destroyed
   */
  async destroy(): Promise<void> {
    if (this.#isClosed()) return;
    do await this.flush();
    while (this.#session.gathered.length > 0);
    this.#stopWatching?.();
    this.#session.end();
    this.#tell({ state: 'closed' });
  }

  #begin(doc: Y.Doc): DocumentSession {
    const session = new DocumentSession(doc, () => {
      if (this.#status.state === 'absent') session.forget();
      else this.#storeSoon();
      this.#tell({});
    });
    return session;
  }

  #isClosed(): boolean {
    return this.#status.state === 'closed';
  }

  /** What has failed may be tried anew. */
  #load(): Promise<void> {
    this.#loading ??= this.#readFirst().catch((problem: unknown) => {
      this.#loading = null;
      this.#tell({ problem });
      if (!(problem instanceof SyncError)) this.#storeSoon(RETRY_MS);
      throw problem;
    });
    return this.#loading;
  }

  async #readFirst(): Promise<void> {
    const increments = await this.#source();
    const fail = (problem: unknown): void => this.#tell({ problem });
    this.#stopWatching ??= increments.watch(() => void this.#readNews().catch(fail));
    await this.#readNews();
  }

  #source(): Promise<Increments> {
    this.#increments ??= this.#make().catch((error: unknown) => {
      this.#increments = null;
      throw error;
    });
    return this.#increments;
  }

  /** Reads until nothing has changed since it began to. */
  #readNews(): Promise<void> {
    this.#hasNews = true;
    this.#reading ??= this.#readAll();
    return this.#reading;
  }

  async #readAll(): Promise<void> {
    const increments = await this.#source();
    try {
      while (this.#hasNews && !this.#isClosed()) {
        this.#hasNews = false;
        const state = await increments.read();
        if (this.#isClosed()) return;
        this.#session.compare(increments);
        this.#take(state);
      }
    } finally {
      // In the same turn as the last look, so that no news come between.
      this.#reading = null;
    }
  }

  #take(state: DocumentState | 'awaited' | null): void {
    // It stays as it is shown, and what is typed is stored.
    if (state === 'awaited') return;
    if (!state) {
      this.#session.forget();
      this.#tell({ state: 'absent' });
      return;
    }
    const reason = this.#reasonToReplace(state);
    if (reason) this.#replace(reason, state);
    else this.#session.apply(state);
    this.#tell({ state: 'open' });
  }

  #reasonToReplace({ epoch }: DocumentState): ReplacedReason | null {
    const { base, hasLost, doc } = this.#session;
    if (this.#status.state === 'absent') return doc.store.clients.size > 0 ? 'returned' : null;
    if (base?.epoch !== undefined && epoch !== undefined && epoch !== base.epoch) return 'new_epoch';
    return hasLost ? 'refused' : null;
  }

  #replace(reason: ReplacedReason, state: DocumentState): void {
    const before = this.#session;
    before.end();
    // It is pushed as what it is, a change of what was there before, and the server keeps it.
    if (before.gathered.length > 0) this.#left.push(before);
    this.#session = this.#begin(new Y.Doc());
    this.#session.apply(state);
    if (this.#left.length > 0) this.#storeSoon();
    this.#replacedListeners.tell({ reason, doc: this.#session.doc, previous: before.doc });
  }

  #storeSoon(ms = GATHER_MS): void {
    this.#stopTimer ??= this.#clock.setTimer(ms, () => {
      this.flush().catch((problem: unknown) => {
        this.#tell({ problem });
        // What the app has to see to is not tried by itself.
        if (!(problem instanceof SyncError)) this.#storeSoon(RETRY_MS);
      });
    });
  }

  async #store(session: DocumentSession): Promise<void> {
    const { base, gathered } = session;
    if (!base || gathered.length === 0) return;
    session.gathered = [];
    const parts = partsOf(gathered);
    try {
      for (let part = parts[0]; part; part = parts[0]) {
        if (part.length > MAX_UPDATE_BYTES) throw tooLarge(part);
        await session.store(await this.#source(), part, base);
        parts.shift();
      }
    } catch (error) {
      if (error instanceof SyncError && error.code === 'data_too_large') this.#giveUp(session);
      // It is tried again before what was typed meanwhile.
      else if (this.#status.state !== 'absent') session.gathered = [...parts, ...session.gathered];
      throw error;
    } finally {
      this.#tell({});
    }
  }

  /** What is typed after it builds on it, so the session ends. */
  #giveUp(session: DocumentSession): void {
    session.gathered = [];
    if (session === this.#session && session.base) this.#replace('too_large', session.base);
  }

  #tell(change: Partial<DocumentStatus>): void {
    const before = this.#status;
    const isPending = this.#session.isPending || this.#left.length > 0;
    const { state, problem } = { ...before, ...change };
    if (before.state === state && before.isPending === isPending && before.problem === problem) return;
    this.#status = { state, isPending, problem };
    this.#statusListeners.tell(this.#status);
  }
}

function tooLarge({ length }: Uint8Array): SyncError {
  const told = `one transaction wrote ${length} bytes; an update has at most ${MAX_UPDATE_BYTES}`;
  return new SyncError('data_too_large', told);
}
