/** What the browser runs for the tests and for `look`, which call these functions of `globalThis.ui`. */
import { type ReactElement, StrictMode } from 'react';
import { type Root, createRoot } from 'react-dom/client';
import { FIELDS } from '../conflict/testing/example-records.ts';
import { ConflictInbox, SyncProvider } from '../index.ts';
import { type App, ConflictWorld } from './conflict-world.ts';
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
let app: App | null = null;
let seen: Seen;

const functions = {
  show: (state: StateName): void => mount(STATES[state]()),

  /** The inbox of a device that holds one conflict, or none; `loading` for ever where there is no client. */
  inbox: async (how: 'one' | 'none' | 'loading'): Promise<void> => {
    await functions.open();
    if (how === 'one') functions.happens();
    mount(
      <SyncProvider client={how === 'loading' ? null : app}>
        <ConflictInbox titleOf={({ entityId }) => `Two versions of ${entityId}`} />
      </SyncProvider>,
    );
  },
  /** A device that syncs, and all hooks on it. */
  probe: async (): Promise<void> => {
    await functions.open();
    seen = { statuses: [], conflicts: [], outcomes: [], writes: [] };
    mount(
      <SyncProvider client={app}>
        <HookProbe seen={seen} />
      </SyncProvider>,
    );
  },
  seen: (): Seen => seen,

  open: async (): Promise<void> => {
    await app?.close();
    world = new ConflictWorld();
    app = await world.open();
    app.start();
  },
  /** The server has a conflict about note n1, at the state that the record tells. */
  happens: (): void => {
    world.write('n1', { title: 'Trip' });
    world.write('n1', FIELDS.ours);
    world.record(FIELDS);
  },
  moves: (): void => world.write('n1', { ...FIELDS.ours, title: 'Trip to the lake' }),
  decidedElsewhere: (): void =>
    world.record({
      ...FIELDS,
      status: 'resolved',
      decision: { kind: 'keep_server' },
      resolvedAt: FIELDS.detectedAt,
    }),
  network: (isThere: boolean): void => {
    world.isOnline = isThere;
    app?.networkChanged(isThere);
  },
  reject: (): void => {
    world.isRejecting = true;
  },
  resolved: () => world.resolved,
};

export type PageFunctions = typeof functions;
Object.assign(globalThis, { ui: functions });
