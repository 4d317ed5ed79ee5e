import type { ConflictRecord } from '@sync/protocol';
import { type ReactNode, createElement, useEffect, useId, useRef } from 'react';
import { useSettings } from './view-settings.ts';

export interface ConflictFrameProps {
  readonly record: ConflictRecord;
  readonly title: ReactNode;
  readonly headingLevel: 1 | 2 | 3 | 4 | 5;
  /** It was just saved: what had the focus is gone. */
  readonly isDone: boolean;
  readonly children: ReactNode;
}

/** What it is about and how it stands, around the rest. */
export function ConflictFrame({ record, title, headingLevel, isDone, children }: ConflictFrameProps) {
  const { texts, formatTime } = useSettings();
  const id = useId();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (isDone) heading.current?.focus();
  }, [isDone]);
  const status = isDone ? 'resolved' : record.status;
  return (
    <section className="sync-conflict" aria-labelledby={id} data-status={status}>
      <header className="sync-conflict__header">
        <p className="sync-status">{texts.status[status]}</p>
        {createElement(
          `h${headingLevel}`,
          { id, ref: heading, tabIndex: -1, className: 'sync-conflict__title' },
          title ?? texts.title(record),
        )}
        <p className="sync-conflict__lead">{texts.lead(record, formatTime(record.detectedAt))}</p>
      </header>
      {children}
    </section>
  );
}
