import type { Write } from '@sync/client';
import { useEffect, useState } from 'react';
import { useConflicts, useOutcome, useOutcomes, useSyncClient, useSyncStatus } from '../index.ts';

/** Each object that a hook has answered, in order, as text. */
export interface Seen {
  readonly statuses: string[];
  readonly conflicts: string[];
  readonly outcomes: string[];
  readonly writes: string[];
}

/** Shows what all hooks say, and has buttons for what changes it. */
export function HookProbe({ seen }: { readonly seen: Seen }) {
  const client = useSyncClient();
  const status = useSyncStatus();
  const conflicts = useConflicts();
  const outcomes = useOutcomes();
  const [write, setWrite] = useState<Write | null>(null);
  const state = useOutcome(write);
  useNote(seen.statuses, status, `${status.state} ${status.pending}`);
  useNote(
    seen.conflicts,
    conflicts,
    `${conflicts.state} ${conflicts.items.map((each) => each.status).join(',')}`,
  );
  useNote(seen.outcomes, outcomes, `${outcomes.state} ${outcomes.items.length}`);
  useNote(seen.writes, state, state ? `${state.tier}${state.hasFailed ? ' failed' : ''}` : 'none');
  const put = async (title: string): Promise<void> => {
    if (client) setWrite(await client.entity('note').put(crypto.randomUUID(), { title }));
  };
  const dismiss = (): void => {
    for (const { outcome } of outcomes.items) void client?.dismiss(outcome.mutationId);
  };
  return (
    <>
      <button onClick={() => void put('good')}>write</button>
      <button onClick={() => void put('refused')}>write refused</button>
      <button onClick={dismiss}>dismiss</button>
    </>
  );
}

/** Notes each new object; StrictMode runs an effect twice with the same one. */
function useNote(notes: string[], object: object | null, text: string): void {
  const [noted] = useState(() => new Set<object | null>());
  useEffect(() => {
    if (noted.has(object)) return;
    noted.add(object);
    notes.push(text);
  }, [noted, notes, object, text]);
}
