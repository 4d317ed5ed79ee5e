import type { AuditActor } from '@sync/protocol';
import { actorName, type AuditDraft } from './audit-entry.ts';

/** A refused attempt, and the chain that it belongs into. */
export interface Refusal {
  readonly chain: string;
  readonly draft: AuditDraft;
}

/** Repetitions of one refusal that have no line yet. */
interface Counted {
  readonly refusal: Refusal;
  count: number;
  lastAt: string;
}

/** Different refusals of one tenant's people, or of all services, that get lines of their own in a window. */
const NAMED = 20;
/** Groups that are told apart; beyond that nobody is. */
const MAX_GROUPS = 1_000;
/** Kinds that are counted at once, also while none of them can be written. */
const MAX_COUNTED = 5_000;

/**
 * Refused attempts of one minute, folded: whoever is refused without end must not fill the disk.
 *
 * ```
 * first of its kind ──▶ a line at once
 * again             ──▶ counted, one line when the window ends
 * a kind too many   ──▶ counted for "others" of its tenant, one line when the window ends
 * ```
 *
 * A kind is chain, actor, operation and code. So there are at most 2 × {@link NAMED} + 1 lines a window for a
 * tenant's people in one chain, however many requests come. Pure but for its own state.
 */
export class RefusalWindow {
  #counted = new Map<string, Counted>();
  #kinds = new Map<string, number>();

  /** @returns the refusal when it is to be written now, null when it is counted */
  note(refusal: Refusal): Refusal | null {
    const key = kindOf(refusal);
    const known = this.#counted.get(key);
    if (known) {
      add(known, refusal);
      return null;
    }
    const group = groupOf(refusal);
    const kinds = this.#kinds.get(group) ?? 0;
    const isNamed = kinds < NAMED && (kinds > 0 || this.#kinds.size < MAX_GROUPS);
    if (!isNamed) {
      this.#count(othersOf(refusal, kinds === 0));
      return null;
    }
    this.#kinds.set(group, kinds + 1);
    this.#counted.set(key, { ...startOf(refusal), count: 0 });
    return refusal;
  }

  /** It could not be written: it is counted instead, so that the end of the window tells of it. */
  owe(refusal: Refusal): void {
    this.#count(refusal);
  }

  /** Ends the window. @returns a line for each kind that was counted */
  end(): Refusal[] {
    const lines = [...this.#counted.values()].filter(({ count }) => count > 0).map(lineOf);
    this.#counted = new Map();
    this.#kinds = new Map();
    return lines;
  }

  #count(refusal: Refusal): void {
    const isNew = !this.#counted.has(kindOf(refusal));
    const counted = isNew && this.#counted.size >= MAX_COUNTED ? othersOf(refusal, true) : refusal;
    const known = this.#counted.get(kindOf(counted));
    if (known) add(known, refusal);
    else this.#counted.set(kindOf(counted), startOf(counted));
  }
}

function startOf(refusal: Refusal): Counted {
  const { count, at } = refusal.draft;
  return { refusal, count, lastAt: at };
}

function add(counted: Counted, { draft }: Refusal): void {
  counted.count += draft.count;
  counted.lastAt = draft.at;
}

function lineOf({ refusal: { chain, draft }, count, lastAt }: Counted): Refusal {
  const detail = { ...draft.detail, from: draft.detail['from'] ?? draft.at };
  return { chain, draft: { ...draft, at: lastAt, count, detail } };
}

function kindOf({ chain, draft: { actor, operation, code } }: Refusal): string {
  return JSON.stringify([chain, actor.kind, tenantOf(actor), actorName(actor), operation, code]);
}

function groupOf({ chain, draft: { actor } }: Refusal): string {
  return JSON.stringify([chain, tenantOf(actor)]);
}

/** @param ofNobody not even the tenant is told apart any more */
function othersOf({ chain, draft }: Refusal, ofNobody: boolean): Refusal {
  const tenantId = ofNobody ? null : tenantOf(draft.actor);
  const actor: AuditActor = { kind: 'others', tenantId };
  const several = { operation: 'several', target: '*', requestId: null, code: null, detail: {} };
  return { chain, draft: { ...draft, ...several, actor } };
}

function tenantOf(actor: AuditActor): string | null {
  return actor.kind === 'service' ? null : actor.tenantId;
}
