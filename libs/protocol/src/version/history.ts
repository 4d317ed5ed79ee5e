import { EARLY_HISTORY } from './early-history.ts';

/**
 * What changed in the frozen wire (F07), oldest first. Within v1 every entry is additive: an old device keeps
 * working against a new server and a new device against an old one. freeze/wire-schemas.test.ts asks for an
 * entry whenever a schema changes.
 */
export interface VersionEntry {
  /** `1.<n>.0`, counted up by one. */
  readonly version: string;
  /** Day of publication; null while a first version is still being built and nobody relies on it. */
  readonly date: string | null;
  /** Names of the wire schemas that changed, as in wire-schemas.lock.json. */
  readonly schemas: readonly string[];
  readonly change: string;
  /** Changes that the checker calls breaking and a person judged harmless. */
  readonly accepted?: readonly { readonly schema: string; readonly path: string; readonly reason: string }[];
}

export const VERSION_HISTORY: readonly VersionEntry[] = [
  ...EARLY_HISTORY,
  {
    version: '1.20.0',
    date: '2026-11-29',
    schemas: [],
    change:
      'PUSH-7: an outcome that comes again, or comes late with a pull, shows its entity with each later ' +
      'change of which the device was told meanwhile; it showed it as it had been. PUSH-8: no change waits ' +
      'for one that was refused because its id was used.',
  },
  {
    version: '1.21.0',
    date: '2026-11-29',
    schemas: [],
    change:
      'ADMIN-8: purges that a device owes, however many, hide no scope in which it is far behind. It is ' +
      'judged by 50 scopes of each kind; it was by 100 scopes, owed purges first.',
  },
  {
    version: '1.22.0',
    date: '2026-11-30',
    schemas: ['PushQuestion', 'RegisterQuestion'],
    change:
      'OWNER-12: owners that say pushShares get changes of several devices in one request (shared), and ' +
      'answer shared_failed where they cannot do all of them soon.',
  },
  {
    version: '1.23.0',
    date: '2026-11-30',
    schemas: ['SyncEventBatch'],
    change:
      'sync.push.completed.v1 counts what a push came to and lists what was not simply applied. ' +
      'sync.mutation.applied.v1, rejected and accepted, which list every mutation, are sent only where ' +
      'MUTATION_EVENTS is set.',
  },
  {
    version: '1.24.0',
    date: '2026-11-30',
    schemas: [],
    change:
      'PUSH-7: an outcome that comes again, or late, shows its entity as it is now also where the owning ' +
      'service itself changed it; it did so only for changes that were answered to a device. No current is ' +
      'older than a change of which the same answer tells before it. OWNER-5: a scope hears of a deletion ' +
      'that was projected before the creation.',
  },
  {
    version: '1.25.0',
    date: '2026-11-30',
    schemas: [],
    change:
      'PUSH-7: an outcome that comes again, or late, shows no entity of a scope that was taken from its ' +
      'user since; it showed the entity as it had been.',
  },
  {
    version: '1.26.0',
    date: '2026-11-30',
    schemas: [],
    change:
      'POLICY-8: a patch of an entity that is not there is kept in a ConflictRecord, whatever its owner ' +
      'refuses it for. So is a change that had met one that its device had not seen, where the answer was ' +
      'lost and the refusal comes when it is sent again. Both were rejected without a record.',
  },
  {
    version: '1.27.0',
    date: '2026-11-30',
    schemas: [],
    change:
      'PUSH-19: null that removed a field wins over an earlier value of a device that had not seen it, ' +
      'also where the removal came first. OWNER-5: mutationwrites names fields that a mutation wrote and ' +
      'that are not there.',
  },
  {
    version: '1.28.0',
    date: '2026-11-30',
    schemas: [],
    change:
      'PUSH-18: a device counts as restored when it uses a sequence again, no more when the order of two ' +
      'requests was lost; and until it has acked the outcome of a later change of the entity.',
  },
  {
    version: '1.29.0',
    date: '2026-11-30',
    schemas: [],
    change:
      'PUSH-18: a sequence of what was rejected is used, too, and a queue that a stranger’s session sent ' +
      'first uses none again; a restored device knows its changes as well once it has acked an outcome ' +
      'that kept the server’s. PUSH-4: within one push the order of the list counts, however it is ' +
      'numbered.',
  },
  {
    version: '1.30.0',
    date: '2026-11-30',
    schemas: [],
    change:
      'The source of a sync event is the name of the process that tells it, as in the subject: ' +
      'delta-projector and device-health wrote theirs with a slash before it, sync-gateway and ' +
      'conflict-resolver never did. That of a domain event stays /services/<service>.',
  },
  {
    version: '1.31.0',
    date: '2026-11-30',
    schemas: ['PushQuestion'],
    change:
      'PushedMutation.dataDigest: the hash of an appended record as it was sent, which owners on the SDK ' +
      'otherwise compute.',
  },
  {
    version: '1.32.0',
    date: '2026-11-30',
    schemas: [],
    change:
      'COMMON-22, COMMON-23, COMMON-4: the values of a body are counted before it is parsed, a compressed body ' +
      'inflates to 512 times its bytes at the most beyond the first MiB, and bodies without entities have ' +
      'bounds of their own. Only state vectors of more than 1.5 MB together, which compress to half, fitted ' +
      'a pull before and do not now.',
  },
  {
    version: '1.33.0',
    date: '2026-11-30',
    schemas: ['RegisterAsQuestion', 'RegisterAsAnswer'],
    change:
      'A service registers on sync.registry.v1.register.<service>; the subject without a name is for ' +
      'development. ADMIN-1: operations of the admin API name the roles that may use them; registrations are ' +
      'changed by sync-operator of the platform’s tenant, no more by sync-admin of any tenant. OWNER-13 to ' +
      '16: who may register what, and which versions, scopes and subjects.',
  },
  {
    version: '1.34.0',
    date: '2026-11-30',
    schemas: [],
    change: 'ACCESS-13: a signature field has at most 32 members; its length was bounded before.',
  },
  {
    version: '1.35.0',
    date: '2026-11-30',
    schemas: ['Problem'],
    change:
      'COMMON-24, ACCESS-11: requests arrive within a time, and a body is read only of a caller whose fields ' +
      'have proven it. Problem codes malformed_request, request_timeout and headers_too_large, for what was ' +
      'answered in plain text or not at all.',
  },
  {
    version: '1.36.0',
    date: '2026-11-30',
    schemas: [],
    change:
      'COMMON-25, COMMON-26: what is no HTTP is a problem document, and so is a parameter that no database can ' +
      'keep, which was 500. Requests that offer another upgrade are answered without it; they were 404.',
  },
  {
    version: '1.37.0',
    date: '2026-11-30',
    schemas: [],
    change:
      'CLOCK-5: a device can only have seen what exists. CONFLICT-18: conflicts of a scope that was taken from ' +
      'their user show nothing of the server. PUSH-21: outcome code mutation_tampered.',
  },
  {
    version: '1.38.0',
    date: '2026-11-30',
    schemas: [],
    change:
      'LIVE-6, LIVE-7: a request for a ticket cannot be used again after five seconds, and a closed socket is ' +
      'cut off when its client does not answer. Health and metrics have left the port of devices.',
  },
  {
    version: '1.39.0',
    date: '2026-11-30',
    schemas: [],
    change:
      'Each NATS channel names who sends and who receives it; the permissions of services in NATS come from ' +
      'that. Replies go to _INBOX.<service>. Streams allow direct gets.',
  },
  {
    version: '1.40.0',
    date: '2026-11-30',
    schemas: ['PushQuestion', 'RegisterAsQuestion', 'RegisterQuestion'],
    change:
      'OWNER-17: what was perhaps applied, and is refused now, is asked for without being carried out (refuse), ' +
      'where the registration says pushRefuses.',
  },
  {
    version: '1.41.0',
    date: '2026-11-30',
    schemas: [],
    change:
      'ADMIN-9 to ADMIN-12: an audit log of administrative changes and refused attempts, /admin/v1/audit, which ' +
      'is listed, verified and exported.',
  },
  {
    version: '1.42.0',
    date: '2026-11-30',
    schemas: [
      'DeviceBindingVerifyAnswer',
      'PushQuestion',
      'PushRequest',
      'RegisterAsQuestion',
      'RegisterQuestion',
    ],
    change:
      'PUSH-22 to PUSH-24, OWNER-18: a device may tag its mutations; a tag is verified when the mutation comes and ' +
      'before it is sent. Registrations may require tags (requiresTags), owners get them. Identity services ' +
      'may name earlier keys of a device, and those of revoked ones (ACCESS-14). Outcome codes tag_invalid, ' +
      'tag_missing and tag_unverifiable.',
  },
  {
    version: '1.43.0',
    date: '2026-11-30',
    schemas: [],
    change:
      'COMMON-27 to 30: work of a device, user and tenant is bounded (429), tenants take turns, a server with ' +
      'too much to do refuses by priority (503), and answers are read in time. OpenAPI names the priority of ' +
      'each operation of devices; operations of the admin API may be answered 429.',
  },
  {
    version: '1.44.0',
    date: '2026-11-30',
    schemas: ['DeviceBindingVerifyAnswer'],
    change:
      'ACCESS-15: a device that changes its key may sign with the one before until previousKeyUntil, which the ' +
      'identity service names.',
  },
  {
    version: '1.45.0',
    date: '2026-12-01',
    schemas: ['PullResponse'],
    change:
      'PULL-22: granted of a pull names scopes that the device has not been served yet. It was sent before ' +
      'and stood in no document.',
  },
  {
    version: '1.46.0',
    date: '2026-12-01',
    schemas: [],
    change:
      'LIVE-8: the first notice of a socket names all scopes of its user. A socket is open before its ' +
      'ticket is redeemed. What was committed in between was in no notice: a client saw it minutes later.',
  },
  {
    version: '1.47.0',
    date: '2026-12-01',
    schemas: [],
    change:
      'COMMON-31: pages of configured origins may read answers; before, their preflights were answered 404.',
  },
  {
    version: '1.48.0',
    date: '2026-12-01',
    schemas: ['EntityTypeInfo', 'EntityTypesResponse'],
    change:
      'PUSH-25: GET /sync/v1/entity-types names every registered entity type with its policy, its ops and ' +
      'the versions of its schema that are taken.',
  },
  {
    version: '1.49.0',
    date: '2026-12-01',
    schemas: ['PullResponse', 'PushResponse'],
    change:
      'PUSH-26: an outcome names the scope of its mutation, while the user holds it: a client that stores ' +
      'entities by scope knows where `current` belongs without looking into its outbox.',
  },
  {
    version: '1.50.0',
    date: '2026-12-01',
    schemas: ['PullRequest', 'PullResponse', 'PushRequest', 'PushResponse'],
    change:
      'ACK-5: a push or a pull may have an ack in it, which is carried out first: a client needs no ' +
      'request of its own for it.',
  },
];

/** The version of the newest entry. */
export const PROTOCOL_VERSION = VERSION_HISTORY.at(-1)?.version ?? '';
