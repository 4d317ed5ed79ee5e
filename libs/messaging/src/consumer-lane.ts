import type { JsMsg } from '@nats-io/jetstream';
import { backoffMs } from '@sync/domain';

/** A message that waits for its turn. */
export interface Incoming {
  /** Null for a plain message. */
  readonly number: number | null;
  readonly message: JsMsg;
  readonly bytes: number;
  readonly receivedAt: number;
  /** Until when it waits for company. */
  readonly dueAt: number;
}

const RETRY_BACKOFF = { baseMs: 100, capMs: 10_000 } as const;
/** Bounds of one transaction, over all its lanes. */
export const BATCH = { messages: 64, bytes: 1_048_576 } as const;

/** What one transaction still has room for; its first message may have any size. */
export class BatchRoom {
  #messages = 0;
  #bytes = 0;
  #isFull = false;

  /** Something was refused. */
  get isFull(): boolean {
    return this.#isFull;
  }

  get isUsedUp(): boolean {
    return this.#isFull || this.#messages >= BATCH.messages || this.#bytes >= BATCH.bytes;
  }

  /** @returns whether a message of so many bytes still goes in */
  take(bytes: number): boolean {
    const fits = this.#messages === 0 || this.#bytes + bytes <= BATCH.bytes;
    if (!fits || this.#messages >= BATCH.messages) {
      this.#isFull = true;
      return false;
    }
    this.#messages += 1;
    this.#bytes += bytes;
    return true;
  }
}

/** Whether more messages would not make the transaction of what waits in these lanes any larger. */
export function fillBatch(lanes: Iterable<ConsumerLane>): boolean {
  const room = new BatchRoom();
  for (const { waiting } of lanes) {
    for (const { bytes } of waiting) {
      room.take(bytes);
      if (room.isUsedUp) return true;
    }
  }
  return false;
}

/**
 * The messages of one producer and epoch in one partition. Lanes fail and wait independently of each other: a
 * producer that is down with a gap open does not hold back the others. Pure bookkeeping, no input or output.
 */
export class ConsumerLane {
  readonly producer: string;
  /** Null for plain messages, which have no numbers and no watermark. */
  readonly epoch: string | null;
  /** Last number whose effects are committed. */
  watermark: number;
  /** Last number the producer announced. */
  head = 0;
  /** A number is missing, or the head is ahead without anything arriving. */
  replaying = false;
  /** In a transaction, or being replayed: nobody else may take it up. */
  inHand = false;
  #isApart = false;
  #attempts = 0;
  #retryAt = 0;
  readonly #waiting: Incoming[] = [];
  /** Watermark at the last announcement, if that announced another number. */
  #standing: { readonly at: number; readonly behind: boolean } | undefined;

  constructor(producer: string, epoch: string | null, watermark: number) {
    this.producer = producer;
    this.epoch = epoch;
    this.watermark = watermark;
  }

  /** Shares no transaction with other lanes. */
  get comesAlone(): boolean {
    return this.#isApart || this.replaying;
  }

  /** Failures since it last succeeded. */
  get attempts(): number {
    return this.#attempts;
  }

  get waiting(): readonly Incoming[] {
    return this.#waiting;
  }

  /**
   * When the lane has something to do: after a failure's pause, and when a message has waited for company
   * long enough, or the lane fills a transaction. Infinity: nothing is known to come, or somebody is at it.
   *
   * @param waits whether messages wait for company
   */
  readyAt(waits: boolean): number {
    if (this.inHand) return Infinity;
    if (this.replaying) return this.#retryAt;
    if (this.#waiting.length === 0) return Infinity;
    if (!waits || fillBatch([this])) return this.#retryAt;
    return Math.max(this.#retryAt, Math.min(...this.#waiting.map(({ dueAt }) => dueAt)));
  }

  /**
   * Keeps numbers sorted: a redelivered message comes after its successors. @returns a delivery it replaces
   */
  add(incoming: Incoming): Incoming | undefined {
    const { number } = incoming;
    if (number === null) {
      this.#waiting.push(incoming);
      return undefined;
    }
    let at = this.#waiting.length;
    while (at > 0 && (this.#waiting[at - 1]?.number ?? 0) >= number) at -= 1;
    const same = this.#waiting[at]?.number === number;
    return this.#waiting.splice(at, same ? 1 : 0, incoming)[0];
  }

  /** Removes and returns what the watermark already covers. */
  takeDuplicates(): Incoming[] {
    const first = this.#waiting.findIndex(({ number }) => number === null || number > this.watermark);
    return this.#waiting.splice(0, first < 0 ? this.#waiting.length : first);
  }

  /**
   * The next messages without a hole after the watermark, as many as there is room for; they stay until
   * {@link take}.
   */
  nextRun(room: BatchRoom): Incoming[] {
    const run: Incoming[] = [];
    for (const incoming of this.#waiting) {
      if (incoming.number !== null && incoming.number !== this.watermark + run.length + 1) break;
      if (!room.take(incoming.bytes)) break;
      run.push(incoming);
    }
    return run;
  }

  /** A number is missing before everything that waits. */
  get hasGap(): boolean {
    const number = this.#waiting[0]?.number ?? null;
    return number !== null && number > this.watermark + 1;
  }

  /** Shares no transaction with other lanes until it has succeeded alone. */
  separate(): void {
    this.#isApart = true;
  }

  /** Waits before it is tried again, alone. */
  failed(now: number): void {
    this.#isApart = true;
    this.#attempts += 1;
    this.#retryAt = now + backoffMs(this.#attempts, RETRY_BACKOFF, Math.random());
  }

  /** @param wasSlow it comes alone the next time */
  succeeded(wasSlow: boolean): void {
    this.#isApart = wasSlow;
    this.#attempts = 0;
  }

  /** Removes the first `count` messages. */
  take(count: number): Incoming[] {
    return this.#waiting.splice(0, count);
  }

  /** Removes everything after the first `keep` messages. */
  shed(keep: number): Incoming[] {
    return this.#waiting.splice(keep);
  }

  /**
   * Notes an announced head.
   *
   * @returns `ahead` when the watermark stayed below the head for two announcements although nothing waits
   *   here; `rewound` when the head was below the watermark twice: the producer lost numbers it has already
   *   given
   */
  announce(head: number): 'ahead' | 'rewound' | undefined {
    this.head = head;
    const before = this.#standing;
    this.#standing =
      head === this.watermark ? undefined : { at: this.watermark, behind: head > this.watermark };
    const stands = before?.at === this.watermark && before.behind === this.#standing?.behind;
    if (!stands || this.#busy()) return undefined;
    return before.behind ? 'ahead' : 'rewound';
  }

  #busy(): boolean {
    return this.replaying || this.#attempts > 0 || this.#waiting.length > 0;
  }
}
