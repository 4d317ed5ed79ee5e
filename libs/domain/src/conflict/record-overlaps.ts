import type { VectorClock } from '@sync/vector-clock';
import type { MutationInput } from '../entity.ts';
import type { JsonObject } from '../json.ts';
import type { ConflictDraft, DecisionInput, DocumentBlock, FieldConflict } from './decision.ts';

/** What both sides did to one block of a document; `DocumentOverlaps` of the protocol holds such. */
export interface BlockOverlap extends Pick<DocumentBlock, 'kind' | 'grade' | 'merged'> {
  readonly block: Pick<DocumentBlock, 'path' | 'line' | 'key'>;
  readonly base: string | null;
  readonly ours: string | null;
  readonly theirs: string | null;
}

/** What a merge met, as the owner of the document sees it. */
export interface MergeReport {
  readonly grade: 'none' | 'minor' | 'severe';
  /** None where the owner could not compare. */
  readonly overlaps: readonly BlockOverlap[];
}

/** A merge, with its own clock. */
export type MergedMutation = Pick<MutationInput, 'entityType' | 'entityId' | 'mutationId' | 'update'> & {
  readonly clock: VectorClock;
};

/**
 * The record of a merge that met edits of the same blocks; null where there were none. Everything is merged
 * already; the record holds both sides of every block, so that a person can see what became of them: open for
 * severe ones where the registration asks for review, else resolved by the policy.
 *
 * @param clockOurs the document's clock before the merge
 */
export function recordOverlaps(
  {
    mutation,
    policy,
    review,
  }: Pick<DecisionInput, 'policy' | 'review'> & { readonly mutation: MergedMutation },
  { grade, overlaps }: MergeReport,
  clockOurs: VectorClock,
): ConflictDraft | null {
  if (grade === 'none') return null;
  const isOpen = grade === 'severe' && review === 'collisions';
  const sides = (side: 'base' | 'ours' | 'theirs'): JsonObject =>
    Object.fromEntries(overlaps.map((one) => [blockName(one), one[side]]));
  const { entityType, entityId, mutationId, update, clock } = mutation;
  return {
    ...{ policy, entityType, entityId, mutationId },
    base: sides('base'),
    // Where the owner could not compare, it names no block.
    baseUnknown: overlaps.length === 0 ? [''] : [],
    ours: sides('ours'),
    theirs: sides('theirs'),
    theirsUpdate: update,
    fields: fieldsOf(overlaps, isOpen ? 'open' : 'merged'),
    blocks: overlaps.map((one) => {
      const { block, kind, grade: graded, merged } = one;
      return { name: blockName(one), ...block, kind, grade: graded, merged };
    }),
    decision: isOpen ? 'open' : 'auto',
    clockOurs,
    clockTheirs: clock,
  };
}

/** One per block; the whole entity when its owner could not compare. */
function fieldsOf(overlaps: readonly BlockOverlap[], winner: 'open' | 'merged'): FieldConflict[] {
  if (overlaps.length === 0) return [{ field: '', winner }];
  return overlaps.map((one) => ({
    field: blockName(one),
    ...(one.ours === null ? {} : { ours: one.ours }),
    ...(one.theirs === null ? {} : { theirs: one.theirs }),
    winner,
  }));
}

/** `body:3` is the third line of the text `body`, `fields.dose` a key of a map, `page/1` an element. */
function blockName({ block: { path, line, key } }: BlockOverlap): string {
  if (key !== null) return `${path}.${key}`;
  return line === null ? path : `${path}:${line}`;
}
