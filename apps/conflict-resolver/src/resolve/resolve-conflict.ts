import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject } from '@sync/domain';
import { RemoteError } from '@sync/messaging';
import { type Database, retryConflicts, type Tx } from '@sync/postgres';
import type { ConflictDecision, ConflictResolveReply, OwnerPushResult } from '@sync/protocol';
import { canonicalClockJson, type VectorClock } from '@sync/vector-clock';
import { announceConflicts, loadConflicts } from '../records/announce-conflicts.ts';
import { type ConflictRow, lockRow } from '../records/conflict-store.ts';
import type { Asked } from './ask-owner.ts';
import {
  type Claim,
  type ClaimRow,
  type DueClaim,
  endClaim,
  readClaim,
  renewClaim,
  TAKE_DUE_CLAIMS,
  withdrawSender,
  writeClaim,
} from './claim-store.ts';
import {
  changeOf,
  clockWithout,
  type EntityChange,
  pushOf,
  requestHashOf,
  type ResolutionRequest,
  suggestedChange,
  suggestedWords,
} from './plan-resolution.ts';
import type { ResolutionMetrics } from './resolution-metrics.ts';
import { noteRefusal, type ResolutionContext, settleResolution } from './settle-resolution.ts';

/** Sends a claim's mutation to its owner; never throws. */
export type AskOwner = (tenantId: string, claim: Claim) => Promise<Asked>;

/**
 * How long a claim belongs to its sender alone; longer than an owner's time-out and two transactions
 * together.
 */
const HOLD_MS = 6_000;
const WAIT_STEP_MS = 50;
const HEAL_AT_ONCE = 16;

/** What the record says to a request. */
type Step =
  | { readonly kind: 'answer'; readonly reply: ConflictResolveReply }
  | { readonly kind: 'send'; readonly claim: Claim }
  | { readonly kind: 'heal'; readonly claim: Claim }
  | { readonly kind: 'wait' };

/**
 * A person resolves a conflict.
 *
 * 1. Claim, under the record's row lock: who comes second waits, and then is told what the first one did.
 * 2. Push to the owner, outside of any transaction. The mutation was stored with the claim and its id follows
 *    from the request, so whoever sends it again gets the first answer.
 * 3. Record: resolved when the owner applied it, open again when it said no or the entity had moved.
 *
 * Invariants
 * - A claim ends with the owner's word, or with the certainty that the owner was never reached. One left by a
 *   process that died is carried on by a repetition of the request, by the next request for the record, or in
 *   the background ({@link healDue}); only then may anybody else resolve.
 * - So the entity is never changed by one person while the record names another, and never without the record
 *   knowing.
 */
export class ResolveConflict {
  readonly #database: Database;
  readonly #context: ResolutionContext;
  readonly #askOwner: AskOwner;
  readonly #metrics: ResolutionMetrics;

  constructor(
    database: Database,
    context: ResolutionContext,
    askOwner: AskOwner,
    metrics: ResolutionMetrics,
  ) {
    this.#database = database;
    this.#context = context;
    this.#askOwner = askOwner;
    this.#metrics = metrics;
  }

  /**
   * @throws RemoteError `not_found` when the user has no such record
   * @throws the driver's error when Postgres is away
   */
  async execute(request: ResolutionRequest): Promise<ConflictResolveReply> {
    const untilMs = Date.now() + this.#context.waitMs;
    for (;;) {
      const step = await this.#inRecord(request, (tx, row) => this.#begin(tx, row, request));
      if (step.kind === 'answer') {
        this.#context.owner.kick();
        return this.#metrics.answered(step.reply);
      }
      if (step.kind === 'send')
        return this.#metrics.answered(await this.#carryOut(request, step.claim, false));
      if (step.kind === 'heal') await this.#carryOut(request, step.claim, true);
      if (Date.now() + WAIT_STEP_MS > untilMs) return this.#metrics.answered({ kind: 'busy' });
      if (step.kind === 'wait') await sleep(WAIT_STEP_MS);
    }
  }

