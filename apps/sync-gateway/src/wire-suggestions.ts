import { AskApp } from './admin/ask-app.ts';
import { ReadHeads } from './read-model/read-heads.ts';
import { RequestSuggestion } from './suggestions/request-suggestion.ts';
import { SuggestionSettingsController } from './suggestions/suggestion-settings-controller.ts';
import { SuggestionsController } from './suggestions/suggestions-controller.ts';
import type { Foundation, Wired } from './wire-foundation.ts';

/**
 * Suggestions how to merge conflicts: asked for here, made by the conflict-resolver. `AskApp` is provided by
 * the admin side.
 */
export function wireSuggestions({ requestDatabase, nats }: Foundation): Wired {
  const requestSuggestion = new RequestSuggestion(new AskApp(nats), new ReadHeads(requestDatabase));
  return {
    controllers: [SuggestionsController, SuggestionSettingsController],
    providers: [{ provide: RequestSuggestion, useValue: requestSuggestion }],
  };
}
