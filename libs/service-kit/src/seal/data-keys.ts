import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import type { Tx } from '@sync/postgres';
import type { KeyService } from './key-service.ts';
import { SealError } from './sealed-text.ts';

/** A database or a transaction. */
type Caller = Pick<Tx, 'call'>;

/** A data key as it is stored, wrapped by one master key. */
interface Wrapping {
  readonly id: number;
  readonly master_key: string;
  readonly wrapped: string;
}

const KEY_BYTES = 32;

/**
 * SQL for a migration: `data_key`, a row for each data key and each master key that wraps it. `added` is the
 * order in which they came. Nobody's tenant: it holds nothing but keys that nobody can use without a master
 * key.
 */
export const DATA_KEY_TABLE = `
CREATE TABLE data_key (
  id integer NOT NULL,
  master_key text NOT NULL,
  wrapped text NOT NULL,
  added bigint GENERATED ALWAYS AS IDENTITY,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (id, master_key)
);`;

/** Replicas that start together must not each make a data key, nor take a wrapping away from one another. */
export async function lockDataKeys(tx: Caller): Promise<void> {
  await tx.call('lock_data_keys', `SELECT pg_advisory_xact_lock(hashtext('sync-data-key'))`, []);
}

/** In the order in which they were added. */
export function readWrappings(database: Caller): Promise<Wrapping[]> {
  return database.call('read_data_keys', 'SELECT id, master_key, wrapped FROM data_key ORDER BY added', []);
}

/**
 * Opens every data key with every master key that is listed and wraps it: so a wrong one is found, whatever
 * its name.
 *
 * @throws SealError that names a data key and the master keys it needs
 */
export async function unwrapAll(
  service: KeyService,
  wrappings: readonly Wrapping[],
): Promise<Map<number, Buffer>> {
  const opened = new Map<number, Buffer>();
  for (const { id, master_key: name, wrapped } of wrappings) {
    if (!service.names.includes(name)) continue;
    const dataKey = await service.unwrap(name, id, wrapped).catch((cause: unknown) => {
      // A KMS may be away: that says nothing about its keys.
      if (!(cause instanceof SealError)) throw cause;
      throw new SealError(`MASTER_KEYS: ${name} is not the key that wrapped data key ${id}`, { cause });
    });
    opened.set(id, dataKey);
  }
  for (const { id } of wrappings) {
    if (opened.has(id)) continue;
    const needed = wrappings.filter((one) => one.id === id).map((one) => one.master_key);
    throw new SealError(`MASTER_KEYS has none of the keys that wrapped data key ${id}: ${needed.join(', ')}`);
  }
  return opened;
}

/**
 * Wraps data keys by the first of the master keys, where they are not yet. Wrappings by master keys that are
 * listed no longer go, once the first one is the newest: a replica that still starts with an older list must
 * take nothing away from those with the new one.
 */
export async function rewrap(
  tx: Caller,
  service: KeyService,
  wrappings: readonly Wrapping[],
  opened: ReadonlyMap<number, Buffer>,
): Promise<void> {
  const [first = ''] = service.names;
  for (const [id, dataKey] of opened) {
    const present = wrappings.filter((one) => one.id === id).map((one) => one.master_key);
    if (!present.includes(first)) await addWrapping(tx, service, first, id, dataKey);
    else if (present.at(-1) === first) {
      await tx.call('drop_wrappings', 'DELETE FROM data_key WHERE id = $1 AND NOT (master_key = ANY ($2))', [
        id,
        service.names,
      ]);
    }
  }
}

/** A new data key, wrapped by all master keys: replicas with an older list have to open it, too. */
export async function addDataKey(tx: Caller, service: KeyService, id: number): Promise<Buffer> {
  const dataKey = randomBytes(KEY_BYTES);
  for (const name of service.names.toReversed()) await addWrapping(tx, service, name, id, dataKey);
  return dataKey;
}

async function addWrapping(
  tx: Caller,
  service: KeyService,
  name: string,
  id: number,
  dataKey: Buffer,
): Promise<void> {
  const wrapped = await service.wrap(name, id, dataKey);
  await tx.call('add_wrapping', 'INSERT INTO data_key (id, master_key, wrapped) VALUES ($1, $2, $3)', [
    id,
    name,
    wrapped,
  ]);
}

/**
 * The data key to seal with now. It is locked until the transaction ends, so that nobody forgets it before
 * what was sealed with it can be seen.
 */
export async function newestDataKey(tx: Caller): Promise<number> {
  const [newest] = await tx.call<{ id: number }>(
    'newest_data_key',
    'SELECT id FROM data_key ORDER BY id DESC, added DESC LIMIT 1 FOR SHARE',
    [],
  );
  if (!newest) throw new SealError('The database has no data key any more');
  return newest.id;
}

/** As what cipher functions take, out of the way of logs. */
export function asKeyObject(dataKey: Buffer): KeyObject {
  return createSecretKey(dataKey);
}
