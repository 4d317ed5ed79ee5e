import type { ConflictRecord } from '@sync/protocol';
import { useMemo } from 'react';
import { type Choice, type Choices, mergeRows, resolutionOf, takeAll } from '../merge/choices.ts';
import { type FieldRow, compareFields, isWhole } from '../merge/field-rows.ts';
import { readySuggestion, sidesOf } from '../merge/sides.ts';
import { FieldGroup } from './field-group.tsx';
import { Notices } from './notices.tsx';
import { SaveBar } from './save-bar.tsx';
import { SameFields } from './same-fields.tsx';
import { SuggestionNote } from './suggestion-note.tsx';
import type { Deciding } from './use-deciding.ts';
import { useSettings } from './view-settings.ts';

export interface OpenConflictProps {
  readonly record: ConflictRecord;
  readonly deciding: Deciding;
}

/** Field by field, what both sides have changed first. */
export function OpenConflict({ record, deciding }: OpenConflictProps) {
  const { texts, fieldName } = useSettings();
  const { state, shown, dispatch } = deciding;
  const { choices } = state;
  const sides = useMemo(() => sidesOf(record, shown), [record, shown]);
  const rows = useMemo(() => compareFields(sides), [sides]);
  const changed = useMemo(() => contestedFirst(rows), [rows]);
  const suggestion = readySuggestion(record);
  const contested = rows.filter(({ change }) => change === 'both').length;
  const { undecided, invalid } = mergeRows(sides, rows, choices);
  const choose = (field: string, choice: Choice) => dispatch({ kind: 'choose', field, choice, shown });
  const chooseAll = (all: Choices) => dispatch({ kind: 'chooseAll', choices: all, shown });
  const canMerge = !isWhole(sides) && record.policy !== 'append_only';
  const [wrong] = invalid;
  if (state.phase === 'done') return <Notices deciding={deciding} />;
  return (
    <>
      <Notices deciding={deciding} />
      {suggestion ? <SuggestionNote suggestion={suggestion} /> : null}
      {changed.length > 1 ? (
        <AllFields rows={rows} hasSuggestion={sides.suggested !== undefined} onChoose={chooseAll} />
      ) : null}
      {changed.map((row) => (
        <FieldGroup
          key={row.field}
          {...{ row, choices }}
          isWhole={isWhole(sides)}
          canWrite={canMerge}
          onChoose={choose}
        />
      ))}
      <SameFields rows={rows.filter((row) => !changed.includes(row))} />
      <SaveBar
        deciding={deciding}
        decisions={[{ resolution: resolutionOf(sides, rows, choices) }]}
        progress={
          wrong === undefined
            ? texts.progress(undecided.length, contested)
            : texts.fixInvalid(fieldName(wrong))
        }
      />
    </>
  );
}

function contestedFirst(rows: readonly FieldRow[]): FieldRow[] {
  const of = (isWanted: (row: FieldRow) => boolean) => rows.filter(isWanted);
  return [
    ...of(({ change }) => change === 'both'),
    ...of(({ change, suggested }) => change !== 'both' && (isOneSided(change) || suggested !== undefined)),
  ];
}

function isOneSided(change: FieldRow['change']): boolean {
  return change === 'server' || change === 'device';
}

interface AllFieldsProps {
  readonly rows: readonly FieldRow[];
  readonly hasSuggestion: boolean;
  readonly onChoose: (choices: Choices) => void;
}

function AllFields({ rows, hasSuggestion, onChoose }: AllFieldsProps) {
  const { texts } = useSettings();
  const sources = ['server', 'device', ...(hasSuggestion ? (['suggestion'] as const) : [])] as const;
  return (
    <div className="sync-all" role="group" aria-label={texts.allFields}>
      {sources.map((from) => (
        <button
          key={from}
          type="button"
          className="sync-button"
          data-source={from}
          onClick={() => onChoose(takeAll(rows, from))}
        >
          {texts.allFrom[from]}
        </button>
      ))}
    </div>
  );
}
