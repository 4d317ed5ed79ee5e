import { randomUUID } from 'node:crypto';
import type { JsonObject } from '@sync/domain';
import { RemoteError } from '@sync/messaging';
import type { Tx } from '@sync/postgres';
import type { SuggestionReply, SuggestionRequest, SuggestionSettings } from '@sync/protocol';
import type { AIConfig } from './ai-config.ts';
import { type Reservation, amountOf, dayOf, nextBudgetMs, reserve } from './budget.ts';
import { contestedFields, sideOf } from './conflict-material.ts';
import { hashClock, hashJson } from '../history/hashes.ts';
import { addJob } from './job-store.ts';
import { noteSuggestion } from './note-suggestion.ts';
import { PROMPT_HASH, askAbout, estimateTokens } from './prompt.ts';
import { type Redacted, redactMaterial } from './redact-material.ts';
import { readSettings } from './settings-store.ts';
import type { SuggestionContext } from './suggestion-context.ts';
import { expireSuggestions } from './expire-suggestions.ts';
import { tellSuggestions } from './tell-suggestions.ts';
import {
  type ContestedRecord,
  type NewSuggestion,
  insertSuggestion,
  readContestedRecord,
  readStanding,
} from './suggestion-store.ts';

type Present = NonNullable<SuggestionRequest['present']>;

/**
 * Bytes of the texts of one question; a larger conflict is not one that a person decides by reading a
 * suggestion.
 */
const MAX_MATERIAL_BYTES = 32_768;
/** Failures cost money too: whoever asks again and again gets no further answer on that day. */
const MAX_PER_CONFLICT_AND_DAY = 10;

/** Undoes the transaction that found the budget used up. */
class OverBudgetError extends Error {
  override readonly name = 'OverBudgetError';
}

/**
 * Takes a user's request for a suggestion: stores the question with its reservation and its job in one
 * transaction, and asks nothing yet.
 *
 * While a suggestion waits or is ready for the present state of the conflict, it is the answer.
 *
 * @throws RemoteError `suggestions_disabled`, `not_found` (also for another user's conflict),
 * `conflict_already_resolved`
 */
export async function requestSuggestion(
  context: SuggestionContext,
  request: SuggestionRequest,
): Promise<SuggestionReply> {
  const { database, ai } = context;
  const now = context.now();
  try {
    const reply = await database.inTenant(request.tenantId, async (tx): Promise<SuggestionReply> => {
      const settings = await readSettings(tx, request.tenantId);
      if (!ai || !settings.enabled) {
        throw new RemoteError('suggestions_disabled', 'The tenant has no suggestions');
      }
      const record = await openRecord(tx, request);
      const { present } = request;
      if (!present) {
        return {
          kind: 'needs_present',
          scope: record.scope,
          entityType: record.entityType,
          entityId: record.entityId,
        };
      }
      return ask({ tx, context, ai, settings, request, record, present, now });
    });
    if (reply.kind === 'asked') context.committed();
    return reply;
  } catch (error) {
    if (error instanceof OverBudgetError) return { kind: 'over_budget', retryAfterMs: nextBudgetMs(now) };
    throw error;
  }
}

async function openRecord(tx: Tx, request: SuggestionRequest): Promise<ContestedRecord> {
  const { tenantId, userId, conflictId } = request;
  const record = await readContestedRecord(tx, tenantId, userId, conflictId);
  if (!record) throw new RemoteError('not_found', `No conflict "${conflictId}"`);
  if (record.status !== 'open') {
    throw new RemoteError('conflict_already_resolved', `Conflict "${conflictId}" is resolved`);
  }
  return record;
}

interface Ask {
  readonly tx: Tx;
  readonly context: SuggestionContext;
  readonly ai: AIConfig;
  readonly settings: SuggestionSettings;
  readonly request: SuggestionRequest;
  readonly record: ContestedRecord;
  readonly present: Present;
  readonly now: Date;
}

