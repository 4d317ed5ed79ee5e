import type { JsonObject } from '@sync/domain';
import type { ConflictRecord } from '@sync/protocol';
import { Whole } from './field-value.tsx';
import { Notices } from './notices.tsx';
import type { OpenConflictProps } from './open-conflict.tsx';
import { SaveBar } from './save-bar.tsx';
import { useSettings } from './view-settings.ts';

/** The user does not hold the scope any more: what they wrote, and nothing of the server (CONFLICT-18). */
export function HiddenConflict({ record, deciding }: OpenConflictProps) {
  const { texts } = useSettings();
  if (deciding.isDone) return <Notices deciding={deciding} />;
  return (
    <>
      <Notices deciding={deciding} />
      <p className="sync-conflict__explanation">{texts.hidden}</p>
      <Written record={record} />
      <SaveBar
        deciding={deciding}
        decisions={[{ resolution: { kind: 'keep_server' }, label: texts.hiddenButton }]}
      />
    </>
  );
}

/** Nothing is told of the other side, which is not the same as that it was deleted. */
export function isHidden({ omitted }: ConflictRecord): boolean {
  return omitted?.includes('ours') ?? false;
}

/** What the user has written. */
export function Written({ record }: { readonly record: ConflictRecord }) {
  const { texts } = useSettings();
  const written = record.theirs as JsonObject | null;
  if (!written) return null;
  return (
    <div className="sync-version" data-source="device">
      <p className="sync-version__source">{texts.sources.device}</p>
      <Whole data={written} />
    </div>
  );
}
