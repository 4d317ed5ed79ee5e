import type { KnownEntity } from '../../read-model/entity-head.ts';
import { PROJECTION_WAIT_MS, type ReadHeads } from '../../read-model/read-heads.ts';
import { type Author, postponed, type Work } from '../outcome/settlement.ts';
import type { AskDeleted, DeletedData, DeletedDataMissing } from './ask-deleted.ts';
import type { LaneNeed } from './lane-need.ts';
import type { Lane } from './lane.ts';
import { planInSlices, type Planning } from './plan-in-slices.ts';

/**
 * A decision takes some microseconds, one about an entity of 20,000 fields 50 ms, and a push may have 500
 * of them. What is planned for longer than a push has time would never be sent.
 */
const PLANNING: Planning = { sliceMs: 10, forMs: 1_000 };

/** A lane that waits for something to be read. */
interface Needing<What extends LaneNeed['what']> {
  readonly lane: Lane;
  readonly work: Work;
  readonly need: LaneNeed & { readonly what: What };
}

/** Decides what is to happen in lanes; what they need for it is read for all of them together. */
export class DecideLanes {
  readonly #heads: ReadHeads;
  readonly #deleted: AskDeleted;

  constructor(heads: ReadHeads, deleted: AskDeleted) {
    this.#heads = heads;
    this.#deleted = deleted;
  }

  /**
   * Plans the lanes as far as they go; a lane whose need cannot be met is postponed.
   * @throws the driver's error when the read model cannot be read
   */
  async execute(author: Author, lanes: readonly Lane[]): Promise<void> {
    let { forMs } = PLANNING;
    for (let planning = lanes; planning.length > 0;) {
      forMs -= await planInSlices(planning, { ...PLANNING, forMs });
      planning = planning.filter(({ need }) => need !== null);
      await Promise.all([
        this.#learnHeads(author, needing(planning, 'head')),
        this.#learnKnown(author, needing(planning, 'ledger')),
        this.#learnDeleted(author, needing(planning, 'deleted')),
      ]);
    }
  }

  async #learnHeads(author: Author, waiting: readonly Needing<'head'>[]): Promise<void> {
    if (waiting.length === 0) return;
    const wanted = waiting.map(({ work, need: { revision } }) => ({ work, revision }));
    const heads = await this.#heads.waitFor(author, wanted, PROJECTION_WAIT_MS);
    for (const { lane, work } of waiting) {
      const head = heads.get(work);
      if (head) lane.learnHead(head);
      else lane.postpone(postponed('projection_behind'));
    }
  }

  async #learnKnown(author: Author, asking: readonly Needing<'ledger'>[]): Promise<void> {
    const known = await this.#heads.know(
      author,
      asking.map(({ work }) => work.mutation),
    );
    for (const [place, { lane }] of asking.entries()) lane.learnKnown(known[place] as KnownEntity);
  }

  async #learnDeleted({ tenantId }: Author, asking: readonly Needing<'deleted'>[]): Promise<void> {
    const entities = asking.map(({ work: { mutation }, need: { revision } }) => {
      return { entityType: mutation.entityType, entityId: mutation.entityId, revision };
    });
    const answers = await this.#deleted.ask(tenantId, entities);
    for (const [place, { lane }] of asking.entries()) {
      const answer = answers[place] as DeletedData | DeletedDataMissing;
      if (typeof answer === 'string') lane.postpone(postponed(answer));
      else lane.learnDeleted(answer.data);
    }
  }
}

function needing<What extends LaneNeed['what']>(lanes: readonly Lane[], what: What): Needing<What>[] {
  const isOf = (need: LaneNeed | null): need is LaneNeed & { readonly what: What } => need?.what === what;
  return lanes.flatMap((lane) => {
    const { first: work, need } = lane;
    return work && isOf(need) ? [{ lane, work, need }] : [];
  });
}
