import { readJson } from '@sync/domain';
import { OUTCOME_CODES, type RegisteredEntityType } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import type { OutcomesStored } from '../push/accept-push.ts';
import { lostContent, refusedConflict } from '../push/decide/conflict-of.ts';
import { afterWhatTheyNeed } from '../push/decide/earlier-changes.ts';
import type { Completed, KeptRefusal } from '../push/ledger/completion.ts';
import type { LedgerStore } from '../push/ledger/ledger-store.ts';
import {
  type Author,
  type KeptDecision,
  postponed,
  refusedHere,
  type Settled,
  type Settlement,
  type Work,
} from '../push/outcome/settlement.ts';
import { type Admission, admitMutation } from '../push/prepare/admit-mutation.ts';
import type { PreparedMutation, Refusal } from '../push/prepare/prepare-mutation.ts';
import { isTagCode, UNVERIFIABLE } from '../push/prepare/refuse-tags.ts';
import { restoreAsItCame } from '../push/prepare/restore-as-it-came.ts';
import type { TagVerdict } from '../push/prepare/verify-tags.ts';
import type { SettleMutations } from '../push/settle-mutations.ts';
import { addressKey, type EntityAddress } from '../read-model/entity-address.ts';
import { type EntityHead, headOf, stateOfHead } from '../read-model/entity-head.ts';
import type { DispatchStore, DueDevice, OpenMutation } from './dispatch-store.ts';
import type { FindHidden } from './find-hidden.ts';
import { delayOf, failingOf, togetherOf } from './retry-pace.ts';

/** The end of what is not in the ledger as it came. Nothing of it is believed, not even its entity. */
const TAMPERED = {
  ...{ kind: 'settled', status: 'rejected', code: 'mutation_tampered' },
  message: OUTCOME_CODES.mutation_tampered,
} as const satisfies Settled;

/** One open mutation, either to be worked on or ended at once. */
interface Opened {
  readonly row: OpenMutation;
  readonly mutation: PreparedMutation | null;
  /** null when not even that is known. */
  readonly address: EntityAddress | null;
  readonly work: Work | null;
  readonly end: Settled | null;
}

/** A run must be over before somebody else may take the device (`VISIBLE_MS` of the store). */
const BUDGET_MS = 15_000;
const APART_FROM_ATTEMPT = 3;
/** Refusals of what another replica may know to be registered already. */
const MAY_BE_REGISTERED: ReadonlySet<string> = new Set(['entity_type_unknown', 'schema_version_unknown']);
const MAYBE_POISON: ReadonlySet<string | null> = new Set(['owner_unanswered', 'owner_failed']);

/** What ends a mutation that would otherwise wait for ever. */
export interface LastResorts {
  readonly hidden: FindHidden;
  /** How long an owner that answers others may fail at one; see give-up.ts. */
  readonly giveUpAfterMs: number;
  /** Told of each mutation that was changed in the ledger. */
  noteTampered(): void;
}

/**
 * Goes on with the accepted mutations of one device, just as a push would: the same lanes, the same
 * decisions, the same owners. What a crash left behind (`pending`) is taken up here too.
 *
 * Everything that was checked when the mutation came is checked again: since then its scope may have been
 * revoked, or its type registered anew.
 */
export class DispatchDevice {
  readonly #store: DispatchStore;
  readonly #ledger: LedgerStore;
  readonly #settler: SettleMutations;
  readonly #admission: Admission;
  readonly #lastResorts: LastResorts;
  readonly #outcomesStored: OutcomesStored;

  constructor(
    store: DispatchStore,
    ledger: LedgerStore,
    settler: SettleMutations,
    admission: Admission,
    lastResorts: LastResorts,
    outcomesStored: OutcomesStored,
  ) {
    this.#store = store;
    this.#ledger = ledger;
    this.#settler = settler;
    this.#admission = admission;
    this.#lastResorts = lastResorts;
    this.#outcomesStored = outcomesStored;
  }

