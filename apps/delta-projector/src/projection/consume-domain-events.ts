import { setTenants, type Batch } from '@sync/messaging';
import { sqlStateOf, type Tx } from '@sync/postgres';
import type { Logger } from '@sync/service-kit';
import { recordRefusals, refusalsOf } from '../dead-letters/dead-letter-store.ts';
import { logRefusals } from '../dead-letters/log-refusals.ts';
import { incomingEvents, type IncomingEvent } from './incoming-event.ts';
import type { EventOutcome, ProjectEvents } from './project-events.ts';
import type { ProjectionMetrics } from './projection-metrics.ts';

/** Classes of SQLSTATE that blame the data: data exception, integrity violation, program limit exceeded. */
const DATA_FAULT = /^(22|23|54)/;
/** Bounds the memory of which lanes to be careful with; forgetting one costs one more failed attempt. */
const MAX_CAREFUL_LANES = 1_000;

interface Consumed {
  readonly startedAtMs: number;
  readonly incoming: readonly IncomingEvent[];
  readonly outcomes: readonly EventOutcome[];
  /** Of the messages that brought them; a replayed one has none. */
  readonly subjects: ReadonlyMap<IncomingEvent, string>;
}

/**
 * The consumer of DOMAIN_EVENTS: decodes a batch, projects it, keeps what was refused, all in the transaction
 * that also holds the watermark. Nothing that an event contains can stop its partition: what Postgres itself
 * refuses fails the batch once, then its events are projected one by one until the guilty one is found.
 */
export class ConsumeDomainEvents {
  readonly #projection: ProjectEvents;
  readonly #metrics: ProjectionMetrics;
  readonly #logger: Logger;
  readonly #careful = new Set<string>();
  readonly #consumed = new WeakMap<Batch, Consumed>();

  constructor(projection: ProjectEvents, metrics: ProjectionMetrics, logger: Logger) {
    this.#projection = projection;
    this.#metrics = metrics;
    this.#logger = logger;
  }

  /**
   * @param concerns says of each event whether it is meant for us; all are in a stream of ours
   * @throws whatever should make the batch come again
   */
  async handle(
    tx: Tx,
    batch: Batch,
    concerns: (event: IncomingEvent) => boolean = () => true,
  ): Promise<void> {
    const startedAtMs = Date.now();
    const incoming: IncomingEvent[] = [];
    const subjects = new Map<IncomingEvent, string>();
    for (const { payload, headers, subject } of batch.messages) {
      const events = incomingEvents(batch.producer, payload, headers).filter(concerns);
      incoming.push(...events);
      if (subject !== '') for (const event of events) subjects.set(event, subject);
    }
    const lane = `${batch.stream} ${batch.partition} ${batch.producer}`;
    const outcomes = this.#careful.has(lane)
      ? await this.#projectOneByOne(tx, incoming)
      : await this.#projectAtOnce(tx, incoming, lane);
    this.#careful.delete(lane);
    this.#consumed.set(batch, { startedAtMs, incoming, outcomes, subjects });
  }

  /**
   * Counts what was committed, and logs what of it was set aside; a batch that rolled back only when it comes
   * again.
   * @returns the entity types whose events the batch has brought
   */
  committed(batch: Batch): ReadonlySet<string> {
    const consumed = this.#consumed.get(batch);
    if (consumed === undefined) return new Set();
    this.#metrics.observeBatch(consumed.incoming, consumed.outcomes);
    const { incoming, outcomes, subjects } = consumed;
    logRefusals(this.#logger, refusalsOf(incoming, outcomes), (event) => subjects.get(event));
    this.#metrics.batchSeconds.observe((Date.now() - consumed.startedAtMs) / 1000);
    return new Set(consumed.incoming.flatMap(({ identity }) => identity.entityType ?? []));
  }

  async #projectAtOnce(
    tx: Tx,
    incoming: readonly IncomingEvent[],
    lane: string,
  ): Promise<readonly EventOutcome[]> {
    try {
      return await this.#projectAndRecord(tx, incoming);
    } catch (error) {
      if (isDataFault(error)) {
        if (this.#careful.size >= MAX_CAREFUL_LANES) this.#careful.clear();
        this.#careful.add(lane);
      }
      throw error;
    }
  }

  async #projectAndRecord(tx: Tx, incoming: readonly IncomingEvent[]): Promise<readonly EventOutcome[]> {
    const outcomes = await this.#projection.project(tx, incoming, 'live');
    await recordRefusals(tx, refusalsOf(incoming, outcomes), new Date());
    return outcomes;
  }

  /** Slow, with a savepoint for each event; the next batch goes the fast way again. */
  async #projectOneByOne(tx: Tx, incoming: readonly IncomingEvent[]): Promise<readonly EventOutcome[]> {
    const outcomes: EventOutcome[] = [];
    for (const event of incoming) {
      await tx.query('SAVEPOINT one_event');
      try {
        outcomes.push(...(await this.#projectAndRecord(tx, [event])));
      } catch (error) {
        if (!isDataFault(error)) throw error;
        await tx.query('ROLLBACK TO SAVEPOINT one_event');
        const cause = error instanceof Error ? error.message : String(error);
        const outcome = { kind: 'refused', code: 'storage_refused', cause, holds: true } as const;
        if (event.identity.tenantId !== null) await setTenants(tx, [event.identity.tenantId]);
        await recordRefusals(tx, [{ incoming: event, outcome }], new Date());
        outcomes.push(outcome);
      }
      await tx.query('RELEASE SAVEPOINT one_event');
    }
    return outcomes;
  }
}

function isDataFault(error: unknown): boolean {
  return DATA_FAULT.test(sqlStateOf(error) ?? '');
}
