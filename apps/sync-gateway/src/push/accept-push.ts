import { POLICIES, readJson } from '@sync/domain';
import { faultPoint } from '@sync/messaging';
import { sqlStateOf } from '@sync/postgres';
import type { RegisteredEntityType } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import { addressKey, type EntityAddress } from '../read-model/entity-address.ts';
import type { ReadHeads } from '../read-model/read-heads.ts';
import { type Completed, statusOf } from './ledger/completion.ts';
import { type LedgerStore, SENT_TWICE, type StoredOutcomes } from './ledger/ledger-store.ts';
import { BACKLOG_FULL, type Received } from './ledger/receive-pushes.ts';
import { toldIn } from './outcome/check-currents.ts';
import { acceptedText, outcomeText } from './outcome/outcome-text.ts';
import { INLINE_LENGTH, type Telling, tellOutcomes, withoutCurrent } from './outcome/tell-outcomes.ts';
import {
  type Author,
  postponed,
  refusedHere,
  type Settled,
  type Settlement,
  type Work,
} from './outcome/settlement.ts';
import { type Admission, isReadable } from './prepare/admit-mutation.ts';
import { parseTimestampMs, type Prepared, prepareMutation } from './prepare/prepare-mutation.ts';
import { batchOf, type PushBatch, REUSED } from './prepare/push-batch.ts';
import { isTagCode, refuseWrongTags, TAG_CODES } from './prepare/refuse-tags.ts';
import type { PushMetrics } from './push-metrics.ts';
import type { SettleMutations, StatusOf } from './settle-mutations.ts';
import { type Sorted, sortReceived } from './sort-received.ts';

/** Told after a commit that a device has new terminal outcomes. */
export type OutcomesStored = (author: Author) => void;

/** A push whose envelope has been checked. */
export interface PushBody {
  readonly sentAt: string;
  readonly mutations: readonly { readonly mutationId: string }[];
}

/**
 * After this long nothing more is sent to owners; well below `visibleMs`, when the dispatcher may take over.
 */
const BUDGET_MS = 8_000;
/** Until the dispatcher first looks at what could not be ended. */
const FIRST_RETRY_MS = 500;

/**
 * Accepts a push: receives it into the ledger, brings as much of it as possible to an end, stores the
 * outcomes, answers.
 *
 * Invariants
 * 1. Nothing is answered that has not been stored: the answer is what `push_complete` left in the ledger.
 * 2. Two round trips to Postgres whatever the size; more only when an owner is ahead of the read model, or
 *    when something is refused or loses.
 * 3. A mutation that could not be ended is `accepted`; the dispatcher goes on with it, here or in another
 *    replica.
 * 4. What is read, stored and answered is bounded by `HEAD_BYTES` and `SHOWN_BYTES`, however large entities
 *    are: what has no room is `accepted`, and comes with a pull.
 */
export class AcceptPush {
  readonly #ledger: LedgerStore;
  readonly #settler: SettleMutations;
  readonly #heads: ReadHeads;
  readonly #admission: Admission;
  readonly #metrics: PushMetrics;
  readonly #outcomesStored: OutcomesStored;

  constructor(
    ledger: LedgerStore,
    settler: SettleMutations,
    heads: ReadHeads,
    admission: Admission,
    metrics: PushMetrics,
    outcomesStored: OutcomesStored,
  ) {
    this.#ledger = ledger;
    this.#settler = settler;
    this.#heads = heads;
    this.#admission = admission;
    this.#metrics = metrics;
    this.#outcomesStored = outcomesStored;
  }

