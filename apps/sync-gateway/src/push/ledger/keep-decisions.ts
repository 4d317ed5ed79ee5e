import { type Database, retryConflicts } from '@sync/postgres';
import type { Submission } from '../decide/submission.ts';
import type { Author, KeptDecision } from '../outcome/settlement.ts';
import { DraftRoom } from './fit-draft.ts';

/** Writes decisions that matter beyond the owner's answer into the ledger; see push-decided.sql. */
export class KeepDecisions {
  readonly #database: Pick<Database, 'call'>;

  constructor(database: Pick<Database, 'call'>) {
    this.#database = database;
  }

  /**
   * One round trip, or none when every change goes as it was sent.
   * @throws the driver's error; nothing may be sent then
   */
  async keep({ tenantId, deviceId }: Author, submissions: readonly Submission[]): Promise<void> {
    // What goes as sent overwrites nothing, unless an earlier attempt has kept something else.
    const kept = submissions.filter(({ work, change }) => {
      return change.record !== null || change.status === 'merged' || (work.kept !== null && !work.mayBeSent);
    });
    if (kept.length === 0) return;
    const room = new DraftRoom();
    const decisions = kept.map(({ change: { status, record } }) => {
      return JSON.stringify({ status, record: record && room.take(record) } satisfies KeptDecision);
    });
    const ids = kept.map(({ work }) => work.mutation.mutationId);
    await retryConflicts(() =>
      this.#database.call('push_decided', 'SELECT push_decided($1, $2, $3, $4)', [
        tenantId,
        deviceId,
        ids,
        decisions.join('\n'),
      ]),
    );
  }
}
