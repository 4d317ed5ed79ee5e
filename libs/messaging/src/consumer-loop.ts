import { setImmediate } from 'node:timers/promises';
import { commitBatches, type Refusal } from './commit-batches.ts';
import type { ConsumerContext } from './consumer-context.ts';
import { BatchRoom, type ConsumerLane, fillBatch } from './consumer-lane.ts';
import type { ConsumerPartition, LaneWork } from './consumer-partition.ts';
import { WatermarkMovedError } from './inbox-store.ts';
import { LeaseLostError } from './lease.ts';
import { Wakeup } from './pacing.ts';
import { replayLane } from './replay-lane.ts';

const IDLE_MS = 60_000;
/**
 * Shared transactions at the same time: while Postgres works on one, Node works on the other. Four took a
 * tenth more CPU for the same messages, because each had fewer of them.
 */
const MAX_SHARED = 2;
/**
 * A shared transaction that takes longer no longer keeps other lanes waiting: one more may begin beside it.
 */
const OVERLAP_MS = 50;
/** The lanes of a shared transaction that took longer come alone next: one of them may be to blame. */
const SLOW_MS = 1_000;

type Turn = Pick<LaneWork, 'partition' | 'lane'>;

/** A transaction of several lanes that is under way. */
interface Shared {
  readonly startedAt: number;
  /** More waited than went in. */
  readonly isFull: boolean;
}

/**
 * Works off all partitions of a consumer in this process. Whatever waits when a transaction begins goes into
 * it together, so that under load many messages share its cost; what comes meanwhile is in the next one. A
 * second one begins beside it only when the first was full, or takes long.
 *
 * Of a consumer that lets messages wait for company, a transaction begins when one of them has waited long
 * enough, when together they fill a transaction, or when their partition takes in no more.
 *
 * Lanes never depend on each other for long. When a shared transaction fails, each of its lanes is done
 * alone, with pauses of its own, until it has succeeded alone; so is what has to be replayed. Each partition
 * has at most one such lane in hand, beside the shared ones.
 */
export class ConsumerLoop {
  readonly #context: ConsumerContext;
  /** The one that was served last comes last. */
  readonly #partitions = new Set<ConsumerPartition>();
  readonly #shared = new Set<Shared>();
  /** Partitions of which a lane is being done alone. */
  readonly #occupied = new Set<ConsumerPartition>();
  readonly #wakeup = new Wakeup();
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(context: ConsumerContext) {
    this.#context = context;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Call it when all partitions have been stopped. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wakeup.wake();
    await this.#running;
  }

  add(partition: ConsumerPartition): void {
    if (partition.stopped) return;
    this.#partitions.add(partition);
    this.wake();
  }

  /** Takes up nothing more of it; what is in hand goes on. */
  remove(partition: ConsumerPartition): void {
    this.#partitions.delete(partition);
  }

  wake(): void {
    this.#wakeup.wake();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      // Messages that came in one read of the socket are handed over one after the other: take them together.
      await setImmediate();
      const now = performance.now();
      for (const partition of this.#partitions) this.#startAlone(partition, now);
      if (this.#startShared(now)) continue;
      await this.#wakeup.sleep(this.#pauseMs(now));
    }
  }

  #startAlone(partition: ConsumerPartition, now: number): void {
    if (this.#occupied.has(partition)) return;
    const lane = partition.lanes.find((one) => one.comesAlone && this.#readyAt(partition, one) <= now);
    if (lane === undefined) return;
    this.#occupied.add(partition);
    lane.inHand = true;
    const turn = this.#turn(partition, lane).then(() => {
      this.#occupied.delete(partition);
      this.#endTurns([{ partition, lane }]);
    });
    partition.hold(turn);
  }

  async #turn(partition: ConsumerPartition, lane: ConsumerLane): Promise<void> {
    const work = lane.replaying ? undefined : partition.nextWork(lane, new BatchRoom());
    if (work !== undefined) return this.#serve([work]);
    try {
      if (lane.replaying) await replayLane(this.#context, partition, lane);
      lane.succeeded(false);
    } catch (error) {
      await this.#postpone(partition, lane, error);
    }
  }

