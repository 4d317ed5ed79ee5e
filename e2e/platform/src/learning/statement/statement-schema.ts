import { SentUuid, Timestamp } from '@sync/protocol';
import Type, { type TObject, type TProperties } from 'typebox';
import {
  Duration,
  Extensions,
  Iri,
  LanguageMap,
  LanguageTag,
  Mailbox,
  MediaType,
  Sha1,
  Sha2,
  Uri,
} from './xapi-values.ts';

/** xAPI allows no property that it does not name (section 2.2). */
const only = <T extends TProperties>(properties: T): TObject<T> =>
  Type.Object(properties, { additionalProperties: false });

const IDENTIFIERS = {
  mbox: Type.Optional(Mailbox),
  mbox_sha1sum: Type.Optional(Sha1),
  openid: Type.Optional(Uri),
  account: Type.Optional(only({ homePage: Iri, name: Type.String() })),
};
const identifiersOf = (agent: object): number =>
  Object.keys(IDENTIFIERS).filter((name) => Object.hasOwn(agent, name)).length;

const Agent = Type.Refine(
  only({
    objectType: Type.Optional(Type.Literal('Agent')),
    name: Type.Optional(Type.String()),
    ...IDENTIFIERS,
  }),
  (agent) => identifiersOf(agent) === 1,
  () => 'must have exactly one of mbox, mbox_sha1sum, openid and account',
);

/** Its members are agents and no groups; one that has no identifier of its own has to name them (2.4.2.2). */
const Group = Type.Refine(
  only({
    objectType: Type.Literal('Group'),
    name: Type.Optional(Type.String()),
    member: Type.Optional(Type.Array(Agent)),
    ...IDENTIFIERS,
  }),
  (group) => identifiersOf(group) === 1 || (identifiersOf(group) === 0 && group.member !== undefined),
  () => 'must have members, or exactly one of mbox, mbox_sha1sum, openid and account',
);

const AgentOrGroup = Type.Union([Agent, Group]);

const Verb = only({ id: Iri, display: Type.Optional(LanguageMap) });

const Components = Type.Refine(
  Type.Array(only({ id: Type.String(), description: Type.Optional(LanguageMap) })),
  (components) => new Set(components.map(({ id }) => id)).size === components.length,
  () => 'the ids of the components must differ',
);
const INTERACTION = {
  correctResponsesPattern: Type.Optional(Type.Array(Type.String())),
  choices: Type.Optional(Components),
  scale: Type.Optional(Components),
  source: Type.Optional(Components),
  target: Type.Optional(Components),
  steps: Type.Optional(Components),
};
const INTERACTION_TYPES = [
  'true-false',
  'choice',
  'fill-in',
  'long-fill-in',
  'matching',
  'performance',
  'sequencing',
  'likert',
  'numeric',
  'other',
];

const Definition = Type.Refine(
  only({
    name: Type.Optional(LanguageMap),
    description: Type.Optional(LanguageMap),
    type: Type.Optional(Iri),
    moreInfo: Type.Optional(Iri),
    interactionType: Type.Optional(Type.Enum(INTERACTION_TYPES)),
    ...INTERACTION,
    extensions: Type.Optional(Extensions),
  }),
  (definition) =>
    Object.hasOwn(definition, 'interactionType') ||
    !Object.keys(INTERACTION).some((name) => Object.hasOwn(definition, name)),
  () => 'an interaction must have its interactionType',
);

/** `objectType` is left out for activities, which most objects are. */
const Activity = only({
  id: Iri,
  objectType: Type.Optional(Type.Literal('Activity')),
  definition: Type.Optional(Definition),
});

const Score = Type.Refine(
  only({
    scaled: Type.Optional(Type.Number({ minimum: -1, maximum: 1 })),
    raw: Type.Optional(Type.Number()),
    min: Type.Optional(Type.Number()),
    max: Type.Optional(Type.Number()),
  }),
  ({ raw, min = -Infinity, max = Infinity }) =>
    min < max && (raw === undefined || (min <= raw && raw <= max)),
  () => 'min must be less than max, and raw must lie between them',
);

const Result = only({
  score: Type.Optional(Score),
  success: Type.Optional(Type.Boolean()),
  completion: Type.Optional(Type.Boolean()),
  response: Type.Optional(Type.String()),
  duration: Type.Optional(Duration),
  extensions: Type.Optional(Extensions),
});

/** Another statement (section 2.4.4.3): the object of a voiding one. */
const StatementRef = only({ id: SentUuid, objectType: Type.Literal('StatementRef') });

/** One activity alone is allowed for the sake of 0.95, and becomes a list. */
const ContextActivities = Type.Optional(Type.Union([Type.Array(Activity), Activity]));

const CONTEXT = {
  registration: Type.Optional(SentUuid),
  instructor: Type.Optional(AgentOrGroup),
  team: Type.Optional(Group),
  contextActivities: Type.Optional(
    only({
      parent: ContextActivities,
      grouping: ContextActivities,
      category: ContextActivities,
      other: ContextActivities,
    }),
  ),
  language: Type.Optional(LanguageTag),
  statement: Type.Optional(StatementRef),
  extensions: Type.Optional(Extensions),
};
/** These two belong to activities alone. */
const ABOUT_ACTIVITIES = { revision: Type.Optional(Type.String()), platform: Type.Optional(Type.String()) };

/** The signature of a statement, which comes as a part beside it (section 2.6). */
const SIGNATURE = 'http://adlnet.gov/expapi/attachments/signature';

/**
 * What is said about a file. This record store takes no files: `fileUrl` says where one is, and a signature,
 * which cannot be elsewhere, is refused.
 */
const Attachment = only({
  usageType: Type.Refine(
    Iri,
    (usage) => usage !== SIGNATURE,
    () => 'must be no signature: this record store takes no parts beside a statement',
  ),
  display: LanguageMap,
  description: Type.Optional(LanguageMap),
  contentType: MediaType,
  length: Type.Integer({ minimum: 0 }),
  sha2: Sha2,
  fileUrl: Iri,
});

/** The verb of a statement that declares another one void (section 2.3.2). */
export const VOIDED = 'http://adlnet.gov/expapi/verbs/voided';

/**
 * An xAPI 1.0.3 statement (Part Two, section 2.4) as a learner's device makes it: the object is an activity.
 * The actor and the authority are not asked for, because the server stamps them; sent, they are checked.
 */
export const Statement = only({
  id: SentUuid,
  actor: Type.Optional(AgentOrGroup),
  verb: Verb,
  object: Activity,
  result: Type.Optional(Result),
  context: Type.Optional(only({ ...CONTEXT, ...ABOUT_ACTIVITIES })),
  timestamp: Type.Optional(Timestamp),
  stored: Type.Optional(Timestamp),
  authority: Type.Optional(AgentOrGroup),
  version: Type.Optional(Type.String({ pattern: '^1\\.0\\.\\d+(-[0-9A-Za-z-]+)?$' })),
  attachments: Type.Optional(Type.Array(Attachment, { maxItems: 100 })),
});

/**
 * A statement about another statement. A schema of its own, so that a fault of either is named by its path.
 */
export const ReferringStatement = only({
  ...Statement.properties,
  object: StatementRef,
  context: Type.Optional(only(CONTEXT)),
});

/**
 * What devices see: the statement as xAPI names it, without the `userId` that stands beside it for the scope.
 */
export const STATEMENT_FIELDS: string[] = Object.keys(Statement.properties);
