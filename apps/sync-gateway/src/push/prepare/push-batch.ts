import { sameChange } from '@sync/domain';
import type { Prepared, Refusal } from './prepare-mutation.ts';

/** The elements of a push without repetitions. */
export interface PushBatch {
  readonly distinct: readonly Prepared[];
  /**
   * Per element of the push the index into `distinct` whose outcome it gets; null: same mutationId, another
   * change.
   */
  readonly answeredBy: readonly (number | null)[];
}

export const REUSED: Refusal = {
  code: 'mutation_id_reused',
  message: '/mutationId: came before with another change; send this one under a new mutationId',
};

/** The same mutation twice in one push gets one outcome twice; under one id, the first change counts. */
export function batchOf(elements: readonly Prepared[]): PushBatch {
  const places = new Map<string, number>();
  const distinct: Prepared[] = [];
  const answeredBy = elements.map((element) => {
    const place = places.get(element.mutationId);
    if (place === undefined) {
      places.set(element.mutationId, distinct.length);
      return distinct.push(element) - 1;
    }
    return sameChange(distinct[place]?.identity ?? '', element.identity) ? place : null;
  });
  return { distinct, answeredBy };
}
