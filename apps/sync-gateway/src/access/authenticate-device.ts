import type { KeyObject } from 'node:crypto';
import { ProblemError, type TokenVerifier } from '@sync/service-kit';
import {
  type ClaimedSignature,
  isSignedWith,
  readSignature,
  type SignedParts,
  verifyBody,
} from '@sync/service-kit/verify-signature';
import type { FastifyRequest } from 'fastify';
import type { Caller } from './caller.ts';
import type { DeviceBinding, DeviceBindings, DeviceKey } from './device-bindings.ts';

/** Who sends a request, as its fields prove it: its body has yet to come, and to fit what was signed. */
export interface SignedFields {
  readonly caller: Omit<Caller, 'receivedAtMs'>;
  /** Base64 of the SHA-256 of the body; null for a request without one. */
  readonly digest: string | null;
  /** Base64. */
  readonly signature: string;
  readonly provenAtMs: number;
}

/** After a body that took longer the device is looked up again: it may have been revoked meanwhile. */
const BODY_AT_ONCE_MS = 500;

/**
 * Establishes who sends a request: access token, then the signature's form and age, then the device's
 * binding, then the signature's value. Cheap refusals come first, and a wrong clock is told before anything
 * that a device with a wrong clock could not mend. All of it is in the fields: whoever proves nothing sends
 * no body.
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
  async authenticate(request: FastifyRequest): Promise<SignedFields> {
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
      announcesBody: Number(request.headers['content-length'] ?? 0) > 0,
    };
    const claimed = readSignature(parts, nowMs);
    const deviceId = claimed.input.keyId;
    await this.#verify({ tenantId, userId, deviceId }, parts, claimed);
    const clockOffsetMs = claimed.input.createdSeconds * 1000 - nowMs;
    const { digest, value: signature } = claimed;
    const caller = { tenantId, userId, deviceId, clockOffsetMs };
    return { caller, digest, signature, provenAtMs: performance.now() };
  }

  /**
   * The caller of a request whose body is there.
   * @param rawBody as sent, still compressed; of a GET, empty
   * @throws ProblemError as `authenticate`
   */
  async withBody({ caller, digest, provenAtMs }: SignedFields, rawBody: Buffer): Promise<Caller> {
    verifyBody(digest, rawBody);
    if (performance.now() > provenAtMs + BODY_AT_ONCE_MS) assertBound(await this.#bindings.find(caller));
    return { ...caller, receivedAtMs: Date.now() };
  }

  /**
   * A signature that fits no known key may be made with a key that the device got a moment ago: then the
   * identity service is asked again.
   * @throws ProblemError `device_not_bound`, `device_revoked`, `signature_invalid` or `unavailable`
   */
  async #verify(device: DeviceKey, parts: SignedParts, claimed: ClaimedSignature): Promise<void> {
    const known = await this.#bindings.find(device);
    if (isSignedWith(keysOf(known), parts, claimed)) return;
    const renewed = await this.#bindings.askAgain(device);
    if (!isSignedWith(keysOf(renewed), parts, claimed))
      throw new ProblemError('signature_invalid', 'The signature does not match');
  }
}

/** The keys that are good now. @throws ProblemError `device_not_bound` or `device_revoked` */
function keysOf(binding: DeviceBinding): KeyObject[] {
  assertBound(binding);
  const nowMs = Date.now();
  return binding.requestKeys.flatMap(({ key, untilMs }) => (untilMs > nowMs ? [key] : []));
}

/** @throws ProblemError `device_not_bound` or `device_revoked` */
function assertBound({ status }: DeviceBinding): void {
  if (status === 'revoked') throw new ProblemError('device_revoked', 'The device was revoked');
  if (status === 'unbound')
    throw new ProblemError('device_not_bound', 'The device is not bound to this user');
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(', ') : header;
}
