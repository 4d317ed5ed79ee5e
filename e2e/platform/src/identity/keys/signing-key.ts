import type { Database } from '@sync/postgres';
import type { KeySeal } from '@sync/service-kit';
import {
  type CryptoKey,
  type JWK,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
} from 'jose';
import { SIGNING_KEY_OWNER } from './sealed-tables.ts';

/** The one key pair of this service. */
export interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  /** The public half, as the JWKS shows it. */
  readonly publicJwk: JWK;
}

const ALGORITHM = 'ES256';

/**
 * Reads the key pair from the database, or makes one. Replicas that start together agree: the first insert
 * wins, and everybody reads what is there.
 */
export async function loadSigningKey(database: Database, keys: KeySeal): Promise<SigningKey> {
  const { privateKey: candidate } = await generateKeyPair(ALGORITHM, { extractable: true });
  const offered = JSON.stringify(await exportJWK(candidate));
  await database.transaction(async (tx) => {
    const stored = await keys.seal(tx, SIGNING_KEY_OWNER, offered);
    // Sealed it is a JSON string, in clear the object.
    await tx.call(
      'offer_signing_key',
      `INSERT INTO signing_key (name, private_jwk) VALUES ('current', $1) ON CONFLICT DO NOTHING`,
      [stored === offered ? offered : JSON.stringify(stored)],
    );
  });
  const [row] = await database.call<{ stored: string }>(
    'read_signing_key',
    `SELECT private_jwk #>> '{}' AS stored FROM signing_key WHERE name = 'current'`,
    [],
  );
  if (!row) throw new Error('The signing key was deleted while it was read');
  const privateJwk = JSON.parse(await keys.open(SIGNING_KEY_OWNER, row.stored)) as JWK;
  const { d: _secret, ...publicPart } = privateJwk;
  const privateKey = await importJWK(privateJwk, ALGORITHM);
  if (privateKey instanceof Uint8Array) throw new TypeError('The stored signing key is not a key pair');
  const kid = await calculateJwkThumbprint(publicPart);
  return { kid, privateKey, publicJwk: { ...publicPart, kid, alg: ALGORITHM, use: 'sig' } };
}
