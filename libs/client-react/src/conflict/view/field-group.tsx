import { type ReactNode, useId, useState } from 'react';
import { type Choice, type Choices, choiceOf, ownChoice, resultOf } from '../merge/choices.ts';
import type { Cell, FieldRow } from '../merge/field-rows.ts';
import { FieldValue, type FieldValueProps } from './field-value.tsx';
import { OwnText } from './own-text.tsx';
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
    <Option {...{ name, source }} isChosen={chosen?.from === source} onChoose={() => choose(choice())}>
      {value}
    </Option>
  );
  const value = (cell: Cell, against?: FieldValueProps['against']) => (
    <FieldValue field={row.field} {...{ cell, isWhole }} {...(against ? { against } : {})} />
  );
  return (
    <fieldset className="sync-field" data-change={row.change} data-long={isLong(row) || undefined}>
      <legend className="sync-field__legend">
        <span className="sync-field__name">{label}</span>
        <span className="sync-chip">{texts.changes[row.change]}</span>
      </legend>
      <div className="sync-field__versions">
        <Before isFolded={isLong(row)} base={row.base}>
          {value(row.base)}
        </Before>
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
            <FieldValue field={row.field} cell={result} isWhole={isWhole} {...changesOf(row)} />
          )}
          {canWrite ? option('own', () => typed ?? ownChoice(row, choices)) : null}
        </div>
      </div>
    </fieldset>
  );
}

interface BeforeProps {
  readonly base: Cell;
  readonly isFolded: boolean;
  readonly children: ReactNode;
}

/** What both started from. Of a long text the versions show their changes, so that it stays folded. */
function Before({ base, isFolded, children }: BeforeProps) {
  const { texts } = useSettings();
  if (base.kind === 'unknown') return null;
  const label = <span className="sync-version__source">{texts.sources.base}</span>;
  return isFolded ? (
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

/** Of a long text is shown what saving it would change on the server. */
function changesOf(row: FieldRow) {
  const text = textOf(row.server);
  return text !== undefined && isLong(row) ? { against: { text, show: 'changes' as const } } : {};
}

interface OptionProps {
  readonly name: string;
  readonly source: Source;
  readonly isChosen: boolean;
  readonly onChoose: () => void;
  readonly children?: ReactNode;
}

/** A version to choose: the whole of it can be clicked, as its label lies over it. */
function Option({ name, source, isChosen, onChoose, children }: OptionProps) {
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
      </label>
      <div id={valueId}>{children}</div>
    </div>
  );
}

/** A text is compared with what both started from; where nobody knows that, with the other side. */
function against({ base, server, device }: FieldRow, source: 'server' | 'device' | 'combined') {
  const before = textOf(base);
  if (before !== undefined) return { text: before, show: 'changes' as const };
  const other = textOf(source === 'server' ? device : server);
  return other === undefined ? undefined : { text: other, show: 'own' as const };
}

function textOf(cell: Cell): string | undefined {
  return cell.kind === 'value' && typeof cell.value === 'string' ? cell.value : undefined;
}

const LONG_TEXT = 90;

function isLong({ server, device }: FieldRow): boolean {
  return [server, device].some(
    (cell) => cell.kind === 'value' && JSON.stringify(cell.value).length > LONG_TEXT,
  );
}
