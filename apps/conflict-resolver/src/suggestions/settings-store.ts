import type { Tx } from '@sync/postgres';
import type { SuggestionSettings } from '@sync/protocol';

/** The settings of a tenant that never had any. */
export const OFF: SuggestionSettings = {
  enabled: false,
  tokensPerDay: 0,
  costPerDayMicros: 0,
  redactFields: [],
  redactPatterns: [],
};

interface SettingsRow {
  readonly enabled: boolean;
  readonly tokens_per_day: string;
  readonly cost_per_day_micros: string;
  readonly redact_fields: string[];
  readonly redact_patterns: string[];
}

export async function readSettings(tx: Tx, tenantId: string): Promise<SuggestionSettings> {
  const [row] = await tx.query<SettingsRow>(
    `SELECT enabled, tokens_per_day, cost_per_day_micros, redact_fields, redact_patterns
     FROM suggestion_settings WHERE tenant_id = $1`,
    [tenantId],
  );
  if (!row) return OFF;
  return {
    enabled: row.enabled,
    tokensPerDay: Number(row.tokens_per_day),
    costPerDayMicros: Number(row.cost_per_day_micros),
    redactFields: row.redact_fields,
    redactPatterns: row.redact_patterns,
  };
}

export async function writeSettings(
  tx: Tx,
  tenantId: string,
  settings: SuggestionSettings,
  change: { readonly by: string; readonly atIso: string },
): Promise<void> {
  await tx.query(
    `INSERT INTO suggestion_settings (tenant_id, enabled, tokens_per_day, cost_per_day_micros, redact_fields,
                                      redact_patterns, changed_by, changed_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
     ON CONFLICT (tenant_id) DO UPDATE SET enabled = excluded.enabled,
       tokens_per_day = excluded.tokens_per_day,
       cost_per_day_micros = excluded.cost_per_day_micros, redact_fields = excluded.redact_fields,
       redact_patterns = excluded.redact_patterns, changed_by = excluded.changed_by, changed_at = excluded.changed_at`,
    [
      tenantId,
      settings.enabled,
      settings.tokensPerDay,
      settings.costPerDayMicros,
      settings.redactFields,
      settings.redactPatterns,
      change.by,
      change.atIso,
    ],
  );
}
