import type { ConflictRecord, Resolution } from '@sync/protocol';
import type { Change } from '../merge/field-rows.ts';
import { isRefused } from '../merge/sides.ts';
import type { ResolveFailure } from './read-failure.ts';

/** Where a value comes from, as a person is told. */
export type Source = 'base' | 'server' | 'device' | 'combined' | 'suggestion' | 'own' | 'result';

/** Every text of the view. Give those that your app says in another way, or in another language. */
export interface ConflictTexts {
  /** Of the view, where the app gives none. */
  readonly title: (record: ConflictRecord) => string;
  /** What has happened, in a sentence or two. */
  readonly lead: (record: ConflictRecord, when: string) => string;
  readonly status: Readonly<Record<ConflictRecord['status'], string>>;
  readonly sources: Readonly<Record<Source, string>>;
  readonly changes: Readonly<Record<Change, string>>;
  /** Of one side that is deleted. */
  readonly whole: string;
  readonly deleted: string;
  readonly noValue: string;
  readonly emptyText: string;
  readonly unknownValue: string;
  readonly yes: string;
  readonly no: string;
  readonly undecided: string;
  /** Below what somebody has typed. */
  readonly invalidJson: (message: string) => string;
  readonly allFrom: Readonly<Record<'server' | 'device' | 'suggestion', string>>;
  readonly allFields: string;
  /** Of what is folded away. */
  readonly sameFields: (count: number) => string;
  /** Said aloud after each choice. */
  readonly progress: (undecided: number, contested: number) => string;
  /** Why nothing can be saved. */
  readonly fixInvalid: (field: string) => string;
  readonly save: Readonly<Record<Resolution['kind'] | 'undecided' | 'sending', string>>;
  readonly failures: Readonly<Record<ResolveFailure['kind'], string>>;
  readonly lookAgain: string;
  /** After a look at the new version: the fields whose choice was taken back. */
  readonly lookedAgain: (fields: string) => string;
  readonly offline: string;
  readonly done: string;
  /** Who or what has decided, and how. */
  readonly decidedBy: (record: ConflictRecord, when: string) => string;
  readonly hidden: string;
  readonly hiddenButton: string;
  /** Says that it is a model’s, and which. */
  readonly suggestedBy: (model: string) => string;
  readonly documentLead: string;
  /** In its place where nobody knows in which parts both changes met. */
  readonly documentNotCompared: string;
  readonly documentRefused: string;
  readonly openDocument: string;
  readonly keepDocument: string;
  readonly writeAgain: string;
  /** Gives up a change that was refused. */
  readonly leaveOut: string;
  readonly documentResult: string;
  readonly showAll: string;
  /** Beside the side that has not changed a field. */
  readonly asBefore: string;
  /** In place of a part of a long text. */
  readonly left: (characters: number) => string;
  /** Of the result of a long text. */
  readonly marked: string;
  /** Where in a document something was changed. */
  readonly place: (path: string, line: number | null, key: string | null) => string;
  /** Why nothing can be saved, beside the button; the notice above says more. */
  readonly lookFirst: string;
  readonly connectFirst: string;
  readonly loading: string;
  readonly none: string;
  readonly notRead: string;
}

const RULES: Readonly<Record<string, string>> = {
  lww: 'the later change of a field wins',
  server_authoritative: 'the server’s value wins',
  append_only: 'what was recorded first stays',
  crdt_yjs: 'both texts are merged',
};

