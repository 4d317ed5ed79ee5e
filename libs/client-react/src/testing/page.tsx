/** What the browser runs for the tests and for `look`, which call these functions of `globalThis.ui`. */
import { type ReactElement, StrictMode } from 'react';
import { type Root, createRoot } from 'react-dom/client';
import { ConflictInbox, SyncProvider } from '../index.ts';
import { ConflictWorld } from './conflict-world.ts';
import { HookProbe, type Seen } from './hook-probe.tsx';
import type { StateName } from './state-names.ts';
import { STATES } from './states.tsx';

let root: Root | null = null;

function mount(element: ReactElement): void {
  root?.unmount();
  document.body.innerHTML = '<main id="root"></main>';
  const place = document.querySelector('#root');
  if (!place) throw new Error('there is no place for it');
  root = createRoot(place);
  root.render(<StrictMode>{element}</StrictMode>);
}

let world = new ConflictWorld();
let seen: Seen;

async function start() {
  await (await world.app).close();
  world = new ConflictWorld();
  const app = await world.app;
  app.start();
  return app;
}

const functions = {
  show: (state: StateName): void => mount(STATES[state]()),

  /** The inbox of a device that holds one conflict, or none; `loading` for ever where there is no client. */
  inbox: async (how: 'one' | 'none' | 'loading'): Promise<void> => {
    const app = await start();
    if (how === 'one') await world.happens();
    mount(
      <SyncProvider client={how === 'loading' ? null : app}>
        <ConflictInbox titleOf={({ entityId }) => `Two versions of ${entityId}`} />
      </SyncProvider>,
    );
  },
  /** A device that syncs, and all hooks on it. */
  probe: async (): Promise<void> => {
    const app = await start();
    seen = { statuses: [], conflicts: [], outcomes: [], writes: [] };
    mount(
      <SyncProvider client={app}>
        <HookProbe seen={seen} />
      </SyncProvider>,
    );
  },
  seen: (): Seen => seen,

  happens: () => world.happens(),
  moves: () => world.moves(),
  decidedOnTablet: () => world.decidedOnTablet(),
  network: (isThere: boolean) => world.network(isThere),
  refuse: () => world.refuse(),
  /** The conflict and its note, as the server has them. */
  server: () => ({ record: world.record(), note: world.server.entity('note', 'n1')?.data }),
};

export type PageFunctions = typeof functions;
Object.assign(globalThis, { ui: functions });
