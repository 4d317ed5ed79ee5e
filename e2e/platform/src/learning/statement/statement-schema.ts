import Type from 'typebox';
import { TimeField } from '../../owning-service/field-types.ts';

const IRI = '^[A-Za-z][A-Za-z0-9+.-]*:[^\\s<>"{}|\\\\^`]+$';
const UUID_TEXT = '^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$';
const DURATION =
  '^P(?!$)(\\d+(\\.\\d+)?W|(\\d+Y)?(\\d+M)?(\\d+D)?(T(?=\\d)(\\d+H)?(\\d+M)?(\\d+(\\.\\d+)?S)?)?)$';

const Iri = Type.String({ pattern: IRI, maxLength: 4_096 });
const Uuid = Type.String({ pattern: UUID_TEXT });
const LanguageMap = Type.Record(Type.String(), Type.String());
const Extensions = Type.Record(Type.String(), Type.Unknown());

const Verb = Type.Object({ id: Iri, display: Type.Optional(LanguageMap) });

/** `objectType` is left out for activities, which most objects are. */
const Activity = Type.Object({
  id: Iri,
  objectType: Type.Optional(Type.Literal('Activity')),
  definition: Type.Optional(
    Type.Object({
      name: Type.Optional(LanguageMap),
      description: Type.Optional(LanguageMap),
      type: Type.Optional(Iri),
      moreInfo: Type.Optional(Iri),
      extensions: Type.Optional(Extensions),
    }),
  ),
});

const Score = Type.Object({
  scaled: Type.Optional(Type.Number({ minimum: -1, maximum: 1 })),
  raw: Type.Optional(Type.Number()),
  min: Type.Optional(Type.Number()),
  max: Type.Optional(Type.Number()),
});

const Result = Type.Object({
  score: Type.Optional(Score),
  success: Type.Optional(Type.Boolean()),
  completion: Type.Optional(Type.Boolean()),
  response: Type.Optional(Type.String()),
  duration: Type.Optional(Type.String({ pattern: DURATION })),
  extensions: Type.Optional(Extensions),
});

const Context = Type.Object({
  registration: Type.Optional(Uuid),
  contextActivities: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  revision: Type.Optional(Type.String()),
  platform: Type.Optional(Type.String()),
  language: Type.Optional(Type.String()),
  extensions: Type.Optional(Extensions),
});

/** Another statement (section 2.4.4.3): the object of a voiding one. */
const StatementRef = Type.Object({ id: Uuid, objectType: Type.Literal('StatementRef') });

/** The verb of a statement that declares another one void (section 2.3.2). */
export const VOIDED = 'http://adlnet.gov/expapi/verbs/voided';

/**
 * An xAPI 1.0.3 statement (Part Two, section 2.4) as a learner's device makes it: the object is an activity. The actor is not asked for,
 * because the server stamps it. xAPI allows no property that it does not name.
 */
export const Statement = Type.Object(
  {
    id: Uuid,
    actor: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    verb: Verb,
    object: Activity,
    result: Type.Optional(Result),
    context: Type.Optional(Context),
    timestamp: Type.Optional(TimeField),
    stored: Type.Optional(TimeField),
    authority: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    version: Type.Optional(Type.String({ pattern: '^1\\.0(\\.\\d+)?$' })),
    attachments: Type.Optional(Type.Array(Type.Record(Type.String(), Type.Unknown()), { maxItems: 100 })),
  },
  { additionalProperties: false },
);

/** A statement about another statement. A schema of its own, so that a fault of either is named by its path. */
export const ReferringStatement = Type.Object(
  { ...Statement.properties, object: StatementRef },
  { additionalProperties: false },
);

/** What devices see: the statement as xAPI names it, without the `userId` that stands beside it for the scope. */
export const STATEMENT_FIELDS: string[] = Object.keys(Statement.properties);
