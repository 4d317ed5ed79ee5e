import { randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import {
  accept,
  defineEntity,
  jsonEntityStore,
  jsonEntityTableSql,
  mutatedData,
  type Owner,
  ownerMigrations,
  reject,
  startOwner,
} from '@sync/owner-sdk';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import { type ResolutionTarget, type SyncEvent, subjects } from '@sync/protocol';
import { createLogger, Metrics } from '@sync/service-kit';
import type { VectorClock } from '@sync/vector-clock';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { askOwner } from '../resolve/ask-owner.ts';
import { ResolutionMetrics } from '../resolve/resolution-metrics.ts';
import type { ResolutionRequest } from '../resolve/plan-resolution.ts';
import { type AskOwner, ResolveConflict } from '../resolve/resolve-conflict.ts';
import { noSuggestions, type SuggestionSource } from '../suggestions/suggestion-source.ts';
import { ConflictRig, DRAFT } from './conflict-rig.ts';

class CreateNotes1700000000200 implements MigrationInterface {
  readonly name = 'CreateNotes1700000000200';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(jsonEntityTableSql('note'));
  }

  async down(): Promise<void> {
    // Forward only.
  }
}

const note = defineEntity({
  entityType: 'note',
  schemaVersion: 1,
  policy: 'lww',
  review: 'collisions',
  projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
  ...jsonEntityStore('note'),
  handle(mutation, current) {
    const data = mutatedData(mutation, current);
    if (data?.['text'] === 'boom') throw new Error('the handler is broken');
    if (data?.['text'] === 'rude') return reject('rude', 'the service does not like it');
    return accept(data);
  },
});

const SERVICE = 'learning';
export const silent = createLogger({ service: 'test', level: 'silent' });

/** An open conflict about a note that exists at its owner. */
export interface HeldConflict {
  readonly tenantId: string;
  readonly conflictId: string;
  readonly noteId: string;
}

/** A resolver and an owning service of notes, each with its own database, on real NATS. */
export class ResolutionRig {
  readonly conflicts: ConflictRig;
  readonly learning: TestDatabase;
  readonly nats: NatsConnection;
  readonly #server: RunningNats;
  #owner: Owner;

  private constructor(
    conflicts: ConflictRig,
    learning: TestDatabase,
    server: RunningNats,
    nats: NatsConnection,
  ) {
    this.conflicts = conflicts;
    this.learning = learning;
    this.#server = server;
    this.nats = nats;
    this.#owner = this.#startOwner();
  }

  static async start(): Promise<ResolutionRig> {
    const conflicts = await ConflictRig.start();
    const postgres = await startPostgres();
    const migrations = [...ownerMigrations, CreateNotes1700000000200];
    const learning = await createTestDatabase({ postgres, name: 'resolved_notes', migrations });
    const server = await startNats({ own: true });
    const nats = await connectNats({ url: server.url, name: 'resolution-rig', logger: silent });
    return new ResolutionRig(conflicts, learning, server, nats);
  }

  /**
   * A resolver process.
   * @param ask stands between it and the owner, to die there
   * @param waitMs for the request before; as good as for ever, so that a slow machine changes no result
   */
  resolver(ask?: AskOwner, suggestions: SuggestionSource = noSuggestions, waitMs = 60_000): ResolveConflict {
    const { test, owner } = this.conflicts;
    const context = { owner, suggestions, now: () => new Date(), waitMs };
    return new ResolveConflict(
      test.database,
      context,
      ask ?? this.ask,
      new ResolutionMetrics(new Metrics('test')),
    );
  }

  readonly ask: AskOwner = (tenantId, claim) => askOwner(this.nats, silent, tenantId, claim);

  /** A note of user u1 with the server's text, and a held mutation of it. */
  async held(): Promise<HeldConflict> {
    const tenantId = `t-${randomUUID().slice(0, 8)}`;
    const noteId = `n-${randomUUID().slice(0, 8)}`;
    await this.change(tenantId, noteId, { userId: 'u1', text: 'server', colour: 'white' });
    const conflictId = await this.conflicts.conflict(tenantId, {
      entityId: noteId,
      draft: { ...DRAFT, entityId: noteId },
    });
    return { tenantId, conflictId, noteId };
  }

  /** A change by the service itself. */
  async change(tenantId: string, noteId: string, data: Record<string, unknown>): Promise<void> {
    await this.learning.database.inTenant(tenantId, (tx) =>
      this.#owner.change(tx, tenantId, [{ entityType: 'note', entityId: noteId, data }]),
    );
  }

  /** The note as its owner has it. */
  async note({ tenantId, noteId }: HeldConflict): Promise<{
    readonly revision: number;
    readonly clock: VectorClock;
    readonly data: Record<string, unknown> | null;
  }> {
    const [row] = await this.learning.database.inTenant(tenantId, (tx) =>
      tx.query<{ revision: string; clock: VectorClock; data: Record<string, unknown> | null }>(
        `SELECT e.revision, e.clock, n.data FROM sync_entity e LEFT JOIN note n USING (tenant_id, entity_id)
         WHERE e.tenant_id = $1 AND e.entity_id = $2`,
        [tenantId, noteId],
      ),
    );
    if (!row) throw new Error(`${noteId} does not exist`);
    return { ...row, revision: Number(row.revision) };
  }

  /** What the gateway would send: the person saw the note as it is now. */
  async request(
    held: HeldConflict,
    resolution: ResolutionRequest['resolution'],
    deviceId = 'a',
  ): Promise<ResolutionRequest> {
    const { revision, clock, data } = await this.note(held);
    const target: ResolutionTarget = {
      service: SERVICE,
      pushSubject: subjects.push(SERVICE, 'note'),
      schemaVersion: 1,
      policy: 'lww',
      revision,
      clock: { ...clock },
      data,
    };
    const { tenantId, conflictId } = held;
    return { tenantId, userId: 'u1', deviceId, conflictId, resolution, expectedClock: clock, target };
  }

  /** Lets time pass for a claim: it is overdue now. */
  async expire({ tenantId, conflictId }: HeldConflict): Promise<void> {
    await this.conflicts.test.database.inTenant(tenantId, async (tx) => {
      await tx.query(`UPDATE conflict_claim SET expires_at = now() WHERE conflict_id = $1`, [conflictId]);
      await tx.query(`UPDATE open_conflict SET due_at = now() WHERE conflict_id = $1`, [conflictId]);
    });
  }

  async syncEvents(tenantId: string): Promise<SyncEvent[]> {
    const rows = await this.conflicts.test.database.transaction((tx) =>
      tx.query<{ payload: string }>(
        `SELECT payload FROM sync_outbox WHERE stream = 'SYNC_EVENTS' ORDER BY id`,
      ),
    );
    return rows
      .flatMap(({ payload }) => JSON.parse(payload) as SyncEvent[])
      .filter(({ tenantid }) => tenantid === tenantId);
  }

  /** The owner is away until `startAgain`. */
  async stopOwner(): Promise<void> {
    await this.#owner.stop();
  }

  startAgain(): Promise<void> {
    this.#owner = this.#startOwner();
    return this.nats.flush();
  }

  async stop(): Promise<void> {
    await this.#owner.stop();
    await this.nats.close();
    await this.#server.stop();
    await this.learning.drop();
    await this.conflicts.stop();
  }

  #startOwner(): Owner {
    const { nats, learning } = this;
    return startOwner({
      service: SERVICE,
      database: learning.database,
      nats,
      entities: [note],
      logger: silent,
    });
  }
}
