import type { ConflictRecord } from '@sync/protocol';
import type { Cell } from '../merge/field-rows.ts';
import { readySuggestion } from '../merge/sides.ts';
import { FieldValue } from './field-value.tsx';
import { Notices } from './notices.tsx';
import type { OpenConflictProps } from './open-conflict.tsx';
import { type Decision, SaveBar } from './save-bar.tsx';
import { SuggestionNote } from './suggestion-note.tsx';
import type { Source } from './texts.ts';
import { useSettings } from './view-settings.ts';

type Field = ConflictRecord['fields'][number];

/**
 * Edits of a document are merged already, word by word: a person checks what came of it. To change the text
 * is the business of its editor; of an update that the document did not take it is offered to try it again.
 */
export function DocumentConflict({ record, deciding }: OpenConflictProps) {
  const { texts } = useSettings();
  const suggestion = readySuggestion(record);
  const isRefused = record.fields.length === 0;
  const keep: Decision = { resolution: { kind: 'keep_server' }, label: texts.keepDocument };
  if (deciding.isDone) return <Notices deciding={deciding} />;
  return (
    <>
      <Notices deciding={deciding} />
      <p className="sync-conflict__explanation">{isRefused ? texts.documentRefused : texts.documentLead}</p>
      {suggestion ? <SuggestionNote suggestion={suggestion} /> : null}
      {record.fields.map((field) => (
        <Block key={field.field} record={record} field={field} />
      ))}
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

/** A line, key or element that both have changed: each side against what both started from. */
function Block({
  record,
  field: { field, base, ours, theirs },
}: {
  readonly record: ConflictRecord;
  readonly field: Field;
}) {
  const { texts, fieldName } = useSettings();
  const block = record.blocks.find(({ name }) => name === field);
  const suggested = readySuggestion(record)?.changes.set[field] as Field['ours'];
  const versions: readonly (readonly [Source, string, Cell])[] = [
    ['base', texts.sources.base, cellOf(base)],
    ['server', texts.sources.server, cellOf(ours)],
    ['device', texts.sources.device, cellOf(theirs)],
    ...(block ? [['result', texts.documentResult, cellOf(block.merged ?? undefined)] as const] : []),
    ...(suggested === undefined
      ? []
      : [['suggestion', texts.sources.suggestion, cellOf(suggested)] as const]),
  ];
  const against = typeof base === 'string' ? { text: base, show: 'changes' as const } : undefined;
  const name = block ? texts.place(fieldName(block.path), block.line, block.key) : fieldName(field);
  return (
    <section className="sync-field" data-long aria-label={name}>
      <p className="sync-field__legend">
        <span className="sync-field__name">{name}</span>
      </p>
      <div className="sync-field__versions">
        {versions.map(([source, label, cell]) => (
          <div key={source} className="sync-version" data-source={source}>
            <p className="sync-version__source">{label}</p>
            <FieldValue {...{ field, cell }} {...(source !== 'base' && against ? { against } : {})} />
          </div>
        ))}
      </div>
    </section>
  );
}

function cellOf(value: Field['ours']): Cell {
  return value === undefined ? { kind: 'none' } : { kind: 'value', value };
}
