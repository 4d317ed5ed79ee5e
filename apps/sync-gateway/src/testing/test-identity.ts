import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type DeviceRevokedNotice, subjects } from '@sync/protocol';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import type { NatsConnection, Subscription } from '@nats-io/transport-node';

/** A device as identity hands it out. */
export interface TestDevice {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
  /** base64 */
  readonly hmacKey: string;
  readonly accessToken: string;
}

interface Bound {
  device: TestDevice;
  /** Base64, newest first. */
  earlierKeys: string[];
  previousKeyUntil?: string;
  revoked: boolean;
}

/** Stands where the identity service is: JWKS over HTTP, device bindings over NATS. */
export class TestIdentity {
  /** Verifications asked so far. */
  asked = 0;
  /** Devices that are bound no longer are still told with their keys. */
  keepsKeys = true;
  /** While false, nobody answers verifications. */
  answering = true;
  readonly #nats: NatsConnection;
  readonly #devices = new Map<string, Bound>();
  readonly #key: CryptoKey;
  readonly #server: Server;
  readonly #subscription: Subscription;

  private constructor(nats: NatsConnection, key: CryptoKey, jwk: JWK) {
    this.#nats = nats;
    this.#key = key;
    this.#server = createServer((_request, response) => {
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [jwk] }));
    });
    this.#subscription = nats.subscribe(subjects.deviceBindingVerify, {
      callback: (_error, message) => {
        this.asked += 1;
        if (!this.answering) return;
        const { tenantId, userId, deviceId } = message.json<TestDevice>();
        const known = this.#devices.get(`${tenantId}/${userId}/${deviceId}`);
        const status = known ? (known.revoked ? 'revoked' : 'bound') : 'unbound';
        const { device, earlierKeys = [], previousKeyUntil } = known ?? {};
        const keys = { ...(device && { hmacKey: device.hmacKey }), earlierKeys, previousKeyUntil };
        message.respond(JSON.stringify({ status, ...(status === 'bound' || this.keepsKeys ? keys : {}) }));
      },
    });
  }

  static async start(nats: NatsConnection): Promise<TestIdentity> {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' };
    const identity = new TestIdentity(nats, privateKey, jwk);
    await new Promise<void>((resolve) => identity.#server.listen(0, '127.0.0.1', resolve));
    await nats.flush();
    return identity;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async bind(tenantId: string, userId: string, deviceId: string): Promise<TestDevice> {
    const accessToken = await this.token(tenantId, userId);
    const device = { tenantId, userId, deviceId, hmacKey: randomBytes(32).toString('base64'), accessToken };
    const bound = { device, earlierKeys: [], revoked: false };
    this.#devices.set(`${tenantId}/${userId}/${deviceId}`, bound);
    return device;
  }

  /**
   * Gives the device a new key; what it tagged with those before is still its own.
   * @param previousGoodForMs how long requests may still be signed with the one before
   */
  rotate({ tenantId, userId, deviceId }: TestDevice, previousGoodForMs = 0): TestDevice {
    const known = this.#devices.get(`${tenantId}/${userId}/${deviceId}`);
    if (!known) throw new Error(`there is no device ${deviceId}`);
    known.previousKeyUntil = new Date(Date.now() + previousGoodForMs).toISOString();
    known.earlierKeys = [known.device.hmacKey, ...known.earlierKeys];
    known.device = { ...known.device, hmacKey: randomBytes(32).toString('base64') };
    return known.device;
  }

  async token(tenantId: string, userId: string, claims: Record<string, unknown> = {}): Promise<string> {
    return new SignJWT({ tid: tenantId, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setIssuer(typeof claims['iss'] === 'string' ? claims['iss'] : 'https://identity.sync.local')
      .setAudience('sync-service')
      .setSubject(userId)
      .setExpirationTime('1h')
      .sign(this.#key);
  }

  /** Revokes and tells everybody, unless `silently`. */
  async revoke({ tenantId, userId, deviceId }: TestDevice, silently = false): Promise<void> {
    const known = this.#devices.get(`${tenantId}/${userId}/${deviceId}`);
    if (known) known.revoked = true;
    if (silently) return;
    const notice: DeviceRevokedNotice = { tenantId, userId, deviceId, revokedAt: new Date().toISOString() };
    this.#nats.publish(subjects.deviceBindingRevoked, JSON.stringify(notice));
    await this.#nats.flush();
  }

  async stop(): Promise<void> {
    this.#subscription.unsubscribe();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
