import type { Settlement, Work } from '../outcome/settlement.ts';
import { INLINE_LENGTH } from '../outcome/tell-outcomes.ts';

/**
 * The settlements of a lane, that is of one entity. Of a large entity it holds few texts, however many
 * mutations show it: the same text once, and after each merge only what that came to, which is newer than
 * what others showed before.
 */
export class LaneEnds extends Map<Work, Settlement> {
  #last = '';

  override set(work: Work, settlement: Settlement): this {
    const current = largeCurrentOf(settlement);
    if (current === null || settlement.kind === 'postponed') return super.set(work, settlement);
    if (current !== this.#last) this.#last = current;
    super.set(work, { ...settlement, current: this.#last });
    if (settlement.status === 'merged') this.#showToAll(work.mutation.scope, this.#last);
    return this;
  }

  #showToAll(scope: string, current: string): void {
    for (const [work, settlement] of this) {
      const isOlder = largeCurrentOf(settlement) !== null && work.mutation.scope === scope;
      if (isOlder && settlement.kind === 'settled') super.set(work, { ...settlement, current });
    }
  }
}

function largeCurrentOf(settlement: Settlement): string | null {
  const current = settlement.kind === 'settled' ? settlement.current : undefined;
  return current !== undefined && current.length > INLINE_LENGTH ? current : null;
}
