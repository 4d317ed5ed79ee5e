import type { MutationOp } from '../entity.ts';
import { decideAppendOnly } from './decide-append-only.ts';
import { decideCrdtYjs } from './decide-crdt-yjs.ts';
import { decideLww } from './decide-lww.ts';
import { decideServerAuthoritative } from './decide-server-authoritative.ts';
import type { Decision, DecisionInput } from './decision.ts';

/** How concurrent changes of an entity type are decided; part of its SyncRegistration. */
export type ConflictPolicy = 'append_only' | 'crdt_yjs' | 'lww' | 'server_authoritative';

/** What tells one policy from another. A new one has its line in `POLICIES` and its `decide-<policy>.ts`. */
export interface PolicyTraits {
  /** Gets mutations whose op is among `ops`. */
  readonly decide: (input: DecisionInput) => Decision;
  /** What a device may do. */
  readonly ops: readonly MutationOp[];
  /** Its entities never change: a mutation needs to know nothing of what is there, and builds on nothing. */
  readonly isWrittenOnce: boolean;
  /** It asks who wrote which field, so projector and owners record it, and a decision needs it. */
  readonly comparesFields: boolean;
  /** Beside its fields stands a Yjs document, which only owner and projector can read. */
  readonly hasDocument: boolean;
  /** A later edit brings back what was deleted, and needs to know what that was. */
  readonly bringsBack: boolean;
  /** It leaves something for a person to decide (`review`). */
  readonly isReviewable: boolean;
}

const FIELD_OPS = ['put', 'patch', 'delete'] as const;
const NONE = {
  isWrittenOnce: false,
  comparesFields: false,
  hasDocument: false,
  bringsBack: false,
  isReviewable: false,
};

/** Total in its types: a new policy does not compile until its traits are known. */
export const POLICIES: Readonly<Record<ConflictPolicy, PolicyTraits>> = {
  append_only: { ...NONE, decide: decideAppendOnly, ops: ['append'], isWrittenOnce: true },
  crdt_yjs: {
    ...NONE,
    decide: decideCrdtYjs,
    // The others touch the plain fields beside the document; only merge touches the document.
    ops: ['merge', ...FIELD_OPS],
    comparesFields: true,
    hasDocument: true,
    isReviewable: true,
  },
  lww: {
    ...NONE,
    decide: decideLww,
    ops: FIELD_OPS,
    comparesFields: true,
    bringsBack: true,
    isReviewable: true,
  },
  server_authoritative: { ...NONE, decide: decideServerAuthoritative, ops: FIELD_OPS },
};
