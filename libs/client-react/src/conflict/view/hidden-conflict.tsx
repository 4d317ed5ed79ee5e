import type { JsonObject } from '@sync/domain';
import { Whole } from './field-value.tsx';
import { Notices } from './notices.tsx';
import type { OpenConflictProps } from './open-conflict.tsx';
import { SaveBar } from './save-bar.tsx';
import { useSettings } from './view-settings.ts';

/** The user does not hold the scope any more: what they wrote, and nothing of the server (CONFLICT-18). */
export function HiddenConflict({ record, deciding }: OpenConflictProps) {
  const { texts } = useSettings();
  const written = record.theirs as JsonObject | null;
  if (deciding.isDone) return <Notices deciding={deciding} />;
  return (
    <>
      <Notices deciding={deciding} />
      <p className="sync-conflict__explanation">{texts.hidden}</p>
      {written ? (
        <div className="sync-version" data-source="device">
          <p className="sync-version__source">{texts.sources.device}</p>
          <Whole data={written} />
        </div>
      ) : null}
      <SaveBar
        deciding={deciding}
        decisions={[{ resolution: { kind: 'keep_server' }, label: texts.hiddenButton }]}
      />
    </>
  );
}