  /**
   * @param device taken by this process
   * @returns how many mutations got their outcome
   */
  async execute(device: DueDevice, logger: Logger): Promise<number> {
    const rows = await this.#store.load(device);
    if (rows.length === 0) {
      await this.#store.release(device);
      return 0;
    }
    let ended = 0;
    // A device has one user; only one that was bound anew can have work of two.
    for (const [userId, own] of Map.groupBy(rows, (row) => row.user_id)) {
      ended += await this.#dispatch({ ...device, userId }, own, logger);
    }
    logger.debug({ ...device, mutations: rows.length, ended }, 'dispatched accepted mutations');
    return ended;
  }

  async #dispatch(author: Author, rows: readonly OpenMutation[], logger: Logger): Promise<number> {
    const nowMs = Date.now();
    const nowIso = new Date(nowMs).toISOString();
    const heads = new Map<string, EntityHead>();
    const tags = await this.#admission.tags.verify(
      author,
      rows.map(({ payload }) => payload),
    );
    const open = (): Opened[] => {
      return rows.map((row, place) => this.#open(author, row, tags[place] ?? 'absent', heads, nowIso));
    };
    let opened = open();
    if (opened.some(({ end }) => end?.code !== undefined && MAY_BE_REGISTERED.has(end.code))) {
      await this.#admission.types.refresh();
      opened = open();
    }
    for (const { row, end } of opened) {
      if (end !== TAMPERED) continue;
      this.#lastResorts.noteTampered();
      logger.error({ ...author, mutationId: row.mutation_id, event: TAMPERED.code }, TAMPERED.message);
    }
    const works = inOrder(opened.flatMap(({ work }) => work ?? []));
    // What was answered a few times without all of it may be one mutation that breaks its owner: it must not
    // take the others with it for ever. An owner that was merely away, or silent, gets all of it at once, in
    // the order in which the device wrote it.
    const apart = rows.some(({ attempts, last_error: reason }) => {
      return attempts >= APART_FROM_ATTEMPT && MAYBE_POISON.has(reason);
    });
    const giveUp = { failing: failingOf(rows), afterMs: this.#lastResorts.giveUpAfterMs };
    const together = togetherOf(rows);
    const limits = { deadlineMs: nowMs + BUDGET_MS, apart, patient: true, together, giveUp };
    const settlements = await this.#settler.settle(author, works, statusesOf(opened), limits);
    const refusals = await this.#showRefusals(author, opened);
    const ends = await Promise.all(
      opened.map(async (one) => {
        const settlement = refusals.get(one) ?? (await this.#endOf(author, one, settlements, nowIso));
        return { one, settlement };
      }),
    );
    this.#noteRefused(author, ends);
    const freed = new Set(
      ends.flatMap(({ one, settlement }) => (settlement.kind === 'settled' ? laneOf(one) : [])),
    );
    // One number for all of them: what was sent together comes back together, and is not taken apart by its
    // pauses.
    const random = Math.random();
    const completed = ends.map(({ one, settlement }) => {
      const isFreed =
        freed.has(laneOf(one)) && settlement.kind === 'postponed' && settlement.reason === 'lane_waits';
      return completedOf(one, settlement, isFreed ? 0 : delayOf(one.row, settlement, random));
    });
    await this.#ledger.complete(author, completed, nowIso);
    const ended = completed.filter(({ settlement }) => settlement.kind === 'settled').length;
    if (ended > 0) this.#outcomesStored(author);
    return ended;
  }

  #noteRefused(
    author: Author,
    ends: readonly { readonly one: Opened; readonly settlement: Settlement }[],
  ): void {
    for (const { one, settlement } of ends) {
      if (settlement.kind === 'postponed' || !isTagCode(settlement.code)) continue;
      // What had to wait to show its entity was refused, and counted, when it came.
      if (!one.mutation) continue;
      const mutationIds = [one.row.mutation_id];
      this.#admission.noteRefused(author, { code: settlement.code, when: 'waited', mutationIds });
    }
  }

  #open(
    author: Author,
    row: OpenMutation,
    tag: TagVerdict,
    heads: Map<string, EntityHead>,
    nowIso: string,
  ): Opened {
    const { payload } = row;
    if (payload === null) return this.#openRefused(row, heads, nowIso);
    const mutation = restoreAsItCame({ ...row, payload }, author, tag);
    if (!mutation) return { row, mutation, address: null, work: null, end: TAMPERED };
    const registration: RegisteredEntityType | null = this.#admission.types.find(mutation.entityType);
    const head = headOfRow(row, mutation, heads);
    const payloadBytes = Buffer.byteLength(payload);
    const kept = row.decision === null ? null : (readJson(row.decision) as KeptDecision);
    const mayBeSent = row.may_be_sent;
    const work = registration && {
      ...{ mutation, registration, payloadBytes, head, mayBeSent, kept, refuse: null },
      hold: tag === 'unknown' ? postponed('identity_unavailable', mayBeSent) : null,
      ...{ receivedAtMs: row.received_at_ms, mayForget: row.anew },
    };
    // Neither is it sent, nor does a record say that its user wrote it.
    if (work?.hold) return { row, mutation, address: mutation, end: null, work };
    if (row.in_circle && work) {
      const refusal = { code: 'dependency_cycle', message: 'dependsOn forms a circle' };
      const lost = lostContent(work, author.deviceId, head && stateOfHead(head));
      const end = { ...refusedHere(refusal, mutation, head, registration, nowIso), ...lost };
      return { row, mutation, address: mutation, work: null, end };
    }
    // What was sent may have been applied: only its owner can tell. One that cannot be asked without being sent
    // the mutation is sent it where only the scope is gone.
    const mayAsk = registration?.pushRefuses === true;
    const admitted = admitMutation(mutation, registration, row.held || (wasSent(row) && !mayAsk));
    const refusal = tag === 'unverifiable' ? UNVERIFIABLE : admitted;
    if (refusal && work && mayAsk && wasSent(row))
      return { row, mutation, address: mutation, end: null, work: { ...work, refuse: refusal } };
    if (!refusal && work) return { row, mutation, address: mutation, end: null, work };
    const named = refusal ?? { code: 'entity_type_unknown', message: '/entityType' };
    // Its device may have forgotten what was accepted. What was not will be sent again.
    const lost =
      work && row.status === 'accepted'
        ? refusedConflict(work, author.deviceId, head && stateOfHead(head))
        : {};
    const end = { ...refusedHere(named, mutation, head, registration, nowIso), ...lost };
    return { row, mutation, address: mutation, work: null, end };
  }

  /** What matches no schema waited for nothing but to show its entity. */
  #openRefused(row: OpenMutation, heads: Map<string, EntityHead>, nowIso: string): Opened {
    const kept = row.decision === null ? null : (readJson(row.decision) as KeptRefusal);
    if (kept) {
      const { refusal, address } = kept;
      const registration = this.#admission.types.find(address.entityType);
      const head = headOfRow(row, address, heads);
      return {
        row,
        mutation: null,
        work: null,
        end: refusedHere(refusal, address, head, registration, nowIso),
        address,
      };
    }
    // Only a crash between receiving and completing leaves one: what was wrong with it was known to nobody
    // else.
    const refusal = {
      code: 'mutation_invalid',
      message: 'it does not match its schema; send it again under a new mutationId to see where',
    };
    return {
      row,
      mutation: null,
      work: null,
      end: refusedHere(refusal, null, null, null, nowIso),
      address: null,
    };
  }

  /** What was refused here shows its entity; many may be of one large entity, and it is read once for all. */
  async #showRefusals(author: Author, opened: readonly Opened[]): Promise<ReadonlyMap<Opened, Settlement>> {
    const refusals = opened.flatMap((one) => {
      const { end, address } = one;
      if (end?.current === undefined || !address) return [];
      return [{ one, end, shown: { address, current: end.current, told: null } }];
    });
    const currents = await this.#settler.checkCurrents(
      author,
      refusals.map(({ shown }) => shown),
    );
    return new Map(
      refusals.map(({ one, end }, place): [Opened, Settlement] => {
        const current = currents[place];
        const { may_be_sent: mayBeSent } = one.row;
        return [one, current ? { ...end, current } : postponed('projection_behind', mayBeSent)];
      }),
    );
  }

  async #endOf(
    author: Author,
    { work, end, row }: Opened,
    settlements: ReadonlyMap<Work, Settlement>,
    nowIso: string,
  ): Promise<Settlement> {
    if (end) return end;
    const settlement = (work && settlements.get(work)) ?? postponed('out_of_time', row.may_be_sent);
    if (!work) return settlement;
    if (!row.held) return withoutScope(author, work, settlement, nowIso);
    if (work.refuse) return asRefused(author, work, work.refuse, settlement);
    if (settlement.kind === 'settled' || settlement.reason !== 'projection_behind') return settlement;
    const hidden = await this.#lastResorts.hidden.refuse(author, work, row.attempts, nowIso);
    return hidden ?? settlement;
  }
}

