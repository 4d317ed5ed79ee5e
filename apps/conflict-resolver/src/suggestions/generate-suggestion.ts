import { backoffMs, type JsonObject } from '@sync/domain';
import type { Tx } from '@sync/postgres';
import { type AIAnswer, type AIClient, AIClientError, type TokenUsage } from './ai-client.ts';
import type { AIConfig } from './ai-config.ts';
import { AnswerRefusedError, type ReadAnswer, readAnswer } from './answer-format.ts';
import { amountOf, dayOf, reconcile, reserve } from './budget.ts';
import { hashJson } from '../history/hashes.ts';
import { type Claim, endJob, postponeJob } from './job-store.ts';
import { noteSuggestion } from './note-suggestion.ts';
import { PROMPT_HASH, askAbout } from './prompt.ts';
import { redactMaterial } from './redact-material.ts';
import { readSettings } from './settings-store.ts';
import { tellSuggestions } from './tell-suggestions.ts';
import type { SuggestionContext } from './suggestion-context.ts';
import {
  type WaitingSuggestion,
  holdRecord,
  noteReservation,
  readWaiting,
  storeFailed,
  storeReady,
} from './suggestion-store.ts';

export const MAX_ATTEMPTS = 3;
const RETRY_BACKOFF = { baseMs: 5_000, capMs: 60_000 } as const;
const NOTHING: TokenUsage = { promptTokens: 0, outputTokens: 0 };

/** What became of one attempt: for metrics and logs. */
export type AttemptResult = 'ready' | 'failed' | 'postponed' | 'overtaken';

type Ending =
  | { readonly kind: 'ready'; readonly answer: AIAnswer; readonly read: ReadAnswer }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly model: string | null;
      readonly usage: TokenUsage | null;
      readonly mayPass: boolean;
    };

/**
 * One attempt at a claimed job: ask, check, store. The model is asked outside of any transaction; what is
 * stored is stored together with the end of the job and of the reservation, and only while the claim holds,
 * so that two workers never both answer.
 *
 * An attempt whose worker died keeps its reservation, because it may have been billed; the next one reserves
 * again.
 *
 * @param signal the worker stops, or the claim is about to run out
 */
export async function generateSuggestion(
  context: SuggestionContext,
  ai: AIConfig,
  client: AIClient,
  claim: Claim,
  signal: AbortSignal,
): Promise<AttemptResult> {
  const begun = await begin(context, claim);
  if (begun === null) return finishNothing(context, claim);
  const ending = 'kind' in begun ? begun : await attempt(client, begun, signal);
  if (ending.kind === 'failed') {
    const { code, mayPass } = ending;
    context.logger.warn({ event: 'suggestion_attempt_failed', ...claim, code, mayPass }, 'no suggestion');
  }
  return context.database.inTenant(claim.tenantId, (tx) => finish(tx, context, ai, claim, ending));
}

/** @returns null when nobody waits any more, and an ending when the model must not be asked (again) */
async function begin(
  { database, now }: SuggestionContext,
  { tenantId, suggestionId, attempt: number }: Claim,
): Promise<WaitingSuggestion | Ending | null> {
  return database.inTenant(tenantId, async (tx) => {
    const waiting = await readWaiting(tx, tenantId, suggestionId);
    if (!waiting) return null;
    // What the first attempt reserved and did not use is given back; later ones may have been billed by an
    // attempt that got lost.
    const unused = number === 1 ? NOTHING : null;
    const settings = await readSettings(tx, tenantId);
    const rules = { fields: settings.redactFields, patterns: settings.redactPatterns };
    // The administrator may have spoken since the question was stored: nothing leaves that may not leave now.
    if (!settings.enabled) return failure('suggestions_disabled', null, unused);
    if ((await redactMaterial(waiting.material, rules)).removed.length > 0) {
      return failure('redaction_changed', null, unused);
    }
    if (number === 1) return waiting;
    // Only claims that ran out get here: every attempt that ends stores that it was the last.
    if (number > MAX_ATTEMPTS) return failure('attempts_used_up', null, null);
    const reservation = { ...waiting.reservation, day: dayOf(now()) };
    if (!(await reserve(tx, tenantId, reservation, settings))) return failure('budget_exceeded', null, null);
    await noteReservation(tx, tenantId, suggestionId, reservation);
    return { ...waiting, reservation };
  });
}