/** The texts where an app gives no others. */
export const ENGLISH: ConflictTexts = {
  title: (record) =>
    isRefused(record)
      ? `Your change to this ${record.entityType} was not accepted`
      : `Two versions of this ${record.entityType}`,
  lead: (record, when) => {
    if (isRefused(record)) return `You changed it, and the server did not accept your change ${when}.`;
    return record.policy === 'append_only'
      ? `Something else was recorded under the same id. Yours was sent ${when}, and is kept here.`
      : `You changed it, and so did somebody else before your change arrived ${when}.`;
  },
  status: { open: 'Needs your decision', auto_resolved: 'Decided by a rule', resolved: 'Decided' },
  sources: {
    base: 'Before',
    server: 'On the server',
    device: 'Your change',
    combined: 'Both changes',
    suggestion: 'Suggestion',
    own: 'Write it yourself',
    result: 'Result',
  },
  changes: {
    none: 'Same on both sides',
    same: 'Both made the same change',
    server: 'Only the server changed it',
    device: 'Only you changed it',
    both: 'Changed on both sides',
  },
  whole: 'Keep it, or delete it?',
  deleted: 'Deleted',
  noValue: 'No value',
  emptyText: 'Empty',
  unknownValue: 'Not known any more',
  yes: 'Yes',
  no: 'No',
  undecided: 'Not decided yet',
  invalidJson: (message) => `This is not valid JSON yet: ${message}`,
  allFrom: {
    server: 'Take all from the server',
    device: 'Take all of yours',
    suggestion: 'Take all suggested',
  },
  allFields: 'All fields at once',
  sameFields: (count) =>
    count === 1 ? '1 field is the same on both sides' : `${count} fields are the same on both sides`,
  progress: (undecided, contested) => {
    if (undecided > 0 && contested === 1) return 'Choose one of the versions.';
    if (undecided > 0)
      return `${contested - undecided} of ${contested} decided. Choose a version for each field.`;
    return contested === 0 ? 'Nothing is contested.' : 'Everything is decided. Nothing is saved yet.';
  },
  fixInvalid: (field) => `${field} is not valid JSON yet.`,
  save: {
    keep_server: 'Keep the server’s version',
    keep_client: 'Save your version',
    merged: 'Save the result',
    accept_suggestion: 'Accept the suggestion',
    undecided: 'Save the result',
    sending: 'Saving …',
  },
  failures: {
    moved: 'It has changed on the server since you began. Nothing was saved. Look at the new version first.',
    elsewhere: 'Somebody has decided this already, on another device.',
    rejected: 'The server does not accept this decision:',
    offline: 'There is no connection. Nothing was saved, and your choices are still here.',
    failed: 'It could not be saved. Your choices are still here.',
  },
  lookAgain: 'Show the new version',
  lookedAgain: (fields) => `This is the new version. Decide again: ${fields}.`,
  offline: 'You are offline. You can choose now, and save when you are connected.',
  done: 'Saved. All your devices get this version.',
  decidedBy: decidedInEnglish,
  hidden:
    'You no longer have access to the place where this is kept, so the other version is not shown. ' +
    'What you wrote stays in this record.',
  hiddenButton: 'Leave it as it is',
  suggestedBy: (model) => `Suggested by an AI model (${model}). Check it before you accept it.`,
  documentLead: 'Both changes are in the document already. Check whether they make sense together.',
  documentNotCompared:
    'Both changes are in the document already. It could not be found out where they met, so there is ' +
    'nothing to compare here. Read the document, and check whether it makes sense.',
  documentRefused:
    'Your change is kept here, and is not in the document. You can try it again, or give it up.',
  openDocument: 'Open the document',
  keepDocument: 'It is fine as it is now',
  writeAgain: 'Try your change again',
  leaveOut: 'Give your change up',
  documentResult: 'In the document now',
  showAll: 'Show the whole text',
  asBefore: 'as before',
  left: (characters) => `${characters} characters not shown`,
  marked: 'Marked is what saving this changes on the server.',
  place: (path, line, key) =>
    [path, line === null ? null : `line ${line}`, key].filter((part) => part !== null).join(', '),
  lookFirst: 'Look at the new version first.',
  connectFirst: 'Saving needs a connection.',
  loading: 'Looking for conflicts …',
  none: 'No conflicts. Everything you wrote is in place.',
  notRead: 'Conflicts could not be read from this device.',
};

function decidedInEnglish(record: ConflictRecord, when: string): string {
  const { policy, decider, decision, status } = record;
  const refused = isRefused(record);
  if (status === 'auto_resolved') {
    return refused
      ? 'It cannot be tried again. What you wrote stays in this record.'
      : `Decided by the rule for this kind of data: ${RULES[policy] ?? policy}.`;
  }
  const what = {
    keep_server: refused ? 'The document was left without your change' : 'The server’s version was kept',
    keep_client: refused ? 'Your change was tried again, and accepted' : 'Your version was saved',
    merged: 'Parts of both versions were saved',
    accept_suggestion: 'A suggestion was accepted',
    policy: 'A rule decided',
  }[decision?.kind ?? 'policy'];
  const person =
    decider?.kind === 'suggestion' ? decider.acceptedBy : decider?.kind === 'person' ? decider : null;
  return person ? `${what} ${when}, on device ${person.deviceId}.` : `${what} ${when}.`;
}

/** `isOpen` as `Is open`: what a field is called where the app says nothing. */
export function readableName(field: string): string {
  const words = field
    .replaceAll(/([\p{Ll}\d])(\p{Lu})/gu, '$1 $2')
    .replaceAll(/[_-]+/g, ' ')
    .toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
