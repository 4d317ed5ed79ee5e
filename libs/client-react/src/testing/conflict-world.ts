import { MemoryDisk, MemoryStore, createSyncClient } from '@sync/client';
import type { Answer, Call, EntityType, Failure, SyncClient, Transport } from '@sync/client';
import { ModelServer } from '@sync/client/testing';
import type { ConflictRecord, PullRequest, PullResponse, PushRequest, Resolution } from '@sync/protocol';

const AT = '2026-03-04T14:05:00.000Z';
const IDENTITY = { tenantId: 't', userId: 'u', deviceId: 'phone' };
const KEY = { sign: async () => 'signed', tag: async () => 'tagged' };
const ENTITIES = { note: { scope: 'team:t' } as EntityType<object> };

export type App = SyncClient<typeof ENTITIES>;

interface ResolveBody {
  readonly conflictId: string;
  readonly resolution: Resolution;
  readonly expectedClock: Record<string, number>;
}

/** A device on a memory store, a network to cut, and a server that has notes and conflicts about them. */
export class ConflictWorld implements Transport {
  readonly notes = new ModelServer('team:t', 'note');
  readonly conflicts = new ModelServer('user:u', 'conflict');
  readonly #records = new Map<string, ConflictRecord>();
  /** What was asked of `resolve-conflict`, whatever was answered. */
  readonly resolved: ResolveBody[] = [];
  isOnline = true;
  isRejecting = false;
  #news: () => void = () => undefined;

  async open(): Promise<App> {
    const store = new MemoryStore(new MemoryDisk());
    return createSyncClient({ identity: IDENTITY, key: KEY, transport: this, store, entities: ENTITIES });
  }

  /** Somebody else writes the note of a record; its clock is what `expectedClock` has to be. */
  write(noteId: string, data: object | null): void {
    this.notes.changeItself(noteId, data && { ...data });
    this.tell();
  }

  record(record: ConflictRecord): void {
    this.#records.set(record.conflictId, record);
    this.conflicts.changeItself(record.conflictId, { ...record });
    this.tell();
  }

  /** Pulls that wait are answered. */
  tell(): void {
    this.#news();
  }

  async send<T>(call: Call): Promise<Answer<T>> {
    if (!this.isOnline) return failure('offline');
    if (call.path.endsWith('resolve-conflict')) return this.#resolve(call.body as ResolveBody) as Answer<T>;
    const body = this.#answer(call);
    const waits = ((call.body as PullRequest).waitMs ?? 0) > 0;
    if (!call.path.endsWith('pull') || !waits || hasNews(body as PullResponse))
      return { ok: true, body: body as T };
    await new Promise<void>((resolve) => {
      this.#news = resolve;
      call.signal?.addEventListener('abort', () => resolve(), { once: true });
    });
    return call.signal?.aborted ? failure('aborted') : this.send(call);
  }

  #resolve(body: ResolveBody): Answer<unknown> {
    this.resolved.push(body);
    const { conflictId, resolution, expectedClock } = body;
    const record = this.#records.get(conflictId);
    if (record?.status !== 'open') return problem(409, 'conflict_already_resolved', { conflict: record });
    const current = this.notes
      .pull(null, 500)
      .scopes[0]?.deltas.findLast(({ entityId }) => entityId === record.entityId);
    if (JSON.stringify(current?.clock) !== JSON.stringify(expectedClock)) {
      return problem(409, 'conflict_moved', { current });
    }
    if (this.isRejecting) return problem(422, 'resolution_rejected', { ownerCode: 'data_invalid' });
    const decided: ConflictRecord = {
      ...record,
      status: 'resolved',
      resolvedAt: AT,
      decision: { kind: resolution.kind, ...(resolution.data ? { data: resolution.data } : {}) },
      decider: { kind: 'person', userId: 'u', deviceId: 'phone' },
    };
    this.record(decided);
    return { ok: true, body: { serverTime: AT, conflict: decided } };
  }

  #answer({ path, body }: Call): unknown {
    if (path.endsWith('push')) {
      const { mutations } = body as PushRequest;
      const isBad = (data: unknown) => JSON.stringify(data ?? null).includes('refused');
      const answer = this.notes.push(mutations, 'd:phone', ({ data }) =>
        isBad(data) ? 'rejected' : 'applied',
      );
      this.tell();
      return answer;
    }
    if (path.endsWith('pull')) return this.#pull((body as PullRequest).scopes);
    this.notes.ack((body as { outcomes?: string[] }).outcomes ?? []);
    return { serverTime: AT, cursors: [] };
  }

  #pull(asked: PullRequest['scopes']): PullResponse {
    const answers = [this.notes, this.conflicts].flatMap((server) => {
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

function hasNews({ scopes, outcomes }: PullResponse): boolean {
  return outcomes.length > 0 || scopes.some(({ deltas, reset }) => reset || deltas.length > 0);
}

function failure(kind: 'offline' | 'aborted'): Failure {
  return { ok: false, kind, status: null, problem: null, retryAfterMs: null, detail: kind };
}

function problem(status: number, code: string, more: object): Failure {
  const text = { title: code, detail: `The server says ${code}.`, type: `urn:sync-service:problem:${code}` };
  const told = {
    ...text,
    status,
    code,
    retryable: false,
    serverTime: AT,
    ...more,
  } as unknown as Failure['problem'];
  return { ok: false, kind: 'refused', status, problem: told, retryAfterMs: null, detail: text.detail };
}
