import type { Database } from '@sync/postgres';
import {
  type CryptoKey,
  type JWK,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
} from 'jose';

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
export async function loadSigningKey(database: Database): Promise<SigningKey> {
  const { privateKey: candidate } = await generateKeyPair(ALGORITHM, { extractable: true });
  await database.call(
    'offer_signing_key',
    `INSERT INTO signing_key (name, private_jwk) VALUES ('current', $1) ON CONFLICT DO NOTHING`,
    [JSON.stringify(await exportJWK(candidate))],
  );
  const [row] = await database.call<{ private_jwk: JWK }>(
    'read_signing_key',
    `SELECT private_jwk FROM signing_key WHERE name = 'current'`,
    [],
  );
  if (!row) throw new Error('The signing key was deleted while it was read');
  const { d: _secret, ...publicPart } = row.private_jwk;
  const privateKey = await importJWK(row.private_jwk, ALGORITHM);
  if (privateKey instanceof Uint8Array) throw new TypeError('The stored signing key is not a key pair');
  const kid = await calculateJwkThumbprint(publicPart);
  return { kid, privateKey, publicJwk: { ...publicPart, kid, alg: ALGORITHM, use: 'sig' } };
}
