import type { ConflictRecord, Resolution } from '@sync/protocol';
import { type ReactNode, useMemo } from 'react';
import { type ServerState, recordedServer } from '../merge/sides.ts';
import { ConflictFrame } from './conflict-frame.tsx';
import { DecidedConflict } from './decided-conflict.tsx';
import { DocumentConflict } from './document-conflict.tsx';
import { HiddenConflict, isHidden } from './hidden-conflict.tsx';
import { OpenConflict } from './open-conflict.tsx';
import { type ConflictTexts, ENGLISH } from './texts.ts';
import { useDeciding } from './use-deciding.ts';
import { DEFAULTS, Settings, type ViewSettings } from './view-settings.ts';

/** Of {@link ConflictView}. */
export interface ConflictViewProps extends Partial<Omit<ViewSettings, 'texts'>> {
  readonly conflict: ConflictRecord;
  /** What the server has now; where it is left out, what it had when the conflict was found. */
  readonly server?: ServerState | undefined;
  /**
   * Asks the server. It may answer the record as it was decided, and throws what `readFailure` understands: a
   * `SyncError`, or whatever has the same `failure`.
   * @param expectedClock of the state that the person has seen
   */
  readonly onResolve: (
    resolution: Resolution,
    expectedClock: ServerState['clock'],
  ) => Promise<ConflictRecord | undefined>;
  /** Somebody wants to see what the server has now: give it as `server`. */
  readonly onLookAgain?: () => void;
  /**
   * Shows the document of a conflict, in whatever the app has for that: where it is given, conflicts of
   * documents have a button for it.
   */
  readonly onOpenDocument?: ((conflict: ConflictRecord) => void) | undefined;
  readonly isOffline?: boolean;
  /** Why nothing can be decided here, in a sentence; for reviewers who may only look. */
  readonly readOnlyReason?: string;
  /** Of the entity, for its person: what a list would call it. */
  readonly title?: ReactNode;
  readonly headingLevel?: 1 | 2 | 3 | 4 | 5;
  readonly texts?: Partial<ConflictTexts>;
}

/**
 * A conflict for a person to decide: each version of each field, and what comes of it. It asks nobody by
 * itself. Styles are in `@sync/client-react/styles.css`, or your own on the same class names.
 */
export function ConflictView(props: ConflictViewProps) {
  const { conflict, fieldName, renderValue, formatTime, texts } = props;
  const settings = useMemo<ViewSettings>(
    () => ({
      texts: { ...ENGLISH, ...texts },
      fieldName: fieldName ?? DEFAULTS.fieldName,
      renderValue: renderValue ?? DEFAULTS.renderValue,
      formatTime: formatTime ?? DEFAULTS.formatTime,
    }),
    [texts, fieldName, renderValue, formatTime],
  );
  return (
    <Settings.Provider value={settings}>
      <OneConflict key={conflict.conflictId} {...props} />
    </Settings.Provider>
  );
}

function OneConflict(props: ConflictViewProps) {
  const { conflict, server, title, headingLevel = 2, onOpenDocument } = props;
  const latest = useMemo(() => server ?? recordedServer(conflict), [server, conflict]);
  const deciding = useDeciding(props, latest);
  const { record, isDone } = deciding;
  return (
    <ConflictFrame {...{ record, title, headingLevel, isDone }}>
      {record.status !== 'open' ? (
        <DecidedConflict record={record} deciding={deciding} />
      ) : server === undefined && isHidden(record) ? (
        <HiddenConflict record={record} deciding={deciding} />
      ) : record.op === 'merge' ? (
        <DocumentConflict {...{ record, deciding, onOpenDocument }} />
      ) : (
        <OpenConflict record={record} deciding={deciding} />
      )}
    </ConflictFrame>
  );
}
