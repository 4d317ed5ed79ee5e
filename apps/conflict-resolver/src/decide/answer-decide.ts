import { type Decision, decide } from '@sync/domain';
import { RemoteError } from '@sync/messaging';
import { type DecideItem, type DecideReply, type DecideRequest, LIMITS } from '@sync/protocol';

/**
 * Decides a batch of concurrent mutations. Nothing is read or written: the answer depends on the request
 * alone, so any replica may answer and a repeated question gets the same answer. The record is stored later,
 * when the gateway's event says that the decision was carried out.
 * @throws RemoteError `schema_invalid` for anything but a DecideRequest of at most 500 items
 */
export function answerDecide(body: unknown): DecideReply {
  if (!isDecideRequest(body))
    throw new RemoteError('schema_invalid', 'A DecideRequest has tenantId and 1 to 500 items');
  return { decisions: body.items.map(decideItem) };
}

function decideItem(item: DecideItem): Decision {
  try {
    return decide(item);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RemoteError(
      'schema_invalid',
      `mutation ${item.mutation.mutationId} cannot be decided: ${reason}`,
    );
  }
}

function isDecideRequest(body: unknown): body is DecideRequest {
  const items = (body as { items?: unknown } | null)?.items;
  return (
    Array.isArray(items) && items.length > 0 && items.length <= LIMITS.mutationsPerPush && items.every(isItem)
  );
}

/**
 * The gateway is the only caller and sends typed items; this guards against another version of it, not
 * against attackers.
 */
function isItem(item: unknown): boolean {
  const { mutation, policy } = (item ?? {}) as { mutation?: { mutationId?: unknown }; policy?: unknown };
  return typeof mutation?.mutationId === 'string' && typeof policy === 'string';
}
