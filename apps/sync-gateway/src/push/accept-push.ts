import { faultPoint } from '@sync/messaging';
import { retryConflicts, sqlStateOf } from '@sync/postgres';
import type { RegisteredEntityType } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import { type Completed, completionOf } from './ledger/completion.ts';
import {
  BACKLOG_FULL,
  type Incoming,
  type LedgerStore,
  type Received,
  SENT_TWICE,
} from './ledger/ledger-store.ts';
import type { Told } from './outcome/check-currents.ts';
import { acceptedText, outcomeText } from './outcome/outcome-text.ts';
import type { ReadHeads } from './outcome/read-heads.ts';
import {
  type Author,
  postponed,
  refusedHere,
  type Settled,
  type Settlement,
  type Work,
} from './outcome/settlement.ts';
import { isReadable } from './prepare/admit-mutation.ts';
import {
  type EntityAddress,
  parseTimestampMs,
  type Prepared,
  prepareMutation,
} from './prepare/prepare-mutation.ts';
import { batchOf, type PushBatch, REUSED } from './prepare/push-batch.ts';
import type { PushMetrics } from './push-metrics.ts';
import type { SettleMutations, StatusOf } from './settle-mutations.ts';
import { type Sorted, sortReceived } from './sort-received.ts';

/** The registered entity types, from memory. */
export interface RegisteredTypes {
  find(entityType: string): RegisteredEntityType | null;
  /** Reads them again unless that has just been done: before a mutation is refused for good. */
  refresh(): Promise<void>;
}

/** Told after a commit that a device has new terminal outcomes. */
export type OutcomesStored = (author: Author) => void;

/** A push whose envelope has been checked. */
export interface PushBody {
  readonly sentAt: string;
  readonly mutations: readonly { readonly mutationId: string }[];
}

/** After this long nothing more is sent to owners; well below `visibleMs`, when the dispatcher may take over. */
const BUDGET_MS = 8_000;
/** Until the dispatcher first looks at what could not be ended. */
const FIRST_RETRY_MS = 500;

/**
 * Accepts a push: receives it into the ledger, brings as much of it as possible to an end, stores the outcomes, answers.
 *
 * Invariants
 * 1. Nothing is answered that has not been stored: the answer is what `push_complete` left in the ledger.
 * 2. Two round trips to Postgres whatever the size; more only when an owner is ahead of the read model, or when something
 *    is refused or loses.
 * 3. A mutation that could not be ended is `accepted`; the dispatcher goes on with it, here or in another replica.
 */
export class AcceptPush {
  readonly #ledger: LedgerStore;
  readonly #settler: SettleMutations;
  readonly #heads: ReadHeads;
  readonly #types: RegisteredTypes;
  readonly #metrics: PushMetrics;
  readonly #outcomesStored: OutcomesStored;

  constructor(
    ledger: LedgerStore,
    settler: SettleMutations,
    heads: ReadHeads,
    types: RegisteredTypes,
    metrics: PushMetrics,
    outcomesStored: OutcomesStored,
  ) {
    this.#ledger = ledger;
    this.#settler = settler;
    this.#heads = heads;
    this.#types = types;
    this.#metrics = metrics;
    this.#outcomesStored = outcomesStored;
  }

  /**
   * @param receivedAtMs server time when the body was complete
   * @param suspicious see `parseJson`
   * @returns the wire text of one Outcome per mutation, in order
   * @throws the driver's error when Postgres is away; ProblemError `rate_limited` when the device has too much unfinished work
   */
  async execute(
    author: Author,
    body: PushBody,
    receivedAtMs: number,
    suspicious: boolean,
  ): Promise<string[]> {
    const moment = {
      userId: author.userId,
      deviceId: author.deviceId,
      sentAtMs: parseTimestampMs(body.sentAt),
      serverNowMs: receivedAtMs,
    };
    const elements = body.mutations.map((raw) => prepareMutation(raw, moment, suspicious));
    if (elements.length === 0) return [];
    const batch = batchOf(elements);
    try {
      const texts = await this.#answer(author, batch.distinct, receivedAtMs);
      return await this.#spread(author, elements, batch, texts);
    } catch (error) {
      throw asProblem(error);
    }
  }

