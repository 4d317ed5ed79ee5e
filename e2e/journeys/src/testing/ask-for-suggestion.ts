import { type LearnerDevice, type StackLine, adminToken } from '@sync/e2e-device';
import type { SuggestionResponse } from '@sync/protocol';

/** An administrator of the tenant allows suggestions. @param redactFields what no model may see */
export async function allowSuggestions(
  urls: StackLine,
  tenantId: string,
  redactFields: readonly string[],
): Promise<void> {
  const authorization = `Bearer ${await adminToken(urls, tenantId)}`;
  const headers = { authorization, 'content-type': 'application/json' };
  const budget = { tokensPerDay: 50_000, costPerDayMicros: 0 };
  const body = JSON.stringify({ enabled: true, ...budget, redactFields, redactPatterns: [] });
  const answer = await fetch(`${urls.gateway}/admin/v1/suggestions`, { method: 'PUT', headers, body });
  if (answer.status !== 200) throw new Error(`the settings were answered with ${answer.status}`);
}

/** @returns the suggestion as it was asked for: its changes come later, as data */
export async function askForSuggestion(
  device: LearnerDevice,
  conflictId: string,
): Promise<SuggestionResponse['suggestion']> {
  const answer = await device.send<SuggestionResponse>(`/sync/v1/conflicts/${conflictId}/suggestions`, {});
  if (!answer.ok) throw new Error(`no suggestion: ${answer.detail}`);
  return answer.body.suggestion;
}
