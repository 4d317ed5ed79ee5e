import type { Tx } from '@sync/postgres';
import type { SuggestionSeen, SyncEventType } from '@sync/protocol';
import { appendSyncEvents } from '../telling/append-sync-events.ts';

type SuggestionEvent = Extract<SyncEventType, `sync.suggestion.${string}`>;

const EVENT_OF: Readonly<Record<string, SuggestionEvent>> = {
  requested: 'sync.suggestion.requested.v1',
  ready: 'sync.suggestion.generated.v1',
  failed: 'sync.suggestion.failed.v1',
  accepted: 'sync.suggestion.accepted.v1',
  dismissed: 'sync.suggestion.dismissed.v1',
  stale: 'sync.suggestion.stale.v1',
};

interface Row {
  readonly status: string;
  readonly requestedBy: string;
  readonly requestedDevice: string;
  readonly decidedBy: string | null;
  readonly decidedDevice: string | null;
  readonly seen: SuggestionSeen;
}

/**
 * Tells the platform what became of suggestions, as the caller's transaction leaves them: ids, hashes and
 * costs, none of the texts. The person is who decided, or else who asked.
 * @param first told before that, for one that was over as soon as it was asked for
 */
export async function tellSuggestions(
  tx: Tx,
  tenantId: string,
  suggestionIds: readonly string[],
  atIso: string,
  first: readonly 'requested'[] = [],
): Promise<void> {
  if (suggestionIds.length === 0) return;
  const rows = await tx.query<Row>(
    `SELECT s.status, s.requested_by AS "requestedBy", s.requested_device AS "requestedDevice",
            s.decided_by AS "decidedBy", s.decided_device AS "decidedDevice",
            jsonb_strip_nulls(jsonb_build_object(
              'suggestionId', s.suggestion_id, 'conflictId', s.conflict_id, 'entityType', s.entity_type,
              'entityId', r.entity_id, 'scope', r.scope, 'code', s.code, 'model', s.model, 'modelVersion', s.model_version,
              'promptHash', s.prompt_hash, 'outputHash', s.output_hash, 'confidence', s.confidence,
              'promptTokens', s.prompt_tokens, 'outputTokens', s.output_tokens)) AS seen
     FROM unnest($2::uuid[]) WITH ORDINALITY AS told (id, place)
     CROSS JOIN LATERAL (SELECT * FROM conflict_suggestion c
       WHERE c.tenant_id = $1 AND c.suggestion_id = told.id LIMIT 1) s
     CROSS JOIN LATERAL (SELECT entity_id, scope FROM conflict_record c
       WHERE c.tenant_id = $1 AND c.conflict_id = s.conflict_id LIMIT 1) r
     ORDER BY told.place`,
    [tenantId, suggestionIds],
  );
  const told = rows.flatMap(({ status, requestedBy, requestedDevice, decidedBy, decidedDevice, seen }) =>
    [...first, status].flatMap((what) => {
      const type = EVENT_OF[what];
      const by = { userId: decidedBy ?? requestedBy, deviceId: decidedDevice ?? requestedDevice };
      return type === undefined ? [] : [{ type, ...by, atIso, data: seen }];
    }),
  );
  await appendSyncEvents(tx, tenantId, told);
}
