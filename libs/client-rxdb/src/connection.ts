import { type Clock, type DeviceIdentity, type DeviceKey, SyncError, type Transport } from '@sync/client';
import { checkAnswer } from '@sync/client/parts';
import type { AckRequest, LocalMutation, Outcome, PullResponse } from '@sync/protocol';
import type { RxCollection, RxJsonSchema } from 'rxdb';
import { Observable, Subject, merge, share } from 'rxjs';

/** What is kept of the device itself, in a collection of its own. */
export interface DeviceCount {
  readonly id: string;
  /** Of its last mutation. */
  readonly sequence: number;
}

/** Of the collection that counts the mutations of the device. */
export const deviceSchema: RxJsonSchema<DeviceCount> = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 10 }, sequence: { type: 'integer' } },
  required: ['id', 'sequence'],
};

/** What {@link createRxSync} is made with. */
export interface RxSyncOptions {
  readonly transport: Transport;
  readonly identity: DeviceIdentity;
  readonly key: DeviceKey;
  /** With {@link deviceSchema}, in the same database: a copy of one is a copy of the other. */
  readonly device: RxCollection<DeviceCount>;
  /**
   * Told of each mutation that did not simply come to stand, before RxDB gets what the server has; again
   * after a restart, where the server does not know yet that it arrived.
   * @param mutation null where it was sent before the last start
   */
  readonly onOutcome?: (outcome: Outcome, mutation: LocalMutation | null) => void;
  /** The device is not bound any more: nothing is sent from here on. Remove the database. */
  readonly onEnded?: (error: SyncError) => void;
  /** A pull comes at least so often, also where there is no socket. Default: 60,000. */
  readonly pollMs?: number;
  readonly clock?: Clock;
}

const TIMEOUT_MS = 30_000;

/** What all collections of a device share: its requests, its scopes, and what tells it of news. */
export class Connection {
  readonly #options: RxSyncOptions & { readonly clock: Clock };
  readonly #told = new Subject<'RESYNC'>();
  readonly #outcomes = new Set<string>();
  readonly #purgedBy = new Map<string, Set<string>>();
  #scopes: Promise<Set<string>> | null = null;
  #ended: SyncError | null = null;
  /** Of everything, after an answer that asks for one. */
  #pause: Promise<unknown> = Promise.resolve();
  /** Mutations of whose end RxDB was told by its push handler; a pull tells it nothing more. */
  readonly answered = new Set<string>();
  /** By their entity types. */
  readonly collections = new Set<string>();
  /** Says to all collections that there may be something to pull; one socket for all. */
  readonly news$: Observable<'RESYNC'>;

  constructor(options: RxSyncOptions & { readonly clock: Clock }) {
    this.#options = options;
    this.news$ = merge(this.#told, new Observable<'RESYNC'>((to) => this.#listen(to)).pipe(share()));
  }

  #listen(to: { next(news: 'RESYNC'): void }): () => void {
    const { transport, clock, pollMs = 60_000 } = this.#options;
    const line = transport.listen?.({
      onNotice: (scopes) => {
        // It names none that the user does not hold (LIVE-2).
        const add = (known: Set<string>): void => scopes.forEach((scope) => known.add(scope));
        void this.#scopes?.then(add, () => undefined);
        to.next('RESYNC');
      },
      onState: ({ kind }) => {
        if (kind === 'open' || kind === 'ended') to.next('RESYNC');
      },
    });
    let stop = (): void => undefined;
    const poll = (): void => {
      stop = clock.setTimer(pollMs, () => {
        to.next('RESYNC');
        poll();
      });
    };
    poll();
    return () => {
      stop();
      line?.close();
    };
  }

  /** @throws SyncError `request_failed`, after which RxDB asks again, `device_revoked` */
  async send<T>(what: 'pull' | 'push' | 'ack', body: object): Promise<T> {
    const { transport, clock } = this.#options;
    await this.#pause;
    if (this.#ended) throw this.#ended;
    const call = { method: 'POST', path: `/sync/v1/${what}`, body, timeoutMs: TIMEOUT_MS } as const;
    const answer = checkAnswer(what, await transport.send<T>(call));
    if (answer.ok) return answer.body;
    const isOver = answer.kind === 'revoked' || answer.kind === 'not_bound';
    const code = isOver ? 'device_revoked' : 'request_failed';
    const error = new SyncError(code, answer.detail, { failure: answer });
    const { retryAfterMs } = answer;
    if (retryAfterMs) {
      const pause = new Promise<void>((resolve) => clock.setTimer(retryAfterMs, resolve));
      this.#pause = Promise.all([this.#pause, pause]);
    }
    if (isOver) this.#end(error);
    throw error;
  }

  #end(error: SyncError): void {
    if (this.#ended) return;
    this.#ended = error;
    this.#options.onEnded?.(error);
  }

  /** What the user holds: asked once, without their content, and kept up to date by {@link change}. */
  async scopes(): Promise<ReadonlySet<string>> {
    this.#scopes ??= this.send<PullResponse>('pull', { limit: 1 }).then(
      ({ scopes }) => new Set(scopes.map(({ scope }) => scope)),
    );
    return this.#scopes.catch((error: unknown) => {
      this.#scopes = null;
      throw error;
    });
  }

  /** Takes over what a pull says of scopes. Each collection has to pull what is new. */
  async change({ granted = [], revoked }: PullResponse): Promise<void> {
    const scopes = await this.#scopes;
    for (const scope of revoked) scopes?.delete(scope);
    for (const scope of granted) scopes?.add(scope);
    if (granted.length > 0) this.#told.next('RESYNC');
  }

  /** Nothing of the scope is left in a collection. Once that is so of all, the server is told (GRANT-1). */
  async left(scope: string, entityType: string): Promise<void> {
    const by = this.#purgedBy.get(scope) ?? new Set();
    this.#purgedBy.set(scope, by.add(entityType));
    if (by.size === this.collections.size && (await this.ack({ purged: [scope] })))
      this.#purgedBy.delete(scope);
  }

  /** @returns whether it was taken; what was not is said again with the next one */
  async ack(body: AckRequest): Promise<boolean> {
    if (Object.values(body).every((list) => (list as unknown[]).length === 0)) return true;
    return this.send('ack', body).then(
      () => true,
      () => false,
    );
  }

  /** Tells the app once of each outcome that is not what it expects. */
  tell(outcome: Outcome, mutation: LocalMutation | null): void {
    if (outcome.status === 'applied' || outcome.status === 'accepted') return;
    if (this.#outcomes.has(outcome.mutationId)) return;
    this.#outcomes.add(outcome.mutationId);
    this.#options.onOutcome?.(outcome, mutation);
  }
}
