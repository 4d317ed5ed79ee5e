import { createSecretKey, type KeyObject } from 'node:crypto';
import type { Database } from '@sync/postgres';
import { DeviceBindingReply, subjects, validator } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { NatsConnection } from '@nats-io/transport-node';
import { tagKeyOf } from './tag-keys.ts';

/** A device of a user of a tenant: the anchor of everything that is stored for it. */
export interface DeviceKey {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
}

export interface RequestKey {
  readonly key: KeyObject;
  /** By the wall clock, epoch milliseconds; Infinity for the present one. */
  readonly untilMs: number;
}

/** What the identity service says about a device. */
export interface DeviceBinding {
  readonly status: 'bound' | 'unbound' | 'revoked';
  /** By which it signs its requests; none unless it is bound, two while it changes its key. */
  readonly requestKeys: readonly RequestKey[];
  /**
   * Of tags that the device made or may have made, newest first; also of a device that is bound no longer, as
   * far as the identity service has them.
   */
  readonly tagKeys: readonly KeyObject[];
}

interface Remembered {
  readonly binding: DeviceBinding;
  /** Until then nobody is asked again. Monotonic. */
  readonly freshUntilMs: number;
  /** Monotonic. */
  readonly verifiedAtMs: number;
  /** The same moment by the wall clock. */
  readonly verifiedAt: string;
}

export interface BindingsOptions {
  readonly nats: NatsConnection;
  readonly database: Pick<Database, 'call'>;
  /** How long a device goes on by its last verification while the identity service does not answer. */
  readonly graceMs: number;
  /** Told each time that a device goes on in this way. */
  readonly onUnverified?: () => void;
}

const BOUND_TTL_MS = 30_000;
/**
 * Short: a device that was bound a moment ago must not be turned away for long. Longer than nothing: a flood
 * asks once.
 */
const REFUSED_TTL_MS = 2_000;
const ANSWER_LIMIT_MS = 2_000;
/**
 * While the identity service is away, one request in so long finds out whether it answers again; the others
 * do not wait for it.
 */
const AWAY_MS = 5_000;
const MAX_REMEMBERED = 100_000;
const parseReply = validator(DeviceBindingReply);

/** One text for a device: ids hold no NUL, so no two devices share it. */
export function deviceKeyText({ tenantId, userId, deviceId }: DeviceKey): string {
  return `${tenantId}\0${userId}\0${deviceId}`;
}

/**
 * Device bindings, asked from the identity service over NATS and remembered: as fresh for half a minute, and
 * beyond that only for the time in which the service does not answer.
 *
 * **Invariant**: nothing that was asked before a revocation is remembered after it: `forget` moves the
 * generation on, and an answer of an older generation is used once and not kept. After a lost connection, in
 * which revocations are missed, nothing is fresh. Times are monotonic: a wall clock that steps back must not
 * prolong what is remembered.
 */
export class DeviceBindings {
  readonly #options: BindingsOptions;
  readonly #remembered = new Map<string, Remembered>();
  readonly #asking = new Map<string, Promise<DeviceBinding>>();
  #generation = 0;
  /** Until then known devices go on without asking; 0 while the identity service answers. */
  #awayUntilMs = 0;
  /** Told each time a fresh answer says that a device is revoked. */
  onRevoked: ((device: DeviceKey) => void) | null = null;

  constructor(options: BindingsOptions) {
    this.#options = options;
  }