/** The entity of a mutation, which the first row of it brings. */
function headOfRow(
  row: OpenMutation,
  address: EntityAddress,
  heads: Map<string, EntityHead>,
): EntityHead | null {
  const key = addressKey(address);
  const head = headOf(row) ?? heads.get(key) ?? null;
  if (head) heads.set(key, head);
  return head;
}

function inOrder(works: readonly Work[]): Work[] {
  const byId = new Map(works.map((work) => [work.mutation.mutationId, work]));
  return afterWhatTheyNeed(works.map(({ mutation }) => mutation)).flatMap(
    ({ mutationId }) => byId.get(mutationId) ?? [],
  );
}

/**
 * Whether it had been admitted, and perhaps went to its owner. What has no reason was left by a crash, and
 * what waits in its lane may have gone with the first of it: they had been admitted if their scope was held.
 */
function wasSent({ may_be_sent: mayBeSent, last_error: reason, once_held: once }: OpenMutation): boolean {
  return mayBeSent && (once || (reason !== null && reason !== 'lane_waits'));
}

/**
 * The end of what was sent before its scope was withdrawn. Its owner's answer about the entity is not for its
 * user any more; and where it has no mutation of this id, waiting for the entity to appear in the scope would
 * never end.
 */
function withoutScope(author: Author, work: Work, settlement: Settlement, nowIso: string): Settlement {
  const { mutation, registration } = work;
  const isUnknown = settlement.kind === 'postponed' && settlement.reason === 'projection_behind';
  const isRejected = settlement.kind === 'settled' && settlement.status === 'rejected';
  if (!isUnknown && !isRejected) return settlement;
  const refusal = admitMutation(mutation, registration, false);
  if (!refusal) return settlement;
  const refused = refusedHere(refusal, mutation, null, registration, nowIso);
  return { ...refused, ...refusedConflict(work, author.deviceId, null) };
}

