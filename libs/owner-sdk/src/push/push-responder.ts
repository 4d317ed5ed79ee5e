import { faultPoint, firstThatFit, JsonText, RemoteError } from '@sync/messaging';
import { OwnerPushRequest, validator, type OwnerPushResult } from '@sync/protocol';
import type { EntityDefinition } from '../entity-definition.ts';
import type { OwnerMetrics } from '../ports.ts';
import { faultsText, unavailableOr } from '../request-faults.ts';
import { answerPush, type PushContext } from './answer-push.ts';
import { withoutData } from './decide-push.ts';

const checkRequest = validator(OwnerPushRequest);

/** Below the responder's own bound, so that too large a reply becomes a shorter one and not an error. */
const MAX_RESULTS_BYTES = 960_000;
/**
 * Of the results of changed entities that say how these stand. The gateway can do without it: it then waits
 * for the projection.
 */
const MAX_CHANGED_BYTES = 256 * 1024;

/**
 * The edge of `sync.push.v1.<service>.<entityType>`: decodes, calls {@link answerPush}, kicks the relay,
 * encodes.
 * @throws RemoteError `schema_invalid` for a request that is not an OwnerPushRequest of this entity type,
 *   `unavailable` while Postgres is away
 */
export async function respondToPush(
  context: PushContext & { readonly metrics: OwnerMetrics; readonly kick: () => void },
  definition: EntityDefinition,
  value: unknown,
): Promise<JsonText> {
  const startedMs = performance.now();
  const request = checkRequest(value);
  if (!request.ok) {
    throw new RemoteError('schema_invalid', `not an OwnerPushRequest: ${faultsText(request.faults)}`);
  }
  const foreign = request.value.mutations.findIndex(({ entityType }) => entityType !== definition.entityType);
  if (foreign >= 0) {
    const path = `/mutations/${foreign}/entityType`;
    throw new RemoteError('schema_invalid', `${path} must be ${definition.entityType} on this subject`);
  }
  faultPoint('push.requested');
  const results = await answerPush(context, definition, request.value).catch(unavailableOr);
  faultPoint('push.committed');
  const counts = { applied: 0, rejected: 0, conflict: 0 };
  for (const { status } of results) counts[status] += 1;
  if (counts.applied > 0) context.kick();
  context.metrics.pushed({
    entityType: definition.entityType,
    applied: counts.applied,
    rejected: counts.rejected,
    conflicts: counts.conflict,
    unanswered: request.value.mutations.length - results.length,
    durationMs: performance.now() - startedMs,
  });
  return replyOf(results);
}

/**
 * Writes each result once: measured as objects and sent as objects, the same data was written three times.
 *
 * Leaves out the data of changed entities where all of it together would be too much, and results that do not
 * fit one message: their mutations come again and are answered from the inbox. The first always fits, so that
 * every repetition gets further.
 */
export function replyOf(results: readonly OwnerPushResult[]): JsonText {
  let changedBytes = 0;
  const texts = results.map((result) => {
    const text = JSON.stringify(result);
    if (result.status !== 'applied' || !result.data) return text;
    changedBytes += Buffer.byteLength(text);
    return changedBytes > MAX_CHANGED_BYTES ? JSON.stringify(withoutData(result)) : text;
  });
  const fitting = firstThatFit(texts, MAX_RESULTS_BYTES, (text) => Buffer.byteLength(text) + 1);
  return new JsonText(`{"results":[${fitting.join(',')}]}`);
}
