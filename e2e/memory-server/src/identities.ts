import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import type { TestServer } from '@sync/client-testing';
import { ProblemError } from '@sync/service-kit/problem-error';

export interface TokenHolder {
  readonly tenantId: string;
  readonly userId: string;
  readonly roles: readonly string[];
}

export interface BoundDevice {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly key: Buffer;
}

/** An identity service in memory: binds devices, and gives out tokens that only it can make. */
export class Identities {
  readonly #server: TestServer;
  readonly #secret = randomBytes(32);
  readonly #devices = new Map<string, BoundDevice>();

  constructor(server: TestServer) {
    this.#server = server;
  }

  bind(tenantId: string, userId: string) {
    const device = { tenantId, userId, deviceId: randomUUID(), key: randomBytes(32) };
    this.#devices.set(device.deviceId, device);
    this.#server.bindDevice(device, device.key);
    const accessToken = this.token({ tenantId, userId, roles: [] });
    return { deviceId: device.deviceId, hmacKey: device.key.toString('base64'), accessToken };
  }

  token({ tenantId, userId, roles }: TokenHolder): string {
    const claims = { tid: tenantId, sub: userId, roles, jti: randomUUID() };
    const text = [{ alg: 'HS256' }, claims].map((part) => encode(JSON.stringify(part))).join('.');
    return `${text}.${this.#mac(text)}`;
  }

  /** @throws ProblemError `unauthenticated` */
  holderOf(authorization: string): TokenHolder {
    const [, text = '', mac] = /^Bearer ([\w-]+\.[\w-]+)\.([\w-]+)$/.exec(authorization) ?? [];
    if (mac === undefined || mac !== this.#mac(text))
      throw new ProblemError('unauthenticated', 'The token is missing, or not of this identity service');
    const claims = JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString()) as {
      readonly tid: string;
      readonly sub: string;
      readonly roles: readonly string[];
    };
    return { tenantId: claims.tid, userId: claims.sub, roles: claims.roles };
  }

  find(deviceId: string): BoundDevice | undefined {
    return this.#devices.get(deviceId);
  }

  revoke(deviceId: string): void {
    this.#server.revokeDevice(deviceId);
  }

  #mac(text: string): string {
    return createHmac('sha256', this.#secret).update(text).digest('base64url');
  }
}

const encode = (text: string): string => Buffer.from(text).toString('base64url');
