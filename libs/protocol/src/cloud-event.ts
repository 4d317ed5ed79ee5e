/** What an event says of itself, whatever it tells. */
export interface EventFacts<T extends string> {
  readonly id: string;
  readonly source: string;
  readonly type: T;
  /** RFC 3339 */
  readonly timeIso: string;
  readonly tenantId: string;
}

/** The attributes of every event of the platform. */
export interface CloudEvent<T extends string> {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: T;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly tenantid: string;
}

/** The envelope of domain events and sync events as CloudEvents 1.0; extensions and `data` come after it. */
export function cloudEvent<T extends string>(facts: EventFacts<T>): CloudEvent<T> {
  const { id, source, type, timeIso, tenantId } = facts;
  return {
    ...{ specversion: '1.0', id, source, type },
    ...{ time: timeIso, datacontenttype: 'application/json', tenantid: tenantId },
  };
}

/**
 * The `source` of the domain events of a service. That of a sync event is the bare name of the process that
 * tells it, `sync-gateway`, which is a URI-reference as well (RFC 3986, a relative path). One spelling for
 * both would be a change of the wire without a gain: consumers select sync events by these names
 * (docs/guides/run-it.md), and know a repeated event by its `source` and `id` together. A leading
 * `/services/` also keeps an owner that is called `sync-gateway` apart from ours.
 */
export function sourceOfOwner(service: string): string {
  return `/services/${service}`;
}
