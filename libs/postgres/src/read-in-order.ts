import type { Tx } from './transaction.ts';

/**
 * Makes the rest of the transaction read its lists in the order of an index. Row level security and our own
 * condition both name the tenant; the planner multiplies them, expects one row of any tenant, and would
 * rather read and sort all of it: 6,000 rows for a page of ten. One round trip, in transactions that only
 * read a page.
 */
export async function readInOrder(tx: Tx): Promise<void> {
  await tx.query(
    `SELECT set_config(name, 'off', true) FROM unnest(ARRAY['enable_sort', 'enable_seqscan', 'enable_bitmapscan']) AS name`,
  );
}