  /** @returns whether something was begun */
  #startShared(now: number): boolean {
    if (this.#nextSharedAt() > now) return false;
    const room = new BatchRoom();
    const works = this.#gather(now, room);
    if (works.length === 0) return false;
    const shared = { startedAt: now, isFull: room.isFull };
    this.#shared.add(shared);
    const turn = this.#serve(works).then(() => {
      this.#shared.delete(shared);
      this.#endTurns(works);
    });
    for (const partition of new Set(works.map((work) => work.partition))) partition.hold(turn);
    return true;
  }

  /** As soon as one lane is due, or all together fill the transaction, all that wait go along. */
  #gather(now: number, room: BatchRoom): LaneWork[] {
    const turns = this.#waitingTogether();
    const isDue = turns.some(({ partition, lane }) => this.#readyAt(partition, lane) <= now);
    if (!isDue && !fillBatch(turns.map(({ lane }) => lane))) return [];
    const works: LaneWork[] = [];
    for (const { partition, lane } of turns) {
      if (room.isFull) break;
      const work = partition.nextWork(lane, room);
      if (work === undefined) continue;
      lane.inHand = true;
      works.push(work);
    }
    return works;
  }

  #waitingTogether(): Turn[] {
    return [...this.#partitions].flatMap((partition) =>
      partition.lanes
        .filter((lane) => !lane.comesAlone && !lane.inHand && lane.waiting.length > 0)
        .map((lane) => ({ partition, lane })),
    );
  }

  /** When the next shared transaction may begin; `Infinity` while enough of them are under way. */
  #nextSharedAt(): number {
    if (this.#shared.size >= MAX_SHARED) return Infinity;
    const patient = [...this.#shared].filter(({ isFull }) => !isFull);
    return Math.max(-Infinity, ...patient.map(({ startedAt }) => startedAt + OVERLAP_MS));
  }

  /** Never rejects. */
  async #serve(works: readonly LaneWork[]): Promise<void> {
    const startedAt = performance.now();
    try {
      const leftOut = await commitBatches(this.#context, works);
      const wasSlow = performance.now() - startedAt > SLOW_MS;
      for (const work of works) await this.#conclude(work, leftOut.get(work), wasSlow);
    } catch (error) {
      const [only] = works;
      if (only !== undefined && works.length === 1) await this.#postpone(only.partition, only.lane, error);
      else this.#separate(works, error);
    }
  }

  async #conclude(work: LaneWork, refusal: Refusal | undefined, wasSlow: boolean): Promise<void> {
    const { partition, lane } = work;
    if (refusal !== undefined) return this.#postpone(partition, lane, refusal);
    partition.settle(work);
    lane.succeeded(wasSlow);
  }

  /** Nobody knows which of them is to blame. */
  #separate(works: readonly LaneWork[], error: unknown): void {
    const { logger, metrics, consumer, stream } = this.#context;
    for (const { lane } of works) lane.separate();
    metrics.retried(consumer, stream.name);
    logger.warn(
      { stream: stream.name, batches: works.length, err: error },
      'a shared transaction failed, each of its batches is tried alone',
    );
  }

  async #postpone(partition: ConsumerPartition, lane: ConsumerLane, error: unknown): Promise<void> {
    const { logger, metrics, consumer, stream } = this.#context;
    lane.failed(performance.now());
    const fields = { stream: stream.name, partition: partition.token, producer: lane.producer };
    if (error instanceof WatermarkMovedError || error instanceof LeaseLostError) {
      logger.warn({ ...fields, err: error }, 'another worker was faster, nothing was written');
      await partition.reload(lane).catch(() => undefined);
      return;
    }
    metrics.retried(consumer, stream.name);
    logger.warn({ ...fields, err: error, attempts: lane.attempts }, 'batch failed, will try again');
    partition.shed(lane);
  }

  #endTurns(turns: Iterable<Turn>): void {
    for (const { partition, lane } of turns) {
      lane.inHand = false;
      partition.endTurn(lane);
      if (this.#partitions.delete(partition)) this.#partitions.add(partition);
    }
    this.wake();
  }

  #readyAt(partition: ConsumerPartition, lane: ConsumerLane): number {
    return lane.readyAt(this.#context.lingerMs !== 0 && !partition.isStuck);
  }

  #pauseMs(now: number): number {
    const nextSharedAt = this.#nextSharedAt();
    const isEnough = fillBatch(this.#waitingTogether().map(({ lane }) => lane));
    let dueAt = isEnough ? Math.min(nextSharedAt, now + IDLE_MS) : now + IDLE_MS;
    for (const partition of this.#partitions) {
      const isOccupied = this.#occupied.has(partition);
      for (const lane of partition.lanes) {
        const startAt = lane.comesAlone ? (isOccupied ? Infinity : -Infinity) : nextSharedAt;
        dueAt = Math.min(dueAt, Math.max(startAt, this.#readyAt(partition, lane)));
      }
    }
    return Math.ceil(Math.max(0, dueAt - now));
  }
}
