import { ProblemError, type TokenVerifier } from '@sync/service-kit';
import type { FastifyRequest } from 'fastify';
import type { Caller } from './caller.ts';
import type { DeviceBindings } from './device-bindings.ts';
import { readSignature, type SignedParts, verifySignature } from './verify-signature.ts';

/**
 * Establishes who sends a request: access token, then the signature's form and age, then the device's
 * binding, then the signature's value. Cheap refusals come first, and a wrong clock is told before anything
 * that a device with a wrong clock could not mend.
 */
export class AuthenticateDevice {
  readonly #tokens: TokenVerifier;
  readonly #bindings: DeviceBindings;

  constructor(tokens: TokenVerifier, bindings: DeviceBindings) {
    this.#tokens = tokens;
    this.#bindings = bindings;
  }

  /**
   * @throws ProblemError `unauthenticated`, `signature_invalid`, `clock_skew`, `device_not_bound`,
   *   `device_revoked`, or `unavailable` when the identity service does not answer
   */
  async authenticate(request: FastifyRequest, rawBody: Buffer): Promise<Caller> {
    const authorization = request.headers.authorization ?? '';
    const { tenantId, userId } = await this.#tokens.verify(authorization);
    const nowMs = Date.now();
    const parts: SignedParts = {
      method: request.method,
      url: request.raw.url ?? '',
      authorization,
      signatureInput: single(request.headers['signature-input']),
      signature: single(request.headers['signature']),
      contentDigest: single(request.headers['content-digest']),
      rawBody,
    };
    const claimed = readSignature(parts, nowMs);
    const deviceId = claimed.input.keyId;
    const binding = await this.#bindings.find({ tenantId, userId, deviceId });
    if (binding.status === 'revoked') throw new ProblemError('device_revoked', 'The device was revoked');
    if (binding.status === 'unbound' || binding.key === null) {
      throw new ProblemError('device_not_bound', 'The device is not bound to this user');
    }
    verifySignature(parts, claimed, binding.key);
    const clockOffsetMs = claimed.input.createdSeconds * 1000 - nowMs;
    return { tenantId, userId, deviceId, receivedAtMs: nowMs, clockOffsetMs };
  }
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(', ') : header;
}
