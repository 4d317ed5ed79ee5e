import { useId } from 'react';
import type { Choice, Result } from '../merge/choices.ts';
import { useSettings } from './view-settings.ts';

export interface OwnTextProps {
  readonly label: string;
  readonly choice: Extract<Choice, { from: 'own' }>;
  readonly result: Result;
  readonly onType: (choice: Choice) => void;
}

/** Where somebody writes the value of a field: text as it is, anything else as JSON. */
export function OwnText({ label, choice, result, onType }: OwnTextProps) {
  const { texts } = useSettings();
  const problemId = useId();
  const isInvalid = result.kind === 'invalid';
  const rows = Math.min(16, Math.max(2, choice.text.split('\n').length + 1));
  return (
    <>
      <textarea
        className="sync-own"
        data-format={choice.format}
        aria-label={label}
        value={choice.text}
        rows={rows}
        spellCheck={choice.format === 'text'}
        aria-invalid={isInvalid}
        aria-describedby={isInvalid ? problemId : undefined}
        onChange={({ target }) => onType({ ...choice, text: target.value })}
      />
      {isInvalid ? (
        <p id={problemId} className="sync-problem">
          {texts.invalidJson(result.message)}
        </p>
      ) : null}
    </>
  );
}
