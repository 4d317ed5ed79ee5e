import { partitionOf } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import { STREAMS } from '@sync/protocol';
import type { Completion } from './completion.ts';
import type { HeadColumns } from './entity-head.ts';
import type { Prepared } from './prepare-mutation.ts';
import type { Author } from './settlement.ts';

/** What the ledger says of one mutation when it comes; see push-receive.sql. */
export interface Received extends HeadColumns {
  readonly place: number;
  readonly verdict: 'new' | 'answered' | 'accepted' | 'pending' | 'reused';
  readonly outcome: string | null;
  readonly held: boolean;
  readonly waiting: boolean;
  /** Statuses of the asked-for dependencies that the ledger has. */
  readonly dependencies: Readonly<Record<string, string>> | null;
}

/** A mutation to be received. */
export interface Incoming {
  readonly prepared: Prepared;
  /** Dependencies to look up. */
  readonly dependencies: readonly string[];
  readonly needsHead: boolean;
}

/** SQLSTATE of push_receive: the device has too many mutations without an outcome. */
export const BACKLOG_FULL = 'SY001';

/** The ledger of mutations: two functions, one round trip each. */
export class LedgerStore {
  readonly #database: Database;
  readonly #limits: { readonly visibleMs: number; readonly maxOpen: number };

  /**
   * @param limits visibleMs: how long nobody else takes over what was received; maxOpen: mutations of one device without an outcome
   */
  constructor(database: Database, limits: { readonly visibleMs: number; readonly maxOpen: number }) {
    this.#database = database;
    this.#limits = limits;
  }

  /**
   * Stores what is new. One row per item, in order.
   * @throws the driver's error; `BACKLOG_FULL` as its SQLSTATE
   */
  async receive(author: Author, incoming: readonly Incoming[]): Promise<Received[]> {
    const { tenantId, userId, deviceId } = author;
    const { visibleMs, maxOpen } = this.#limits;
    const payloads = incoming.map(({ prepared }) => prepared.payload ?? '');
    return this.#database.call<Received>(
      'push_receive',
      'SELECT * FROM push_receive($1, $2, $3, $4, $5, $6, $7)',
      [tenantId, userId, deviceId, itemsText(incoming), payloads.join('\n'), visibleMs, maxOpen],
    );
  }

  /**
   * Stores outcomes and their sync events.
   * @returns what somebody else had stored before, by mutationId; null: still open
   */
  async complete(author: Author, completion: Completion): Promise<ReadonlyMap<string, string | null>> {
    const { tenantId, deviceId } = author;
    const { items, outcomes, entries, events } = completion;
    const partition = partitionOf(`${tenantId}\0${deviceId}`, STREAMS.SYNC_EVENTS.partitions);
    const rows = await this.#database.call<{ readonly mutation_id: string; readonly outcome: string | null }>(
      'push_complete',
      'SELECT * FROM push_complete($1, $2, $3, $4, $5, $6, $7)',
      [
        tenantId,
        deviceId,
        JSON.stringify(items),
        outcomes.join('\n'),
        entries.join('\n'),
        JSON.stringify(events),
        partition,
      ],
    );
    return new Map(rows.map((row) => [row.mutation_id, row.outcome]));
  }
}

/**
 * Written by hand: every text matches a pattern without quotes and backslashes, so JSON.stringify would take 2 ms per 500 mutations to
 * find nothing to escape.
 */
function itemsText(incoming: readonly Incoming[]): string {
  const items = incoming.map(({ prepared, dependencies, needsHead }) => {
    const { mutationId, hash, address, mutation } = prepared;
    let item = `{"id":"${mutationId}","hash":"${hash}","head":${needsHead}`;
    if (address)
      item += `,"scope":"${address.scope}","type":"${address.entityType}","eid":"${address.entityId}"`;
    if (!mutation) return `${item}}`;
    if (dependencies.length > 0) item += `,"deps":["${dependencies.join('","')}"]`;
    const { sequence, op, clock, occurredAtMs } = mutation;
    return `${item},"seq":${sequence},"op":"${op}","clock":${JSON.stringify(clock)},"atMs":${occurredAtMs}}`;
  });
  return `[${items.join(',')}]`;
}
