import { createSecretKey, type KeyObject } from 'node:crypto';
import { DeviceBindingReply, subjects, validator } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { NatsConnection } from '@nats-io/transport-node';

/** A device of a user of a tenant: the anchor of everything that is stored for it. */
export interface DeviceKey {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
}

/** What the identity service says about a device. */
export interface DeviceBinding {
  readonly status: 'bound' | 'unbound' | 'revoked';
  /** Present when bound. */
  readonly key: KeyObject | null;
}

interface Remembered {
  readonly binding: DeviceBinding;
  readonly untilMs: number;
}

const BOUND_TTL_MS = 30_000;
/** Short: a device that was bound a moment ago must not be turned away for long. Longer than nothing: a flood asks once. */
const REFUSED_TTL_MS = 2_000;
const ANSWER_LIMIT_MS = 2_000;
const MAX_REMEMBERED = 100_000;
const parseReply = validator(DeviceBindingReply);

/** One text for a device: ids hold no NUL, so no two devices share it. */
export function deviceKeyText({ tenantId, userId, deviceId }: DeviceKey): string {
  return `${tenantId}\0${userId}\0${deviceId}`;
}

/**
 * Device bindings, asked from the identity service over NATS and remembered for a short time.
 *
 * **Invariant**: nothing that was asked before a revocation (or a lost connection, in which revocations are missed) is remembered after
 * it: `forget` moves the generation on, and an answer of an older generation is used once and not kept. Times are monotonic: a wall
 * clock that steps back must not prolong what is remembered.
 */
export class DeviceBindings {
  readonly #nats: NatsConnection;
  readonly #remembered = new Map<string, Remembered>();
  readonly #asking = new Map<string, Promise<DeviceBinding>>();
  #generation = 0;
  /** Told each time a fresh answer says that a device is revoked. */
  onRevoked: ((device: DeviceKey) => void) | null = null;

  constructor(nats: NatsConnection) {
    this.#nats = nats;
  }

  /**
   * @throws ProblemError `unavailable` when the identity service does not answer and nothing is remembered
   */
  async find(device: DeviceKey): Promise<DeviceBinding> {
    const id = deviceKeyText(device);
    const known = this.#remembered.get(id);
    if (known && known.untilMs > performance.now()) return known.binding;
    const asking = this.#asking.get(id) ?? this.#ask(id, device);
    return asking;
  }

  /** The device was revoked: the next request asks again. */
  forget(device: DeviceKey): void {
    this.#generation += 1;
    this.#remembered.delete(deviceKeyText(device));
    this.#asking.clear();
  }

  /** Revocations may have been missed. */
  forgetAll(): void {
    this.#generation += 1;
    this.#remembered.clear();
    this.#asking.clear();
  }

  #ask(id: string, device: DeviceKey): Promise<DeviceBinding> {
    const generation = this.#generation;
    const asking = this.#request(device)
      .then((binding) => {
        if (generation === this.#generation) this.#remember(id, binding);
        if (binding.status === 'revoked') this.onRevoked?.(device);
        return binding;
      })
      .finally(() => {
        if (this.#asking.get(id) === asking) this.#asking.delete(id);
      });
    this.#asking.set(id, asking);
    return asking;
  }

  async #request(device: DeviceKey): Promise<DeviceBinding> {
    try {
      const { tenantId, userId, deviceId } = device;
      const payload = JSON.stringify({ tenantId, userId, deviceId });
      const message = await this.#nats.request(subjects.deviceBindingVerify, payload, {
        timeout: ANSWER_LIMIT_MS,
      });
      const reply = parseReply(message.json());
      if (!reply.ok) throw new Error(`Malformed reply: ${reply.faults[0]?.path ?? ''}`);
      const { status, hmacKey } = reply.value;
      if (status !== 'bound' || hmacKey === undefined)
        return { status: status === 'bound' ? 'unbound' : status, key: null };
      return { status, key: createSecretKey(Buffer.from(hmacKey, 'base64')) };
    } catch (cause) {
      throw new ProblemError('unavailable', 'The identity service does not answer', {
        cause,
        headers: { 'retry-after': '1' },
      });
    }
  }

  /** Insertion order is age: the oldest makes room, and a device in use is asked for anew within half a minute anyway. */
  #remember(id: string, binding: DeviceBinding): void {
    const untilMs = performance.now() + (binding.status === 'bound' ? BOUND_TTL_MS : REFUSED_TTL_MS);
    this.#remembered.delete(id);
    if (this.#remembered.size >= MAX_REMEMBERED) {
      for (const oldest of this.#remembered.keys()) {
        this.#remembered.delete(oldest);
        break;
      }
    }
    this.#remembered.set(id, { binding, untilMs });
  }
}
