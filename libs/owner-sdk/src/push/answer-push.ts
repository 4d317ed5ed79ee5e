import { appendToOutbox, faultPoint, RemoteError } from '@sync/messaging';
import {
  inOrder,
  isPassing,
  isTooSlow,
  isUnavailable,
  retryConflicts,
  type Database,
  type StatementLimits,
  type Tx,
} from '@sync/postgres';
import type { OwnerPushRequest, OwnerPushResult, PushedMutation } from '@sync/protocol';
import { changeEntities, storedRow, type OwnerContext } from '../change-entities.ts';
import { packEvents } from '../domain-event-outbox.ts';
import { BusyDocumentsError, RefusedDocumentError } from '../document-port.ts';
import type { EntityDefinition } from '../entity-definition.ts';
import type { EntityData } from '../entity-store.ts';
import type { Rejected } from '../handler-answer.ts';
import { lockVersions } from '../entity-version.ts';
import type { OwnerLogger } from '../ports.ts';
import { LOCKING_LIMITS } from '../request-faults.ts';
import { completeDocuments } from './complete-documents.ts';
import { decidePush, type EntityNow, type PushDecision } from './decide-push.ts';
import { answerAgain, type KnownAnswer } from './known-answer.ts';
import {
  PushRaceError,
  createVersionsAndAnswers,
  findAnswers,
  foundExisting,
  writeVersionsAndAnswers,
} from './push-store.ts';

export interface PushContext extends OwnerContext {
  readonly database: Database;
  readonly logger: OwnerLogger;
  readonly now: () => Date;
}

const MAX_RACES = 5;
/**
 * After that no further entity of a batch is begun that was taken apart: what is done has to be answered
 * while somebody waits for it.
 */
const APART_MS = 6_000;
/**
 * Of the entities of such a batch, one after the other: the batch may have waited for a lock already, and
 * each that is still locked takes its time from those that come after it.
 */
const APART_LIMITS: StatementLimits = { ...LOCKING_LIMITS, lockMs: 250 };

/**
 * Of each statement of a batch of several devices: none of them shall wait for long because something is
 * wrong with what another one sent.
 */
const SHARED_LIMITS: StatementLimits = { statementMs: 500, lockMs: 250 };
/** After that nothing of such a batch is begun any more. */
const SHARED_MS = 1_000;

/** Mutations of one entity type that are answered in one transaction. */
interface Batch {
  readonly definition: EntityDefinition;
  readonly tenantId: string;
  readonly mutations: readonly PushedMutation[];
  /** How long its statements may take and wait. */
  readonly limits: StatementLimits;
  /** When it has taken too long, in the time of `performance.now`; absent: never. */
  readonly endMs?: number;
  /** Of its document; then it is one mutation, which is answered with that. */
  readonly refusal?: Rejected;
}

/** Pushes of several devices cannot be done together. */
class SharedBatchError extends Error {
  override readonly name = 'SharedBatchError';
}

/**
 * Answers one batch of mutations of one entity type in one transaction: lock versions → inbox → load → decide
 * → versions and answers → store → outbox. Four round trips whatever the size of the batch, COMMIT included
 * (the inbox goes with the lock, and all that is written goes together); two when all entities are new, see
 * {@link decideAllNew}.
 *
 * The inbox is read after the lock: a repetition that runs beside the first attempt waits there, and then
 * finds the answer.
 *
 * When the service's own `load` or `store` fails, the batch is taken apart and each entity gets its own
 * transaction, so that one bad row does not hold back the others. So it is when a statement took too long
 * ({@link LOCKING_LIMITS}): an entity that costs so much alone is one at which its owner fails. And so it is
 * when somebody else keeps one of the entities locked: the others are answered without it.
 *
 * @returns the answers given; a mutation without one is to be sent again
 * @throws the driver's error when Postgres is away; nothing was committed, or the outcome is unknown and a
 * repetition finds it
 * @throws RemoteError `overloaded` when everybody was too busy for any of it: unanswered, it would count as
 * failed by its owner; `shared_failed` when a batch of several devices cannot be done together
 */
export async function answerPush(
  context: PushContext,
  definition: EntityDefinition,
  { tenantId, mutations, shared }: OwnerPushRequest,
): Promise<OwnerPushResult[]> {
  const batch: Batch = { definition, tenantId, mutations, limits: LOCKING_LIMITS };
  if (shared) return answerShared(context, batch);
  const endMs = performance.now() + APART_MS;
  const lanes = [...Map.groupBy(mutations, ({ entityId }) => entityId).values()];
  if (lanes.length === 1) return answerLane(context, batch);
  try {
    return await answerTogether(context, batch);
  } catch (error) {
    if (isUnavailable(error)) throw error;
    logUnanswered(context, batch, error, 'a batch failed and is taken apart by entity');
    return answerInTurn(lanes, async (lane) =>
      performance.now() > endMs
        ? []
        : answerLane(context, { ...batch, mutations: lane, limits: APART_LIMITS }),
    );
  }
}

