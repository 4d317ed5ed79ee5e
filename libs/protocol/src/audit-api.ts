/**
 * The audit log of `/admin/v1/`: every administrative change and every refused attempt, one chain of hashes
 * for each tenant and one for the platform (ADR 0045).
 *
 * ```
 * a change in the gateway's own database:   done                  in the transaction of the change
 * a change that another app carries out:    attempted → done      the app did it
 *                                                     → refused   the app said no
 *                                                     → unknown   no answer: it may have been done
 * an attempt that the gateway refuses:      refused
 * ```
 *
 * An `attempted` without a later line that names it in `attempt` is as good as `unknown`: the process died.
 */
import Type, { type Static } from 'typebox';
import { Next, PageCursor, PageLimit } from './admin-api.ts';
import { Count, Position, ServiceName, TenantId, Timestamp, UserId } from './scalars.ts';

export const AuditOutcome = Type.Enum(['done', 'attempted', 'refused', 'unknown']);
export type AuditOutcome = Static<typeof AuditOutcome>;

export const AuditActor = Type.Union(
  [
    Type.Object({
      kind: Type.Literal('person'),
      tenantId: TenantId,
      userId: UserId,
      roles: Type.Array(Type.String({ maxLength: 64 }), {
        description: 'Those of the admin API that the token had.',
      }),
    }),
    Type.Object({ kind: Type.Literal('service'), service: ServiceName }),
    Type.Object({
      kind: Type.Literal('others'),
      tenantId: Type.Union([TenantId, Type.Null()]),
    }),
  ],
  {
    $id: 'AuditActor',
    description:
      '`others`: more people of one tenant, or more services, were refused within a minute than are named.',
  },
);
export type AuditActor = Static<typeof AuditActor>;

const Hash = Type.String({ pattern: '^[0-9a-f]{64}$' });

export const AuditEntry = Type.Object(
  {
    position: Position,
    tenantId: Type.String({ maxLength: 64, description: 'Whose chain it is in.' }),
    at: Timestamp,
    actor: AuditActor,
    operation: Type.String({
      maxLength: 64,
      description: 'The operationId of the admin API, or `registerService` over NATS.',
    }),
    target: Type.String({ maxLength: 256, description: 'The path below `/admin/v1/`, without its query.' }),
    requestId: Type.Union([Type.String({ maxLength: 64 }), Type.Null()]),
    outcome: AuditOutcome,
    code: Type.Union([Type.String({ maxLength: 64 }), Type.Null()], {
      description: 'The problem code of what was refused or has no answer.',
    }),
    attempt: Type.Union([Position, Type.Null()], {
      description: 'The line `attempted` that this one ends.',
    }),
    count: Type.Integer({ minimum: 1, description: 'How many refused attempts this line stands for.' }),
    detail: Type.Record(Type.String(), Type.Unknown()),
    previous: Type.String({
      maxLength: 64,
      description: 'The hash of the line before it; empty in the first.',
    }),
    hash: Type.String({
      pattern: '^[0-9a-f]{64}$',
      description: 'SHA-256 over the canonical JSON of all other members (RFC 8785).',
    }),
  },
  { $id: 'AuditEntry' },
);
export type AuditEntry = Static<typeof AuditEntry>;

export const AdminAuditQuery = Type.Object({
  cursor: Type.Optional(PageCursor),
  limit: Type.Optional(PageLimit),
  actor: Type.Optional(
    Type.String({ pattern: '^[A-Za-z0-9._~-]{1,128}$', description: 'A user or a service.' }),
  ),
  operation: Type.Optional(Type.String({ pattern: '^[A-Za-z]{1,64}$' })),
  outcome: Type.Optional(AuditOutcome),
  from: Type.Optional(Timestamp),
  to: Type.Optional(Timestamp),
});

export const AdminAuditResponse = Type.Object(
  { serverTime: Timestamp, entries: Type.Array(AuditEntry), next: Next },
  {
    $id: 'AdminAuditResponse',
    description: 'Newest first. A page may be shorter than `limit`, or empty, and still have a `next`.',
  },
);

export const AdminAuditVerifyQuery = Type.Pick(AdminAuditQuery, ['cursor', 'limit']);

export const BrokenAuditLine = Type.Object(
  {
    position: Position,
    fault: Type.Enum(['entry_missing', 'entry_altered', 'link_broken', 'anchor_altered']),
    detail: Type.String({ maxLength: 1000, description: 'For people.' }),
  },
  { $id: 'BrokenAuditLine', description: 'The first place where the log is not what was written.' },
);

export const AdminAuditVerifyResponse = Type.Object(
  {
    serverTime: Timestamp,
    checked: Count,
    broken: Type.Union([BrokenAuditLine, Type.Null()]),
    hash: Type.Union([Hash, Type.Null()], {
      description: 'Of the last line that is whole: kept elsewhere, it proves that nothing was cut off.',
    }),
    next: Next,
  },
  { $id: 'AdminAuditVerifyResponse' },
);

export const AdminAuditExportQuery = Type.Object({
  after: Type.Optional(Position),
});

/** One line of an export: `application/x-ndjson`, a head, every entry in order, and an end. */
export const AuditExportLine = Type.Union(
  [
    Type.Object({
      head: Type.Object({
        tenantId: TenantId,
        after: Position,
        hash: Type.String({
          maxLength: 64,
          description: 'Of the line at `after`; empty for the whole chain.',
        }),
        exportedAt: Timestamp,
      }),
    }),
    AuditEntry,
    Type.Object({
      end: Type.Object({
        position: Position,
        hash: Type.String({ maxLength: 64 }),
        entries: Type.String({
          description: 'How many lines were ever added, as the database counted them.',
        }),
      }),
    }),
  ],
  { $id: 'AuditExportLine' },
);
export type AuditExportLine = Static<typeof AuditExportLine>;
