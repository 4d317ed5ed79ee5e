import type { Resolution } from '@sync/protocol';
import { useId } from 'react';
import type { Deciding } from './use-deciding.ts';
import { useSettings } from './view-settings.ts';

export interface Decision {
  /** Null while there is nothing to save yet. */
  readonly resolution: Resolution | null;
  /** What its button is called, where the kind of the resolution does not say it. */
  readonly label?: string;
}

export interface SaveBarProps {
  readonly deciding: Deciding;
  /** The usual one first. */
  readonly decisions: readonly Decision[];
  /** How far the person has come. */
  readonly progress?: string;
}

/** The buttons that change something. While they do nothing it is said why, and they can still be reached. */
export function SaveBar({ deciding, decisions, progress }: SaveBarProps) {
  const { texts } = useSettings();
  const id = useId();
  const isSending = deciding.state.phase === 'sending';
  const reason = blockedBy();
  const isBlocked = reason !== null || isSending;
  return (
    <div className="sync-save">
      <p id={id} className="sync-save__progress" role="status">
        {reason ?? (isSending ? texts.save.sending : progress)}
      </p>
      {decisions.map(({ resolution, label }, at) => (
        <button
          key={at}
          type="button"
          className={at === 0 ? 'sync-button sync-button--main' : 'sync-button'}
          aria-disabled={isBlocked || resolution === null}
          aria-describedby={id}
          onClick={() => {
            if (!isBlocked && resolution) deciding.resolve(resolution);
          }}
        >
          {label ?? texts.save[resolution?.kind ?? 'undecided']}
        </button>
      ))}
    </div>
  );

  function blockedBy(): string | null {
    if (deciding.readOnlyReason !== undefined) return deciding.readOnlyReason;
    if (deciding.isMoved) return texts.lookFirst;
    return deciding.isOffline ? texts.connectFirst : null;
  }
}