/**
 * The end of what may have been sent before something else was found wrong with it: its owner has now refused
 * it for good. Its device may have forgotten it, and its id is used up, so there is a record of what it wrote.
 */
function asRefused(author: Author, work: Work, refusal: Refusal, settlement: Settlement): Settlement {
  if (settlement.kind === 'postponed' || settlement.status !== 'rejected') return settlement;
  const lost = refusedConflict(work, author.deviceId, work.head && stateOfHead(work.head));
  return { ...settlement, ...refusal, ...lost };
}

/** NUL occurs in neither part. */
function laneOf({ mutation, row }: Opened): string {
  return mutation ? `${mutation.entityType}\0${mutation.entityId}` : row.mutation_id;
}

/**
 * @param delayMs none for what only waited for what has just been ended: it need not pause for that one's
 * attempts
 */
function completedOf({ row, mutation, address }: Opened, settlement: Settlement, delayMs: number): Completed {
  return {
    mutationId: row.mutation_id,
    address,
    counter: mutation?.counter ?? null,
    attempt: row.attempts,
    fresh: row.status === 'pending',
    delayMs,
    settlement,
  };
}

/**
 * What is known of mutations outside the run: their ledger status, and those that were ended without being
 * worked on.
 */
function statusesOf(
  opened: readonly Opened[],
): (mutationId: string) => Settled['status'] | 'postponed' | undefined {
  return (mutationId) => {
    if (opened.some(({ row, end }) => end && row.mutation_id === mutationId)) return 'rejected';
    const known = opened.find(({ row }) => row.dependencies?.[mutationId])?.row.dependencies?.[mutationId];
    if (known === undefined) return undefined;
    return known === 'pending' || known === 'accepted' ? 'postponed' : (known as Settled['status']);
  };
}
