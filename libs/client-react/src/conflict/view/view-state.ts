/** What a person is at while they decide a conflict: pure, so that it can be tested without a page. */
import { deepEqualJson } from '@sync/domain';
import type { ConflictRecord } from '@sync/protocol';
import { type Choice, type Choices, NO_CHOICES, keepChoices } from '../merge/choices.ts';
import { compareFields } from '../merge/field-rows.ts';
import { type ServerState, sidesOf } from '../merge/sides.ts';
import type { ResolveFailure } from './read-failure.ts';

export interface ViewState {
  readonly choices: Choices;
  /** What the choices rest on; null before the first one: then it may still change by itself. */
  readonly pinned: ServerState | null;
  readonly phase: 'deciding' | 'sending' | 'done';
  readonly failure: ResolveFailure | null;
  /** Fields that have changed when somebody looked again. */
  readonly changedFields: readonly string[];
}

export type ViewAction =
  | { readonly kind: 'choose'; readonly field: string; readonly choice: Choice; readonly shown: ServerState }
  | { readonly kind: 'chooseAll'; readonly choices: Choices; readonly shown: ServerState }
  | { readonly kind: 'send'; readonly shown: ServerState }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly failure: ResolveFailure }
  | { readonly kind: 'lookAgain'; readonly record: ConflictRecord; readonly now: ServerState };

export const BEGIN: ViewState = {
  choices: NO_CHOICES,
  pinned: null,
  phase: 'deciding',
  failure: null,
  changedFields: [],
};

export function viewStep(state: ViewState, action: ViewAction): ViewState {
  switch (action.kind) {
    case 'choose': {
      const choices = new Map(state.choices).set(action.field, action.choice);
      return { ...state, choices, pinned: action.shown, failure: lasting(state.failure) };
    }
    case 'chooseAll':
      return { ...state, choices: action.choices, pinned: action.shown, failure: lasting(state.failure) };
    case 'send':
      return { ...state, phase: 'sending', pinned: action.shown, failure: null };
    case 'done':
      return { ...state, phase: 'done', failure: null };
    case 'failed':
      return { ...state, phase: 'deciding', failure: action.failure };
    case 'lookAgain':
      return lookAgain(state, action);
  }
}

/** That the entity has moved stays true whatever is chosen. */
function lasting(failure: ResolveFailure | null): ResolveFailure | null {
  return failure?.kind === 'moved' || failure?.kind === 'elsewhere' ? failure : null;
}

function lookAgain(
  { choices, pinned }: ViewState,
  { record, now }: Extract<ViewAction, { kind: 'lookAgain' }>,
): ViewState {
  const before = compareFields(sidesOf(record, pinned ?? now));
  const after = compareFields(sidesOf(record, now));
  const kept = keepChoices(choices, before, after);
  const changedFields = [...choices.keys()].filter((field) => !kept.has(field));
  return { ...BEGIN, choices: kept, pinned: now, changedFields };
}

/** Whether the entity is at another state than the one that is shown. */
export function isNewer(shown: ServerState, latest: ServerState): boolean {
  return !deepEqualJson(shown.clock, latest.clock);
}
