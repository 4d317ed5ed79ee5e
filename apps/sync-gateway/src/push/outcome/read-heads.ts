import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@sync/postgres';
import type { EntityAddress } from '../prepare/prepare-mutation.ts';
import { type EntityHead, type HeadColumns, headOf } from './entity-head.ts';
import type { Author, Work } from './settlement.ts';

/** An entity whose head is wanted once the read model has it at this revision. */
export interface AwaitedHead {
  readonly work: Work;
  readonly revision: number;
}

const STEP_MS = 20;

/** Reads entities as devices see them, for the rare mutation whose owner is ahead of the read model. */
export class ReadHeads {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** One round trip. @returns per address what its scope has now; null also for a scope that the user does not hold */
  async read(author: Author, addresses: readonly EntityAddress[]): Promise<(EntityHead | null)[]> {
    if (addresses.length === 0) return [];
    const items = addresses.map(({ scope, entityType, entityId }, place) => {
      return { place, scope, type: entityType, eid: entityId };
    });
    const rows = await this.#database.call<HeadColumns & { readonly place: number }>(
      'read_heads',
      'SELECT * FROM read_heads($1, $2, $3)',
      [author.tenantId, author.userId, JSON.stringify(items)],
    );
    const heads: (EntityHead | null)[] = addresses.map(() => null);
    for (const row of rows) heads[row.place] = headOf(row);
    return heads;
  }

  /**
   * Reads until all have the wanted revision or the time is up: the projection is usually some milliseconds behind its owner.
   * @returns only heads that have it
   */
  async waitFor(
    author: Author,
    wanted: readonly AwaitedHead[],
    limitMs: number,
  ): Promise<Map<Work, EntityHead>> {
    const found = new Map<Work, EntityHead>();
    let missing = wanted;
    const untilMs = Date.now() + limitMs;
    for (;;) {
      const heads = await this.read(
        author,
        missing.map(({ work }) => work.mutation),
      );
      missing = missing.filter(({ work, revision }, place) => {
        const head = heads[place];
        if (!head || head.revision < revision) return true;
        found.set(work, head);
        return false;
      });
      if (missing.length === 0 || Date.now() + STEP_MS > untilMs) return found;
      await sleep(STEP_MS);
    }
  }
}
