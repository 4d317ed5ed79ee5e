import type { Conflict } from '@sync/client';
import { useState } from 'react';
import { useConflicts } from '../hooks/use-conflicts.ts';
import { useResolving } from '../hooks/use-resolving.ts';
import { ConflictView, type ConflictViewProps } from '../conflict/view/conflict-view.tsx';
import { ENGLISH } from '../conflict/view/texts.ts';

/** Of {@link ConflictInbox}: how the app shows its data in each view. */
export interface ConflictInboxProps extends Pick<
  ConflictViewProps,
  'texts' | 'fieldName' | 'renderValue' | 'formatTime' | 'headingLevel' | 'onOpenDocument'
> {
  /** What the entity of a conflict is called. */
  readonly titleOf?: (conflict: Conflict) => ConflictViewProps['title'];
}

/**
 * All conflicts that wait for this user, each ready to be decided. One that is decided meanwhile, here or
 * elsewhere, stays in sight and says so: nothing goes away under somebody's hands.
 */
export function ConflictInbox({ titleOf, ...view }: ConflictInboxProps) {
  const { state, items: all } = useConflicts();
  const [shown, setShown] = useState<ReadonlySet<string>>(new Set());
  const items = all.filter(({ conflictId, status }) => status === 'open' || shown.has(conflictId));
  if (items.some(({ conflictId }) => !shown.has(conflictId))) {
    setShown(new Set([...shown, ...items.map(({ conflictId }) => conflictId)]));
  }
  const texts = { ...ENGLISH, ...view.texts };
  if (state === 'failed') return <Message kind="failed" text={texts.notRead} />;
  if (state === 'loading') return <Message kind="loading" text={texts.loading} />;
  if (items.length === 0) return <Message kind="none" text={texts.none} />;
  return (
    <div className="sync-inbox">
      {items.map((conflict) => (
        <Resolvable key={conflict.conflictId} {...view} conflict={conflict} title={titleOf?.(conflict)} />
      ))}
    </div>
  );
}

function Resolvable(props: Omit<ConflictViewProps, 'onResolve'>) {
  return <ConflictView {...props} {...useResolving(props.conflict)} />;
}

function Message({ kind, text }: { readonly kind: 'failed' | 'loading' | 'none'; readonly text: string }) {
  return (
    <p className="sync-message" data-kind={kind} role={kind === 'failed' ? 'alert' : 'status'}>
      {text}
    </p>
  );
}
