import { hash } from 'node:crypto';
import { addToDigest, EMPTY_DIGEST, entityDigestInput } from '@sync/domain';
import { connectNats, partitionOf } from '@sync/messaging';
import { startNats } from '@sync/messaging/testing';
import { retryConflicts, type Tx } from '@sync/postgres';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import {
  DeltaBatch,
  parseDeltaBatch,
  STREAMS,
  validator,
  type ProjectedDelta,
  type RegisteredEntityType,
  type RemoteDelta,
} from '@sync/protocol';
import { Metrics } from '@sync/service-kit';
import type { VectorClock } from '@sync/vector-clock';
import type { NatsConnection } from '@nats-io/transport-node';
import { MIGRATIONS, FUNCTIONS } from '../database/schema.ts';
import { AskingDatabase } from '../projection/asking-database.ts';
import { recordRefusals, refusalsOf } from '../dead-letters/dead-letter-store.ts';
import type { IncomingEvent } from '../projection/incoming-event.ts';
import type { ProjectionMode } from '../projection/project-entities.ts';
import { ProjectEvents, type EventOutcome } from '../projection/project-events.ts';
import { ProjectionMetrics } from '../projection/projection-metrics.ts';
import { RemoteProjector } from '../projection/remote-projector.ts';
import { WholeDocuments } from '../projection/whole-documents.ts';
import { FixedTypes } from './domain-events.ts';

const checkBatch = validator(DeltaBatch);

/** A message of DELTAS with each RemoteDelta beside its place. */
type WrittenBatch = Omit<DeltaBatch, 'deltas' | 'wires'> & {
  readonly partition: number;
  readonly deltas: readonly (ProjectedDelta & { readonly wire: RemoteDelta })[];
};

/** A projector's database and its projection, without a consumer in front. */
export class ProjectorRig {
  readonly test: TestDatabase;
  readonly nats: NatsConnection;
  readonly types: FixedTypes;
  readonly metrics = new ProjectionMetrics(new Metrics('delta-projector'));
  readonly asking: AskingDatabase;
  readonly projection: ProjectEvents;

  private constructor(test: TestDatabase, nats: NatsConnection, types: FixedTypes, nowMs: () => number) {
    this.test = test;
    this.nats = nats;
    this.types = types;
    const remote = new RemoteProjector(nats, nowMs);
    this.asking = new AskingDatabase(test.database, { types, remote, documents: new WholeDocuments(nats) });
    this.projection = new ProjectEvents(types, this.asking, 'main');
  }

  /** @param nowMs the time of the circuits of remote projectors */
  static async open(
    registrations?: readonly RegisteredEntityType[],
    nowMs: () => number = Date.now,
  ): Promise<ProjectorRig> {
    const postgres = await startPostgres();
    const schema = { migrations: MIGRATIONS, functions: FUNCTIONS };
    const test = await createTestDatabase({ postgres, name: 'projector', poolSize: 20, ...schema });
    const nats = await connectNats({ url: (await startNats()).url, name: 'test' });
    return new ProjectorRig(test, nats, new FixedTypes(registrations), nowMs);
  }

  async close(): Promise<void> {
    await this.nats.close();
    await this.test.drop();
  }

  /** One transaction as the consumer makes it, started over on deadlock as the consumer's worker does. */
  async project(
    events: readonly IncomingEvent[],
    mode: ProjectionMode = 'live',
  ): Promise<readonly EventOutcome[]> {
    return retryConflicts(() => this.asking.transaction((tx) => this.projectIn(tx, events, mode)), {
      attempts: 20,
    });
  }

  async projectIn(
    tx: Tx,
    events: readonly IncomingEvent[],
    mode: ProjectionMode = 'live',
  ): Promise<readonly EventOutcome[]> {
    const outcomes = await this.projection.project(tx, events, mode);
    await recordRefusals(tx, refusalsOf(events, outcomes), new Date());
    return outcomes;
  }

  /**
   * Every message of DELTAS written so far, in the order in which a relay would number them; checked against
   * its schema.
   */
  async deltaBatches(): Promise<WrittenBatch[]> {
    const rows = await this.#outbox('DELTAS');
    return rows.map(({ partition, payload }) => {
      const checked = checkBatch(parseDeltaBatch(payload));
      if (!checked.ok) throw new Error(`Not a DeltaBatch: ${JSON.stringify(checked.faults)}`);
      const { wires, ...batch } = checked.value as DeltaBatch;
      const deltas = batch.deltas.map((delta, at) => ({ ...delta, wire: wires[at] as RemoteDelta }));
      return { ...batch, deltas, partition };
    });
  }

