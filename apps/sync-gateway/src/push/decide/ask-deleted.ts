import type { NatsConnection } from '@nats-io/transport-node';
import { type DecisionInput, wantsDeletedData } from '@sync/domain';
import { request } from '@sync/messaging';
import { decoder, DeletedDataReply, type DeletedDataRequest, subjects } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';

/** Why a question cannot be answered now. */
export type DeletedDataMissing = 'projector_unavailable' | 'projection_behind';

type Deleted = DeletedDataReply['entities'][number];

const TIMEOUT_MS = 2_000;
const MAX_ENTITIES = 16;

const decodeReply = decoder(DeletedDataReply, 'a DeletedDataReply');

/**
 * Completes questions about edits that bring a deleted entity back: the read model has no data of what was
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

  /**
   * @returns one per question in the same order: as it was where nothing has to be asked for; never throws
   */
  async complete(
    tenantId: string,
    questions: readonly DecisionInput[],
  ): Promise<(DecisionInput | DeletedDataMissing)[]> {
    const asking = questions.filter((one) => wantsDeletedData(one) && one.current?.deletedData === null);
    if (asking.length === 0) return [...questions];
    const found = new Map<DecisionInput, Deleted>();
    for (let left = asking; left.length > 0; left = asking.slice(found.size)) {
      const part = left.slice(0, MAX_ENTITIES);
      const deleted = await this.#ask(tenantId, part);
      if (!deleted) break;
      for (const [place, one] of deleted.slice(0, part.length).entries())
        found.set(part[place] as DecisionInput, one);
    }
    const asked = new Set(asking);
    return questions.map((one) => (asked.has(one) ? completed(one, found.get(one)) : one));
  }

  /** @returns of the first ones, at least of one; null: no answer */
  async #ask(tenantId: string, questions: readonly DecisionInput[]): Promise<readonly Deleted[] | null> {
    const entities = questions.map(({ mutation: { entityType, entityId } }) => ({ entityType, entityId }));
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

function completed(
  question: DecisionInput,
  deleted: Deleted | undefined,
): DecisionInput | DeletedDataMissing {
  const { current } = question;
  if (!deleted || !current) return 'projector_unavailable';
  // It changed once more since: the read model will show it.
  if (deleted.revision !== null && deleted.revision > current.revision) return 'projection_behind';
  return { ...question, current: { ...current, deletedData: deleted.data } };
}