  /**
   * Carries on what dead processes left.
   * @returns how many claims were looked after
   */
  async healDue(): Promise<number> {
    const due = await this.#database.call<DueClaim>('take_due_claims', TAKE_DUE_CLAIMS, [HEAL_AT_ONCE]);
    for (const place of due) {
      const claim = await this.#inRecord(place, async (tx, row) => {
        const known = await readClaim(tx, place.tenantId, row.conflictId);
        if (row.status !== 'open' || !known?.claim) {
          await endClaim(tx, place.tenantId, row.conflictId);
          return null;
        }
        await renewClaim(tx, place.tenantId, row.conflictId, HOLD_MS);
        return known.claim;
      });
      if (claim) await this.#carryOut(place, claim, true);
    }
    return due.length;
  }

  async #inRecord<T>(
    { tenantId, conflictId }: DueClaim,
    work: (tx: Tx, row: ConflictRow) => Promise<T>,
  ): Promise<T> {
    return retryConflicts(() =>
      this.#database.inTenant(tenantId, async (tx) => {
        const row = await lockRow(tx, tenantId, conflictId);
        if (!row) throw new RemoteError('not_found', 'No such conflict');
        return work(tx, row);
      }),
    );
  }

  async #begin(tx: Tx, row: ConflictRow, request: ResolutionRequest): Promise<Step> {
    const { tenantId, conflictId } = request;
    // The same answer as for a record that does not exist: no difference tells that it does.
    if (row.userId !== request.userId) throw new RemoteError('not_found', 'No such conflict');
    const known = await readClaim(tx, tenantId, conflictId);
    const requestHash = requestHashOf(request);
    const repeated = known?.requestHash === requestHash;
    if (row.status !== 'open')
      return answer(await this.#recordReply(tx, request, repeated ? 'resolved' : 'already_resolved'));
    if (known?.claim) {
      if (!repeated && !known.expired) return { kind: 'wait' };
      await renewClaim(tx, tenantId, conflictId, HOLD_MS);
      return { kind: repeated ? 'send' : 'heal', claim: known.claim };
    }
    return this.#claim(tx, row, request, { requestHash, known });
  }

  async #claim(
    tx: Tx,
    row: ConflictRow,
    request: ResolutionRequest,
    { requestHash, known }: { readonly requestHash: string; readonly known: ClaimRow | null },
  ): Promise<Step> {
    const { tenantId, conflictId, resolution, target, userId, deviceId, expectedClock } = request;
    if (target !== null && canonicalClockJson(expectedClock) !== canonicalClockJson(target.clock))
      return answer(await this.#moved(tx, request, target.clock));
    const attempt = (known?.attempt ?? 0) + 1;
    const base = { kind: resolution.kind, suggestionId: null, userId, deviceId, clock: expectedClock };
    if (resolution.kind === 'keep_server') {
      await writeClaim(tx, tenantId, conflictId, { attempt, requestHash, claim: null }, 0);
      // Without a target nobody has compared the clock, and what a device claims is no evidence.
      const compared = target === null ? {} : { clock: { ...expectedClock } };
      const decision: ConflictDecision = { kind: 'keep_server', ...compared };
      const settled = await settleResolution(tx, this.#context, tenantId, row, { ...base, decision });
      this.#metrics.settled(row, 'keep_server', settled.openMs);
      return answer({ kind: 'resolved', conflict: settled.conflict });
    }
    if (target === null)
      return answer({
        kind: 'rejected',
        code: 'entity_type_unknown',
        message: 'no service owns it any more',
      });
    const change = await this.#changeOf(tx, row, { ...request, target });
    if ('reply' in change) return answer(change.reply);
    const nowIso = this.#context.now().toISOString();
    const mutation = pushOf(row, { ...request, target }, change, { attempt, nowIso });
    if ('code' in mutation) return answer({ kind: 'rejected', ...mutation });
    const { service, pushSubject } = target;
    const suggestionId = resolution.suggestionId ?? null;
    const accepted = resolution.kind === 'accept_suggestion' ? { suggestionId } : {};
    const claim = { ...base, ...accepted, service, pushSubject, mutation };
    await writeClaim(tx, tenantId, conflictId, { attempt, requestHash, claim }, HOLD_MS);
    return { kind: 'send', claim };
  }

  /** What was suggested for an earlier state of the entity shows as stale from now on. */
  async #moved(
    tx: Tx,
    { tenantId, conflictId }: DueClaim,
    clock: VectorClock,
  ): Promise<ConflictResolveReply> {
    const { suggestions, owner, now } = this.#context;
    const stale = await suggestions.expire(tx, tenantId, conflictId, { clock, nowIso: now().toISOString() });
    if (stale) await announceConflicts(tx, owner, suggestions, tenantId, [conflictId]);
    return { kind: 'moved' };
  }

  /** The lines that a suggestion was made for do not stand in the document any more. */
  async #overtaken(
    tx: Tx,
    { tenantId, conflictId }: DueClaim,
    suggestionId: string,
  ): Promise<ConflictResolveReply> {
    const { suggestions, owner, now } = this.#context;
    await suggestions.overtake(tx, tenantId, suggestionId, now().toISOString());
    await announceConflicts(tx, owner, suggestions, tenantId, [conflictId]);
    return { kind: 'moved' };
  }

  /** A suggestion is checked against the state that the person saw; what it stored is what is submitted. */
  async #changeOf(
    tx: Tx,
    row: ConflictRow,
    request: ResolutionRequest & { readonly target: NonNullable<ResolutionRequest['target']> },
  ): Promise<EntityChange | { readonly reply: ConflictResolveReply }> {
    const { tenantId, conflictId, resolution, expectedClock, target, userId, deviceId } = request;
    if (resolution.kind !== 'accept_suggestion') return changeOf(row.draft, resolution);
    const accepted = await this.#context.suggestions.preview(
      tx,
      tenantId,
      conflictId,
      resolution.suggestionId ?? '',
      { clock: expectedClock, decidedBy: { userId, deviceId }, nowIso: this.#context.now().toISOString() },
    );
    if (accepted.kind === 'taken') {
      const { changes } = accepted;
      return row.draft.blocks === undefined
        ? suggestedChange(target.data as JsonObject | null, changes)
        : suggestedWords(row.draft, resolution.suggestionId ?? '', changes.set);
    }
    if (accepted.kind === 'stale') return { reply: await this.#moved(tx, request, target.clock) };
    const status = accepted.kind === 'unknown' ? 'unknown' : accepted.status;
    return { reply: { kind: 'suggestion_not_ready', status } };
  }

  async #recordReply(
    tx: Tx,
    { tenantId, conflictId }: DueClaim,
    kind: 'resolved' | 'already_resolved',
  ): Promise<ConflictResolveReply> {
    const conflict = (await loadConflicts(tx, this.#context.suggestions, tenantId, [conflictId])).get(
      conflictId,
    );
    if (!conflict) throw new RemoteError('not_found', 'No such conflict');
    return { kind, conflict };
  }

  /** @param late nobody who asked for this claim waits for it any more */
  async #carryOut(place: DueClaim, claim: Claim, late: boolean): Promise<ConflictResolveReply> {
    const { tenantId, conflictId } = place;
    const asked = await this.#askOwner(tenantId, claim);
    const reply = await this.#inRecord(place, async (tx, row): Promise<ConflictResolveReply> => {
      if (row.status !== 'open') return this.#recordReply(tx, place, resolvedBy(row, claim));
      switch (asked.status) {
        case 'applied':
          return this.#settle(tx, place, row, claim, asked);
        case 'rejected':
          await endClaim(tx, tenantId, conflictId);
          if (claim.suggestionId !== null && asked.code === 'block_moved')
            return this.#overtaken(tx, place, claim.suggestionId);
          await noteRefusal(tx, this.#context, tenantId, row, { ...claim, code: asked.code });
          return { kind: 'rejected', code: asked.code, message: asked.message ?? '' };
        case 'conflict':
          await endClaim(tx, tenantId, conflictId);
          return { kind: 'moved' };
        case 'failed':
          // Long after it was sent, an owner that does not know the mutation will not come to know it.
          if (late) await endClaim(tx, tenantId, conflictId);
          else await withdrawSender(tx, tenantId, conflictId, claim.mutation.mutationId);
          return { kind: 'busy' };
        case 'not_sent':
          await withdrawSender(tx, tenantId, conflictId, claim.mutation.mutationId);
          return { kind: 'busy' };
        case 'unanswered':
          return { kind: 'busy' };
      }
    });
    this.#context.owner.kick();
    return reply;
  }

  async #settle(
    tx: Tx,
    { tenantId, conflictId }: DueClaim,
    row: ConflictRow,
    claim: Claim,
    applied: OwnerPushResult & { readonly status: 'applied' },
  ): Promise<ConflictResolveReply> {
    const { kind, suggestionId, mutation } = claim;
    const { mutationId, op, data, update } = mutation;
    const decision: ConflictDecision = {
      kind,
      mutationId,
      clock: applied.clock ?? clockWithout(claim),
      op,
      data,
      ...(update === undefined ? {} : { update }),
      ...(suggestionId === null ? {} : { suggestionId }),
    };
    await endClaim(tx, tenantId, conflictId);
    const settled = await settleResolution(tx, this.#context, tenantId, row, { ...claim, decision });
    this.#metrics.settled(row, kind, settled.openMs);
    return { kind: 'resolved', conflict: settled.conflict };
  }
}

/** A claim carried out twice at once (by its request and in the background) is one resolution. */
function resolvedBy(row: ConflictRow, { mutation }: Claim): 'resolved' | 'already_resolved' {
  return row.decision?.mutationId === mutation.mutationId ? 'resolved' : 'already_resolved';
}

function answer(reply: ConflictResolveReply): Step {
  return { kind: 'answer', reply };
}