  async syncEvents(): Promise<{ type: string; userid?: string; data: Record<string, unknown> }[]> {
    const rows = await this.#outbox('SYNC_EVENTS');
    return rows.flatMap(
      ({ payload }) => JSON.parse(payload) as { type: string; data: Record<string, unknown> }[],
    );
  }

  async #outbox(stream: string): Promise<{ partition: number; payload: string }[]> {
    return this.test.database.call(
      'outbox',
      'SELECT partition, payload FROM sync_outbox WHERE stream = $1 ORDER BY id',
      [stream],
    );
  }

  /** Rows of a tenant, as the app role sees them. */
  async rows<T>(tenant: string, sql: string): Promise<T[]> {
    return this.test.database.inTenant(tenant, (tx) => tx.query<T>(sql));
  }

  async deadLetters(
    tenant = 't1',
  ): Promise<{ code: string; status: string; entity_id: string; event: string }[]> {
    return this.rows(tenant, 'SELECT code, status, entity_id, event FROM dead_letter ORDER BY id');
  }

  /**
   * What a gateway would know after all messages: per scope its live entities and its head. Fails unless each
   * message is complete in itself, in its scope's partition, and continues its scope without a gap.
   */
  async readModel(): Promise<
    Map<string, { live: Map<string, VectorClock>; sequence: string; epoch: string }>
  > {
    const scopes = new Map<string, { live: Map<string, VectorClock>; sequence: string; epoch: string }>();
    for (const batch of await this.deltaBatches()) {
      const touched = new Set<string>();
      for (const { tenantId, scope, sequence, entityType, entityId, deleted, wire } of batch.deltas) {
        const key = `${tenantId} ${scope}`;
        if (partitionOf(`${tenantId}\0${scope}`, STREAMS.DELTAS.partitions) !== batch.partition) {
          throw new Error(`${key} is in partition ${batch.partition}`);
        }
        const known = scopes.get(key) ?? { live: new Map<string, VectorClock>(), sequence: '0', epoch: '' };
        if (BigInt(sequence) !== BigInt(known.sequence) + 1n) throw new Error(`${key} jumps to ${sequence}`);
        if (deleted) known.live.delete(`${entityType} ${entityId}`);
        else known.live.set(`${entityType} ${entityId}`, wire.clock);
        scopes.set(key, { ...known, sequence });
        touched.add(key);
      }
      for (const head of batch.scopes) {
        const key = `${head.tenantId} ${head.scope}`;
        const known = scopes.get(key);
        const actual = { sequence: known?.sequence, count: known?.live.size, hash: digestOf(known?.live) };
        const { sequence, count, hash: told } = head;
        if (JSON.stringify(actual) !== JSON.stringify({ sequence, count, hash: told })) {
          throw new Error(
            `${key}: the message says ${JSON.stringify(head)}, its deltas say ${JSON.stringify(actual)}`,
          );
        }
        if (known !== undefined) scopes.set(key, { ...known, epoch: head.epoch });
        touched.delete(key);
      }
      if (touched.size > 0) throw new Error(`No head for ${[...touched].join(', ')}`);
    }
    return scopes;
  }

  /** A scope's digest by its definition, from the entity heads alone. */
  async digestFromHeads(tenant: string, scope: string): Promise<{ count: number; hash: string }> {
    const rows = await this.rows<{
      entity_type: string;
      entity_id: string;
      clock: VectorClock;
      scopes: string[];
    }>(tenant, 'SELECT entity_type, entity_id, clock, scopes FROM entity_head WHERE NOT deleted');
    const live = rows.filter((row) => row.scopes.includes(scope));
    const clocks = live.map((row) => [`${row.entity_type} ${row.entity_id}`, row.clock] as const);
    return { count: live.length, hash: digestOf(new Map(clocks)) };
  }
}

function digestOf(live: ReadonlyMap<string, VectorClock> = new Map()): string {
  return [...live].reduce((sum, [name, clock]) => {
    const [entityType = '', entityId = ''] = name.split(' ');
    return addToDigest(sum, hash('sha256', entityDigestInput(entityType, entityId, clock), 'hex'));
  }, EMPTY_DIGEST);
}