  /**
   * For a request: what the identity service says or, while it does not answer, what it said last.
   * @throws ProblemError `unavailable` when it does not answer and nothing, or nothing good, is remembered
   */
  async find(device: DeviceKey): Promise<DeviceBinding> {
    const known = this.#remembered.get(deviceKeyText(device));
    const nowMs = performance.now();
    if (known && known.freshUntilMs > nowMs) return known.binding;
    if (known?.binding.status !== 'bound' || nowMs > known.verifiedAtMs + this.#options.graceMs)
      return this.verify(device);
    if (nowMs < this.#awayUntilMs) return this.#goOn(device, known);
    if (this.#awayUntilMs > 0) this.#awayUntilMs = nowMs + ANSWER_LIMIT_MS;
    try {
      return await this.verify(device);
    } catch (error) {
      // Its revocation may have been heard meanwhile.
      if (this.#remembered.get(deviceKeyText(device)) !== known) throw error;
      return this.#goOn(device, known);
    }
  }

  /**
   * For whoever has to know: only what the identity service says, now or within the last half minute.
   * @throws ProblemError `unavailable` when it does not answer
   */
  async verify(device: DeviceKey): Promise<DeviceBinding> {
    const id = deviceKeyText(device);
    const known = this.#remembered.get(id);
    if (known && known.freshUntilMs > performance.now()) return known.binding;
    return this.#asking.get(id) ?? this.#ask(id, device);
  }

  /**
   * For whoever cannot go on by what is remembered, because the device may have a new key: what the identity
   * service says now.
   * @throws ProblemError `unavailable` when it does not answer, at once while it is known to be away
   */
  async askAgain(device: DeviceKey): Promise<DeviceBinding> {
    if (performance.now() < this.#awayUntilMs) throw unavailable(undefined);
    return this.#ask(deviceKeyText(device), device);
  }

  /** The device was revoked: the next request asks again. */
  forget(device: DeviceKey): void {
    this.#generation += 1;
    this.#remembered.delete(deviceKeyText(device));
    this.#asking.clear();
  }

  /** Revocations may have been missed: every device is asked about again. */
  doubtAll(): void {
    this.#generation += 1;
    for (const [id, known] of this.#remembered) this.#remembered.set(id, { ...known, freshUntilMs: 0 });
    this.#asking.clear();
    this.#awayUntilMs = 0;
  }

  /** Another replica may have heard of a revocation that did not come here: it is in the database then. */
  async #goOn(device: DeviceKey, { binding, verifiedAt }: Remembered): Promise<DeviceBinding> {
    const { tenantId, userId, deviceId } = device;
    const rows = await this.#options.database.call<{ revoked: boolean }>(
      'revoked_since',
      'SELECT revoked_since($1, $2, $3, $4) AS revoked',
      [tenantId, userId, deviceId, verifiedAt],
    );
    // By clocks of two services: too little to tell a device for good that it is revoked, enough to let it do
    // nothing.
    if (rows[0]?.revoked !== false) throw unavailable(undefined);
    this.#options.onUnverified?.();
    return binding;
  }

  #ask(id: string, device: DeviceKey): Promise<DeviceBinding> {
    const generation = this.#generation;
    const asking = this.#request(device)
      .then(
        (binding) => {
          this.#awayUntilMs = 0;
          if (generation === this.#generation) this.#remember(id, binding);
          if (binding.status === 'revoked') this.onRevoked?.(device);
          return binding;
        },
        (error: unknown) => {
          this.#awayUntilMs = performance.now() + AWAY_MS;
          throw error;
        },
      )
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
      const message = await this.#options.nats.request(subjects.deviceBindingVerify, payload, {
        timeout: ANSWER_LIMIT_MS,
      });
      const reply = parseReply(message.json());
      if (!reply.ok) throw new Error(`Malformed reply: ${reply.faults[0]?.path ?? ''}`);
      return bindingOf(device, reply.value);
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  /**
   * Insertion order is age: the oldest makes room, and a device in use is asked for anew within half a minute
   * anyway.
   */
  #remember(id: string, binding: DeviceBinding): void {
    const verifiedAtMs = performance.now();
    const freshUntilMs = verifiedAtMs + (binding.status === 'bound' ? BOUND_TTL_MS : REFUSED_TTL_MS);
    this.#remembered.delete(id);
    if (this.#remembered.size >= MAX_REMEMBERED) {
      for (const oldest of this.#remembered.keys()) {
        this.#remembered.delete(oldest);
        break;
      }
    }
    const verifiedAt = new Date().toISOString();
    this.#remembered.set(id, { binding, freshUntilMs, verifiedAtMs, verifiedAt });
  }
}

function bindingOf(
  device: DeviceKey,
  { status, hmacKey, earlierKeys = [], previousKeyUntil }: DeviceBindingReply,
): DeviceBinding {
  const keys = [...(hmacKey === undefined ? [] : [hmacKey]), ...earlierKeys].map((key) => {
    return Buffer.from(key, 'base64');
  });
  const tagKeys = keys.map((key) => tagKeyOf(key, device));
  const [current, previous] = keys;
  if (status !== 'bound' || hmacKey === undefined || !current)
    return { status: status === 'bound' ? 'unbound' : status, requestKeys: [], tagKeys };
  const requestKeys = [{ key: createSecretKey(current), untilMs: Infinity }];
  if (previous && previousKeyUntil !== undefined)
    requestKeys.push({ key: createSecretKey(previous), untilMs: Date.parse(previousKeyUntil) });
  return { status, requestKeys, tagKeys };
}

function unavailable(cause: unknown): ProblemError {
  return new ProblemError('unavailable', 'The identity service does not answer', {
    cause,
    headers: { 'retry-after': '1' },
  });
}
