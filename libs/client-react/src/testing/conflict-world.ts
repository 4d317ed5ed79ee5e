import { type EntityType, type SyncClient, createSyncClient } from '@sync/client';
import { MemoryStore } from '@sync/client/memory';
import { type DeviceLink, type TestServer, createTestServer, takeAsSent } from '@sync/client-testing';
import type { ConflictRecord } from '@sync/protocol';
import { FIELDS } from '../conflict/testing/example-records.ts';

const ENTITIES = { note: {} as EntityType<object> };
type App = SyncClient<typeof ENTITIES>;
type Note = Readonly<Record<string, unknown>>;

/** What a note said before anybody changed it, what others make of it, and what the device does. */
const BEFORE: Note = { title: 'Trip', ...FIELDS.base };
const THEIRS: Note = { ...BEFORE, title: FIELDS.ours?.['title'] };

/** The phone of a user, and their tablet, with a server of which somebody else changes the notes. */
export class ConflictWorld {
  readonly server: TestServer = createTestServer({
    entities: {
      note: {
        policy: 'lww',
        review: 'collisions',
        handle: (sent, current) =>
          this.#isRefusing || sent.data?.['title'] === 'refused'
            ? { kind: 'rejected', code: 'too_many', message: 'There are 25 places.' }
            : takeAsSent(sent, current),
      },
    },
  });
  readonly phone: DeviceLink = this.server.device({ userId: 'u', deviceId: 'phone' });
  readonly #tablet = this.server.device({ userId: 'u', deviceId: 'tablet' });
  #isRefusing = false;

  /** The client on the phone. */
  readonly app: Promise<App> = createSyncClient({
    ...this.phone.options,
    ...{ store: new MemoryStore(), entities: ENTITIES },
  });

  /**
   * The phone changes title, text and places of note n1 while it is offline, and somebody else the title.
   * Since the record was made, the text was changed as well.
   */
  async happens(): Promise<void> {
    const app = await this.app;
    this.#write(BEFORE);
    const notes = await app.entity('note').load();
    await until(
      () => notes.get('n1') !== null,
      (look) => notes.subscribe(look),
    );
    await this.network(false);
    await notes.patch('n1', { ...FIELDS.theirs });
    this.#write(THEIRS);
    await this.network(true);
    await until(
      () => this.server.conflicts().length > 0,
      (look) => app.onStatus(look),
    );
    this.#write({ ...THEIRS, text: FIELDS.ours?.['text'] });
  }

  /** Somebody writes the title again. */
  moves(): void {
    this.#write({ ...THEIRS, text: FIELDS.ours?.['text'], title: 'Trip to the lake' });
  }

  async decidedOnTablet(): Promise<void> {
    const [record] = this.server.conflicts();
    const body = { conflictId: record?.conflictId, resolution: { kind: 'keep_server' }, expectedClock: {} };
    await this.#tablet.send({ method: 'POST', path: '/sync/v1/resolve-conflict', body, timeoutMs: 1_000 });
  }

  async network(isThere: boolean): Promise<void> {
    if (isThere) this.phone.online();
    else this.phone.offline();
    (await this.app).networkChanged(isThere);
  }

  /** The owning service takes nothing from here on. */
  refuse(): void {
    this.#isRefusing = true;
  }

  record(): ConflictRecord | undefined {
    return this.server.conflicts()[0];
  }

  #write(note: Note): void {
    this.server.change('note', 'n1', note, { scope: 'user:u' });
  }
}

function until(isTrue: () => boolean, listen: (look: () => void) => () => void): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!isTrue()) return;
      stop();
      resolve();
    };
    const stop = listen(look);
    look();
  });
}