  /**
   * @param receivedAtMs server time when the body was complete
   * @param suspicious see `parseJson`
   * @returns the wire text of one Outcome per mutation, in order
   * @throws the driver's error when Postgres is away; ProblemError `rate_limited` when the device has too
   * much unfinished work, `unavailable` when tags cannot be verified
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
      const payloads = batch.distinct.map(({ payload }) => payload);
      const verdicts = await this.#admission.tags.verify(author, payloads);
      const distinct = refuseWrongTags(batch.distinct, verdicts);
      const tellings = await this.#answer(author, distinct, receivedAtMs);
      return tellOutcomes(await this.#spread(author, elements, batch, tellings));
    } catch (error) {
      throw asProblem(error);
    }
  }

  async #answer(author: Author, distinct: readonly Prepared[], receivedAtMs: number): Promise<Telling[]> {
    await this.#knowTypes(distinct);
    const needsHead = (prepared: Prepared): boolean => this.#needsHead(prepared);
    const rows = await this.#ledger.receive(author, distinct, needsHead);
    faultPoint('push.received');
    const nowIso = new Date(receivedAtMs).toISOString();
    const sorted = distinct.map((prepared, place) => {
      return sortReceived(prepared, rows[place] as Received, this.#typeOf(prepared), receivedAtMs);
    });
    this.#noteTags(author, distinct, sorted);
    const works = sorted.flatMap((one) => (one.kind === 'work' ? [one.work] : []));
    const statusOf = statusesOf(distinct, sorted, rows);
    const limits = { deadlineMs: receivedAtMs + BUDGET_MS, apart: false, patient: false };
    const settlements = await this.#settler.settle(author, works, statusOf, limits);
    const refusals = await this.#checkRefusals(author, distinct, sorted, settlements);
    const completed = distinct.flatMap((prepared, place) => {
      return completedOf(prepared, sorted[place] as Sorted, settlements, refusals);
    });
    await this.#noteReused(author, distinct, sorted);
    faultPoint('push.settled');
    const { texts, shown } = await this.#complete(author, completed, nowIso);
    faultPoint('push.completed');
    const tellings = distinct.map((prepared, place): Telling => {
      const { mutationId, address } = prepared;
      const one = sorted[place];
      const scope = rows[place]?.held ? (address?.scope ?? null) : null;
      if (one?.kind === 'reused') return tellingOf(mutationId, address, scope, endOfReused(one, refusals));
      const text = one?.kind === 'answered' ? one.text : (texts.get(mutationId) ?? acceptedText(mutationId));
      const bare = withoutCurrent(text);
      const kept = { mutationId, scope, isKept: true };
      if (!address || bare === null) return { ...kept, text, shown: null };
      // What was stored before may have been overtaken since, so it is read again.
      const isFresh = one?.kind !== 'answered' && bare !== text;
      if (isFresh) return { ...kept, text, shown: null };
      const wire = shown.get(addressKey(address))?.wire ?? null;
      return { ...kept, text: bare, shown: { wire } };
    });
    return this.#readShown(author, tellings);
  }

  /** Reads the entities of outcomes that were stored before. */
  async #readShown(author: Author, tellings: readonly Telling[]): Promise<Telling[]> {
    const missing = tellings.filter(({ shown }) => shown?.wire === null);
    if (missing.length === 0) return [...tellings];
    const ids = missing.map(({ mutationId }) => mutationId);
    const rows = new Map((await this.#ledger.readShown(author, ids)).map((row) => [row.mutation_id, row]));
    return tellings.map((telling) => {
      if (telling.shown?.wire !== null) return telling;
      const row = rows.get(telling.mutationId);
      // Of what names no entity there is nothing to show.
      if (row?.holder === null) return { ...telling, shown: null };
      const wire = row?.wire ?? rows.get(row?.holder ?? '')?.wire ?? null;
      return { ...telling, shown: { wire } };
    });
  }

  #noteTags(author: Author, distinct: readonly Prepared[], sorted: readonly Sorted[]): void {
    const refused = sorted.flatMap((one, place) => {
      const settled = one.kind === 'refused' || one.kind === 'reused' ? one.settled : null;
      const code = settled?.kind === 'settled' ? settled.code : distinct[place]?.refusal?.code;
      return isTagCode(code) && one.kind !== 'answered'
        ? [{ code, id: distinct[place]?.mutationId ?? '' }]
        : [];
    });
    for (const code of TAG_CODES) {
      const mutationIds = refused.flatMap((one) => (one.code === code ? [one.id] : []));
      if (mutationIds.length > 0) this.#admission.noteRefused(author, { code, when: 'came', mutationIds });
    }
  }