async function answerShared(context: PushContext, batch: Batch): Promise<OwnerPushResult[]> {
  try {
    const { mutations } = batch;
    // Answers are told apart by it, and each change has an answer of its own.
    const ids = new Set(mutations.map(({ mutationId }) => mutationId));
    if (ids.size < mutations.length) throw new SharedBatchError('one mutationId comes twice');
    const endMs = performance.now() + SHARED_MS;
    return await answerTogether(context, { ...batch, limits: SHARED_LIMITS, endMs });
  } catch (error) {
    if (isUnavailable(error)) throw error;
    logUnanswered(context, batch, error, 'pushes failed together, each comes alone');
    throw new RemoteError('shared_failed', 'Something is wrong with one of the pushes: send each alone');
  }
}

/**
 * One after the other. A part that was too busy is left out, to be sent again: `overloaded` says that nothing
 * at all was done, so it is thrown only when nothing was.
 */
async function answerInTurn<T>(
  parts: readonly T[],
  answer: (part: T) => Promise<OwnerPushResult[]>,
): Promise<OwnerPushResult[]> {
  const results: OwnerPushResult[] = [];
  let busy: RemoteError | null = null;
  for (const part of parts) {
    try {
      results.push(...(await answer(part)));
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error;
      busy ??= error;
    }
  }
  if (busy && results.length === 0) throw busy;
  return results;
}

async function answerLane(context: PushContext, batch: Batch): Promise<OwnerPushResult[]> {
  try {
    return await answerTogether(context, batch);
  } catch (error) {
    if (isUnavailable(error)) throw error;
    if (error instanceof RefusedDocumentError && !batch.refusal) {
      return batch.mutations.length === 1
        ? answerLane(context, { ...batch, refusal: error.refusal })
        : answerOneByOne(context, batch);
    }
    const isBusy = isPassing(error) && !isTooSlow(error);
    if (error instanceof BusyDocumentsError || error instanceof PushRaceError || isBusy) {
      throw new RemoteError('overloaded', 'Too much else is being done, try again later');
    }
    logUnanswered(context, batch, error, 'no answer: the service’s load or store failed');
    return [];
  }
}

/** What cannot be merged is found, and refused for good, alone. What builds on an unanswered one waits. */
function answerOneByOne(context: PushContext, lane: Batch): Promise<OwnerPushResult[]> {
  let stopped = false;
  return answerInTurn(lane.mutations, async (mutation) => {
    if (stopped) return [];
    stopped = true;
    const answer = await answerLane(context, { ...lane, mutations: [mutation] });
    stopped = answer.length === 0;
    return answer;
  });
}

async function answerTogether(context: PushContext, batch: Batch): Promise<OwnerPushResult[]> {
  const { database } = context;
  for (let race = 1; ; race += 1) {
    const mayBeNew = race === 1 && !batch.refusal;
    try {
      const decision = await retryConflicts(() =>
        database.inTenant(batch.tenantId, (tx) => transact(tx, context, batch, mayBeNew), batch.limits),
      );
      for (const { mutation, error } of decision.unanswered) {
        const failed = { ...batch, mutations: [mutation] };
        logUnanswered(context, failed, error, 'no answer: the push handler threw');
      }
      return [...decision.results];
    } catch (error) {
      if (!(error instanceof PushRaceError) || race === MAX_RACES) throw error;
    }
  }
}

