import { readJson } from '@sync/domain';
import { Controller, Inject } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import type { Batch, Pruned } from '@sync/messaging';
import { BatchContext } from '@sync/messaging/nest';
import type { SyncEvent } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import { LOGGER } from '../tokens.ts';
import { collectObservations } from './collect-observations.ts';
import { saveObservations } from './observation-store.ts';

/**
 * Sync events in, observations out; the strategy commits them together with the watermarks and acks after
 * that.
 */
@Controller()
export class SyncEventsConsumer {
  private readonly logger: Logger;

  constructor(@Inject(LOGGER) logger: Logger) {
    this.logger = logger;
  }

  @EventPattern('SYNC_EVENTS')
  async observe(@Payload() batches: readonly Batch[], @Ctx() context: unknown): Promise<void> {
    if (!(context instanceof BatchContext))
      throw new TypeError('SYNC_EVENTS is consumed by the JetStreamStrategy only');
    const { tx } = context;
    const messages = batches.flatMap((batch) => batch.messages);
    const seen = collectObservations(messages.flatMap(({ payload }) => readJson(payload) as SyncEvent[]));
    if (seen.tenants.size > 0) await saveObservations(tx, seen);
  }

  /** Observations that were missed come again with the device's next request: nothing to rebuild. */
  @EventPattern('SYNC_EVENTS.pruned')
  skipPruned(@Payload() pruned: Pruned): Promise<void> {
    this.logger.warn(
      { event: 'observations_missed', ...pruned },
      'sync events were pruned before they were read',
    );
    return Promise.resolve();
  }
}
