import { useMemo, useState } from 'react';
import { type Segment, diffTexts } from '../merge/diff-text.ts';
import type { FieldValueProps } from './field-value.tsx';
import { useSettings } from './view-settings.ts';

/** Of a run without a change so many characters stay at either end. */
const KEPT = 70;
/** A shorter run is shown whole. */
const FOLDED_FROM = 4 * KEPT;
/** Where less than this part of a text is the same, marks would cover nearly all of it. */
const SAME_AT_LEAST = 0.4;

export interface DiffedTextProps {
  readonly text: string;
  readonly against: FieldValueProps['against'] | undefined;
}

/** A text, with its differences from another one marked. */
export function DiffedText({ text, against }: DiffedTextProps) {
  const { texts } = useSettings();
  const [isWhole, setWhole] = useState(false);
  const segments = useMemo(() => segmentsOf(text, against), [text, against]);
  const canFold = segments.some(isLong);
  return (
    <div className="sync-value sync-value--text">
      {segments.map((segment, at) => (
        <Piece key={at} segment={segment} isFolded={!isWhole && isLong(segment)} show={against?.show} />
      ))}
      {canFold && !isWhole ? (
        <button type="button" className="sync-link" onClick={() => setWhole(true)}>
          {texts.showAll}
        </button>
      ) : null}
    </div>
  );
}

function segmentsOf(text: string, against: DiffedTextProps['against']): Segment[] {
  const whole: Segment[] = [{ kind: 'same', text }];
  if (!against) return whole;
  const segments = diffTexts(against.text, text);
  const same = segments.reduce((sum, { kind, text: { length } }) => sum + (kind === 'same' ? length : 0), 0);
  if (same < SAME_AT_LEAST * Math.max(text.length, against.text.length)) return whole;
  return against.show === 'changes' ? segments : segments.filter(({ kind }) => kind !== 'removed');
}

function isLong({ kind, text }: Segment): boolean {
  return kind === 'same' && text.length > FOLDED_FROM;
}

interface PieceProps {
  readonly segment: Segment;
  readonly isFolded: boolean;
  readonly show: 'changes' | 'own' | undefined;
}

function Piece({ segment: { kind, text }, isFolded, show }: PieceProps) {
  const { texts } = useSettings();
  if (kind === 'removed') return <del>{text}</del>;
  if (kind === 'added') return show === 'own' ? <mark>{text}</mark> : <ins>{text}</ins>;
  if (!isFolded) return <span>{text}</span>;
  const [start, end] = endsOf(text);
  return (
    <span>
      {start}
      <span className="sync-folded">{texts.left(text.length - start.length - end.length)}</span>
      {end}
    </span>
  );
}

/** The beginning and the end of a long run, in whole words. */
function endsOf(text: string): readonly [string, string] {
  const start = text.slice(0, KEPT).replace(/\S*$/, '').trimEnd();
  const end = text.slice(-KEPT).replace(/^\S*/, '').trimStart();
  return [start, end];
}
