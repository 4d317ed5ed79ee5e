import type { GroupedCalls } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import { acceptedText } from '../outcome/outcome-text.ts';
import type { Author } from '../outcome/settlement.ts';
import { SHOWN_BYTES } from '../outcome/tell-outcomes.ts';
import type { EntityAddress } from '../../read-model/entity-address.ts';
import type { Prepared } from '../prepare/prepare-mutation.ts';
import { completePushes, type StoredBefore } from './complete-pushes.ts';
import { completionEvents } from './completion-events.ts';
import { type Completed, type Completion, completionOf } from './completion.ts';
import { type NeedsHead, type Received, type ReceiveLimits, ReceivePushes } from './receive-pushes.ts';
import type { ShownState } from './shown-entities.ts';

/** An entity that outcomes show. */
export interface StoredShown {
  readonly mutation_id: string;
  /** The first of the asked outcomes that shows the same. */
  readonly holder: string | null;
  readonly wire: string | null;
}

/** What the ledger has of the mutations of a push. */
export interface StoredOutcomes {
  /** By mutationId the wire text of its outcome; without `current` where that is in `shown`. */
  readonly texts: ReadonlyMap<string, string>;
  /** Large entities that the outcomes show, by `addressKey`. */
  readonly shown: ReadonlyMap<string, ShownState>;
}

/** SQLSTATE of both functions: two devices or users of a tenant have sent one mutationId at the same time. */
export const SENT_TWICE = 'SY002';

/** How outcomes are told, beside the limits of what is received. */
export interface LedgerSettings extends ReceiveLimits {
  /** Sends the events that list every mutation, too. */
  readonly listsMutations?: boolean;
}

/**
 * The ledger of mutations: two functions, one round trip each; a third where large entities are shown again.
 *
 * A mutation in it is part of a received push, or a row of its own with a `status`:
 *
 * ```
 *   push_receive
 *     │ the usual push                      │ it came before, or others of its device are open
 *     ▼                                     ▼
 *   received_push ───── push_spread ────▶ pending
 *     │                                     │
 *     └─────────────────┬───────────────────┘
 *                       │ push_complete
 *          ┌────────────┴──────┐
 *          ▼                   ▼
 *       accepted ──────────▶ applied, merged, superseded, rejected, conflict ──▶ gone
 *        │    ▲  push_complete of the dispatcher
 *        └────┘  postponed again
 * ```
 *
 * `push_spread`: another push of the device comes, or the dispatcher, before this one was completed.
 * `push_decided` keeps beside an open one what was decided, before its owner gets it. The first outcome that
 * is stored stays, until `prune_ledger` forgets it; or `free_ids` does, where it had no effect and its id is
 * wanted.
 */
export class LedgerStore {
  readonly #database: Database;
  readonly #receiving: ReceivePushes;
  readonly #completing: GroupedCalls<Completion, StoredBefore>;
  readonly #listsMutations: boolean;
  #tellOpen: (dueInMs: number) => void = () => undefined;

  constructor(database: Database, { listsMutations = false, ...limits }: LedgerSettings) {
    this.#database = database;
    this.#receiving = new ReceivePushes(database, limits);
    this.#completing = completePushes(database);
    this.#listsMutations = listsMutations;
  }

  /** @param tell called after mutations were stored without an outcome: when the first of them is due */
  onOpen(tell: (dueInMs: number) => void): void {
    this.#tellOpen = tell;
  }

  /**
   * Stores what is new. One answer per mutation, in order.
   * @throws the driver's error; `BACKLOG_FULL` as its SQLSTATE
   */
  receive(author: Author, distinct: readonly Prepared[], needsHead: NeedsHead): Promise<Received[]> {
    return this.#receiving.receive(author, distinct, needsHead);
  }

  /** The entities of outcomes that have them beside them, as many as one answer may show. One round trip. */
  async readShown({ tenantId }: Author, mutationIds: readonly string[]): Promise<StoredShown[]> {
    return this.#database.call<StoredShown>('read_shown', 'SELECT * FROM read_shown($1, $2, $3)', [
      tenantId,
      mutationIds,
      SHOWN_BYTES,
    ]);
  }

  /** Notes changes of the device that are refused and kept nowhere. One round trip. */
  async noteRefused(
    { tenantId, deviceId }: Author,
    refused: readonly (Pick<EntityAddress, 'entityType' | 'entityId'> & { readonly counter: number })[],
  ): Promise<void> {
    await this.#database.call('push_refused', 'SELECT push_refused($1, $2, $3, $4, $5)', [
      tenantId,
      deviceId,
      refused.map(({ entityType }) => entityType),
      refused.map(({ entityId }) => entityId),
      refused.map(({ counter }) => counter),
    ]);
  }

  /**
   * Stores outcomes and their sync events.
   * @returns what the ledger has of them afterwards: what somebody else had stored before for the same user
   * stays
   * @throws the driver's error; `SENT_TWICE` as its SQLSTATE, and nothing is stored
   */
  async complete(author: Author, completed: readonly Completed[], nowIso: string): Promise<StoredOutcomes> {
    const events = completionEvents(author, completed, nowIso, this.#listsMutations);
    const completion = completionOf(author, completed, events);
    const { items, shown } = completion;
    const before = await this.#completing.do(completion);
    const dueInMs = Math.min(...items.flatMap(({ more }) => more.delayMs ?? []));
    if (Number.isFinite(dueInMs)) this.#tellOpen(dueInMs);
    const texts = items.map(({ id, outcome, more }): [string, string] => {
      const text = before.has(id) ? before.get(id) : outcome;
      return [id, text || acceptedText(id, more.delayMs)];
    });
    return { texts: new Map(texts), shown };
  }
}
