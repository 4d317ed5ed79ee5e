import type { FieldRow } from '../merge/field-rows.ts';
import { FieldValue } from './field-value.tsx';
import { useSettings } from './view-settings.ts';

/** What nobody has to decide, folded away. */
export function SameFields({ rows }: { readonly rows: readonly FieldRow[] }) {
  const { texts, fieldName } = useSettings();
  if (rows.length === 0) return null;
  return (
    <details className="sync-same">
      <summary>{texts.sameFields(rows.length)}</summary>
      <dl className="sync-whole">
        {rows.map(({ field, server }) => (
          <div key={field}>
            <dt>{fieldName(field)}</dt>
            <dd>
              <FieldValue field={field} cell={server} />
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
