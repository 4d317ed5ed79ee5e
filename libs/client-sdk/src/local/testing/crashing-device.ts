import { createHash, randomUUID } from 'node:crypto';
import type { DeviceIdentity, DeviceKey } from '../../net/transport.ts';
import type { Draft } from '../../outbox/make-mutation.ts';
import { MemoryDisk, MemoryStore } from '../../storage/memory-store.ts';
import { FaultyStore } from '../../testing/faulty-store.ts';
import { ackBody, storeAck } from '../acks.ts';
import { LocalState } from '../local-state.ts';
import { storePull, storePush } from '../store-answers.ts';
import { takeBatch } from '../take-batch.ts';
import { WriteQueue } from '../write-queue.ts';
import { ModelServer } from './model-server.ts';

export const IDENTITY = { tenantId: 't', userId: 'u', deviceId: 'dev' };
export const SCOPE = 'user:u';
export const NOW = '2026-01-01T00:00:00.000Z';
export const MUCH_LATER = '2026-01-01T01:00:00.000Z';
export const KEY: DeviceKey = {
  sign: async (text) => createHash('sha256').update(text).digest('base64'),
  tag: async (text) => createHash('sha256').update(text).digest('base64'),
};
const ALL = { mutations: 500, bytes: 1_000_000 };

export interface Crash {
  readonly commit: number;
  readonly when: 'before' | 'after';
}

/** An app that may die at any commit, on a disk that does not. */
export class CrashingDevice {
  readonly disk: MemoryDisk;
  readonly server: ModelServer;
  readonly identity: DeviceIdentity;
  store: FaultyStore;
  local: LocalState;
  writes: WriteQueue;
  /** Writes that the app was told to be stored, in their order. */
  readonly answered: string[] = [];
  /** Whether the app has asked for its notes. */
  isLoaded = true;
  crashes = 0;
  /** How often something found no room. */
  fullDisks = 0;

  constructor(server = new ModelServer(SCOPE), deviceId = IDENTITY.deviceId, disk = new MemoryDisk()) {
    this.server = server;
    this.disk = disk;
    this.store = new FaultyStore(new MemoryStore(disk));
    this.identity = { ...IDENTITY, deviceId };
    this.local = new LocalState(this.store, this.identity);
    this.writes = new WriteQueue(this.local, KEY);
  }

  async start(): Promise<void> {
    this.store = new FaultyStore(new MemoryStore(this.disk));
    this.local = new LocalState(this.store, this.identity);
    this.writes = new WriteQueue(this.local, KEY);
    await this.local.open();
    await this.local.lead();
    if (this.isLoaded) await this.local.load('note');
  }

  /** Does it, or dies at the named commit of it and starts again. */
  async survive(work: () => Promise<unknown>, crash: Crash | null): Promise<void> {
    const { store } = this;
    if (crash) store.crashAt(crash.commit, crash.when);
    const done = work().then(
      () => false,
      (error: unknown) => {
        if (crash) store.crashAt(Infinity, 'before');
        throw error;
      },
    );
    const hasDied = await Promise.race([done, store.crashed.then(() => true)]);
    if (!hasDied && crash) store.crashAt(Infinity, 'before');
    if (!hasDied) return;
    this.crashes += 1;
    await this.start();
  }

  async write(entityId: string, op: Draft['op'], data?: Record<string, unknown>): Promise<void> {
    const mutationId = randomUUID();
    const fields = { mutationId, scope: SCOPE, entityType: 'note', entityId, op, occurredAt: NOW };
    await this.writes.write({ ...fields, ...(data ? { data } : {}), schemaVersion: 1 });
    this.answered.push(mutationId);
  }

  /** @param isLost the answer does not arrive */
  async push(decide: Parameters<ModelServer['push']>[2], isLost = false): Promise<void> {
    const mutations = await takeBatch(this.local, ALL);
    const answer = this.server.push(mutations, `d:${this.identity.deviceId}`, decide);
    if (!isLost) await storePush(this.local, answer, NOW);
  }

  /** @param meanwhile what comes about while the answer is on its way */
  async pull(limit: number, nowIso = NOW, meanwhile = async (): Promise<void> => {}): Promise<boolean> {
    const asked = this.local.asking.nextScopes() ?? [{ scope: SCOPE, cursor: null }];
    const answer = this.server.pull(asked[0]?.cursor ?? null, limit, this.local.own);
    await meanwhile();
    const { isComplete } = await storePull(this.local, asked, answer, nowIso);
    return !isComplete;
  }

  async ack(isLost = false): Promise<void> {
    const body = ackBody(this.local);
    if (!body) return;
    this.server.ack(body.outcomes ?? []);
    if (!isLost) await storeAck(this.local, body);
  }

  get seen(): Map<string, unknown> {
    return new Map(this.local.mirror.list('note').map(({ id, data }) => [id, data]));
  }

  /** Everything goes well from now on. */
  async settle(): Promise<void> {
    for (let round = 0; round < 4; round += 1) {
      await this.push(() => 'applied');
      while (await this.pull(3, round < 2 ? NOW : MUCH_LATER));
      await this.ack();
    }
  }
}
