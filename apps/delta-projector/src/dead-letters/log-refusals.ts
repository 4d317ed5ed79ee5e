import { shorten } from '@sync/domain';
import type { Logger } from '@sync/service-kit';
import type { IncomingEvent } from '../projection/incoming-event.ts';
import type { Refusal } from './dead-letter-store.ts';

/** Lines per commit; a faulty owner may send thousands, and all of them are in the list of dead letters. */
const MAX_LINES = 20;
const MAX_CAUSE_LENGTH = 300;
/** Their causes are errors of other people's code, which may quote what the event holds. */
const QUOTING: ReadonlySet<string> = new Set(['storage_refused', 'projection_failed']);

/**
 * A line for each event that was set aside, without anything of its data: the letter itself has that.
 * @param subjectOf where the event came from; undefined when nobody knows any more (a message that was read
 * again from its owner's outbox)
 */
export function logRefusals(
  logger: Logger,
  refusals: readonly Refusal[],
  subjectOf: (incoming: IncomingEvent) => string | undefined,
): void {
  for (const { incoming, outcome } of refusals.slice(0, MAX_LINES)) {
    const { producer, identity } = incoming;
    const { tenantId, entityType, entityId } = identity;
    const { code } = outcome;
    const cause = QUOTING.has(code) ? 'see the letter' : shorten(outcome.cause, MAX_CAUSE_LENGTH);
    const from = { producer, subject: subjectOf(incoming) };
    logger.warn({ tenantId, ...from, entityType, entityId, code, cause }, 'set an event aside');
  }
  if (refusals.length > MAX_LINES)
    logger.warn({ more: refusals.length - MAX_LINES }, 'set more events aside, see the dead letters');
}
