import { RepeatedWork } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import type { Logger } from '../logger.ts';
import type { ConfigOf, ConfigOption } from '../read-config.ts';
import { untilAvailable } from '../wait-for-part.ts';
import { KeySeal, type Sealing } from './key-seal.ts';
import { masterKeysOf } from './key-service.ts';
import { sealRows, type SealedRows } from './sealed-rows.ts';

/** For the `config.ts` of a process that keeps secrets in its database. */
export const SEAL_OPTIONS = {
  masterKeys: {
    env: 'MASTER_KEYS',
    type: 'string',
    optional: true,
    requiredInProduction: true,
    desc:
      'keys that seal the secrets in the database: name:key for each, 32 bytes in base64, newest first; ' +
      'without, secrets lie there in clear, which is for development',
  },
  keySealing: {
    env: 'KEY_SEALING',
    type: 'string',
    default: 'on',
    desc: 'later (opens seals, makes none), on, or only (refuses secrets in clear)',
  },
  rotateDataKey: {
    env: 'ROTATE_DATA_KEY',
    type: 'bool',
    default: false,
    desc: 'seals all secrets in the database with a new data key, and ends',
  },
} as const satisfies Readonly<Record<string, ConfigOption>>;

type SealConfig = ConfigOf<typeof SEAL_OPTIONS> & Parameters<typeof untilAvailable>[0];

/** The seal of a process, and the work that keeps its tables sealed. */
export interface ConnectedSeal {
  readonly keys: KeySeal;
  /** Seals what is in clear. @returns how many secrets it could not seal */
  readonly sealAll: () => Promise<number>;
  /** Seals what is in clear, at once and then every hour. */
  readonly upkeep: RepeatedWork;
}

/** A replica of an older version may have written in clear after the last pass. */
const PASS_EVERY_MS = 3_600_000;
const SEALINGS: readonly string[] = ['later', 'on', 'only'] satisfies Sealing[];

/**
 * Opens what seals the secrets of a process. One that is only there to change its data key ends here, with
 * exit code 0, or 1 where it left something.
 *
 * @throws SealError when the master keys are not those of this database; nothing was changed then
 */
export async function connectSeal(
  config: SealConfig,
  database: Database,
  tables: readonly SealedRows[],
  logger: Logger,
): Promise<ConnectedSeal> {
  const { keySealing: sealing } = config;
  if (!isSealing(sealing)) throw new RangeError('KEY_SEALING is "later", "on" or "only"');
  const masterKeys = masterKeysOf(config.masterKeys);
  if (masterKeys === null) {
    logger.warn({}, 'MASTER_KEYS is not set: secrets lie in the database in clear');
  }
  const keys = await untilAvailable(config, logger, () => KeySeal.load({ database, masterKeys, sealing }));
  const sealAll = async (): Promise<number> => {
    let left = 0;
    for (const rows of tables) left += (await sealRows(database, keys, rows, logger)).left;
    return left;
  };
  if (config.rotateDataKey) process.exit((await rotateDataKey(keys, sealAll, logger)) ? 0 : 1);
  const upkeep = new RepeatedWork(async () => {
    await sealAll().catch((error: unknown) => logger.warn({ err: error }, 'secrets are not all sealed yet'));
    return PASS_EVERY_MS;
  });
  return { keys, sealAll, upkeep };
}

/**
 * Seals everything with a new data key and forgets those before. Replicas go on meanwhile: they read the new
 * key when they meet it. Interrupted, it is begun anew.
 *
 * @param sealAll answers how many secrets it could not seal
 * @returns false when those before are still needed
 */
export async function rotateDataKey(
  keys: KeySeal,
  sealAll: () => Promise<number>,
  logger: Logger,
): Promise<boolean> {
  const dataKeyId = await keys.addDataKey();
  await sealAll();
  const isDone = await keys.forgetEarlier(sealAll);
  const fields = { event: 'data_key_rotated', dataKeyId, isDone };
  if (isDone) logger.info(fields, 'everything is sealed with a new data key');
  else logger.error(fields, 'some secrets do not open, so the data keys before stay');
  return isDone;
}

function isSealing(text: string): text is Sealing {
  return SEALINGS.includes(text);
}
