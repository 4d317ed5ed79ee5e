import { inOrder, type Tx } from '@sync/postgres';
import { createAhead, loadHeads, type EntityRef } from './heads-store.ts';
import {
  projectNew,
  type KnownEntities,
  type ProjectableEvent,
  type ProjectedEntity,
  type ProjectionMode,
} from './project-entities.ts';

const NONE: ReadonlyMap<string, ProjectedEntity> = new Map();
const NOBODY: KnownEntities = { heads: new Map(), quarantined: new Set(), created: NONE };

/**
 * What the projection of these events has to know; sets the transaction's tenants. The heads of entities that
 * begin in the batch are written at once, as it leaves them; only where one of them is there already all are
 * looked for. A snapshot mostly brings what is there, so its entities are looked for first.
 *
 * @param places by `placesByEntity`
 */
export async function knowEntities(
  tx: Pick<Tx, 'call'>,
  tenants: ReadonlySet<string>,
  events: readonly ProjectableEvent[],
  places: ReadonlyMap<string, readonly number[]>,
  mode: ProjectionMode,
): Promise<KnownEntities> {
  const expected = mode === 'live' ? projectNew(events, places) : NONE;
  const named = [...places].flatMap(([key, [first = -1]]) => {
    const event = events[first];
    return event === undefined ? [] : [{ isNew: expected.has(key), ref: refOf(event) }];
  });
  const all = named.map(({ ref }) => ref);
  if (expected.size === 0) return loadHeads(tx, tenants, all, mode);
  const others = named.flatMap(({ isNew, ref }) => (isNew ? [] : [ref]));
  const heads = [...expected.values()].flatMap(({ changes }) => changes.map(({ rendered }) => rendered));
  // What is there is locked before anything is created: in one order everywhere.
  const [known, isCreated] = await inOrder([
    others.length === 0 ? Promise.resolve(NOBODY) : loadHeads(tx, tenants, others, mode),
    createAhead(
      tx,
      tenants,
      heads.filter(({ change }) => change.isLast),
    ),
  ]);
  if (!isCreated) return loadHeads(tx, tenants, all, mode);
  return { ...known, created: expected };
}

function refOf({ tenantId, change: { entityType, entityId } }: ProjectableEvent): EntityRef {
  return { tenantId, entityType, entityId };
}
