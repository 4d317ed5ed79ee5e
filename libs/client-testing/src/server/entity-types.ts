import type { DocumentKeeper } from './document-keeper.ts';
import {
  type ConflictPolicy,
  type GrantRule,
  type MutationOp,
  POLICIES,
  type ProjectionRule,
  type ReviewMode,
  type UpcastStep,
} from '@sync/domain';
import { CONFLICT_ENTITY_TYPE } from '@sync/protocol';

/** An entity as JSON. */
export type TestData = Readonly<Record<string, unknown>>;

/** A change of another entity that comes with one; `data: null` deletes. */
export interface AlsoChange {
  readonly entityType: string;
  readonly entityId: string;
  readonly data: TestData | null;
  /** Leaves an entity that is there as it is. */
  readonly ifAbsent?: boolean;
}

/** What the owning service answers; push handlers of `@sync/owner-sdk` answer the same. */
export type HandlerAnswer =
  | { readonly kind: 'accepted'; readonly data: TestData | null; readonly also?: readonly AlsoChange[] }
  | { readonly kind: 'rejected'; readonly code: string; readonly message: string };

/** A mutation as its owning service gets it, after the policy has decided. */
export interface HandledMutation {
  readonly mutationId: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly scope: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly op: MutationOp;
  /** The whole entity of a put or an append, some fields of a patch, null of a delete. */
  readonly data: Record<string, unknown> | null;
  /** Of a merge: a Yjs update (v1), base64. */
  readonly update?: string;
  readonly clock: Record<string, number>;
  readonly expectedRevision: number;
  /** RFC 3339, in the time of the server. */
  readonly occurredAt: string;
  readonly schemaVersion: number;
}

/** What a handler is told besides the mutation. */
export interface HandlerContext {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
  /** RFC 3339. */
  readonly nowIso: string;
}

/**
 * The rule of the owning service, as `handle` of `@sync/owner-sdk` has it: a service that is written with
 * that gives the server its own.
 */
export type Handle = (
  mutation: HandledMutation,
  current: TestData | null,
  context: HandlerContext,
) => HandlerAnswer;

/** Lifts data of version `from` to the next one. */
export type TestUpcaster =
  | { readonly from: number; readonly steps: readonly UpcastStep[] }
  | {
      readonly from: number;
      /** Answers with the data as the next version has them. */
      readonly upcast: (
        data: TestData,
        context: { readonly tenantId: string; readonly mutationId: string; readonly op: MutationOp },
      ) => HandlerAnswer;
    };

/** One entity type, as its owning service registers it. */
export interface TestEntityType {
  readonly policy: ConflictPolicy;
  /** `collisions`: a person decides about fields that both sides wrote. Default: `none`. */
  readonly review?: ReviewMode;
  /** Default: 1. */
  readonly schemaVersion?: number;
  /**
   * Scope templates such as `course:{courseId}`. Default: an entity stays in the scope into which it was
   * written first.
   */
  readonly scopes?: readonly string[];
  /** Top-level fields that devices get. Default: all. */
  readonly fields?: '*' | readonly string[];
  readonly grants?: readonly GrantRule[];
  readonly upcasters?: readonly TestUpcaster[];
  readonly requiresTags?: boolean;
  /** Takes what it is sent where nothing is given. */
  readonly handle?: Handle;
  /** The name of the owning service in clocks. Default: `server`. */
  readonly service?: string;
  /** Of `crdt_yjs`, and of no other policy: `keepDocuments()` of `@sync/client-testing/yjs`. */
  readonly documents?: DocumentKeeper;
}

/** The same with all defaults. */
export interface KnownType extends Required<Omit<TestEntityType, 'scopes' | 'documents'>> {
  readonly entityType: string;
  readonly documents: DocumentKeeper | null;
  readonly scopes: readonly string[] | null;
}

/** @throws TypeError for what the server cannot have */
export function knownTypes(types: Readonly<Record<string, TestEntityType>>): Map<string, KnownType> {
  const known = Object.entries(types).map(([entityType, type]): [string, KnownType] => {
    if (POLICIES[type.policy].hasDocument !== (type.documents !== undefined))
      throw new TypeError(`${entityType}: \`documents\` belong to crdt_yjs, and to no other policy`);
    if (entityType === CONFLICT_ENTITY_TYPE)
      throw new TypeError(`${entityType} is the server’s own entity type`);
    const defaults: Omit<KnownType, 'policy'> = {
      ...{ entityType, review: 'none', schemaVersion: 1, fields: '*', grants: [], upcasters: [] },
      ...{ requiresTags: false, handle: takeAsSent, service: 'server', scopes: null, documents: null },
    };
    return [entityType, { ...defaults, ...type }];
  });
  const conflict: KnownType = {
    ...{ entityType: CONFLICT_ENTITY_TYPE, policy: 'server_authoritative', review: 'none', schemaVersion: 1 },
    ...{ fields: '*', grants: [], upcasters: [], requiresTags: false, handle: takeAsSent },
    ...{ service: 'conflict-resolver', scopes: ['user:{userId}'], documents: null },
  };
  return new Map([...known, [CONFLICT_ENTITY_TYPE, conflict]]);
}

/** @param scope into which the change goes where the type has no templates */
export function ruleOf(type: KnownType, scope: string): ProjectionRule {
  const { schemaVersion, policy, fields, grants, scopes, documents } = type;
  const docUpdateField = documents?.field ?? null;
  return { schemaVersion, policy, fields, grants, scopes: scopes ?? [scope], docUpdateField };
}

/** Takes what comes; a patch of what is not there is `data_invalid`. */
export function takeAsSent({ op, data }: HandledMutation, current: TestData | null): HandlerAnswer {
  if (op === 'patch' && current === null)
    return { kind: 'rejected', code: 'data_invalid', message: 'there is no such entity to patch' };
  if (op === 'merge' && current === null)
    return { kind: 'rejected', code: 'document_unknown', message: 'there is no such document: put it first' };
  const goesOn = op === 'patch' || op === 'merge';
  const after = op === 'delete' ? null : goesOn ? { ...current, ...data } : (data ?? {});
  return { kind: 'accepted', data: after };
}
