import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import { TokenVerifier } from './token-verifier.ts';

const ISSUER = 'https://identity.test';
const AUDIENCE = 'sync-service';

describe('TokenVerifier', () => {
  let server: Server;
  let verifier: TokenVerifier;
  let keys: Awaited<ReturnType<typeof generateKeyPair>>;

  beforeAll(async () => {
    keys = await generateKeyPair('ES256');
    const jwks = { keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'k1', alg: 'ES256' }] };
    server = createServer((_request, response) => response.end(JSON.stringify(jwks)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    verifier = new TokenVerifier({
      jwksUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
      issuer: ISSUER,
      audience: AUDIENCE,
    });
  });
  afterAll(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });

  const token = (
    claims: Record<string, unknown>,
    options: {
      key?: Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];
      expires?: string;
      audience?: string;
    } = {},
  ): Promise<string> =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setIssuer(ISSUER)
      .setAudience(options.audience ?? AUDIENCE)
      .setExpirationTime(options.expires ?? '1h')
      .sign(options.key ?? keys.privateKey);

  it('answers tenant, user and roles of a valid token, again from memory', async () => {
    const authorization = `Bearer ${await token({ sub: 'u1', tid: 't1', roles: ['sync-admin', 7] })}`;
    const first = await verifier.verify(authorization);
    expect(first).toMatchObject({ tenantId: 't1', userId: 'u1', roles: ['sync-admin'] });
    expect(await verifier.verify(authorization)).toBe(first);
  });

  it.each([
    ['no header', () => Promise.resolve(undefined)],
    ['another scheme', async () => `Basic ${await token({ sub: 'u1', tid: 't1' })}`],
    ['garbage', () => Promise.resolve('Bearer aaaaaaaaaaaaaaaaaaaaaaaaaaaa')],
    ['an expired token', async () => `Bearer ${await token({ sub: 'u1', tid: 't1' }, { expires: '-1h' })}`],
    ['another audience', async () => `Bearer ${await token({ sub: 'u1', tid: 't1' }, { audience: 'x' })}`],
    [
      'a foreign key',
      async () =>
        `Bearer ${await token({ sub: 'u1', tid: 't1' }, { key: (await generateKeyPair('ES256')).privateKey })}`,
    ],
    ['no tenant', async () => `Bearer ${await token({ sub: 'u1' })}`],
    [
      'a tenant that could widen the tenant setting',
      async () => `Bearer ${await token({ sub: 'u1', tid: 'a,b' })}`,
    ],
  ])('refuses %s as unauthenticated', async (_name, authorization) => {
    await expect(verifier.verify(await authorization())).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('says unavailable, not unauthenticated, when the keys cannot be read', async () => {
    const offline = new TokenVerifier({
      jwksUrl: 'http://127.0.0.1:9/jwks',
      issuer: ISSUER,
      audience: AUDIENCE,
    });
    const authorization = `Bearer ${await token({ sub: 'u1', tid: 't1' })}`;
    await expect(offline.verify(authorization)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
