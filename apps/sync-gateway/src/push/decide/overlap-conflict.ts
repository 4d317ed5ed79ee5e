import type { ConflictDraft, FieldConflict, JsonObject } from '@sync/domain';
import type { DocumentOverlaps } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';
import type { Work } from '../outcome/settlement.ts';
import { conflictOf, type WithConflict } from './conflict-of.ts';

type Overlap = DocumentOverlaps['overlaps'][number];

/**
 * The record of a merge that met edits of the same blocks. Everything is merged already; the record holds
 * both sides of every block, so that a person can see what became of them: open for severe ones where the
 * registration asks for review, else resolved by the policy.
 *
 * @param clockOurs the document's clock before the merge
 */
export function overlapConflict(
  work: Work,
  overlaps: DocumentOverlaps | undefined,
  clockOurs: VectorClock | null,
): WithConflict {
  if (!overlaps || overlaps.grade === 'none') return {};
  const { mutation, registration } = work;
  const open = overlaps.grade === 'severe' && registration.review === 'collisions';
  const sides = (side: 'base' | 'ours' | 'theirs'): JsonObject =>
    Object.fromEntries(overlaps.overlaps.map((one) => [blockName(one), one[side]]));
  const draft: ConflictDraft = {
    policy: registration.policy,
    entityType: mutation.entityType,
    entityId: mutation.entityId,
    mutationId: mutation.mutationId,
    base: sides('base'),
    // Where the owner could not compare, it names no block.
    baseUnknown: overlaps.overlaps.length === 0 ? [''] : [],
    ours: sides('ours'),
    theirs: sides('theirs'),
    theirsUpdate: mutation.update ?? null,
    fields: fieldsOf(overlaps, open ? 'open' : 'merged'),
    blocks: overlaps.overlaps.map((one) => {
      const { block, kind, grade, merged } = one;
      return { name: blockName(one), ...block, kind, grade, merged };
    }),
    decision: open ? 'open' : 'auto',
    clockOurs: clockOurs ?? {},
    clockTheirs: mutation.clock,
  };
  return conflictOf(work, draft);
}

/** One per block; the whole entity when its owner could not compare. */
function fieldsOf({ overlaps }: DocumentOverlaps, winner: 'open' | 'merged'): FieldConflict[] {
  if (overlaps.length === 0) return [{ field: '', winner }];
  return overlaps.map((one) => ({
    field: blockName(one),
    ...(one.ours === null ? {} : { ours: one.ours }),
    ...(one.theirs === null ? {} : { theirs: one.theirs }),
    winner,
  }));
}

/** `body:3` is the third line of the text `body`, `fields.dose` a key of a map, `page/1` an element. */
function blockName({ block: { path, line, key } }: Overlap): string {
  if (key !== null) return `${path}.${key}`;
  return line === null ? path : `${path}:${line}`;
}
