import type { ConflictRecord, Resolution } from '@sync/protocol';
import { useReducer } from 'react';
import type { ServerState } from '../merge/sides.ts';
import type { ConflictViewProps } from './conflict-view.tsx';
import { readFailure } from './read-failure.ts';
import { BEGIN, type ViewAction, type ViewState, isNewer, viewStep } from './view-state.ts';

/** What the parts of the view need of the person's decision. */
export interface Deciding {
  readonly record: ConflictRecord;
  readonly state: ViewState;
  /** The server's state that is shown, and that the decision rests on. */
  readonly shown: ServerState;
  /** The entity has moved since: nothing can be saved before somebody looks again. */
  readonly isMoved: boolean;
  readonly isDone: boolean;
  readonly isOffline: boolean;
  readonly readOnlyReason: string | undefined;
  readonly dispatch: (action: ViewAction) => void;
  readonly resolve: (resolution: Resolution) => void;
  readonly lookAgain: () => void;
}

type Props = Pick<
  ConflictViewProps,
  'conflict' | 'onResolve' | 'onLookAgain' | 'isOffline' | 'readOnlyReason'
>;

/** @param latest what the server has, as far as is known */
export function useDeciding(props: Props, latest: ServerState): Deciding {
  const { conflict, onResolve, onLookAgain, isOffline = false, readOnlyReason } = props;
  const [state, dispatch] = useReducer(viewStep, BEGIN);
  const { pinned, failure } = state;
  const shown = pinned ?? latest;
  const moved = failure?.kind === 'moved' ? failure : null;
  const resolve = (resolution: Resolution): void => {
    dispatch({ kind: 'send', shown });
    onResolve(resolution, shown.clock).then(
      () => dispatch({ kind: 'done' }),
      (error: unknown) => dispatch({ kind: 'failed', failure: readFailure(error) }),
    );
  };
  const lookAgain = (): void => {
    dispatch({ kind: 'lookAgain', record: conflict, now: moved?.current ?? latest });
    onLookAgain?.();
  };
  return {
    record: failure?.record ?? conflict,
    ...{ state, shown, dispatch, resolve, lookAgain },
    isMoved: state.phase !== 'sending' && (moved !== null || isNewer(shown, latest)),
    isDone: state.phase === 'done',
    ...{ isOffline, readOnlyReason },
  };
}