  async #answer(author: Author, distinct: readonly Prepared[], receivedAtMs: number): Promise<string[]> {
    await this.#knowTypes(distinct);
    const incoming = this.#incomingOf(distinct);
    const rows = await retryConflicts(() => this.#ledger.receive(author, incoming));
    faultPoint('push.received');
    const nowIso = new Date(receivedAtMs).toISOString();
    const sorted = distinct.map((prepared, place) => {
      return sortReceived(prepared, rows[place] as Received, this.#typeOf(prepared), receivedAtMs);
    });
    const works = sorted.flatMap((one) => (one.kind === 'work' ? [one.work] : []));
    const statusOf = statusesOf(distinct, sorted, rows);
    const limits = { deadlineMs: receivedAtMs + BUDGET_MS, apart: false, patient: false };
    const settlements = await this.#settler.settle(author, works, statusOf, limits);
    const refusals = await this.#checkRefusals(author, distinct, sorted, settlements);
    const completed = distinct.flatMap((prepared, place) => {
      return completedOf(prepared, sorted[place] as Sorted, settlements, refusals);
    });
    faultPoint('push.settled');
    const texts = await this.#complete(author, completed, nowIso);
    faultPoint('push.completed');
    return distinct.map((prepared, place) => {
      const one = sorted[place];
      if (one?.kind === 'reused') return outcomeText(prepared.mutationId, endOfReused(one, refusals));
      return one?.kind === 'answered'
        ? one.text
        : (texts.get(prepared.mutationId) ?? acceptedText(prepared.mutationId));
    });
  }

  /** What was refused here shows the entity as well, and never as it was before what the device is told in this answer or was told before. */
  async #checkRefusals(
    author: Author,
    distinct: readonly Prepared[],
    sorted: readonly Sorted[],
    settlements: ReadonlyMap<Work, Settlement>,
  ): Promise<ReadonlyMap<Sorted, Settlement>> {
    const refused = sorted.flatMap((one, place) => {
      const address = distinct[place]?.address;
      if ((one.kind !== 'refused' && one.kind !== 'reused') || !address || !one.settled.current) return [];
      return [{ one, shown: { address, current: one.settled.current, told: toldOf(address, settlements) } }];
    });
    const currents = await this.#settler.checkCurrents(
      author,
      refused.map(({ shown }) => shown),
    );
    return new Map(
      refused.map(({ one }, place): [Sorted, Settlement] => {
        const current = currents[place];
        return [one, current ? { ...one.settled, current } : postponed('projection_behind')];
      }),
    );
  }

  /** Stores the outcomes; the text of each is what the ledger has afterwards. */
  async #complete(
    author: Author,
    completed: readonly Completed[],
    nowIso: string,
  ): Promise<Map<string, string>> {
    const texts = new Map<string, string>();
    if (completed.length === 0) return texts;
    const completion = completionOf(author, completed, nowIso);
    const stored = await retryConflicts(() => this.#ledger.complete(author, completion));
    for (const [place, { id, status, delayMs }] of completion.items.entries()) {
      const text = stored.has(id) ? stored.get(id) : completion.outcomes[place];
      texts.set(id, text || acceptedText(id, delayMs));
      this.#metrics.outcomes.inc({ status });
    }
    for (const { settlement } of completed) {
      if (settlement.kind === 'postponed') this.#metrics.postponed.inc({ reason: settlement.reason });
    }
    if (completion.outcomes.some((text) => text !== '')) this.#outcomesStored(author);
    return texts;
  }

  /** A type that a service has just registered, or a version, may not have reached this replica. */
  async #knowTypes(distinct: readonly Prepared[]): Promise<void> {
    const unsure = distinct.some((prepared) => {
      const type = this.#typeOf(prepared);
      const version = prepared.mutation?.schemaVersion;
      return prepared.mutation && (!type || (version !== undefined && !isReadable(type, version)));
    });
    if (unsure) await this.#types.refresh();
  }

  #typeOf({ address }: Prepared): RegisteredEntityType | null {
    return address && this.#types.find(address.entityType);
  }

  #incomingOf(distinct: readonly Prepared[]): Incoming[] {
    return distinct.map((prepared) => ({
      prepared,
      dependencies: prepared.mutation?.dependsOn ?? [],
      // An append is decided without looking; only what may have to be shown is looked up.
      needsHead: prepared.mutation?.op !== 'append' || this.#typeOf(prepared)?.policy !== 'append_only',
    }));
  }

  /** Answers the elements of the push as they came: repetitions get their first one's outcome. */
  async #spread(
    author: Author,
    elements: readonly Prepared[],
    { answeredBy }: PushBatch,
    texts: readonly string[],
  ): Promise<string[]> {
    const reused = elements.filter((_, index) => answeredBy[index] === null);
    const shown = reused.flatMap(({ address }) => address ?? []);
    const heads = await this.#heads.read(author, shown);
    const nowIso = new Date().toISOString();
    return elements.map((element, index) => {
      const place = answeredBy[index];
      if (typeof place === 'number') return texts[place] as string;
      const head = (element.address && heads[shown.indexOf(element.address)]) ?? null;
      return outcomeText(
        element.mutationId,
        refusedHere(REUSED, element.address, head, this.#typeOf(element), nowIso),
      );
    });
  }
}