  /** What follows such a change on its device counts it, and must not wait for it. */
  async #noteReused(author: Author, distinct: readonly Prepared[], sorted: readonly Sorted[]): Promise<void> {
    const refused = distinct.flatMap(({ address, counter }, place) => {
      return sorted[place]?.kind === 'reused' && address && counter !== null ? [{ ...address, counter }] : [];
    });
    if (refused.length > 0) await this.#ledger.noteRefused(author, refused);
  }

  /**
   * What was refused here shows the entity as well, and never as it was before what the device is told in
   * this answer or was told before.
   */
  async #checkRefusals(
    author: Author,
    distinct: readonly Prepared[],
    sorted: readonly Sorted[],
    settlements: ReadonlyMap<Work, Settlement>,
  ): Promise<ReadonlyMap<Sorted, Settlement>> {
    const refused = sorted.flatMap((one, place) => {
      const address = distinct[place]?.address;
      if ((one.kind !== 'refused' && one.kind !== 'reused') || !address) return [];
      const { settled } = one;
      if (settled.kind === 'postponed' || !settled.current) return [];
      const shown = { address, current: settled.current, told: toldIn(settlements, address) };
      return [{ one, settled, shown, refusal: distinct[place]?.refusal ?? null }];
    });
    const currents = await this.#settler.checkCurrents(
      author,
      refused.map(({ shown }) => shown),
    );
    return new Map(
      refused.map(({ one, settled, refusal }, place): [Sorted, Settlement] => {
        const current = currents[place];
        return [one, current ? { ...settled, current } : postponed('projection_behind', false, refusal)];
      }),
    );
  }

  async #complete(author: Author, completed: readonly Completed[], nowIso: string): Promise<StoredOutcomes> {
    if (completed.length === 0) return { texts: new Map(), shown: new Map() };
    const stored = await this.#ledger.complete(author, completed, nowIso);
    for (const one of completed) {
      const { settlement } = one;
      this.#metrics.outcomes.inc({ status: statusOf(one) });
      if (settlement.kind === 'postponed') this.#metrics.postponed.inc({ reason: settlement.reason });
    }
    if (completed.some(({ settlement }) => settlement.kind === 'settled')) this.#outcomesStored(author);
    return stored;
  }

  /** A type that a service has just registered, or a version, may not have reached this replica. */
  async #knowTypes(distinct: readonly Prepared[]): Promise<void> {
    const unsure = distinct.some((prepared) => {
      const type = this.#typeOf(prepared);
      const version = prepared.mutation?.schemaVersion;
      return prepared.mutation && (!type || (version !== undefined && !isReadable(type, version)));
    });
    if (unsure) await this.#admission.types.refresh();
  }

  #typeOf({ address }: Prepared): RegisteredEntityType | null {
    return address && this.#admission.types.find(address.entityType);
  }

  /** An append is decided without looking; only what may have to be shown is looked up. */
  #needsHead(prepared: Prepared): boolean {
    const type = this.#typeOf(prepared);
    return prepared.mutation?.op !== 'append' || !type || !POLICIES[type.policy].isWrittenOnce;
  }

  /** Answers the elements of the push as they came: repetitions get their first one's outcome. */
  async #spread(
    author: Author,
    elements: readonly Prepared[],
    { answeredBy }: PushBatch,
    tellings: readonly Telling[],
  ): Promise<Telling[]> {
    const reused = elements.filter((_, index) => answeredBy[index] === null);
    const shown = reused.flatMap(({ address }) => address ?? []);
    const known = await this.#heads.know(author, shown);
    const nowIso = new Date().toISOString();
    return elements.map((element, index) => {
      const place = answeredBy[index];
      if (typeof place === 'number') return tellings[place] as Telling;
      const { mutationId, address } = element;
      const { head = null, unread } = (address && known[shown.indexOf(address)]) ?? {};
      const end = refusedHere(REUSED, unread ? null : address, head, this.#typeOf(element), nowIso);
      const scope = tellings.find((one) => one.scope === address?.scope)?.scope ?? null;
      return tellingOf(mutationId, address, scope, end);
    });
  }
}

/**
 * The status of mutations that are not worked on in this push, for those that depend on them. Few do: looked
 * up when asked for.
 */
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
      ? (readJson(text) as { readonly status: string }).status
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

/** Of what is kept nowhere. */
function tellingOf(
  mutationId: string,
  address: EntityAddress | null,
  scope: string | null,
  settled: Settled,
): Telling {
  const { current } = settled;
  const isLarge = address !== null && current !== undefined && current.length > INLINE_LENGTH;
  const base = { mutationId, scope, isKept: false };
  if (!isLarge) return { ...base, text: outcomeText(mutationId, settled), shown: null };
  const text = outcomeText(mutationId, settled, null);
  return { ...base, text, shown: { wire: current } };
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
