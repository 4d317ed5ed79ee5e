import { sameChange } from '@sync/domain';
import type { OwnerPushResult, PushedMutation } from '@sync/protocol';

/**
 * A final answer of the inbox, with the identity of the mutation that it was given to; null where none came
 * with it.
 */
export interface KnownAnswer {
  readonly result: OwnerPushResult;
  readonly identity: string | null;
}

/** One that the inbox is to have. */
export interface FinalAnswer extends KnownAnswer {
  /** In place of a rejection that another change got under the same id. */
  readonly replaces: boolean;
}

/**
 * What the inbox says to a mutation whose id it has: the first answer, to the same change. Two devices may
 * send one id at the same moment, and their gateways do not know of each other then; and a stranger may have
 * sent it before, in vain.
 * @returns null: the first answer was to another change and had no effect, so this one is decided anew
 */
export function answerAgain(
  { result, identity }: KnownAnswer,
  { mutationId, identity: sent }: PushedMutation,
): OwnerPushResult | null {
  if (identity === null || sent === undefined || sameChange(identity, sent)) return result;
  if (result.status === 'rejected') return null;
  const message = 'another change was applied under this mutationId';
  return { mutationId, status: 'rejected', code: 'mutation_id_reused', message };
}
