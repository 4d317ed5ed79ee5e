import type { ReadySuggestion } from '../merge/sides.ts';
import { useSettings } from './view-settings.ts';

/** Where a suggestion comes from, and what the model says for it. */
export function SuggestionNote({ suggestion }: { readonly suggestion: ReadySuggestion }) {
  const { texts } = useSettings();
  const { provenance, rationale } = suggestion;
  const model = [provenance.model, provenance.modelVersion].filter((part) => part !== undefined).join(', ');
  return (
    <aside className="sync-notice" data-kind="suggestion" aria-label={texts.sources.suggestion}>
      <p>{texts.suggestedBy(model === '' ? '?' : model)}</p>
      {rationale === undefined ? null : <blockquote>{rationale}</blockquote>}
    </aside>
  );
}
