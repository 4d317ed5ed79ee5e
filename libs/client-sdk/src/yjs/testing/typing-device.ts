import { randomUUID } from 'node:crypto';
import { Write } from '../../client/write.ts';
import { HandClock } from '../../clock/hand-clock.ts';
import { CrashingDevice, NOW, SCOPE } from '../../local/testing/crashing-device.ts';
import { ModelServer } from '../../local/testing/model-server.ts';
import type { DocumentBase } from '../../local/write-queue.ts';
import { Increments } from '../increments.ts';
import { OpenDocument } from '../open-document.ts';

/** A device with one document open: a list of numbers, each typed once. */
export class TypingDevice {
  readonly device: CrashingDevice;
  readonly clock = new HandClock();
  /** Numbers that the app was told to be stored. */
  readonly stored = new Set<number>();
  #typed: number[] = [];
  #open: OpenDocument | null = null;

  constructor(server: ModelServer, deviceId: string) {
    this.device = new CrashingDevice(server, deviceId);
  }

  /** Opens it on what is stored, in a store that was opened anew. */
  async start(): Promise<void> {
    await this.device.start();
    await this.#reopen();
  }

  async #reopen(): Promise<void> {
    const { local, writes } = this.device;
    const merge = async (entityId: string, update: string, base: DocumentBase): Promise<Write> => {
      const fields = { mutationId: randomUUID(), scope: SCOPE, occurredAt: NOW, schemaVersion: 1 };
      const draft = { ...fields, entityType: 'note', entityId, op: 'merge' as const, update };
      return new Write(local, await writes.write(draft, base));
    };
    const increments = new Increments({ entityType: 'note', parts: { local, writes }, merge }, 'a');
    this.#typed = [];
    this.#open = new OpenDocument(async () => increments, { clock: this.clock });
    await this.#open.whenLoaded;
  }

  get open(): OpenDocument {
    if (!this.#open) throw new Error('not started');
    return this.#open;
  }

  get numbers(): number[] {
    return this.open.doc.getArray<number>('body').toArray();
  }

  /** @param at modulo how many there are */
  type(at: number, number: number): void {
    const body = this.open.doc.getArray<number>('body');
    body.insert(at % (body.length + 1), [number]);
    if (this.open.status.state !== 'absent') this.#typed.push(number);
  }

  /** @returns the number that is gone */
  erase(at: number): number | undefined {
    const body = this.open.doc.getArray<number>('body');
    if (body.length === 0) return undefined;
    const number = body.get(at % body.length);
    body.delete(at % body.length, 1);
    return number;
  }

  async flush(): Promise<void> {
    const typed = this.#typed;
    await this.open.flush();
    for (const number of typed.splice(0)) this.stored.add(number);
  }

  /** Does it, or dies at a commit of it and opens everything again. */
  async survive(
    work: () => Promise<unknown>,
    crash: Parameters<CrashingDevice['survive']>[1],
  ): Promise<void> {
    const { crashes } = this.device;
    await this.device.survive(work, crash);
    if (this.device.crashes > crashes) await this.#reopen();
  }
}

/** What was stored is read. */
export async function quiet(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A device that has pulled an empty document. */
export async function typing(): Promise<TypingDevice> {
  const server = new ModelServer(SCOPE);
  server.changeItself('a', { epoch: 1 });
  const one = new TypingDevice(server, 'one');
  await one.start();
  await one.device.pull(10);
  await quiet();
  return one;
}
