import { assertLease, request, setTenants, type Lease } from '@sync/messaging';
import { retryConflicts, type Tx } from '@sync/postgres';
import { subjects, type RegisteredEntityType } from '@sync/protocol';
import type { NatsConnection } from '@nats-io/transport-node';
import { tenantPages } from '../database/known-tenants.ts';
import { recordRefusals, type Refusal, refusalsOf } from '../dead-letters/dead-letter-store.ts';
import type { AskingDatabase } from '../projection/asking-database.ts';
import type { IncomingEvent } from '../projection/incoming-event.ts';
import type { EventOutcome, ProjectEvents } from '../projection/project-events.ts';
import {
  finishRun,
  forgetSeen,
  noteSeen,
  readUnseen,
  savePage,
  startRun,
  type UnseenEntity,
} from './backfill-store.ts';
import type { BackfillProgress, BackfillReason } from './due-backfill.ts';
import { decodeSnapshotPage, lostDeletion, snapshotEvent, type RawSnapshotPage } from './snapshot-events.ts';

const PAGE_ENTITIES = 1_000;
const SWEEP_ENTITIES = 500;
const PAGE_TIMEOUT_MS = 15_000;

/** The next reconciliation brings the entity again, as it is then; a letter each time would only pile up. */
const COMES_AGAIN: ReadonlySet<string> = new Set([
  'entity_quarantined',
  'projector_unavailable',
  'document_unavailable',
]);

/** What one transaction of a backfill did. */
export type CommittedHook = (
  entityType: string,
  outcomes: readonly EventOutcome[],
  /** Those of them that became dead letters. */
  refusals: readonly Refusal[],
) => void;

/**
 * Reads the snapshot of one entity type through the same projection as live events take: what is known
 * already is a no-op, so it may run beside them, be repeated, and go on where another worker stopped. Each
 * page is one transaction with its cursor, under the type's lease.
 */
export class BackfillType {
  readonly #database: AskingDatabase;
  readonly #nats: NatsConnection;
  readonly #projection: ProjectEvents;
  readonly #onCommitted: CommittedHook;

  constructor(
    database: AskingDatabase,
    nats: NatsConnection,
    projection: ProjectEvents,
    onCommitted: CommittedHook,
  ) {
    this.#database = database;
    this.#nats = nats;
    this.#projection = projection;
    this.#onCommitted = onCommitted;
  }

  /** Starts a run at its first page. @throws LeaseLostError */
  async start(
    type: RegisteredEntityType,
    run: { readonly reason: BackfillReason; readonly sweep: boolean },
    lease: Lease,
  ): Promise<BackfillProgress> {
    if (run.sweep) await this.#forgetSeen(type.entityType);
    return this.#database.transaction(async (tx) => {
      await assertLease(tx, lease);
      return startRun(tx, type, run);
    });
  }

  /**
   * Reads pages until the snapshot ends, then deletes what it has not shown if the run asks for that.
   *
   * @param isStopped asked between two pages
   * @returns the entities read, null when it stopped early or a new run was asked for
   * @throws NoRespondersError | RequestTimeoutError | RemoteError | LeaseLostError: try again later, from
   * where it was
   */
  async run(
    type: RegisteredEntityType,
    progress: BackfillProgress,
    lease: Lease,
    isStopped: () => boolean,
  ): Promise<number | null> {
    let cursor = progress.cursor;
    do {
      if (isStopped()) return null;
      const page = await this.#askPage(type, cursor);
      if (page.next !== null && page.next === cursor) {
        throw new Error(`${type.service} answers a page of ${type.entityType} with its own cursor`);
      }
      const isCurrent = await this.#projectPage(type, progress, lease, page);
      if (!isCurrent) return null;
      cursor = page.next;
    } while (cursor !== null);
    if (progress.sweep) await this.#sweep(type, progress, lease);
    return this.#database.transaction(async (tx) => {
      await assertLease(tx, lease);
      return finishRun(tx, progress);
    });
  }

  async #askPage(type: RegisteredEntityType, cursor: string | null): Promise<RawSnapshotPage> {
    const subject = type.snapshotSubject ?? subjects.snapshot(type.service, type.entityType);
    const options = { timeoutMs: PAGE_TIMEOUT_MS, decode: decodeSnapshotPage };
    return request(this.#nats, subject, { cursor, limit: PAGE_ENTITIES }, options);
  }

  async #projectPage(
    { service, entityType }: RegisteredEntityType,
    progress: BackfillProgress,
    lease: Lease,
    page: RawSnapshotPage,
  ): Promise<boolean> {
    const context = { service, entityType, nowIso: new Date().toISOString() };
    const events = page.entities.map((entity) => snapshotEvent(entity, context));
    return this.#commit(progress, lease, events, async (tx) => {
      if (progress.sweep && events.length > 0) await noteSeen(tx, events);
      return savePage(tx, progress, { next: page.next, entities: events.length });
    });
  }

  /** Deletes, in pages, what the owner no longer has. */
  async #sweep(
    { service, entityType }: RegisteredEntityType,
    progress: BackfillProgress,
    lease: Lease,
  ): Promise<void> {
    for await (const tenantIds of tenantPages(this.#database)) {
      let after: Pick<UnseenEntity, 'tenantId' | 'entityId'> | undefined = { tenantId: '', entityId: '' };
      while (after !== undefined) {
        const from: Pick<UnseenEntity, 'tenantId' | 'entityId'> = after;
        const unseen: UnseenEntity[] = await this.#database.inTenant(tenantIds, (tx) =>
          readUnseen(tx, progress, from, SWEEP_ENTITIES),
        );
        const context = { service, entityType, nowIso: new Date().toISOString() };
        const events = unseen.map((entity) => lostDeletion(entity, context));
        await this.#commit(progress, lease, events, () => Promise.resolve());
        after = unseen.at(-1);
      }
    }
    await this.#forgetSeen(entityType);
  }

  async #commit<T>(
    { entityType, reason }: BackfillProgress,
    lease: Lease,
    events: readonly IncomingEvent[],
    also: (tx: Tx) => Promise<T>,
  ): Promise<T> {
    let outcomes: readonly EventOutcome[] = [];
    let refusals: readonly Refusal[] = [];
    const result = await retryConflicts(() =>
      this.#database.transaction(async (tx) => {
        await assertLease(tx, lease);
        outcomes = await this.#projection.project(tx, events, 'snapshot');
        refusals = refusalsOf(events, outcomes).filter(({ outcome }) => {
          return reason !== 'reconcile' || !COMES_AGAIN.has(outcome.code);
        });
        await recordRefusals(tx, refusals, new Date());
        return also(tx);
      }),
    );
    this.#onCommitted(entityType, outcomes, refusals);
    return result;
  }

  async #forgetSeen(entityType: string): Promise<void> {
    for await (const tenantIds of tenantPages(this.#database)) {
      await this.#database.transaction(async (tx) => {
        await setTenants(tx, tenantIds);
        await forgetSeen(tx, entityType);
      });
    }
  }
}
