import type { NatsConnection } from '@nats-io/transport-node';
import type { JsonObject } from '@sync/domain';
import { request } from '@sync/messaging';
import { decoder, DeletedDataReply, type DeletedDataRequest, subjects } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';

/** A deleted entity, as the read model has it at this revision. */
export interface DeletedEntity {
  readonly entityType: string;
  readonly entityId: string;
  readonly revision: number;
}

/** What an entity was before it was deleted; null: nobody knows it any more. */
export interface DeletedData {
  readonly data: JsonObject | null;
}

/** Why that cannot be said now. */
export type DeletedDataMissing = 'projector_unavailable' | 'projection_behind';

type Deleted = DeletedDataReply['entities'][number];

const TIMEOUT_MS = 2_000;
const MAX_ENTITIES = 16;

const decodeReply = decoder(DeletedDataReply, 'a DeletedDataReply');

/**
 * Asks what deleted entities were, for edits that bring them back: the read model has no data of what was
 * deleted, the delta-projector has it until its tombstone goes. Without it, such an edit would be superseded
 * where the deletion came first, and stand where it came first itself.
 *
 * Asking is rare, so the data of every deleted entity need not lie in the read model for it, once a scope.
 */
export class AskDeleted {
  readonly #nats: NatsConnection;
  readonly #logger: Logger;

  constructor(nats: NatsConnection, logger: Logger) {
    this.#nats = nats;
    this.#logger = logger;
  }

  /** @returns one per entity in the same order; never throws */
  async ask(
    tenantId: string,
    entities: readonly DeletedEntity[],
  ): Promise<(DeletedData | DeletedDataMissing)[]> {
    const found: Deleted[] = [];
    while (found.length < entities.length) {
      const part = entities.slice(found.length, found.length + MAX_ENTITIES);
      const deleted = await this.#askPart(tenantId, part);
      if (!deleted) break;
      found.push(...deleted.slice(0, part.length));
    }
    return entities.map((entity, place) => answerOf(entity, found[place]));
  }

  /** @returns of the first ones, at least of one; null: no answer */
  async #askPart(tenantId: string, part: readonly DeletedEntity[]): Promise<readonly Deleted[] | null> {
    const entities = part.map(({ entityType, entityId }) => ({ entityType, entityId }));
    const body: DeletedDataRequest = { tenantId, entities };
    try {
      const reply = await request(this.#nats, subjects.deletedData, body, {
        timeoutMs: TIMEOUT_MS,
        decode: decodeReply,
      });
      return reply.entities.length > 0 ? reply.entities : null;
    } catch (error) {
      const context = { err: error, tenantId, entities: entities.length };
      this.#logger.warn(context, 'the delta-projector did not say what was deleted');
      return null;
    }
  }
}

function answerOf(
  { revision }: DeletedEntity,
  deleted: Deleted | undefined,
): DeletedData | DeletedDataMissing {
  if (!deleted) return 'projector_unavailable';
  // It changed once more since: the read model will show it.
  if (deleted.revision !== null && deleted.revision > revision) return 'projection_behind';
  return { data: deleted.data };
}
