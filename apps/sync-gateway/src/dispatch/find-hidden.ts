import type { NatsConnection } from '@nats-io/transport-node';
import { request } from '@sync/messaging';
import { ExplainReply, type ExplainRequest, subjects, decoder } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import { counterOf, deviceReplica } from '@sync/vector-clock';
import { refusedConflict } from '../push/decide/conflict-of.ts';
import { type Author, refusedHere, type Settled, type Work } from '../push/outcome/settlement.ts';

const TIMEOUT_MS = 2_000;
/** Waiting usually helps: the projection is behind for milliseconds, or its worker is being replaced. */
const ASK_FROM_ATTEMPT = 3;

const decodeReply = decoder(ExplainReply, 'an ExplainReply');

/**
 * Ends a mutation that would wait for ever: its owner knows the entity, but it never appears in the
 * mutation's scope, because it belongs to another one, or was deleted before the projection showed it
 * (created and deleted in one batch) or so long ago that its tombstone is gone. Only the projector can tell
 * that from a projection that is merely late.
 */
export class FindHidden {
  readonly #nats: NatsConnection;
  readonly #logger: Logger;

  constructor(nats: NatsConnection, logger: Logger) {
    this.#nats = nats;
    this.#logger = logger;
  }

  /**
   * @returns the refusal, with the entity shown as absent like one that does not exist; null: go on waiting
   */
  async refuse(author: Author, work: Work, attempts: number, nowIso: string): Promise<Settled | null> {
    if (attempts < ASK_FROM_ATTEMPT) return null;
    const { mutation, registration, head } = work;
    // It is shown here still: that it was deleted, or left the scope, is on its way.
    if (head && !head.deleted) return null;
    const question: ExplainRequest = {
      tenantId: author.tenantId,
      entityType: mutation.entityType,
      entityId: mutation.entityId,
    };
    try {
      const { entity } = await request(this.#nats, subjects.explain, question, {
        timeoutMs: TIMEOUT_MS,
        decode: decodeReply,
      });
      if (!entity || entity.scopes.some(({ scope }) => scope === mutation.scope)) return null;
      // That it was deleted is told to who wrote it. To anybody else one that was deleted is like one of
      // others: the id is taken, and no more can be learnt.
      const isAuthor = counterOf(entity.clock, deviceReplica(author.deviceId)) > 0;
      const refusal =
        entity.deleted && isAuthor
          ? { code: 'entity_deleted', message: 'the entity was deleted, and nothing of it is left here' }
          : { code: 'forbidden', message: `/scope: ${mutation.scope} does not have this entity` };
      const refused = refusedHere(refusal, mutation, null, registration, nowIso);
      return { ...refused, ...refusedConflict(work, author.deviceId, null) };
    } catch (error) {
      this.#logger.debug({ err: error, ...question }, 'the projector did not explain an entity');
      return null;
    }
  }
}
