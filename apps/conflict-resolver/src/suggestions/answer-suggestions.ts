import { RemoteError } from '@sync/messaging';
import {
  type SuggestionReply,
  SuggestionRequest,
  type SuggestionSettings,
  type SuggestionSettingsReply,
  SuggestionSettingsRequest,
  type Validated,
  validator,
} from '@sync/protocol';
import { dayOf, readUsage } from './budget.ts';
import { checkPatterns } from './redact-material.ts';
import { requestSuggestion } from './request-suggestion.ts';
import { readSettings, writeSettings } from './settings-store.ts';
import type { SuggestionContext } from './suggestion-context.ts';

const checkRequest = validator(SuggestionRequest);
const checkSettings = validator(SuggestionSettingsRequest);

/** @throws RemoteError with a problem code */
export function answerSuggestionRequest(context: SuggestionContext, body: unknown): Promise<SuggestionReply> {
  return requestSuggestion(context, decoded(checkRequest(body)));
}

/**
 * Shows the tenant's settings, changed before when the request brings new ones.
 *
 * @throws RemoteError `schema_invalid`, also for a pattern that is no regular expression;
 * `suggestions_disabled` when there is nothing to enable
 */
export async function answerSuggestionSettings(
  context: SuggestionContext,
  body: unknown,
): Promise<SuggestionSettingsReply> {
  const { tenantId, userId, settings } = decoded(checkSettings(body));
  if (settings) refuseImpossible(context, settings);
  const now = context.now();
  return context.database.inTenant(tenantId, async (tx) => {
    if (settings) await writeSettings(tx, tenantId, settings, { by: userId, atIso: now.toISOString() });
    return {
      settings: settings ?? (await readSettings(tx, tenantId)),
      usage: await readUsage(tx, tenantId, dayOf(now)),
      endpoint: context.ai === null ? null : { model: context.ai.endpoint.model },
    };
  });
}

function refuseImpossible({ ai }: SuggestionContext, settings: SuggestionSettings): void {
  if (settings.enabled && ai === null) {
    throw new RemoteError('suggestions_disabled', 'No endpoint is configured for suggestions (AI_BASE_URL)');
  }
  try {
    checkPatterns(settings.redactPatterns);
  } catch (error) {
    throw new RemoteError('schema_invalid', `/redactPatterns ${error instanceof Error ? error.message : ''}`);
  }
}

function decoded<T>(checked: Validated<T>): T {
  if (checked.ok) return checked.value;
  const [fault] = checked.faults;
  throw new RemoteError('schema_invalid', `${fault?.path ?? ''} ${fault?.message ?? ''}`.trim());
}
