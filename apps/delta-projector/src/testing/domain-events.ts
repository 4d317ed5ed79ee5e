import type { DomainEvent, RegisteredEntityType } from '@sync/protocol';
import { incomingEvents, type IncomingEvent } from '../projection/incoming-event.ts';
import { projectedType, type EntityTypes, type ProjectedType } from '../projection/projected-type.ts';

/** The learning service's types of the reference platform, as far as projection cares. */
export const REGISTRATIONS: readonly RegisteredEntityType[] = [
  {
    service: 'learning',
    entityType: 'progress',
    schemaVersion: 1,
    policy: 'lww',
    projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
  },
  {
    service: 'learning',
    entityType: 'enrollment',
    schemaVersion: 1,
    policy: 'server_authoritative',
    projection: { kind: 'declarative', fields: ['courseId', 'status'], scopes: ['user:{userId}'] },
    grants: [
      {
        scope: 'course:{courseId}',
        user: '{userId}',
        when: { field: 'status', in: ['active', 'completed'] },
      },
    ],
  },
  {
    service: 'learning',
    entityType: 'bundle',
    schemaVersion: 1,
    policy: 'server_authoritative',
    projection: { kind: 'declarative', fields: '*', scopes: ['course:{courseId}'] },
  },
  {
    service: 'learning',
    entityType: 'document',
    schemaVersion: 1,
    policy: 'crdt_yjs',
    projection: { kind: 'declarative', fields: '*', scopes: ['course:{courseId}'], docUpdateField: 'body' },
  },
];

/** A fixed list of entity types. */
export class FixedTypes implements EntityTypes {
  readonly #types: Map<string, ProjectedType>;

  constructor(registrations: readonly RegisteredEntityType[] = REGISTRATIONS) {
    this.#types = new Map(registrations.map((type) => [type.entityType, projectedType(type)]));
  }

  get(entityType: string): ProjectedType | undefined {
    return this.#types.get(entityType);
  }

  register(registration: RegisteredEntityType): void {
    this.#types.set(registration.entityType, projectedType(registration));
  }

  async lookFor(): Promise<void> {
    // A fixed list knows nothing more.
  }
}

export interface EventDraft {
  readonly tenant?: string;
  readonly type?: string;
  readonly id: string;
  readonly revision: number;
  /** Null deletes. */
  readonly data: unknown;
  readonly time?: string;
  readonly more?: Readonly<Record<string, unknown>>;
}

/** A well-formed domain event of the learning service, unless `more` makes it something else. */
export function domainEvent(draft: EventDraft): DomainEvent {
  const {
    tenant = 't1',
    type = 'progress',
    id,
    revision,
    data,
    time = '2026-03-01T10:00:00.000Z',
    more,
  } = draft;
  const event = {
    specversion: '1.0',
    id: `${type}-${id}-${revision}`,
    source: '/services/learning',
    type: `learning.${type}.changed.v1`,
    time,
    tenantid: tenant,
    entitytype: type,
    entityid: id,
    revision,
    entityclock: JSON.stringify({ 's:learning': revision }),
    data,
    ...more,
  };
  return event as DomainEvent;
}

/** The drafts as the consumer reads them from one message. */
export function incoming(...drafts: readonly EventDraft[]): IncomingEvent[] {
  return incomingEvents('learning', JSON.stringify(drafts.map(domainEvent)));
}
