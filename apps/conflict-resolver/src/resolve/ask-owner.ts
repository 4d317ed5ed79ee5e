import type { NatsConnection } from '@nats-io/transport-node';
import { request, wasUntouched } from '@sync/messaging';
import { OwnerPushReply, type OwnerPushResult, decoder } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import type { Claim } from './claim-store.ts';

/**
 * What came of a push: the owner's answer; or that nothing happened, because nobody was reached (`not_sent`)
 * or the owner answered without this mutation, whose handler threw (`failed`); or that nobody can tell
 * (`unanswered`).
 */
export type Asked = OwnerPushResult | { readonly status: 'not_sent' | 'failed' | 'unanswered' };

const TIMEOUT_MS = 3_000;
const decodeReply = decoder(OwnerPushReply, 'an OwnerPushReply');

/** Sends one resolution to the push handler of its owning service; never throws. */
export async function askOwner(
  nats: NatsConnection,
  logger: Logger,
  tenantId: string,
  { pushSubject, mutation, service }: Claim,
): Promise<Asked> {
  try {
    const reply = await request(
      nats,
      pushSubject,
      { tenantId, mutations: [mutation] },
      { timeoutMs: TIMEOUT_MS, decode: decodeReply },
    );
    const result = reply.results.find(({ mutationId }) => mutationId === mutation.mutationId);
    return result ?? { status: 'failed' };
  } catch (error) {
    const { mutationId, entityType } = mutation;
    logger.warn(
      { err: error, tenantId, owner: service, entityType, mutationId },
      'an owner did not answer a resolution',
    );
    return { status: wasUntouched(error) ? 'not_sent' : 'unanswered' };
  }
}
