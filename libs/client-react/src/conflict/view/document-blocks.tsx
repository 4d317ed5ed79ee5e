import type { ConflictRecord } from '@sync/protocol';
import { type Cell, WHOLE } from '../merge/field-rows.ts';
import { readySuggestion } from '../merge/sides.ts';
import { FieldValue } from './field-value.tsx';
import type { Source } from './texts.ts';
import { useSettings } from './view-settings.ts';

type Field = ConflictRecord['fields'][number];

/** What both sides have changed in a document, and what the merge made of it. */
export function DocumentBlocks({ record }: { readonly record: ConflictRecord }) {
  const blocks = record.fields.filter(({ field }) => field !== WHOLE);
  return blocks.map((field) => <Block key={field.field} record={record} field={field} />);
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
