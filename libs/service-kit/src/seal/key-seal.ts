import type { KeyObject } from 'node:crypto';
import type { Database, Tx } from '@sync/postgres';
import {
  addDataKey,
  asKeyObject,
  lockDataKeys,
  newestDataKey,
  readWrappings,
  rewrap,
  unwrapAll,
} from './data-keys.ts';
import type { KeyService } from './key-service.ts';
import { dataKeyOf, openText, SealError, type SecretOwner, sealText } from './sealed-text.ts';

/**
 * - `later`: what is sealed is opened, and nothing is sealed; for a roll-out, beside replicas that know no
 *   seals.
 * - `on`: secrets are sealed, and one in clear is taken as it is.
 * - `only`: one in clear is refused: whoever writes to the database cannot put a key of his own there.
 */
export type Sealing = 'later' | 'on' | 'only';

/** Options of {@link KeySeal.load}. */
export interface KeySealOptions {
  readonly database: Database;
  /** null: nothing is sealed, which is for development. */
  readonly masterKeys: KeyService | null;
  readonly sealing: Sealing;
}

/** What a transaction seals with. */
export interface CurrentSeal {
  readonly dataKeyId: number;
  seal(owner: SecretOwner, secret: string): string;
}

/**
 * Seals secrets before they are stored, and opens them: each with AES-256-GCM by the data key of its
 * database, which lies there wrapped by master keys that do not. Data keys stay in memory once they were
 * opened.
 */
export class KeySeal {
  readonly #options: KeySealOptions;
  readonly #dataKeys = new Map<number, KeyObject>();

  private constructor(options: KeySealOptions) {
    this.#options = options;
  }

  /**
   * Opens the data keys, makes the first one, and wraps them by the newest master key. All or nothing.
   *
   * @throws SealError when the master keys are not those of this database, or there are none and it needs one
   */
  static async load(options: KeySealOptions): Promise<KeySeal> {
    const seal = new KeySeal(options);
    const { database, masterKeys } = options;
    await database.transaction(async (tx) => {
      await lockDataKeys(tx);
      const wrappings = await readWrappings(tx);
      if (masterKeys === null) {
        if (wrappings.length === 0) return;
        throw new SealError('Keys in this database are sealed: set MASTER_KEYS');
      }
      const opened = await unwrapAll(masterKeys, wrappings);
      await rewrap(tx, masterKeys, wrappings, opened);
      if (opened.size === 0 && options.sealing !== 'later')
        opened.set(1, await addDataKey(tx, masterKeys, 1));
      seal.#keep(opened);
    });
    return seal;
  }

  /** Whether secrets are sealed that are stored from now on. */
  get isSealing(): boolean {
    return this.#options.masterKeys !== null && this.#options.sealing !== 'later';
  }

  /** null while nothing is to be sealed. */
  async current(tx: Pick<Tx, 'call'>): Promise<CurrentSeal | null> {
    if (!this.isSealing) return null;
    const dataKeyId = await newestDataKey(tx);
    const key = await this.#dataKey(dataKeyId, tx);
    return { dataKeyId, seal: (owner, secret) => sealText(dataKeyId, key, owner, secret) };
  }

  /** What to store of a secret, in the transaction that stores it. */
  async seal(tx: Pick<Tx, 'call'>, owner: SecretOwner, secret: string): Promise<string> {
    return (await this.current(tx))?.seal(owner, secret) ?? secret;
  }

  /** @throws SealError when it is not this owner's, was changed, or is in clear where none may be */
  async open(owner: SecretOwner, stored: string): Promise<string> {
    const dataKeyId = dataKeyOf(stored);
    if (dataKeyId !== null) {
      return openText(await this.#dataKey(dataKeyId, this.#options.database), owner, stored);
    }
    if (this.#options.sealing === 'only') throw new SealError('It is in clear, and KEY_SEALING is "only"');
    return stored;
  }

  /** From now on secrets are sealed with a new data key. @throws SealError where nothing is sealed */
  async addDataKey(): Promise<number> {
    const { database, masterKeys } = this.#options;
    if (masterKeys === null || !this.isSealing) throw new SealError('Nothing is sealed: set MASTER_KEYS');
    return database.transaction(async (tx) => {
      await lockDataKeys(tx);
      const wrappings = await readWrappings(tx);
      const id = Math.max(0, ...wrappings.map((one) => one.id)) + 1;
      this.#keep(new Map([[id, await addDataKey(tx, masterKeys, id)]]));
      return id;
    });
  }

  /**
   * Forgets the data keys before the newest one, unless something is still sealed with one of them.
   *
   * @param countLeft seals anew what is left, and answers how many it could not
   */
  async forgetEarlier(countLeft: () => Promise<number>): Promise<boolean> {
    return this.#options.database.transaction(async (tx) => {
      // Waits for whoever has sealed with one of them and has not committed.
      const earlier = await tx.call<{ id: number }>(
        'lock_earlier_data_keys',
        'SELECT id FROM data_key WHERE id < (SELECT max(id) FROM data_key) FOR UPDATE',
        [],
      );
      if (earlier.length === 0 || (await countLeft()) > 0) return earlier.length === 0;
      const ids = earlier.map(({ id }) => id);
      await tx.call('forget_data_keys', 'DELETE FROM data_key WHERE id = ANY ($1)', [ids]);
      return true;
    });
  }

  /** One that another process made is read once. */
  async #dataKey(id: number, caller: Pick<Tx, 'call'>): Promise<KeyObject> {
    const known = this.#dataKeys.get(id);
    if (known) return known;
    const { masterKeys } = this.#options;
    if (masterKeys === null) throw new SealError('It is sealed: set MASTER_KEYS');
    const wrappings = await readWrappings(caller);
    this.#keep(
      await unwrapAll(
        masterKeys,
        wrappings.filter((one) => one.id === id),
      ),
    );
    const read = this.#dataKeys.get(id);
    if (!read) throw new SealError(`There is no data key ${id}`);
    return read;
  }

  #keep(opened: ReadonlyMap<number, Buffer>): void {
    for (const [id, dataKey] of opened) this.#dataKeys.set(id, asKeyObject(dataKey));
  }
}
