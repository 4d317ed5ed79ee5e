import { type ReactNode, useId, useState } from 'react';
import { type Choice, type Choices, type Result, choiceOf, ownChoice, resultOf } from '../merge/choices.ts';
import type { Cell, Change, FieldRow } from '../merge/field-rows.ts';
import { FieldValue, type FieldValueProps } from './field-value.tsx';
import { OwnText } from './own-text.tsx';
import { against, isLong, textOf } from './row-texts.ts';
import type { Source } from './texts.ts';
import { useSettings } from './view-settings.ts';

export interface FieldGroupProps {
  readonly row: FieldRow;
  readonly choices: Choices;
  readonly isWhole: boolean;
  /** What somebody types instead is offered where a merge can be saved. */
  readonly canWrite: boolean;
  readonly onChoose: (field: string, choice: Choice) => void;
}

/** One field: its versions side by side, one of which is chosen, and what comes of it. */
export function FieldGroup({ row, choices, isWhole, canWrite, onChoose }: FieldGroupProps) {
  const { texts, fieldName } = useSettings();
  const name = useId();
  const chosen = choiceOf(row, choices);
  const result = resultOf(row, choices);
  // What was typed is still there when somebody looks at another version for a moment.
  const [typed, setTyped] = useState<Choice | null>(null);
  const choose = (choice: Choice): void => {
    if (choice.from === 'own') setTyped(choice);
    onChoose(row.field, choice);
  };
  const label = isWhole ? texts.whole : fieldName(row.field);
  const option = (source: Exclude<Source, 'base' | 'result'>, choice: () => Choice, value?: ReactNode) => (
    <Option
      {...{ name, source }}
      isAsBefore={row.change === UNCHANGED_BY[source]}
      isChosen={chosen?.from === source}
      onChoose={() => choose(choice())}
    >
      {value}
    </Option>
  );
  const value = (cell: Cell, against?: FieldValueProps['against']) => (
    <FieldValue field={row.field} {...{ cell, isWhole }} {...(against ? { against } : {})} />
  );
  return (
    <fieldset
      className="sync-field"
      data-change={row.change}
      data-long={isLong(row) || undefined}
      data-many={row.combined !== undefined || row.suggested !== undefined || undefined}
    >
      <legend className="sync-field__legend">
        <span className="sync-field__name">{label}</span>
        <span className="sync-chip">{texts.changes[row.change]}</span>
      </legend>
      <div className="sync-field__versions">
        <Before row={row}>{value(row.base)}</Before>
        {option('server', () => ({ from: 'server' }), value(row.server, against(row, 'server')))}
        {option('device', () => ({ from: 'device' }), value(row.device, against(row, 'device')))}
        {row.combined === undefined
          ? null
          : option(
              'combined',
              () => ({ from: 'combined' }),
              value({ kind: 'value', value: row.combined }, against(row, 'combined')),
            )}
        {row.suggested ? option('suggestion', () => ({ from: 'suggestion' }), value(row.suggested)) : null}
        <div className="sync-version" data-source="result" data-kind={result.kind}>
          <p className="sync-version__source">{texts.sources.result}</p>
          {chosen?.from === 'own' ? (
            <OwnText
              label={`${label}: ${texts.sources.result}`}
              choice={chosen}
              result={result}
              onType={choose}
            />
          ) : (
            <ResultValue {...{ row, result, isWhole }} />
          )}
          {canWrite ? option('own', () => typed ?? ownChoice(row, choices)) : null}
        </div>
      </div>
    </fieldset>
  );
}

interface BeforeProps {
  readonly row: FieldRow;
  readonly children: ReactNode;
}

/**
 * What both started from, where neither side has it still. Of a long text the versions show their changes, so
 * that it stays folded.
 */
function Before({ row, children }: BeforeProps) {
  const { texts } = useSettings();
  if (row.base.kind === 'unknown' || row.change !== 'both') return null;
  const label = <span className="sync-version__source">{texts.sources.base}</span>;
  return isLong(row) ? (
    <details className="sync-version" data-source="base">
      <summary>{label}</summary>
      {children}
    </details>
  ) : (
    <div className="sync-version" data-source="base">
      {label}
      {children}
    </div>
  );
}

interface ResultValueProps {
  readonly row: FieldRow;
  readonly result: Result;
  readonly isWhole: boolean;
}

/** What comes of it. Of a long text is shown what saving it would change on the server. */
function ResultValue({ row, result, isWhole }: ResultValueProps) {
  const { texts } = useSettings();
  const text = textOf(row.server);
  const changes =
    text !== undefined && isLong(row) && result.kind === 'value' && result.value !== text
      ? { against: { text, show: 'changes' as const } }
      : {};
  return (
    <>
      {'against' in changes ? <p className="sync-chip">{texts.marked}</p> : null}
      <FieldValue field={row.field} cell={result} isWhole={isWhole} {...changes} />
    </>
  );
}

/** The side that has what was there before, by who has changed it. */
const UNCHANGED_BY: Partial<Record<Source, Change>> = { server: 'device', device: 'server' };

interface OptionProps {
  readonly isAsBefore: boolean;
  readonly name: string;
  readonly source: Source;
  readonly isChosen: boolean;
  readonly onChoose: () => void;
  readonly children?: ReactNode;
}

/** A version to choose: the whole of it can be clicked, as its label lies over it. */
function Option({ isAsBefore, name, source, isChosen, onChoose, children }: OptionProps) {
  const { texts } = useSettings();
  const id = useId();
  const valueId = useId();
  return (
    <div className="sync-version sync-option" data-source={source} data-chosen={isChosen || undefined}>
      <input
        type="radio"
        {...{ id, name }}
        checked={isChosen}
        onChange={onChoose}
        aria-describedby={valueId}
      />
      <label className="sync-version__source" htmlFor={id}>
        {texts.sources[source]}
        {isAsBefore ? <span className="sync-chip"> {texts.asBefore}</span> : null}
      </label>
      <div id={valueId}>{children}</div>
    </div>
  );
}
