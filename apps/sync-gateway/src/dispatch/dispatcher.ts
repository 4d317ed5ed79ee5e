import { IdlePause, type IdlePauses, RepeatedWork } from '@sync/messaging';
import type { Logger } from '@sync/service-kit';
import type { DispatchDevice } from './dispatch-device.ts';
import type { DispatchStore } from './dispatch-store.ts';

/** Devices that one replica works on at once. */
const DEVICES_AT_ONCE = 8;
/** Between two looks at a queue that has something, and at one that had nothing for a while. */
const PAUSES: IdlePauses = { busyMs: 500, idleMs: 4_000 };
const AFTER_FAILURE_MS = 2_000;

/**
 * Goes on with accepted mutations until they have their outcomes. Any number of replicas do so at once: a
 * device belongs to whoever took it from the queue, and what a dead replica had taken comes back by itself.
 *
 * While nobody has open work it looks ever less often. This replica tells it of its own ({@link expect});
 * other replicas have dispatchers of their own, so only what one leaves behind when it dies waits longer.
 */
export class Dispatcher {
  readonly #store: DispatchStore;
  readonly #dispatchDevice: DispatchDevice;
  readonly #logger: Logger;
  readonly #pause: IdlePause;
  readonly #work = new RepeatedWork(() => this.#pass());

  constructor(store: DispatchStore, dispatchDevice: DispatchDevice, logger: Logger, pauses = PAUSES) {
    this.#pause = new IdlePause(pauses);
    this.#store = store;
    this.#dispatchDevice = dispatchDevice;
    this.#logger = logger;
  }

  start(): void {
    this.#work.start();
  }

  /** Something was left open here, and will be due in so many milliseconds. */
  expect(dueInMs: number): void {
    this.#pause.reset();
    this.#work.within(dueInMs);
  }

  /** Takes no more devices and waits for those it has. */
  stop(): Promise<void> {
    return this.#work.stop();
  }

  /** @returns how long to wait before the next pass */
  async #pass(): Promise<number> {
    try {
      const { devices, isEmpty } = await this.#store.take(DEVICES_AT_ONCE);
      await Promise.all(
        devices.map(async (device) => {
          try {
            await this.#dispatchDevice.execute(device, this.#logger);
          } catch (error) {
            // The device comes back by itself; the others must not wait for it.
            this.#logger.error(
              { err: error, ...device },
              'accepted mutations of a device could not be dispatched',
            );
          }
        }),
      );
      return devices.length < DEVICES_AT_ONCE ? this.#pause.after(!isEmpty) : 0;
    } catch (error) {
      this.#logger.warn({ err: error }, 'the dispatch queue cannot be read');
      return AFTER_FAILURE_MS;
    }
  }
}
