/** The same work for every kind of device: in Node and in Chromium, ours and those of others. */
import { idOf } from '@sync/client/testing/device-work';
import type { PullResponse } from '@sync/protocol';

/** What a device keeps of a note. */
export interface Note {
  readonly id: string;
  readonly userId: string;
  readonly text: string;
  readonly colour: string;
}

/** A device that is open, as an app uses it: notes, of one user, offline but for `sync`. */
export interface OpenDevice {
  /**
   * Takes the answers of a server that has so many notes, and ends when the last of them is stored.
   * @param pages JSON texts of pulls, as many notes in each but the last
   */
  sync(pages: readonly string[]): Promise<void>;
  /** All notes, by whatever this device calls a query. */
  list(): Promise<readonly { readonly text: string }[]>;
  /** Replaces a note. It is durable, by the device's own word, when the promise ends. */
  write(note: Note): Promise<unknown>;
  /** The text of a note as an app gets it now. */
  textOf(id: string): Promise<string | undefined>;
  /** Calls `listener` when an app is told that a note has changed. */
  onChange(listener: (id: string) => void): void;
  close(): Promise<void>;
}

/** Opens what is stored, nothing at first; always in the same place. */
export type Open = () => Promise<OpenDevice>;

/** Milliseconds, of each write. */
export interface WriteTimes {
  /** From the call until the app is told of it. */
  readonly visibleMs: number[];
  /** From the call until it is durable. */
  readonly durableMs: number[];
}

/** The first sync of a new device. @returns milliseconds from opening it until all is stored */
export async function timeFirstSync(open: Open, pages: readonly string[]): Promise<number> {
  const startedMs = performance.now();
  const device = await open();
  await device.sync(pages);
  const tookMs = performance.now() - startedMs;
  await assertHeld(device, pages);
  await device.close();
  return tookMs;
}

/** Opens a device that has synced. @returns milliseconds until its first query has answered with all notes */
export async function timeColdStart(open: Open, pages: readonly string[]): Promise<number> {
  const startedMs = performance.now();
  const device = await open();
  await assertHeld(device, pages);
  const tookMs = performance.now() - startedMs;
  await device.close();
  return tookMs;
}

/** A device that has synced, and all of whose notes were read once. */
export async function hold(open: Open, pages: readonly string[]): Promise<OpenDevice> {
  const device = await open();
  await device.sync(pages);
  await assertHeld(device, pages);
  return device;
}

/** So many writes one after the other, each to a note of its own; nothing of them is sent. */
export async function timeWrites(device: OpenDevice, count: number): Promise<WriteTimes> {
  const told = new Map<string, () => void>();
  device.onChange((id) => told.get(id)?.());
  const times: WriteTimes = { visibleMs: [], durableMs: [] };
  for (let n = 0; n < count; n += 1) {
    const id = idOf(n);
    const text = `written ${n}`;
    const startedMs = performance.now();
    const visible = new Promise<number>((resolve) => {
      told.set(id, () => resolve(performance.now() - startedMs));
    });
    const stored = device
      .write({ id, userId: 'u', text, colour: 'white' })
      .then(() => performance.now() - startedMs);
    times.visibleMs.push(await visible);
    if ((await device.textOf(id)) !== text) throw new Error(`write ${n} is not seen`);
    times.durableMs.push(await stored);
    told.delete(id);
  }
  return times;
}

async function assertHeld(device: OpenDevice, pages: readonly string[]): Promise<void> {
  const notes = await device.list();
  let letters = 0;
  for (const { text } of notes) letters += text.length;
  const [first = '', last = ''] = [pages[0], pages.at(-1)];
  const expected = notesOf(last).length + (pages.length - 1) * notesOf(first).length;
  if (notes.length !== expected || letters < expected) {
    throw new Error(`${notes.length} of ${expected} notes are there`);
  }
}

/** What a device without our protocol keeps of a page. */
export function notesOf(page: string): Note[] {
  const { scopes } = JSON.parse(page) as PullResponse;
  return scopes.flatMap(({ deltas }) =>
    deltas.map(({ entityId, data }) => ({ id: entityId, ...data }) as Note),
  );
}
