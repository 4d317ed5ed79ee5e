import { readySuggestion } from '../merge/sides.ts';
import { DocumentBlocks } from './document-blocks.tsx';
import { Notices } from './notices.tsx';
import type { OpenConflictProps } from './open-conflict.tsx';
import { type Decision, SaveBar } from './save-bar.tsx';
import { SuggestionNote } from './suggestion-note.tsx';
import { useSettings } from './view-settings.ts';

/**
 * Edits of a document are merged already, word by word: a person checks what came of it. To change the text
 * is the business of its editor; of an update that the document did not take it is offered to try it again.
 */
export function DocumentConflict({ record, deciding }: OpenConflictProps) {
  const { texts } = useSettings();
  const suggestion = readySuggestion(record);
  // A merge has both sides of every block here, or of none; a refused update has no fields to show.
  const isRefused = record.theirs === null;
  const keep: Decision = { resolution: { kind: 'keep_server' }, label: texts.keepDocument };
  if (deciding.isDone) return <Notices deciding={deciding} />;
  return (
    <>
      <Notices deciding={deciding} />
      <p className="sync-conflict__explanation">{isRefused ? texts.documentRefused : texts.documentLead}</p>
      {suggestion ? <SuggestionNote suggestion={suggestion} /> : null}
      <DocumentBlocks record={record} />
      <SaveBar deciding={deciding} decisions={[keep, ...others()]} />
    </>
  );

  function others(): Decision[] {
    if (isRefused) return [{ resolution: { kind: 'keep_client' }, label: texts.writeAgain }];
    if (!suggestion) return [];
    const { suggestionId } = suggestion;
    return [{ resolution: { kind: 'accept_suggestion', suggestionId } }];
  }
}
