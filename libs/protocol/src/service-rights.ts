import Type, { type Static } from 'typebox';
import { CONFLICT_ENTITY_TYPE } from './conflict-record.ts';
import { EntityType, ServiceName } from './scalars.ts';

const SubjectPattern = Type.String({
  pattern: '^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_*-]+){0,15}(\\.>)?$',
  maxLength: 255,
});

/**
 * What the platform's operators let each service register. It is a file of the deployment, `SERVICE_RIGHTS_FILE`:
 * the gateway checks registrations by it, and the permissions of services in NATS are generated from it.
 */
export const ServiceRights = Type.Object(
  {
    services: Type.Record(
      ServiceName,
      Type.Object(
        {
          entityTypes: Type.Array(EntityType, {
            maxItems: 200,
            description: 'The entity types that the service owns.',
          }),
          grants: Type.Optional(
            Type.Array(Type.String({ pattern: '^[a-z][a-z0-9_-]{0,31}$' }), {
              maxItems: 64,
              description:
                'Kinds of scopes (`course` of `course:42`) that its entities may give to users. A scope is ' +
                'shared by all services, so whoever may grant it decides who reads it.',
            }),
          ),
          subjects: Type.Optional(
            Type.Array(SubjectPattern, {
              maxItems: 64,
              description:
                'NATS subjects, beside those that begin with the service’s name, that its registrations may name.',
            }),
          ),
          streams: Type.Optional(
            Type.Array(Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }), {
              maxItems: 16,
              description: 'JetStream streams of its own, from which the projector reads its events.',
            }),
          ),
        },
        { additionalProperties: false },
      ),
    ),
    readers: Type.Optional(
      Type.Array(ServiceName, {
        maxItems: 64,
        description: 'Services that read sync events, such as analytics, and own no entity types.',
      }),
    ),
  },
  { $id: 'ServiceRights', additionalProperties: false },
);
export type ServiceRights = Static<typeof ServiceRights>;
/** The rights of one service. */
export type RightsOfService = ServiceRights['services'][string];

/** What the platform's own services register; no configuration can take it from them. */
export const PLATFORM_SERVICE_RIGHTS: ServiceRights['services'] = {
  'conflict-resolver': { entityTypes: [CONFLICT_ENTITY_TYPE] },
};
