import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import { identitiesOf, type ServiceRights } from '@sync/protocol';
import { accountLines } from './nats-account.ts';

/** Options of {@link writeSecrets}. */
export interface SecretsOptions {
  /** Folder; made when it is missing. */
  readonly out: string;
  readonly rights: ServiceRights;
  /** Names of databases, one for each process that has one. */
  readonly databases: readonly string[];
  /** `host:port` of Postgres, as the processes reach it. */
  readonly postgres: string;
  /** Of NATS: one for each environment. */
  readonly account: string;
  /** Services that get a new nkey; the one before stays good until the next time. */
  readonly rotate?: readonly string[];
  /** Databases with secrets in them, which get master keys. */
  readonly sealed?: readonly string[];
  /** Those of them that get a new master key before the one they have. */
  readonly newMasterKeys?: readonly string[];
}

/**
 * Writes what a deployment must keep secret, each secret in a file of its own:
 *
 * | file                                          | for                                          |
 * | --------------------------------------------- | -------------------------------------------- |
 * | `postgres/admin`, `postgres/<role>`           | Postgres: passwords of the roles             |
 * | `<database>/database_url`                     | `DATABASE_URL_FILE` of the process           |
 * | `<database>/database_owner_url`               | `DATABASE_OWNER_URL_FILE` of its migrations  |
 * | `<database>/master_keys`                      | `MASTER_KEYS_FILE` of the process            |
 * | `nats/<service>.nk`                           | `NATS_NKEY_SEED_FILE` of the process         |
 * | `nats/account.conf`                           | nats-server: who may do what; no secret      |
 *
 * What is there already stays, so that it can be run again for a new service. Names of services that were
 * not known go into the account; those that went out of `rights` leave it.
 *
 * @returns the files that are new
 */
export async function writeSecrets(options: SecretsOptions): Promise<string[]> {
  const { out, rights, account } = options;
  const written: string[] = [];
  const once = async (path: string, make: () => string): Promise<string> => {
    const file = join(out, path);
    const known = await readFile(file, 'utf8').catch(() => undefined);
    if (known !== undefined) return known.trim();
    const text = make();
    // `out` itself keeps other users of the host out; containers read the files under other user ids.
    await mkdir(join(file, '..'), { recursive: true, mode: 0o755 });
    await writeFile(file, `${text}\n`, { mode: 0o644, flag: 'wx' });
    written.push(path);
    return text;
  };
  await writeDatabases(options, once);
  for (const database of options.sealed ?? []) {
    const path = `${database}/master_keys`;
    const lines = await once(path, () => newMasterKey('k1'));
    if (options.newMasterKeys?.includes(database) !== true || written.includes(path)) continue;
    const [newest = ''] = lines.split('\n');
    const number = Number(/^k(\d+):/.exec(newest)?.[1] ?? 0) + 1;
    await writeFile(join(out, path), `${newMasterKey(`k${number}`)}\n${newest}\n`, { mode: 0o644 });
  }
  const keys: Record<string, string[]> = {};
  for (const service of identitiesOf(rights)) {
    if (options.rotate?.includes(service) === true) await putAside(out, service);
    const seed = await once(`nats/${service}.nk`, newSeed);
    const before = await readFile(join(out, `nats/${service}.previous.nk`), 'utf8').catch(() => undefined);
    keys[service] = [seed, ...(before === undefined ? [] : [before.trim()])].map(publicKeyOf);
  }
  const lines = accountLines({ account, rights, keys });
  await writeFile(join(out, 'nats/account.conf'), `${lines.join('\n')}\n`, { mode: 0o644 });
  return written;
}

type WriteOnce = (path: string, make: () => string) => Promise<string>;

async function writeDatabases({ databases, postgres }: SecretsOptions, once: WriteOnce): Promise<void> {
  // Hexadecimal: the passwords stand in URLs.
  const newPassword = (): string => randomBytes(24).toString('hex');
  await once('postgres/admin', newPassword);
  for (const database of databases) {
    for (const [kind, file] of [
      ['app', 'database_url'],
      ['owner', 'database_owner_url'],
    ] as const) {
      const role = `${database}_${kind}`;
      const password = await once(`postgres/${role}`, newPassword);
      await once(`${database}/${file}`, () => `postgres://${role}:${password}@${postgres}/${database}`);
    }
  }
}

/** The seed that is in use becomes the one before; a service that has none yet has nothing to put aside. */
async function putAside(out: string, service: string): Promise<void> {
  const current = join(out, `nats/${service}.nk`);
  if (existsSync(current)) await rename(current, join(out, `nats/${service}.previous.nk`));
}

/** A line of `MASTER_KEYS`. */
export function newMasterKey(name: string): string {
  return `${name}:${randomBytes(32).toString('base64')}`;
}

/** The seed of a new nkey. */
export function newSeed(): string {
  return new TextDecoder().decode(nkeys.createUser().getSeed());
}

/** The public key of an nkey, by its seed. */
export function publicKeyOf(seed: string): string {
  return nkeys.fromSeed(new TextEncoder().encode(seed)).getPublicKey();
}