/** @throws OverBudgetError */
async function ask({
  tx,
  context,
  ai,
  settings,
  request,
  record,
  present,
  now,
}: Ask): Promise<SuggestionReply> {
  const { tenantId, conflictId } = request;
  const clockHash = hashClock(present.clock);
  const standing = await readStanding(tx, tenantId, conflictId, clockHash, dayOf(now));
  if (standing.alive) return { kind: 'asked', ...standing.alive };
  if (standing.askedToday >= MAX_PER_CONFLICT_AND_DAY) throw new OverBudgetError();

  await expireSuggestions(tx, tenantId, conflictId, { clock: present.clock, nowIso: now.toISOString() });
  const suggestion = await compose({ ai, settings, request, record, present, now, clockHash });
  const { suggestionId, status, reservation } = suggestion;
  if (!(await insertSuggestion(tx, tenantId, suggestion))) {
    // Somebody asked at the same moment and has committed meanwhile.
    const { alive } = await readStanding(tx, tenantId, conflictId, clockHash, dayOf(now));
    return {
      kind: 'asked',
      suggestionId: alive?.suggestionId ?? suggestionId,
      status: alive?.status ?? status,
    };
  }
  await noteSuggestion(tx, tenantId, {
    ...{ conflictId, suggestionId, what: 'suggestion_requested', atIso: suggestion.requestedAt },
    ...{ requestedBy: suggestion.requestedBy, requestedDevice: suggestion.requestedDevice },
    facts: {
      promptHash: suggestion.promptHash,
      baseHash: suggestion.baseHash,
      oursHash: suggestion.oursHash,
      theirsHash: suggestion.theirsHash,
      ...(suggestion.code === null ? {} : { code: suggestion.code }),
    },
  });
  if (status === 'requested') {
    await addJob(tx, tenantId, suggestionId);
    if (!(await reserve(tx, tenantId, reservation, settings))) throw new OverBudgetError();
  }
  const first = status === 'requested' ? [] : (['requested'] as const);
  await tellSuggestions(tx, tenantId, [suggestionId], suggestion.requestedAt, first);
  await context.announce(tx, tenantId, conflictId);
  return { kind: 'asked', suggestionId, status };
}

async function compose(
  input: Omit<Ask, 'tx' | 'context'> & { readonly clockHash: string },
): Promise<NewSuggestion> {
  const { ai, settings, request, record, present, now, clockHash } = input;
  const contested = contestedFields(record.draft, present.data as JsonObject | null);
  const tooLarge = Buffer.byteLength(JSON.stringify(contested)) > MAX_MATERIAL_BYTES;
  // Before the patterns look at it: their time grows with the square of a text, or worse.
  const redacted: Redacted = tooLarge
    ? { kept: [], removed: [] }
    : await redactMaterial(contested, { fields: settings.redactFields, patterns: settings.redactPatterns });
  const question = askAbout(record.entityType, redacted.kept, ai.parameters);
  const code = tooLarge ? 'material_too_large' : refusalOf(redacted);
  const estimate = amountOf(estimateTokens(question), ai.prices);
  const reservation: Reservation = {
    day: dayOf(now),
    ...(code === null ? estimate : { tokens: 0, costMicros: 0 }),
  };
  return {
    suggestionId: randomUUID(),
    conflictId: request.conflictId,
    status: code === null ? 'requested' : 'failed',
    code,
    entityType: record.entityType,
    clock: present.clock,
    clockHash,
    material: redacted.kept,
    redacted: redacted.removed,
    requestedBy: request.userId,
    requestedDevice: request.deviceId,
    requestedAt: now.toISOString(),
    promptHash: PROMPT_HASH,
    parameters: ai.parameters,
    baseHash: hashJson(sideOf(redacted.kept, 'base')),
    oursHash: hashJson(sideOf(redacted.kept, 'ours')),
    theirsHash: hashJson(sideOf(redacted.kept, 'theirs')),
    reservation,
  };
}

/** Why there is nothing to ask. */
function refusalOf({ kept, removed }: Redacted): string | null {
  if (kept.length > 0) return null;
  return removed.length > 0 ? 'all_redacted' : 'nothing_to_merge';
}
