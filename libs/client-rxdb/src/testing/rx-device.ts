import type { Answer, Call, Clock, LiveLine, LiveListener, SyncError, Transport } from '@sync/client';
import {
  type DeviceLink,
  type TestEntityType,
  type TestServer,
  createTestServer,
} from '@sync/client-testing';
import type { Outcome, PushResponse } from '@sync/protocol';
import { type RxCollection, type RxConflictHandler, type RxDatabase, createRxDatabase } from 'rxdb';
import { type RxReplicationState, replicateRxCollection } from 'rxdb/plugins/replication';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory';
import { type Checkpoint, createRxSync, deviceSchema, syncStateSchema } from '../index.ts';

export interface Note {
  readonly id: string;
  readonly text: string;
  readonly colour?: string;
  readonly syncState?: object;
}
export type Notes = RxCollection<Note>;

export const SCOPE = 'user:u';
const BATCH_SIZE = 10;
/** What it has outlives a database that is closed. */
const storage = getRxStorageMemory();
let databases = 0;

export const noteSchema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: {
    id: { type: 'string', maxLength: 100 },
    text: { type: 'string' },
    colour: { type: 'string' },
    syncState: syncStateSchema,
  },
  required: ['id', 'text'],
} as const;

export const makeServer = (note: Partial<TestEntityType> = {}): TestServer =>
  createTestServer({
    entities: { note: { policy: 'lww', ...note }, page: { policy: 'lww', scopes: ['course:c'] } },
  });

export interface RxDeviceOptions {
  /** The name of a database that is there; a new one where nothing is said. */
  readonly database?: string;
  /** Of its replications. */
  readonly identifier?: string;
  readonly pollMs?: number;
  readonly clock?: Clock;
  readonly hasSocket?: boolean;
  /** The server says how mutations ended in pulls only, as it may (PUSH-20). */
  readonly onlyAccepts?: boolean;
  readonly conflictHandler?: RxConflictHandler<Note>;
}

/** An app on RxDB, with two collections that are replicated. */
export class RxDevice {
  readonly outcomes: Outcome[] = [];
  readonly ended: SyncError[] = [];
  readonly errors: unknown[] = [];
  readonly #replications: RxReplicationState<Note, Checkpoint>[] = [];

  readonly link: DeviceLink;
  readonly db: RxDatabase;
  readonly notes: Notes;
  readonly pages: Notes;

  private constructor(link: DeviceLink, db: RxDatabase, notes: Notes, pages: Notes) {
    this.link = link;
    this.db = db;
    this.notes = notes;
    this.pages = pages;
  }

  static async open(
    server: TestServer,
    deviceId: string,
    {
      database = `${deviceId}${(databases += 1)}`,
      pollMs,
      clock,
      hasSocket = true,
      onlyAccepts = false,
      identifier = 'sync',
      conflictHandler,
    }: RxDeviceOptions = {},
  ): Promise<RxDevice> {
    const link = server.device({ userId: 'u', deviceId });
    const db = await createRxDatabase({ name: database, storage, multiInstance: false });
    const resolving = conflictHandler ? { conflictHandler } : {};
    const { notes, pages, device } = await db.addCollections({
      notes: { schema: noteSchema, ...resolving },
      pages: { schema: noteSchema },
      device: { schema: deviceSchema },
    });
    const rx = new RxDevice(link, db, notes as Notes, pages as Notes);
    const { identity, key } = link.options;
    const sync = createRxSync({
      ...{ identity, key, device: device as never },
      transport: hasSocket ? withSocket(link, server, onlyAccepts) : link,
      onOutcome: (outcome) => rx.outcomes.push(outcome),
      onEnded: (error) => rx.ended.push(error),
      ...(pollMs === undefined ? {} : { pollMs }),
      ...(clock ? { clock } : {}),
    });
    for (const handlers of [
      sync.handlers(rx.notes, { entityType: 'note', scope: SCOPE }),
      sync.handlers(rx.pages, { entityType: 'page', scope: 'course:c' }),
    ]) {
      const { pull, push, collection } = handlers;
      const replication = replicateRxCollection<Note, Checkpoint>({
        ...{ collection, replicationIdentifier: `${collection.name}-${identifier}`, retryTime: 20 },
        ...{ pull: { ...pull, batchSize: BATCH_SIZE }, push, autoStart: false },
      });
      replication.error$.subscribe((error) => rx.errors.push(error));
      rx.#replications.push(replication);
    }
    return rx;
  }

  start(): void {
    for (const each of this.#replications) void each.start();
  }

  /** Everything that is known is sent and stored. */
  async inSync(): Promise<void> {
    for (const each of this.#replications) {
      await each.awaitInitialReplication();
      each.reSync();
      await each.awaitInSync();
    }
  }

  async shown(collection: Notes = this.notes): Promise<Record<string, string>> {
    const all = await collection.find().exec();
    return Object.fromEntries(all.map(({ id, text, colour }) => [id, colour ? `${text}, ${colour}` : text]));
  }

  /** How often a path was asked for. */
  count(operation: string): number {
    return this.link.calls.filter(({ path }) => path === `/sync/v1/${operation}`).length;
  }

  async close(): Promise<void> {
    await this.db.close();
  }
}

/** What the socket of a gateway tells, by the server's own announcements. */
function withSocket(link: DeviceLink, server: TestServer, onlyAccepts: boolean): Transport {
  const listen = ({ onNotice, onState }: LiveListener): LiveLine => {
    const stop = server.follow(link.options.identity, (scopes) =>
      scopes ? onNotice(scopes) : onState({ kind: 'ended', why: 'revoked' }),
    );
    onState({ kind: 'open' });
    return { wake: () => undefined, close: stop };
  };
  const send = async <T>(call: Call): Promise<Answer<T>> => {
    const answer = await link.send<T>(call);
    if (!onlyAccepts || !answer.ok || !call.path.endsWith('push')) return answer;
    const { outcomes } = answer.body as PushResponse;
    const kept = outcomes.map(({ mutationId }) => ({ mutationId, status: 'accepted' }));
    return { ok: true, body: { ...answer.body, outcomes: kept } };
  };
  return { send, listen };
}

/** Lets what waits for nothing but its turn go on, until it is so. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; !(await isSo()); turn += 1) {
    if (turn > 2_000) throw new Error('it never came to be so');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
