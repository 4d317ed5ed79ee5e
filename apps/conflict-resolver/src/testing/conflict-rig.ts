import { randomUUID } from 'node:crypto';
import type { ConflictDraft } from '@sync/domain';
import type { Batch } from '@sync/messaging';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import type { ConflictRecord, SyncEvent } from '@sync/protocol';
import { APP_RIGHTS, MIGRATIONS, FUNCTIONS } from '../database/schema.ts';
import { type DetectedConflict } from '../records/conflict-record.ts';
import { recordConflicts } from '../records/record-conflicts.ts';
import { noSuggestions } from '../suggestions/suggestion-source.ts';

/** An owner whose announcements go nowhere but into a list: what a test of the store needs of it. */
export class SilentOwner {
  readonly announced: { readonly entityId: string; readonly data: ConflictRecord }[] = [];
  readonly announce = (
    _tx: unknown,
    _tenantId: string,
    changes: readonly { readonly entityId: string; readonly data: unknown }[],
  ): Promise<[]> => {
    for (const { entityId, data } of changes) this.announced.push({ entityId, data: data as ConflictRecord });
    return Promise.resolve([]);
  };
  readonly kick = (): void => undefined;
}

/** A resolver's database with its guards, and records in it. */
export class ConflictRig {
  readonly test: TestDatabase;
  readonly owner = new SilentOwner();

  private constructor(test: TestDatabase) {
    this.test = test;
  }

  static async start(): Promise<ConflictRig> {
    const postgres = await startPostgres();
    return new ConflictRig(
      await createTestDatabase({
        postgres,
        name: 'resolver',
        migrations: MIGRATIONS,
        functions: FUNCTIONS,
        appRights: APP_RIGHTS,
      }),
    );
  }

  /** Records a conflict as the gateway's event brings it. @returns its id */
  async conflict(tenantId: string, changes: Partial<DetectedConflict> = {}): Promise<string> {
    const event = conflictEvent(tenantId, changes);
    await this.test.database.transaction((tx) =>
      recordConflicts(tx, [batchOf([event])], this.owner, noSuggestions),
    );
    return (event.data as { readonly conflictId: string }).conflictId;
  }

  async stop(): Promise<void> {
    await this.test.drop();
  }
}

export const DRAFT: ConflictDraft = {
  policy: 'lww',
  entityType: 'note',
  entityId: 'n1',
  mutationId: '00000000-0000-4000-8000-000000000001',
  op: 'patch',
  base: null,
  ours: { text: 'server', colour: 'white' },
  theirs: { text: 'client' },
  theirsUpdate: null,
  fields: [{ field: 'text', ours: 'server', theirs: 'client', winner: 'open' }],
  decision: 'open',
  clockOurs: { 'd:b': 1 },
  clockTheirs: { 'd:a': 1 },
};

/** The gateway's event of an open conflict of user u1, device a. */
export function conflictEvent(tenantid: string, changes: Partial<DetectedConflict> = {}): SyncEvent {
  const { userId = 'u1', deviceId = 'a', status = 'open', draft = DRAFT } = changes;
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: 'sync-gateway',
    type: status === 'open' ? 'sync.conflict.detected.v1' : 'sync.conflict.resolved.v1',
    time: changes.detectedAt ?? new Date().toISOString(),
    datacontenttype: 'application/json',
    tenantid,
    userid: userId,
    deviceid: deviceId,
    data: {
      conflictId: changes.conflictId ?? randomUUID(),
      mutationId: changes.mutationId ?? randomUUID(),
      entityType: changes.entityType ?? draft.entityType,
      entityId: changes.entityId ?? draft.entityId,
      scope: changes.scope ?? `user:${userId}`,
      status,
      draft,
    },
  };
}

export function batchOf(...payloads: readonly (readonly SyncEvent[])[]): Batch {
  return {
    stream: 'SYNC_EVENTS',
    partition: 0,
    producer: 'sync-gateway',
    epoch: 'e',
    messages: payloads.map((events, at) => ({
      number: at + 1,
      payload: JSON.stringify(events),
      subject: '',
    })),
  };
}
