import type { JsonObject } from '@sync/domain';
import type { ConflictRecord } from '@sync/protocol';
import { type Cell, type FieldRow, WHOLE, compareFields, isWhole } from '../merge/field-rows.ts';
import { recordedServer, sidesOf } from '../merge/sides.ts';
import { DocumentBlocks } from './document-blocks.tsx';
import { FieldValue } from './field-value.tsx';
import { Written, isHidden } from './hidden-conflict.tsx';
import { Notices } from './notices.tsx';
import type { OpenConflictProps } from './open-conflict.tsx';
import { against } from './row-texts.ts';
import type { Source } from './texts.ts';
import { useSettings } from './view-settings.ts';

/** A record that changes no more: both versions, and which one stands. */
export function DecidedConflict({ record, deciding }: OpenConflictProps) {
  const { texts, formatTime } = useSettings();
  return (
    <>
      <Notices deciding={deciding} />
      <p className="sync-conflict__explanation">
        {texts.decidedBy(record, formatTime(record.resolvedAt ?? record.detectedAt))}
      </p>
      {isHidden(record) ? (
        <Written record={record} />
      ) : record.op === 'merge' ? (
        <DocumentBlocks record={record} />
      ) : (
        <DecidedFields record={record} />
      )}
    </>
  );
}

function DecidedFields({ record }: { readonly record: ConflictRecord }) {
  const { texts, fieldName } = useSettings();
  const sides = sidesOf(record, recordedServer(record));
  const rows = compareFields(sides).filter(({ change }) => change !== 'none' && change !== 'same');
  const isAll = isWhole(sides);
  return (
    <>
      {rows.map((row) => (
        <section
          key={row.field}
          className="sync-field"
          aria-label={isAll ? texts.whole : fieldName(row.field)}
        >
          <p className="sync-field__legend">
            <span className="sync-field__name">{isAll ? texts.whole : fieldName(row.field)}</span>
          </p>
          <div className="sync-field__versions">
            {versionsOf(row, record).map(([source, cell]) => (
              <div key={source} className="sync-version" data-source={source}>
                <p className="sync-version__source">{texts.sources[source]}</p>
                <FieldValue field={row.field} cell={cell} isWhole={isAll} {...differences(row, source)} />
              </div>
            ))}
          </div>
        </section>
      ))}
    </>
  );
}

function differences(row: FieldRow, source: Source) {
  const other = source === 'server' || source === 'device' ? against(row, source) : undefined;
  return other ? { against: other } : {};
}

function versionsOf(row: FieldRow, record: ConflictRecord): (readonly [Source, Cell])[] {
  const result = standing(row, record);
  return [['server', row.server], ['device', row.device], ...(result ? [['result', result] as const] : [])];
}

/** What stands of a field, as far as the record has kept it. */
function standing(
  { field, server, device, change }: FieldRow,
  { fields, decision }: ConflictRecord,
): Cell | null {
  const data = decision?.data as JsonObject | null | undefined;
  if (decision?.kind === 'keep_client') return device;
  if (decision?.kind === 'keep_server') return server;
  if (data && field !== WHOLE && Object.hasOwn(data, field)) {
    return { kind: 'value', value: data[field] as JsonObject[string] };
  }
  const winner = fields.find((each) => each.field === field)?.winner;
  if (winner === 'ours') return server;
  if (winner === 'theirs' || change === 'device') return device;
  return null;
}
