/** Every state in which a person may find the view: what is looked at, and what axe checks. */
import type { ConflictRecord } from '@sync/protocol';
import type { ReactElement } from 'react';
import { ConflictView, type ConflictViewProps } from '../conflict/view/conflict-view.tsx';
import type { StateName } from './state-names.ts';
import * as records from '../conflict/testing/example-records.ts';

type Answer = () => Promise<ConflictRecord | undefined>;

const saved: Answer = async () => undefined;
const never: Answer = () => new Promise(() => undefined);
const refused = (code: string, more: object = {}): Answer => {
  const failure = {
    kind: 'refused',
    problem: { code, detail: 'The owner says: places has to be below 25.', ...more },
  };
  return () => Promise.reject(Object.assign(new Error(code), { failure }));
};
const noAnswer: Answer = () =>
  Promise.reject(Object.assign(new Error('x'), { failure: { kind: 'offline' } }));
const onOpenDocument = ({ entityId }: ConflictRecord): void => {
  location.hash = entityId;
};
const moved = { data: { ...records.FIELDS.ours, title: 'Trip to the lake' }, clock: { 's:owner': 3 } };

function view(conflict: ConflictRecord, props: Partial<ConflictViewProps> = {}): ReactElement {
  const formatTime = (iso: string): string => `on 4 March 2026 at ${iso.slice(11, 16)}`;
  return <ConflictView {...{ conflict, formatTime }} onResolve={saved} {...props} />;
}

export const STATES = {
  open: () => view(records.FIELDS, { title: 'Two versions of “Trip to the mountains”' }),
  baseUnknown: () => view(records.BASE_UNKNOWN),
  nested: () => view(records.NESTED),
  serverDeleted: () => view(records.SERVER_DELETED),
  deviceDeleted: () => view(records.DEVICE_DELETED),
  suggested: () => view(records.SUGGESTED),
  document: () => view(records.DOCUMENT, { onOpenDocument }),
  documentNotCompared: () => view(records.DOCUMENT_NOT_COMPARED, { onOpenDocument }),
  documentRefused: () => view(records.DOCUMENT_REFUSED),
  hidden: () => view(records.HIDDEN),
  appendOnly: () => view(records.APPEND_ONLY),
  autoResolved: () => view(records.AUTO_RESOLVED),
  resolved: () => view(records.RESOLVED),
  documentDecided: () => view(records.DOCUMENT_DECIDED),
  documentRefusedDecided: () => view(records.DOCUMENT_REFUSED_DECIDED),
  documentRefusedByRule: () => view(records.DOCUMENT_REFUSED_BY_RULE),
  hiddenDecided: () => view(records.HIDDEN_DECIDED),
  offline: () => view(records.FIELDS, { isOffline: true }),
  readOnly: () =>
    view(records.FIELDS, { readOnlyReason: 'You may look at conflicts of others, not decide them.' }),
  moved: () => view(records.FIELDS, { onResolve: refused('conflict_moved', { current: moved }) }),
  elsewhere: () =>
    view(records.FIELDS, { onResolve: refused('conflict_already_resolved', { conflict: records.RESOLVED }) }),
  rejected: () => view(records.FIELDS, { onResolve: refused('resolution_rejected') }),
  noAnswer: () => view(records.FIELDS, { onResolve: noAnswer }),
  sending: () => view(records.FIELDS, { onResolve: never }),
  saved: () => view(records.FIELDS),
} satisfies Record<StateName, () => ReactElement>;
