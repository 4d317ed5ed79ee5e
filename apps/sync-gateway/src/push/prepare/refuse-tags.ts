import { OUTCOME_CODES } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { Prepared, Refusal } from './prepare-mutation.ts';
import type { TagVerdict } from './verify-tags.ts';

/** Outcome codes of tags. */
export const TAG_CODES = ['tag_invalid', 'tag_missing', 'tag_unverifiable'] as const;
export type TagCode = (typeof TAG_CODES)[number];

/** Mutations that one device is refused for one reason. */
export interface RefusedTags {
  readonly code: TagCode;
  readonly when: 'came' | 'waited';
  readonly mutationIds: readonly string[];
}

export function isTagCode(code: string | undefined): code is TagCode {
  return TAG_CODES.some((one) => one === code);
}

/** How a mutation ends whose tag nobody can verify any more. */
export const UNVERIFIABLE: Refusal = refusalOf('tag_unverifiable');

/** Nobody can tell now. What comes from a device that is bound no longer is refused with its next request. */
const UNTOLD: ReadonlySet<TagVerdict> = new Set(['unknown', 'unverifiable']);

/**
 * Mutations as they came, those with a wrong tag refused: nothing of what they carry is kept. They stay the
 * change that they are: what has its outcome already is answered with that, so that a tag cannot turn what was
 * applied into a refusal.
 * @throws ProblemError `unavailable` while nobody can tell
 */
export function refuseWrongTags(
  prepared: readonly Prepared[],
  verdicts: readonly TagVerdict[],
): readonly Prepared[] {
  if (verdicts.some((verdict) => UNTOLD.has(verdict))) {
    const headers = { 'retry-after': '2' };
    throw new ProblemError('unavailable', 'Tags cannot be verified now', { headers });
  }
  return prepared.map((one, place) => {
    if (verdicts[place] !== 'wrong') return one;
    return { ...one, mutation: null, payload: null, refusal: refusalOf('tag_invalid') };
  });
}

function refusalOf(code: TagCode): Refusal {
  return { code, message: `/tag: ${OUTCOME_CODES[code]}` };
}
