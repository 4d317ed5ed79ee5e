import type { ConflictRecord } from '@sync/protocol';
import { WHOLE } from '../merge/field-rows.ts';
import { isRefused, readySuggestion } from '../merge/sides.ts';
import { DocumentBlocks } from './document-blocks.tsx';
import { Notices } from './notices.tsx';
import type { OpenConflictProps } from './open-conflict.tsx';
import { type Decision, SaveBar } from './save-bar.tsx';
import { SuggestionNote } from './suggestion-note.tsx';
import { useSettings } from './view-settings.ts';

export interface DocumentConflictProps extends OpenConflictProps {
  readonly onOpenDocument?: ((conflict: ConflictRecord) => void) | undefined;
}

/**
 * Edits of a document are merged already, word by word: a person checks what came of it. To change the text
 * is the business of its editor; of an update that the document did not take it is offered to try it again.
 */
export function DocumentConflict({ record, deciding, onOpenDocument }: DocumentConflictProps) {
  const { texts } = useSettings();
  const suggestion = readySuggestion(record);
  if (deciding.isDone) return <Notices deciding={deciding} />;
  return (
    <>
      <Notices deciding={deciding} />
      <p className="sync-conflict__explanation">{explanation()}</p>
      {onOpenDocument ? (
        <button type="button" className="sync-button" onClick={() => onOpenDocument(record)}>
          {texts.openDocument}
        </button>
      ) : null}
      {suggestion ? <SuggestionNote suggestion={suggestion} /> : null}
      <DocumentBlocks record={record} />
      <SaveBar deciding={deciding} decisions={decisions()} />
    </>
  );

  function explanation(): string {
    if (isRefused(record)) return texts.documentRefused;
    const isCompared = record.fields.some(({ field }) => field !== WHOLE);
    return isCompared ? texts.documentLead : texts.documentNotCompared;
  }

  function decisions(): Decision[] {
    const keep = { kind: 'keep_server' } as const;
    if (isRefused(record)) {
      return [
        { resolution: { kind: 'keep_client' }, label: texts.writeAgain },
        { resolution: keep, label: texts.leaveOut },
      ];
    }
    const fine: Decision = { resolution: keep, label: texts.keepDocument };
    if (!suggestion) return [fine];
    const { suggestionId } = suggestion;
    return [fine, { resolution: { kind: 'accept_suggestion', suggestionId } }];
  }
}
