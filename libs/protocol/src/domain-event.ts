import Type, { type Static } from 'typebox';
import { DeviceId, EntityData, EntityId, EntityType, MutationId, TenantId, Timestamp } from './scalars.ts';
import { Revision } from './owner-api.ts';

/**
 * A domain event: CloudEvents 1.0 with our extension attributes (CloudEvents allows only scalar attributes,
 * so clocks travel as canonical JSON text). `data` is the whole entity after the change, null after a
 * deletion. For an entity type with a Yjs document, the field that the registration names `docUpdateField`
 * holds the document as base64 (Yjs update v1): the whole of it, or, where `docstate` says `increment`, what
 * this revision added to the one before it.
 */
export const DomainEvent = Type.Object(
  {
    specversion: Type.Literal('1.0'),
    id: Type.String({ minLength: 1, maxLength: 200 }),
    source: Type.String({ minLength: 1, maxLength: 200 }),
    type: Type.String({ minLength: 1, maxLength: 200 }),
    time: Timestamp,
    datacontenttype: Type.Optional(Type.Literal('application/json')),
    tenantid: TenantId,
    entitytype: EntityType,
    entityid: EntityId,
    revision: Revision,
    entityop: Type.Optional(Type.Enum(['put', 'delete'])),
    schemaversion: Type.Optional(Type.Integer({ minimum: 1 })),
    entityclock: Type.Optional(Type.String({ maxLength: 65_536 })),
    mutationid: Type.Optional(MutationId),
    mutationclock: Type.Optional(Type.String({ maxLength: 65_536 })),
    mutationdevice: Type.Optional(DeviceId),
    mutationtime: Type.Optional(Timestamp),
    /**
     * FieldWrites as JSON text: fields that the mutation wrote without changing them. Such a write counts
     * when a third one is compared with it, and the difference of the data cannot show it.
     */
    mutationwrites: Type.Optional(Type.String({ maxLength: 65_536 })),
    /** Absent means `whole`. Whoever sends increments answers snapshots of named `entities`. */
    docstate: Type.Optional(Type.Enum(['whole', 'increment'])),
    data: Type.Union([EntityData, Type.Null()]),
  },
  { $id: 'DomainEvent' },
);
export type DomainEvent = Static<typeof DomainEvent>;
