import type { Deciding } from './use-deciding.ts';
import { useSettings } from './view-settings.ts';

/** What stands in the way of a decision, or came of it; said aloud when it appears. */
export function Notices({ deciding }: { readonly deciding: Deciding }) {
  const { texts, fieldName } = useSettings();
  const { state, isMoved, isOffline, readOnlyReason } = deciding;
  const { failure, changedFields } = state;
  const isOpen = deciding.record.status === 'open';
  if (deciding.isDone) return <Notice kind="done" text={texts.done} />;
  return (
    <>
      {isOpen && isOffline && readOnlyReason === undefined ? (
        <Notice kind="offline" text={texts.offline} />
      ) : null}
      {isOpen && isMoved ? (
        <div className="sync-notice" data-kind="moved" role="alert">
          <p>{texts.failures.moved}</p>
          <button type="button" className="sync-button" onClick={deciding.lookAgain}>
            {texts.lookAgain}
          </button>
        </div>
      ) : null}
      {changedFields.length > 0 && !isMoved ? (
        <Notice kind="info" text={texts.lookedAgain(changedFields.map(fieldName).join(', '))} />
      ) : null}
      {failure && failure.kind !== 'moved' ? (
        <div className="sync-notice" data-kind="failed" role="alert">
          <p>{texts.failures[failure.kind]}</p>
          {failure.kind === 'rejected' || failure.kind === 'failed' ? <p>{failure.detail}</p> : null}
        </div>
      ) : null}
    </>
  );
}

function Notice({ kind, text }: { readonly kind: 'done' | 'offline' | 'info'; readonly text: string }) {
  return (
    <div className="sync-notice" data-kind={kind} role="status">
      <p>{text}</p>
    </div>
  );
}
