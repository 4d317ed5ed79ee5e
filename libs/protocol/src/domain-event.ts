import Type, { type Static } from 'typebox';
import { DeviceId, EntityData, EntityId, EntityType, MutationId, TenantId, Timestamp } from './scalars.ts';
import { Revision } from './owner-api.ts';

const ClockText = Type.String({ maxLength: 65_536 });

/** What an event says of the device whose mutation it tells of. All of them together, or none. */
const WRITER = {
  mutationid: Type.Optional(
    Type.With(MutationId, { description: 'The `mutationId` of the mutation that led to the change.' }),
  ),
  mutationclock: Type.Optional(
    Type.With(ClockText, { description: 'The `clock` of that mutation, as JSON text.' }),
  ),
  mutationdevice: Type.Optional(Type.With(DeviceId, { description: 'The `deviceId` of that mutation.' })),
  mutationtime: Type.Optional(
    Type.With(Timestamp, {
      description:
        'The `occurredAt` of that mutation. Last-write-wins compares it with that of other mutations. ' +
        'Without it, `time` counts: then a change that waited on its device wins over a later one.',
    }),
  ),
  mutationwrites: Type.Optional(
    Type.String({
      maxLength: 65_536,
      description:
        'FieldWrites as JSON text: which fields that mutation wrote, for the data cannot show a write that ' +
        'changed nothing. It is the `fieldWrites` of the mutation. Where that is absent, a `put` or ' +
        '`patch` has written what its `data` names, a `put` also the entity itself (the key ``), each ' +
        '`{"atMs": <occurredAt>, "by": "d:<deviceId>", "counter": <that entry of clock>}`. Not for the ' +
        'first revision, nor for a deletion. Fields that did change may be left out.',
    }),
  ),
};

/** One change of an entity, as its owner publishes it. */
export const DomainEvent = Type.Object(
  {
    specversion: Type.Literal('1.0', { description: 'Of CloudEvents.' }),
    id: Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'Its own, such as a UUID. The same `source` and `id` again is a repetition.',
    }),
    source: Type.String({ minLength: 1, maxLength: 200, description: '`/services/<service>`.' }),
    type: Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'For people, such as `<service>.<entityType>.changed.v1`.',
    }),
    time: Type.With(Timestamp, {
      description:
        'When the owner committed the change. Of a change that no device made, it is also when it was made.',
    }),
    datacontenttype: Type.Optional(Type.Literal('application/json', { description: 'Of `data`.' })),
    tenantid: Type.With(TenantId, { description: 'Whose entity it is.' }),
    entitytype: EntityType,
    entityid: EntityId,
    revision: Revision,
    entityop: Type.Optional(
      Type.Enum(['put', 'delete'], { description: 'Left out, it is `delete` where `data` is null.' }),
    ),
    schemaversion: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Of `data`, as the registration counts it.' }),
    ),
    entityclock: Type.Optional(
      Type.With(ClockText, {
        description:
          'The entity’s VectorClock after the change, as canonical JSON text (CLOCK-2), from an owner ' +
          'that counts by itself as the SDK does (CLOCK-1, CLOCK-3). Others leave it out in all events, ' +
          'and the projector counts (OWNER-6).',
      }),
    ),
    ...WRITER,
    docstate: Type.Optional(
      Type.Enum(['whole', 'increment'], {
        description: 'Absent means `whole`. Whoever sends increments answers snapshots of named `entities`.',
      }),
    ),
    data: Type.Union([EntityData, Type.Null()], {
      description:
        'The whole entity after the change, null after a deletion. The field that the registration names ' +
        '`docUpdateField` has the document of an entity as base64 (Yjs update v1): the whole of it, or ' +
        'what this revision added (`docstate`).',
    }),
  },
  {
    $id: 'DomainEvent',
    description:
      'CloudEvents 1.0 with extension attributes, which are scalars: so clocks travel as JSON text. The ' +
      'event of a change that a device pushed needs all attributes `mutation…`. Without them, it counts ' +
      'as the service’s own change, made at `time`, and last-write-wins decides by that (OWNER-20).',
  },
);
export type DomainEvent = Static<typeof DomainEvent>;
