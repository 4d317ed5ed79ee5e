import type { JsonObject, JsonValue } from '@sync/domain';
import type { Result } from '../merge/choices.ts';
import type { Cell } from '../merge/field-rows.ts';
import { DiffedText } from './diffed-text.tsx';
import { useSettings } from './view-settings.ts';

export interface FieldValueProps {
  readonly field: string;
  readonly cell: Cell | Result;
  /** The text that it is compared with, and how: what was put in and taken out, or what only this one has. */
  readonly against?: { readonly text: string; readonly show: 'changes' | 'own' };
  readonly isWhole?: boolean;
}

/** What one version has in a field. */
export function FieldValue({ field, cell, against, isWhole = false }: FieldValueProps) {
  const { texts } = useSettings();
  switch (cell.kind) {
    case 'value':
      return isWhole ? (
        <Whole data={cell.value as JsonObject} />
      ) : (
        <Value {...{ field, against }} value={cell.value} />
      );
    case 'none':
      return <p className="sync-value sync-value--none">{isWhole ? texts.deleted : texts.noValue}</p>;
    case 'unknown':
      return <p className="sync-value sync-value--none">{texts.unknownValue}</p>;
    case 'undecided':
      return <p className="sync-value sync-value--undecided">{texts.undecided}</p>;
    case 'invalid':
      return null;
  }
}

interface ValueProps {
  readonly field: string;
  readonly value: JsonValue;
  readonly against?: FieldValueProps['against'] | undefined;
}

function Value({ field, value, against }: ValueProps) {
  const { texts, renderValue } = useSettings();
  const own = renderValue(field, value);
  if (own !== undefined) return <div className="sync-value">{own}</div>;
  if (value === null || value === '') {
    return <p className="sync-value sync-value--none">{texts.emptyText}</p>;
  }
  if (typeof value === 'string') return <DiffedText text={value} against={against} />;
  if (typeof value === 'boolean') return <p className="sync-value">{value ? texts.yes : texts.no}</p>;
  if (typeof value === 'number') return <p className="sync-value">{value}</p>;
  return <pre className="sync-value sync-value--json">{JSON.stringify(value, null, 2)}</pre>;
}

/** All fields of an entity. */
export function Whole({ data }: { readonly data: JsonObject }) {
  const { fieldName } = useSettings();
  return (
    <dl className="sync-whole">
      {Object.entries(data).map(([field, value]) => (
        <div key={field}>
          <dt>{fieldName(field)}</dt>
          <dd>
            <Value field={field} value={value} />
          </dd>
        </div>
      ))}
    </dl>
  );
}
