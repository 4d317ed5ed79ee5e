import { type DeviceBinding, type DeviceBindings, type DeviceKey, deviceKeyText } from './device-bindings.ts';

const VERIFIED_AT_ONCE = 32;
const PAUSE_MS = 250;

/**
 * Verifies devices that are connected at this moment, after their revocations may have been missed: a few at
 * a time, and until each has an answer, because the identity service may come back later than the connection
 * to it.
 */
export class VerifyAgain {
  readonly #bindings: Pick<DeviceBindings, 'verify'>;
  readonly #onNotBound: (device: DeviceKey, status: DeviceBinding['status']) => void;
  /** Counts rounds: a newer one replaces an older. */
  #round = 0;

  /** @param onNotBound told of each device that may not be connected any more */
  constructor(
    bindings: Pick<DeviceBindings, 'verify'>,
    onNotBound: (device: DeviceKey, status: DeviceBinding['status']) => void,
  ) {
    this.#bindings = bindings;
    this.#onNotBound = onNotBound;
  }

  /** Resolves when all have an answer, or another round has begun. */
  async verify(devices: Iterable<DeviceKey>): Promise<void> {
    const round = (this.#round += 1);
    let left = [...new Map([...devices].map((device) => [deviceKeyText(device), device])).values()];
    while (left.length > 0 && round === this.#round) {
      const unanswered: DeviceKey[] = [];
      for (let at = 0; at < left.length && round === this.#round; at += VERIFIED_AT_ONCE) {
        await Promise.all(
          left.slice(at, at + VERIFIED_AT_ONCE).map(async (device) => {
            if (!(await this.#isAnswered(device))) unanswered.push(device);
          }),
        );
      }
      left = unanswered;
      if (left.length > 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS).unref());
    }
  }

  stop(): void {
    this.#round += 1;
  }

  async #isAnswered(device: DeviceKey): Promise<boolean> {
    try {
      const { status } = await this.#bindings.verify(device);
      if (status !== 'bound') this.#onNotBound(device, status);
      return true;
    } catch {
      return false;
    }
  }
}
