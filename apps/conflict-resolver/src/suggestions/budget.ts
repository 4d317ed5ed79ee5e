import type { Tx } from '@sync/postgres';
import type { SuggestionSettings } from '@sync/protocol';
import type { TokenUsage } from './ai-client.ts';

/** Prices of the endpoint in millionths of the price list's currency. */
export interface Prices {
  readonly promptMicrosPer1k: number;
  readonly outputMicrosPer1k: number;
}

/** What a question may cost, or did cost. */
export interface Amount {
  readonly tokens: number;
  readonly costMicros: number;
}

/** An amount taken from the budget of a day. */
export interface Reservation extends Amount {
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
}

export function amountOf({ promptTokens, outputTokens }: TokenUsage, prices: Prices): Amount {
  const cost = (promptTokens * prices.promptMicrosPer1k + outputTokens * prices.outputMicrosPer1k) / 1_000;
  return { tokens: promptTokens + outputTokens, costMicros: Math.ceil(cost) };
}

export function dayOf(now: Date): string {
  return now.toISOString().slice(0, 10);
}

/** Until the next day (UTC) begins, and with it the next budget. */
export function nextBudgetMs(now: Date): number {
  return Date.parse(`${dayOf(now)}T00:00:00.000Z`) + 86_400_000 - now.getTime();
}

/**
 * Takes an amount from the day's budget, or nothing at all. The row's lock queues those who reserve at the
 * same time, so that together they cannot take more than there is; the reservation stands or falls with the
 * caller's transaction.
 *
 * @returns false when either budget has less than that left
 */
export async function reserve(
  tx: Tx,
  tenantId: string,
  { day, tokens, costMicros }: Reservation,
  budget: Pick<SuggestionSettings, 'tokensPerDay' | 'costPerDayMicros'>,
): Promise<boolean> {
  if (tokens > budget.tokensPerDay || costMicros > budget.costPerDayMicros) return false;
  const rows = await tx.query(
    `INSERT INTO suggestion_usage AS u (tenant_id, day, tokens, cost_micros) VALUES ($1, $2, $3, $4)
     ON CONFLICT (tenant_id, day) DO UPDATE
       SET tokens = u.tokens + excluded.tokens, cost_micros = u.cost_micros + excluded.cost_micros
       WHERE u.tokens + excluded.tokens <= $5 AND u.cost_micros + excluded.cost_micros <= $6
     RETURNING 1`,
    [tenantId, day, tokens, costMicros, budget.tokensPerDay, budget.costPerDayMicros],
  );
  return rows.length > 0;
}

/**
 * Replaces a reservation by what was billed. It may be more than was reserved, then the day ends above its
 * budget by one question; where the bill is unknown the reservation stays, because assuming nothing would let
 * lost answers spend without limit.
 */
export async function reconcile(
  tx: Tx,
  tenantId: string,
  { day, tokens, costMicros }: Reservation,
  billed: Amount | null,
): Promise<void> {
  if (billed === null) return;
  await tx.query(
    `UPDATE suggestion_usage SET tokens = greatest(0, tokens + $3),
      cost_micros = greatest(0, cost_micros + $4)
     WHERE tenant_id = $1 AND day = $2`,
    [tenantId, day, billed.tokens - tokens, billed.costMicros - costMicros],
  );
}

/** What the day has used or reserved until now. */
export async function readUsage(
  tx: Tx,
  tenantId: string,
  day: string,
): Promise<{ readonly day: string } & Amount> {
  const [row] = await tx.query<{ tokens: string; cost_micros: string }>(
    'SELECT tokens, cost_micros FROM suggestion_usage WHERE tenant_id = $1 AND day = $2',
    [tenantId, day],
  );
  return { day, tokens: Number(row?.tokens ?? 0), costMicros: Number(row?.cost_micros ?? 0) };
}
