import { randomUUID } from 'node:crypto';
import type { OwnerPushResult, PushedMutation } from '@sync/protocol';
import { mergeClocks, type VectorClock } from '@sync/vector-clock';
import * as Y from 'yjs';
import type { KeepDocumentsOptions } from '../index.ts';
import type { PageRig } from './page-rig.ts';

/**
 * A device with a copy of one page; what `text` is changed by waits as mutations until `push` sends them in
 * one batch.
 */
export class PageDevice {
  readonly doc = new Y.Doc();
  readonly deviceId: string;
  readonly userId: string;
  readonly entityId: string;
  readonly #rig: PageRig;
  #baseClock: VectorClock = {};
  #counter = 0;
  #unsent: PushedMutation[] = [];

  constructor(rig: PageRig, entityId: string, deviceId: string, userId = `user-${deviceId}`) {
    this.#rig = rig;
    this.entityId = entityId;
    this.deviceId = deviceId;
    this.userId = userId;
    this.doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== 'pull') this.#unsent.push(this.merge(update));
    });
  }

  get text(): Y.Text {
    return this.doc.getText('body');
  }

  merge(update: Uint8Array): PushedMutation {
    const baseClock = this.#baseClock;
    this.#counter += 1;
    this.#baseClock = { ...baseClock, [`d:${this.deviceId}`]: this.#counter };
    return {
      mutationId: randomUUID(),
      userId: this.userId,
      deviceId: this.deviceId,
      scope: 'user:u1',
      entityType: 'page',
      entityId: this.entityId,
      op: 'merge',
      data: null,
      update: Buffer.from(update).toString('base64'),
      clock: this.#baseClock,
      baseClock,
      expectedRevision: 0,
      occurredAt: '2026-03-01T10:00:00.000Z',
      schemaVersion: 1,
    };
  }

  async pull(): Promise<this> {
    const page = await this.#rig.pageNow(this.entityId);
    Y.applyUpdate(this.doc, Buffer.from(page.body, 'base64'), 'pull');
    this.#baseClock = mergeClocks(this.#baseClock, page.clock);
    return this;
  }

  /** What it has of the page without having pulled it, as from a backup. */
  restore(state: Uint8Array, clock: VectorClock): void {
    Y.applyUpdate(this.doc, state, 'pull');
    this.#baseClock = clock;
  }

  /** Forgets what waits. */
  drop(): void {
    this.#unsent = [];
  }

  /** As the gateway sends a lane: consecutive revisions, each clock merged with the entity's. */
  async push(
    extra: readonly PushedMutation[] = [],
    options?: Partial<KeepDocumentsOptions>,
  ): Promise<OwnerPushResult[]> {
    const page = await this.#rig.pageNow(this.entityId);
    const mutations = [...this.#unsent, ...extra].map((mutation, index) => ({
      ...mutation,
      clock: mergeClocks(page.clock, mutation.clock),
      expectedRevision: page.revision + index,
    }));
    this.#unsent = [];
    return this.#rig.push(mutations, options);
  }

  /** One after the other, as a gateway does it in the end when the owner refuses one of them. */
  async pushEach(): Promise<OwnerPushResult[]> {
    const results: OwnerPushResult[] = [];
    for (const mutation of this.#unsent.splice(0)) results.push(...(await this.push([mutation])));
    return results;
  }

  replace(from: string, to: string): void {
    const at = this.text.toJSON().indexOf(from);
    this.text.delete(at, from.length);
    this.text.insert(at, to);
  }
}
