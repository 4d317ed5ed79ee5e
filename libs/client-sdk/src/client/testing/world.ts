import { HandClock } from '../../clock/hand-clock.ts';
import { SCOPE } from '../../local/testing/crashing-device.ts';
import { ModelServer } from '../../local/testing/model-server.ts';
import { MemoryDisk } from '../../storage/memory-store.ts';
import { TabsHub } from '../../testing/memory-tabs.ts';
import { type Browser, HandTab, quiet } from './hand-tab.ts';
import { ModelTransport } from './model-transport.ts';

/** A browser, and the server that its tabs talk to. */
export type World = Browser & { readonly transport: ModelTransport };

export function makeWorld(): World {
  const transport = new ModelTransport(new ModelServer(SCOPE));
  return { hub: new TabsHub(), disk: new MemoryDisk(), clock: new HandClock(), transport };
}

/** One more tab that shows its notes. */
export async function open(world: World) {
  const tab = new HandTab(world);
  const client = await tab.client;
  const notes = await client.entity('note').load();
  return { tab, client, notes };
}
export type Opened = Awaited<ReturnType<typeof open>>;

/** Two tabs of one browser, the first of which leads. */
export async function openTwo() {
  const world = makeWorld();
  const [one, other] = [await open(world), await open(world)];
  await quiet();
  return { world, one, other };
}

/** Lets so much time pass, in ten steps. */
export async function pass(clock: HandClock, ms: number): Promise<void> {
  for (let at = 0; at < 10; at += 1) {
    clock.advance(ms / 10);
    await quiet();
  }
}

/** The values that it shows, by id. */
export const seen = ({ notes }: Opened) =>
  Object.fromEntries(notes.list().map(({ id, data }) => [id, data['value']]));