/** @param mayBeNew nobody has found yet that one of its entities or answers is there already */
async function transact(
  tx: Tx,
  context: PushContext,
  batch: Batch,
  mayBeNew: boolean,
): Promise<PushDecision> {
  const { definition, tenantId, mutations, refusal = null } = batch;
  const { entityType } = definition;
  const nowIso = context.now().toISOString();
  assertInTime(batch);
  const created = mayBeNew ? decideAllNew(context, batch, nowIso) : null;
  if (created) {
    await write(tx, context, batch, created, { nowIso, isNew: true }).catch(foundExisting);
    faultPoint('push.written');
    return created;
  }
  const entityIds = [...new Set(mutations.map((mutation) => mutation.entityId))].sort();
  const mutationIds = mutations.map((mutation) => mutation.mutationId);
  const [versions, answered] = await inOrder([
    lockVersions(tx, tenantId, entityType, entityIds),
    findAnswers(tx, tenantId, mutationIds),
  ]);
  // A repetition costs nothing but its look into the inbox.
  const asked = new Set(
    mutations.flatMap((mutation) => (isKnown(answered, mutation) ? [] : mutation.entityId)),
  );
  const alive = [...versions.keys()].filter((id) => asked.has(id) && !versions.get(id)?.deleted);
  const loaded = alive.length === 0 ? NOTHING : await loadForHandlers(definition, tx, tenantId, alive);
  const entities = new Map<string, EntityNow>();
  for (const [entityId, version] of versions) {
    entities.set(entityId, { ...version, data: loaded.get(entityId) ?? null });
  }
  const documents =
    (await definition.documents?.open(tx, tenantId, entityType, entityIds, mutations)) ?? null;
  const state = { service: context.service, tenantId, nowIso, answered, entities, documents, refusal };
  const decided = decidePush(definition, state, mutations);
  const decision = documents ? await completeDocuments(tx, documents, decided) : decided;
  assertInTime(batch);
  await write(tx, context, batch, decision, { nowIso, isNew: false });
  faultPoint('push.written');
  return decision;
}

/** @throws SharedBatchError */
function assertInTime({ endMs = Infinity }: Batch): void {
  if (performance.now() > endMs) throw new SharedBatchError('it takes too long');
}

function isKnown(answered: ReadonlyMap<string, KnownAnswer>, mutation: PushedMutation): boolean {
  const known = answered.get(mutation.mutationId);
  return known !== undefined && answerAgain(known, mutation) !== null;
}

/**
 * Decides a batch that creates all its entities without looking for them, as nearly every batch of appends
 * is: writing them says whether anything of it was there ({@link PushRaceError}), and then it starts over and
 * looks.
 * @returns null unless every mutation is applied: only what is written is checked
 */
function decideAllNew(
  { service }: PushContext,
  { definition, tenantId, mutations }: Batch,
  nowIso: string,
): PushDecision | null {
  if (definition.documents) return null;
  const seen = new Set<string>();
  const isNew = mutations.every(({ entityId, expectedRevision }) => {
    const first = !seen.has(entityId);
    seen.add(entityId);
    return !first || expectedRevision === 0;
  });
  if (!isNew) return null;
  const state = { service, tenantId, nowIso, answered: new Map(), entities: new Map(), refusal: null };
  const decision = decidePush(definition, state, mutations);
  const applied = decision.results.length === new Set(mutations.map(({ mutationId }) => mutationId)).size;
  return applied && decision.results.every(({ status }) => status === 'applied') ? decision : null;
}

const NOTHING: ReadonlyMap<string, EntityData> = new Map();

/** Handlers decide on plain fields: nobody has to read whole documents for that. */
function loadForHandlers(
  definition: EntityDefinition,
  tx: Tx,
  tenantId: string,
  entityIds: readonly string[],
): ReturnType<EntityDefinition['load']> {
  const { documents } = definition;
  return documents ? documents.loadPlain(tx, tenantId, entityIds) : definition.load(tx, tenantId, entityIds);
}

async function write(
  tx: Tx,
  context: PushContext,
  { definition, tenantId }: Batch,
  decision: PushDecision,
  { nowIso, isNew }: { readonly nowIso: string; readonly isNew: boolean },
): Promise<void> {
  const { entityType } = definition;
  const { changed, final } = decision;
  const rows = [...changed].map(([entityId, { data, json }]) => {
    return { ...storedRow(entityId, data, json), ...(isNew && { isNew }) };
  });
  // Async, so that one that throws at once leaves no promise behind that nobody waits for.
  const store = async (): Promise<void> => definition.store(tx, tenantId, rows);
  const outbox = async (): Promise<void> => appendToOutbox(tx, packEvents(context.service, decision.events));
  const written: Promise<void>[] = [];
  if (final.length > 0) {
    const keep = isNew ? createVersionsAndAnswers : writeVersionsAndAnswers;
    written.push(keep(tx, { tenantId, entityType, nowIso, changed, final }));
  }
  if (rows.length > 0) written.push(store(), outbox());
  await inOrder(written);
  if (decision.also.length > 0) await changeEntities(tx, context, tenantId, decision.also, { nowIso });
}

function logUnanswered(
  { logger }: PushContext,
  { definition: { entityType }, mutations }: Batch,
  error: unknown,
  message: string,
): void {
  const mutationIds = mutations.slice(0, 10).map((mutation) => mutation.mutationId);
  logger.error({ err: error, entityType, mutationIds }, message);
}
