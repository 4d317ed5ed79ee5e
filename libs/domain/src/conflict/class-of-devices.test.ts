/**
 * A class of 300 shares an entity for a year of rounds: nothing unseen is overwritten unrecorded, and nothing
 * seen is taken for a conflict.
 */
import { describe, expect, it } from '@jest/globals';
import { FOLDED_REPLICA, counterOf } from '@sync/vector-clock';
import type { MutationOp } from '../entity.ts';
import { ClassDevice, randomOf } from '../testing/class-of-devices.ts';
import type { Waiting } from '../testing/class-of-devices.ts';
import { ServerModel } from '../testing/server-model.ts';
import type { Decision } from './decision.ts';
import type { ConflictPolicy } from './policies.ts';

const OPS = { lww: 'patch', server_authoritative: 'patch', crdt_yjs: 'merge' } as const satisfies Partial<
  Record<ConflictPolicy, MutationOp>
>;

/** The entity and, beside it, who really wrote what when. */
class SharedEntity {
  readonly server: ServerModel;
  readonly faults: string[] = [];
  readonly merged = { applied: 0, recorded: 0 };
  /** The author of each revision, and of each field the last one. */
  readonly #authors = ['service', 'service'];
  readonly #fields = new Map<string, number>();

  constructor(policy: ConflictPolicy, counts: 'owner' | 'projector') {
    this.server = new ServerModel({ policy, counts, passesDecidedWrites: true });
    this.server.changeOnServer({ f: 'none', g: 'none', h: 'none' }, 0);
    for (const field of ['f', 'g', 'h']) this.#fields.set(field, 1);
  }

  get revision(): number {
    return this.server.head?.revision ?? 0;
  }

  push(waiting: Waiting): void {
    const decision = this.server.push(waiting.mutation);
    this.#check(waiting, decision);
    if (decision.kind !== 'submit') return;
    this.#authors[this.revision] = waiting.mutation.deviceId;
    for (const field of Object.keys(decision.data ?? {})) this.#fields.set(field, this.revision);
  }

  #check({ mutation, pulled }: Waiting, decision: Decision): void {
    const unseen = (revision: number): boolean =>
      revision > pulled && this.#authors[revision] !== mutation.deviceId;
    const before = decision.kind === 'submit' ? this.revision - 1 : this.revision;
    const missed = Array.from({ length: before - pulled }, (_, at) => pulled + 1 + at).some(unseen);
    const applied = decision.kind === 'submit' && decision.status === 'applied';
    if (applied) this.merged.applied += 1;
    if (applied && missed) this.faults.push(`${mutation.mutationId} is clean, and has not seen everything`);
    if (decision.kind === 'reject' && !missed) this.faults.push(`${mutation.mutationId} is rejected`);
    const collided = Object.keys(mutation.data ?? {}).filter((field) => unseen(this.#fields.get(field) ?? 0));
    const recorded = (decision.record?.fields ?? []).map(({ field }) => field);
    this.merged.recorded += recorded.length;
    if (decision.kind !== 'reject' && String(collided) !== String(recorded)) {
      this.faults.push(
        `${mutation.mutationId} collides in ${String(collided)}, recorded: ${String(recorded)}`,
      );
    }
  }
}

describe('a class of 300 devices', () => {
  const policies = Object.keys(OPS) as (keyof typeof OPS)[];
  it.each(policies.flatMap((policy) => [[policy, 'owner'] as const, [policy, 'projector'] as const]))(
    'shares an entity for years (%s, counted by the %s)',
    (policy, counts) => {
      const random = randomOf(7);
      const devices = Array.from({ length: 300 }, (_, index) => new ClassDevice(index));
      const entity = new SharedEntity(policy, counts);
      for (let round = 0; round < 3_000; round += 1) {
        const device = devices[Math.floor(random() * devices.length)] as ClassDevice;
        const dice = random();
        // Half of the rounds are a device that is online.
        if (dice < 0.65) device.pull(entity.server.head?.clock ?? {}, entity.revision);
        if (dice < 0.5 || dice > 0.85)
          device.write(OPS[policy], 'fgh'.charAt(Math.floor(random() * 3)), round);
        if (dice < 0.5 || (dice > 0.65 && dice < 0.85)) {
          for (const waiting of device.outbox.splice(0)) entity.push(waiting);
        }
      }
      expect(entity.faults).toEqual([]);
      expect(counterOf(entity.server.head?.clock ?? {}, FOLDED_REPLICA)).toBeGreaterThan(100);
      expect(entity.merged.applied).toBeGreaterThan(0);
    },
  );
});
