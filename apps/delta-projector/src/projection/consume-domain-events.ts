import { setTenants, type Batch } from '@sync/messaging';
import { sqlStateOf, type Tx } from '@sync/postgres';
import { PLAIN_PARTITION } from '@sync/protocol';
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

/** What became of the events of a transaction. */
export interface Consumed {
  readonly startedAtMs: number;
  readonly incoming: readonly IncomingEvent[];
  readonly outcomes: readonly EventOutcome[];
  /** Of the messages that brought them; a replayed one has none. */
  readonly subjects: ReadonlyMap<IncomingEvent, string>;
  /** Entity types of the events that came without numbers. */
  readonly plainTypes: ReadonlySet<string>;
}

/**
 * The consumer of DOMAIN_EVENTS: decodes batches, projects all their events at once, keeps what was refused,
 * all in the transaction that also holds the watermarks. Nothing that an event contains can stop its
 * partition: what Postgres itself refuses fails its batch, first with the others and then alone, and after
 * that its events are projected one by one until the guilty one is found.
 */
export class ConsumeDomainEvents {
  readonly #projection: ProjectEvents;
  readonly #metrics: ProjectionMetrics;
  readonly #logger: Logger;
  readonly #careful = new Set<string>();

  constructor(projection: ProjectEvents, metrics: ProjectionMetrics, logger: Logger) {
    this.#projection = projection;
    this.#metrics = metrics;
    this.#logger = logger;
  }

  /**
   * @param concerns says of each event whether it is meant for us; all are in a stream of ours
   * @throws whatever should make the batches come again
   */
  async handle(
    tx: Tx,
    batches: readonly Batch[],
    concerns: (event: IncomingEvent) => boolean = () => true,
  ): Promise<Consumed> {
    const startedAtMs = Date.now();
    const incoming: IncomingEvent[] = [];
    const subjects = new Map<IncomingEvent, string>();
    const plainTypes = new Set<string>();
    for (const { partition, producer, messages } of batches) {
      for (const { payload, headers, subject } of messages) {
        for (const event of incomingEvents(producer, payload, headers).filter(concerns)) {
          incoming.push(event);
          if (subject !== '') subjects.set(event, subject);
          const { entityType } = event.identity;
          if (partition === PLAIN_PARTITION && entityType !== null) plainTypes.add(entityType);
        }
      }
    }
    const outcomes = await this.#project(tx, batches, incoming);
    return { startedAtMs, incoming, outcomes, subjects, plainTypes };
  }

  /** Counts what was committed, and logs what of it was set aside. */
  committed({ startedAtMs, incoming, outcomes, subjects }: Consumed): void {
    this.#metrics.observeBatch(incoming, outcomes);
    logRefusals(this.#logger, refusalsOf(incoming, outcomes), (event) => subjects.get(event));
    this.#metrics.batchSeconds.observe((Date.now() - startedAtMs) / 1000);
  }

  async #project(
    tx: Tx,
    batches: readonly Batch[],
    incoming: readonly IncomingEvent[],
  ): Promise<readonly EventOutcome[]> {
    const [only] = batches;
    if (only === undefined || batches.length > 1) return this.#projectAndRecord(tx, incoming);
    const lane = `${only.stream} ${only.partition} ${only.producer}`;
    if (!this.#careful.has(lane)) return this.#projectAtOnce(tx, incoming, lane);
    const outcomes = await this.#projectOneByOne(tx, incoming);
    this.#careful.delete(lane);
    return outcomes;
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
    this.#projection.requireAnswers(tx, incoming);
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