/** It was dismissed while it waited: the job ends, the model is not asked. */
async function finishNothing({ database }: SuggestionContext, claim: Claim): Promise<AttemptResult> {
  await database.transaction((tx) => endJob(tx, claim));
  return 'overtaken';
}

async function attempt(client: AIClient, waiting: WaitingSuggestion, signal: AbortSignal): Promise<Ending> {
  const question = askAbout(waiting.entityType, waiting.material, waiting.parameters);
  let answer: AIAnswer;
  try {
    answer = await client.complete(question, signal);
  } catch (error) {
    if (!(error instanceof AIClientError)) throw error;
    const mayPass = ['timeout', 'unavailable', 'overloaded'].includes(error.code);
    return failure(error.code, null, error.usage, mayPass);
  }
  try {
    return { kind: 'ready', answer, read: readAnswer(answer.text, waiting.material) };
  } catch (error) {
    if (!(error instanceof AnswerRefusedError)) throw error;
    return failure(error.code, answer.model, answer.usage);
  }
}

function failure(code: string, model: string | null, usage: TokenUsage | null, mayPass = false): Ending {
  return { kind: 'failed', code, model, usage, mayPass };
}

async function finish(
  tx: Tx,
  context: SuggestionContext,
  ai: AIConfig,
  claim: Claim,
  ending: Ending,
): Promise<AttemptResult> {
  const { tenantId, suggestionId } = claim;
  const usage = ending.kind === 'ready' ? ending.answer.usage : ending.usage;
  const postponed = ending.kind === 'failed' && ending.mayPass && claim.attempt < MAX_ATTEMPTS;
  const ours = postponed
    ? await postponeJob(tx, claim, backoffMs(claim.attempt, RETRY_BACKOFF, Math.random()))
    : await endJob(tx, claim);
  if (!ours) return 'overtaken';
  const before = await readWaiting(tx, tenantId, suggestionId);
  if (!before) return 'overtaken';
  await holdRecord(tx, tenantId, before.conflictId);
  // Read again under the lock: it may have been dismissed while the model was thinking. Then its reservation
  // stays as its bill.
  const waiting = await readWaiting(tx, tenantId, suggestionId);
  if (!waiting) return 'overtaken';
  const atIso = context.now().toISOString();
  if (!postponed) await noteEnding(tx, claim, waiting, ending, atIso);
  await reconcile(tx, tenantId, waiting.reservation, usage === null ? null : amountOf(usage, ai.prices));
  if (postponed) return 'postponed';
  if (ending.kind === 'ready') {
    const outputHash = hashJson(outputOf(ending.read));
    await storeReady(tx, tenantId, suggestionId, { ...ending, outputHash, promptHash: PROMPT_HASH, atIso });
  } else {
    await storeFailed(tx, tenantId, suggestionId, { ...ending, atIso });
  }
  await tellSuggestions(tx, tenantId, [suggestionId], atIso);
  await context.announce(tx, tenantId, waiting.conflictId);
  return ending.kind;
}

function outputOf({ changes }: ReadAnswer): JsonObject {
  return { set: changes.set, remove: changes.remove };
}

async function noteEnding(
  tx: Tx,
  { tenantId, suggestionId }: Claim,
  { conflictId, requestedBy, requestedDevice }: WaitingSuggestion,
  ending: Ending,
  atIso: string,
): Promise<void> {
  const facts =
    ending.kind === 'ready'
      ? { model: ending.answer.model, promptHash: PROMPT_HASH, outputHash: hashJson(outputOf(ending.read)) }
      : { code: ending.code };
  const what = ending.kind === 'ready' ? 'suggestion_ready' : 'suggestion_failed';
  await noteSuggestion(tx, tenantId, {
    ...{ conflictId, suggestionId, requestedBy, requestedDevice, what, atIso, facts },
  });
}
