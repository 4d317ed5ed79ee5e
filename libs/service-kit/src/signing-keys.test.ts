import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, jwtVerify, SignJWT } from 'jose';
import { signingKeys } from './signing-keys.ts';

describe('signing keys', () => {
  let server: Server;
  let served: JWK[];
  let mode: 'answers' | 'fails' | 'hangs';
  let asked: number;
  let privateKey: CryptoKey;
  const url = (): URL => new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`);
  const sign = (kid = 'k1'): Promise<string> =>
    new SignJWT({}).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey);

  beforeEach(async () => {
    const pair = await generateKeyPair('ES256');
    privateKey = pair.privateKey;
    served = [{ ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256' }];
    mode = 'answers';
    asked = 0;
    server = createServer((_request, response) => {
      asked += 1;
      if (mode === 'answers') response.end(JSON.stringify({ keys: served }));
      if (mode === 'fails') response.writeHead(500).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it.each(['fails', 'hangs'] as const)(
    'stay good while the service %s, without asking it each time',
    async (how) => {
      const keys = signingKeys({ url: url(), graceMs: 60_000, maxAgeMs: 0 });
      await jwtVerify(await sign(), keys);
      mode = how;
      const before = asked;
      for (let count = 0; count < 5; count += 1) await jwtVerify(await sign(), keys);
      expect(asked - before).toBe(1);
    },
  );

  it('that are not known cannot be called wrong while the service does not say', async () => {
    const keys = signingKeys({ url: url(), graceMs: 60_000, maxAgeMs: 0 });
    await jwtVerify(await sign(), keys);
    mode = 'fails';
    await expect(jwtVerify(await sign('k2'), keys)).rejects.toThrow('Expected 200 OK');
  });

  it('are not good for ever', async () => {
    const keys = signingKeys({ url: url(), graceMs: 0, maxAgeMs: 0 });
    await jwtVerify(await sign(), keys);
    mode = 'fails';
    await expect(jwtVerify(await sign(), keys)).rejects.toThrow('Expected 200 OK');
  });
});
