import { type FieldWrite, POLICIES, readJson } from '@sync/domain';
import type { OwnerPushResult } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import { counterOf, deviceReplica, FOLDED_REPLICA, type ReplicaId } from '@sync/vector-clock';
import type { Submission } from '../decide/submission.ts';
import type { Author } from '../outcome/settlement.ts';
import type { PushMetrics } from '../push-metrics.ts';

/** A change that its owner has applied, as its event has to tell of it. */
interface Applied {
  readonly revision: number;
  readonly by: ReplicaId;
  readonly counter: number;
  readonly occurredAtMs: number;
  readonly sentAtMs: number;
  /** It went as its device sent it, and names fields: the event shows that it wrote them. */
  readonly isWriter: boolean;
}

/** What the events of an owner lack. */
type Lack = 'device' | 'time' | 'writes';

/** A few megabytes. What is forgotten is only not compared. */
const MAX_KNOWN = 10_000;
/** So often before it is said: a single time, a snapshot may have overtaken the event. */
const MIN_FOUND = 3;

/**
 * Finds owning services whose events do not say which device made a change, when, and what it wrote
 * (OWNER-20): last-write-wins then goes by the wrong order, and nothing fails.
 *
 * What an owner has applied is compared with the read model when the next mutation of the same entity brings
 * that along, so nothing is read for it; what another replica sent is not compared. An owner that answers
 * with clocks counts like the SDK, and is left alone.
 */
export class WatchWriters {
  readonly #logger: Logger;
  readonly #metrics: PushMetrics;
  readonly #applied = new Map<string, Applied>();
  /** How often, by type and what is missing; bounded by the number of registrations. */
  readonly #found = new Map<string, number>();

  constructor(logger: Logger, metrics: PushMetrics) {
    this.#logger = logger;
    this.#metrics = metrics;
  }

  /** Before mutations are sent: compares what was applied before with what the read model has made of it. */
  look({ tenantId }: Author, submissions: readonly Submission[]): void {
    for (const { work } of submissions) {
      const { head, registration } = work;
      if (!head) continue;
      const key = keyOf(tenantId, work);
      const applied = this.#applied.get(key);
      if (!applied || head.revision < applied.revision) continue;
      this.#applied.delete(key);
      const lack = lackOf(applied, head, POLICIES[registration.policy].comparesFields);
      if (lack !== null) this.#tell(registration, lack);
    }
  }

  /** After they were sent. */
  note(
    { tenantId, deviceId }: Author,
    submissions: readonly Submission[],
    results: ReadonlyMap<string, OwnerPushResult>,
    sentAtMs: number,
  ): void {
    for (const { work, change } of submissions) {
      const result = results.get(work.mutation.mutationId);
      if (result?.status !== 'applied' || result.clock !== undefined) continue;
      const by = deviceReplica(deviceId);
      const counter = counterOf(change.clock, by);
      // From an earlier attempt, or without a dot of its own.
      if (result.revision !== change.expectedRevision + 1 || counter <= counterOf(work.head?.clock ?? {}, by))
        continue;
      const { occurredAtMs } = work.mutation;
      const isWriter = change.status === 'applied' && Object.keys(change.data ?? {}).length > 0;
      const { revision } = result;
      this.#remember(keyOf(tenantId, work), { revision, by, counter, occurredAtMs, sentAtMs, isWriter });
    }
  }

  #remember(key: string, applied: Applied): void {
    this.#applied.delete(key);
    this.#applied.set(key, applied);
    const [oldest = ''] = this.#applied.keys();
    if (this.#applied.size > MAX_KNOWN) this.#applied.delete(oldest);
  }

  #tell({ service: owner, entityType }: Submission['work']['registration'], missing: Lack): void {
    this.#metrics.unattributed.inc({ owner, entityType, missing });
    const what = `${owner} ${entityType} ${missing}`;
    const found = (this.#found.get(what) ?? 0) + 1;
    this.#found.set(what, found);
    if (found !== MIN_FOUND) return;
    const fields = { event: 'change_unattributed', owner, entityType, missing };
    this.#logger.warn(fields, 'events of an owner do not say who made a change and when: see OWNER-20');
  }
}

const keyOf = (tenantId: string, { mutation: { entityType, entityId } }: Submission['work']): string =>
  [tenantId, entityType, entityId].join('\0');

function lackOf(
  { revision, by, counter, occurredAtMs, sentAtMs, isWriter }: Applied,
  { revision: shown, clock, fieldWrites }: NonNullable<Submission['work']['head']>,
  comparesFields: boolean,
): Lack | null {
  // Of a folded clock nobody can tell any more.
  if (counterOf(clock, FOLDED_REPLICA) > 0) return null;
  if (counterOf(clock, by) < counter) return 'device';
  // A later change may have written over it.
  if (!comparesFields || !isWriter || shown !== revision || fieldWrites === null) return null;
  const writes = Object.values(readJson(fieldWrites) as Record<string, FieldWrite>);
  const own = writes.filter((write) => write.by === by && write.counter === counter);
  if (own.length === 0) return 'writes';
  // What the projector moves behind an earlier write still comes before the request.
  return own.every(({ atMs }) => atMs > occurredAtMs && atMs >= sentAtMs) ? 'time' : null;
}