/** The status of mutations that are not worked on in this push, for those that depend on them. Few do: looked up when asked for. */
function statusesOf(
  distinct: readonly Prepared[],
  sorted: readonly Sorted[],
  rows: readonly Received[],
): StatusOf {
  return (mutationId) => {
    const one = sorted[distinct.findIndex((prepared) => prepared.mutationId === mutationId)];
    if (one?.kind === 'refused' || one?.kind === 'reused') return 'rejected';
    if (one?.kind === 'pending') return 'postponed';
    const text = one?.kind === 'answered' ? one.text : null;
    const status = text
      ? (JSON.parse(text) as { readonly status: string }).status
      : rows.find(({ dependencies }) => dependencies?.[mutationId])?.dependencies?.[mutationId];
    if (status === undefined) return undefined;
    return status === 'pending' || status === 'accepted' ? 'postponed' : (status as Settled['status']);
  };
}

function completedOf(
  { mutationId, address, counter }: Prepared,
  sorted: Sorted,
  settlements: ReadonlyMap<Work, Settlement>,
  refusals: ReadonlyMap<Sorted, Settlement>,
): Completed[] {
  if (sorted.kind === 'answered' || sorted.kind === 'reused') return [];
  const base = { mutationId, address, counter, fresh: true };
  if (sorted.kind === 'pending') {
    // Whoever handles it will store the outcome; this only makes sure that it is known to have been accepted.
    return [{ ...base, attempt: null, settlement: postponed('lane_waits', true) }];
  }
  const settlement =
    sorted.kind === 'refused' ? (refusals.get(sorted) ?? sorted.settled) : settlements.get(sorted.work);
  return settlement ? [{ ...base, attempt: 0, delayMs: FIRST_RETRY_MS, settlement }] : [];
}

/** The newest change of an entity that a push itself tells of. */
function toldOf(
  { scope, entityType, entityId }: EntityAddress,
  settlements: ReadonlyMap<Work, Settlement>,
): Told | null {
  const told = [...settlements].flatMap(([{ mutation }, settlement]) => {
    if (settlement.kind === 'postponed') return [];
    const { revision, clock } = settlement;
    const same = mutation.entityType === entityType && mutation.entityId === entityId;
    return same && mutation.scope === scope && revision && clock ? [{ revision, clock }] : [];
  });
  return told.reduce<Told | null>((a, b) => (a && a.revision > b.revision ? a : b), null);
}

/**
 * It is stored nowhere, so nobody could end it later.
 * @throws ProblemError `unavailable` while the entity cannot be shown
 */
function endOfReused(
  one: Sorted & { readonly kind: 'reused' },
  refusals: ReadonlyMap<Sorted, Settlement>,
): Settled {
  const end = refusals.get(one) ?? one.settled;
  if (end.kind === 'settled') return end;
  throw new ProblemError('unavailable', 'What the device was told is not readable yet', {
    headers: { 'retry-after': '2' },
  });
}

/** What our functions refuse; that Postgres is away, the edge answers like everywhere. */
function asProblem(error: unknown): unknown {
  if (sqlStateOf(error) === BACKLOG_FULL) {
    return new ProblemError('rate_limited', 'The device has too many mutations without an outcome', {
      headers: { 'retry-after': '30' },
      cause: error,
    });
  }
  // Sent again, it finds what the other one came to.
  if (sqlStateOf(error) !== SENT_TWICE) return error;
  return new ProblemError('unavailable', 'The ledger cannot be written now', {
    headers: { 'retry-after': '2' },
    cause: error,
  });
}
