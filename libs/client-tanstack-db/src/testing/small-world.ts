import { createSyncClient } from '@sync/client';
import { MemoryDisk, MemoryStore } from '@sync/client/memory';
import type { Answer, Call, EntityType, Store, SyncClient, Transport } from '@sync/client';
import { ModelServer } from '@sync/client/testing';
import type { LocalMutation, PullRequest, PullResponse, PushRequest } from '@sync/protocol';

export interface Note {
  text: string;
  folderId: string;
  isDone?: boolean;
}

export interface Folder {
  name: string;
}

export const ENTITIES = {
  note: {} as EntityType<Note>,
  folder: { scope: 'team:t' } as EntityType<Folder>,
};
export type App = SyncClient<typeof ENTITIES>;

const IDENTITY = { tenantId: 't', userId: 'u', deviceId: 'dev' };
const KEY = { sign: async () => 'signed', tag: async () => 'tagged' };
const AT = '2026-01-01T00:00:00.000Z';

/** A device, its disk, a network that a test cuts, and servers that keep the protocol's rules. */
export class SmallWorld implements Transport {
  readonly notes = new ModelServer('user:u', 'note');
  readonly folders = new ModelServer('team:t', 'folder');
  readonly disk = new MemoryDisk();
  #isOnline = true;
  /** What becomes of a mutation. */
  decide: (mutation: LocalMutation) => 'applied' | 'merged' | 'rejected' | 'accepted' = () => 'applied';
  /** In the order in which they came, each time. */
  readonly pushed: LocalMutation[] = [];
  #hasNews: () => void = () => undefined;

  /** Another run of the app, on the same disk. */
  async open(store: Store = new MemoryStore(this.disk)): Promise<App> {
    return createSyncClient({ identity: IDENTITY, key: KEY, transport: this, store, entities: ENTITIES });
  }

  /** Somebody else changes a note. */
  change(noteId: string, note: Note | null): void {
    this.notes.changeItself(noteId, note && { ...note });
    this.#hasNews();
  }

  name(folderId: string, folder: Folder | null): void {
    this.folders.changeItself(folderId, folder && { ...folder });
    this.#hasNews();
  }

  /** From here on no connection comes about. What hangs is cut. */
  disconnect(app: App): void {
    this.#isOnline = false;
    app.networkChanged(false);
  }

  connect(app: App): void {
    this.#isOnline = true;
    app.networkChanged(true);
  }

  async send<T>(call: Call): Promise<Answer<T>> {
    if (!this.#isOnline) return failure('offline');
    const body = this.#answer(call);
    const isNews = !call.path.endsWith('pull') || hasNews(body as PullResponse) || !isWaiting(call);
    if (isNews) return { ok: true, body: body as T };
    await this.#news(call.signal);
    return call.signal?.aborted ? failure('aborted') : this.send(call);
  }

  #news(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      this.#hasNews = resolve;
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  #answer({ path, body }: Call): unknown {
    if (path.endsWith('push')) return this.#push((body as PushRequest).mutations);
    if (path.endsWith('pull')) return this.#pull((body as PullRequest).scopes);
    const { outcomes = [] } = body as { outcomes?: string[] };
    for (const server of [this.notes, this.folders]) server.ack(outcomes);
    return { serverTime: AT, cursors: [] };
  }

  #push(mutations: readonly LocalMutation[]): unknown {
    this.pushed.push(...mutations);
    const outcomes = mutations.flatMap((mutation) => {
      const server = mutation.scope === this.notes.scope ? this.notes : this.folders;
      return server.push([mutation], 'd:dev', this.decide).outcomes;
    });
    this.#hasNews();
    return { serverTime: AT, outcomes };
  }

  #pull(asked: PullRequest['scopes']): PullResponse {
    const answers = [this.notes, this.folders].flatMap((server) => {
      const from = asked?.find(({ scope }) => scope === server.scope);
      return asked && !from ? [] : [server.pull(from?.cursor ?? null, 500)];
    });
    return {
      ...{ serverTime: AT, revoked: [], directives: [] },
      scopes: answers.flatMap(({ scopes }) => scopes),
      outcomes: answers.flatMap(({ outcomes }) => outcomes),
    };
  }
}

function isWaiting({ body }: Call): boolean {
  return ((body as PullRequest).waitMs ?? 0) > 0;
}

function hasNews({ scopes, outcomes }: PullResponse): boolean {
  return outcomes.length > 0 || scopes.some(({ deltas, reset }) => reset || deltas.length > 0);
}

function failure(kind: 'offline' | 'aborted') {
  return { ok: false, kind, status: null, problem: null, retryAfterMs: null, detail: kind } as const;
}
