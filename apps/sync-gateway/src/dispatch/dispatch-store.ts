import type { Database } from '@sync/postgres';
import type { HeadColumns } from '../read-model/entity-head.ts';
import { HEAD_BYTES } from '../read-model/read-heads.ts';

/** A device with due work. */
export interface DueDevice {
  readonly tenantId: string;
  readonly deviceId: string;
}

/** An open mutation as the ledger has it; see dispatch-take.sql. */
export interface OpenMutation extends HeadColumns {
  readonly mutation_id: string;
  readonly user_id: string;
  readonly status: 'pending' | 'accepted';
  readonly attempts: number;
  readonly may_be_sent: boolean;
  /** `KeptDecision` as JSON text; of what matches no schema, a `KeptRefusal`. */
  readonly decision: string | null;
  /** Why the last attempt came to nothing, a `PostponeReason`; null before the first. */
  readonly last_error: string | null;
  /** How often its owner answered without an answer for it, and since when. */
  readonly failures: number;
  readonly failing_since_ms: number | null;
  readonly payload: string | null;
  readonly occurred_at_ms: number | null;
  readonly received_at_ms: number;
  /** Its device had counted from anew before it came. */
  readonly anew: boolean;
  /** Along `dependsOn` and the order of entities it waits for itself. */
  readonly in_circle: boolean;
  readonly held: boolean;
  /** The scope is held, or was. */
  readonly once_held: boolean;
  /** See `StoredMutation`. */
  readonly payload_hash: string;
  readonly stored_scope: string | null;
  readonly dependencies: Readonly<Record<string, string>> | null;
}

/** How long a taken device belongs to its taker; longer than one run may last. */
const VISIBLE_MS = 30_000;
const MUTATIONS_PER_RUN = 200;

/** The queue of devices with open work. */
export class DispatchStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Takes at most `limit` devices whose work is due; nobody else gets them for 30 s.
   * @returns them, and whether any device has work, due or not
   */
  async take(limit: number): Promise<{ readonly devices: readonly DueDevice[]; readonly isEmpty: boolean }> {
    const rows = await this.#database.call<{
      readonly tenant_id: string | null;
      readonly device_id: string | null;
    }>('dispatch_take', 'SELECT * FROM dispatch_take($1, $2)', [limit, VISIBLE_MS]);
    const devices = rows.flatMap(({ tenant_id: tenantId, device_id: deviceId }) => {
      return tenantId === null || deviceId === null ? [] : [{ tenantId, deviceId }];
    });
    return { devices, isEmpty: rows.length === 0 };
  }

  /**
   * The due work of a taken device in its order of arrival, or as much of it as is read at once. An entity is
   * in the first row of it.
   */
  async load({ tenantId, deviceId }: DueDevice): Promise<OpenMutation[]> {
    return this.#database.call<OpenMutation>(
      'dispatch_load',
      'SELECT * FROM dispatch_load($1, $2, $3, $4, $5)',
      [tenantId, deviceId, VISIBLE_MS, MUTATIONS_PER_RUN, HEAD_BYTES],
    );
  }

  /** Devices that have open work, due or not. */
  async countDevices(): Promise<number> {
    const rows = await this.#database.call<{ readonly devices: number }>(
      'dispatch_count',
      'SELECT count(*)::int4 AS devices FROM dispatch_queue',
      [],
    );
    return rows[0]?.devices ?? 0;
  }

  /**
   * Nothing was due after all: sets the device's time to what its ledger says, or takes it out of the queue.
   */
  async release({ tenantId, deviceId }: DueDevice): Promise<void> {
    await this.#database.call('dispatch_release', 'SELECT dispatch_release($1, $2)', [tenantId, deviceId]);
  }
}
