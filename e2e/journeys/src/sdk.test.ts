import type { EntityType } from '@sync/client';
import { MemoryDisk } from '@sync/client/memory';
import {
  AppDevice,
  type DeviceCredentials,
  type StackLine,
  bindDevice,
  changeOnServer,
  revokeDevice,
  until as becomes,
} from '@sync/e2e-device';
import { randomUUID } from 'node:crypto';

type Note = {
  readonly userId: string;
  readonly text: string;
};

/** As its owning service lifts it. */
const HIGHLIGHT: EntityType = {
  schemaVersion: 3,
  upcasters: [
    { from: 1, steps: [{ kind: 'rename', field: 'color', to: 'colour' }] },
    {
      from: 2,
      lift({ pages, ...others }) {
        const [firstPage, lastPage] = String(pages).split('-').map(Number);
        return { ...others, firstPage, lastPage };
      },
    },
  ],
};

/** The device SDK as an app uses it, on the whole platform. */
describe('two devices on the SDK', () => {
  const urls = JSON.parse(process.env['STACK_JSON'] ?? '{}') as StackLine;
  const tenantId = `t-${randomUUID().slice(0, 8)}`;
  const userId = `u-${randomUUID().slice(0, 8)}`;
  const running = new Set<{ stop(): void }>();
  afterEach(() => {
    for (const client of running) client.stop();
    running.clear();
  });

  const open = async (
    credentials: DeviceCredentials,
    disk = new MemoryDisk(),
    highlight: EntityType = { schemaVersion: 1 },
  ) => {
    const entities = { note: {}, highlight };
    const { client } = await AppDevice.open({ urls, tenantId, userId, credentials, entities }, disk);
    running.add(client);
    return client;
  };
  type Client = Awaited<ReturnType<typeof open>>;
  const notesOf = async (client: Client) => client.entity('note').load();
  const until = async (client: Client, holds: () => boolean): Promise<void> => {
    if (holds()) return;
    await new Promise<void>((resolve) => {
      const stops = [client.entity('note').subscribe(check), client.onStatus(check)];
      function check(): void {
        if (!holds()) return;
        for (const stop of stops) stop();
        resolve();
      }
    });
  };
  const note = (text: string): Note => ({ userId, text });

  it('write offline, survive a restart, and see each other', async () => {
    const [phone, tablet] = [
      await bindDevice(urls, tenantId, userId),
      await bindDevice(urls, tenantId, userId),
    ];
    const disk = new MemoryDisk();
    const before = await open(phone, disk);
    const id = randomUUID();
    const write = await before.entity('note').put(id, note('in a tunnel'));
    await before.entity('note').patch(id, { text: 'still in a tunnel' });
    expect([(await notesOf(before)).get(id)?.data, before.status.pending]).toEqual([
      note('still in a tunnel'),
      2,
    ]);
    await before.close();
    running.delete(before);

    const after = await open(phone, disk);
    const other = await open(tablet);
    const [mine, theirs] = [await notesOf(after), await notesOf(other)];
    expect(mine.get(id)?.data).toEqual(note('still in a tunnel'));
    after.start();
    other.start();
    await until(other, () => theirs.get(id) !== null);
    await until(other, () => (theirs.get(id)?.data as Note | undefined)?.text === 'still in a tunnel');
    await until(after, () => mine.get(id)?.isPending === false && after.status.pending === 0);
    expect(write.mutationId).toMatch(/^[0-9a-f-]{36}$/);
    await until(other, () => other.status.state === 'live');
    expect(other.status.scopes.map(({ scope, isDiffering }) => [scope, isDiffering])).toContainEqual([
      `user:${userId}`,
      false,
    ]);
  });

  it('wait for each tier of a write, and are told when it lost', async () => {
    const client = await open(await bindDevice(urls, tenantId, userId));
    const notes = await notesOf(client);
    client.start();
    const write = await notes.put(randomUUID(), note('on its way'));
    expect((await write.wait('applied'))?.status).toBe('applied');
    await write.wait('seen');
    const refused = await notes.put(randomUUID(), { userId, text: 5 });
    await expect(refused.wait('applied')).rejects.toMatchObject({ code: 'not_applied' });
    const [row] = await client.outcomes();
    expect([row?.outcome.status, row?.mutation?.data]).toEqual(['rejected', { userId, text: 5 }]);
    expect(notes.get(refused.entityId)).toBeNull();
    await client.dismiss(refused.mutationId);
    expect(await client.outcomes()).toEqual([]);
  });

  it('keep both sides of a collision, and decide it', async () => {
    const [one, two] = [
      await open(await bindDevice(urls, tenantId, userId)),
      await open(await bindDevice(urls, tenantId, userId)),
    ];
    const id = randomUUID();
    for (const client of [one, two]) client.start();
    const [first, second] = [await notesOf(one), await notesOf(two)];
    await (await first.put(id, note('as it was'))).wait('seen');
    await until(two, () => second.get(id) !== null);
    for (const client of [one, two]) client.forceOffline();
    const kept = await first.patch(id, { text: 'from one' });
    const lost = await second.patch(id, { text: 'from two' });
    expect([first.get(id)?.data, second.get(id)?.data]).toEqual([note('from one'), note('from two')]);
    one.forceOffline(false);
    await kept.wait('applied');
    two.forceOffline(false);
    await expect(lost.wait('applied')).rejects.toMatchObject({ outcome: { status: 'conflict' } });
    expect(second.get(id)?.data).toEqual(note('from one'));
    const conflictId = lost.outcome?.conflictId ?? '';
    let record = (await two.conflicts()).find((each) => each.conflictId === conflictId);
    while (!record) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      record = (await two.conflicts()).find((each) => each.conflictId === conflictId);
    }
    const resolved = await two.resolve(conflictId, { kind: 'keep_client' });
    expect(resolved.status).toBe('resolved');
    await until(one, () => (first.get(id)?.data as Note | undefined)?.text === 'from two');
  });

  it('push what an app wrote before it was updated, as the present one would have written it', async () => {
    const credentials = await bindDevice(urls, tenantId, userId);
    const disk = new MemoryDisk();
    const older = await open(credentials, disk);
    const id = randomUUID();
    const mark = { userId, courseId: 'c1', quote: 'a word' };
    await older.entity('highlight').put(id, { ...mark, color: 'red', pages: '3-4' });
    await older.close();
    running.delete(older);

    const updated = await open(credentials, disk, HIGHLIGHT);
    const highlights = await updated.entity('highlight').load();
    const lifted = { ...mark, colour: 'red', firstPage: 3, lastPage: 4 };
    expect(highlights.get(id)?.data).toEqual(lifted);
    updated.start();
    const other = await open(await bindDevice(urls, tenantId, userId), new MemoryDisk(), HIGHLIGHT);
    const theirs = await other.entity('highlight').load();
    other.start();
    while (!theirs.get(id)) await new Promise((resolve) => theirs.subscribe(resolve));
    expect([theirs.get(id)?.data, await updated.outcomes(), other.status.newerTypes]).toEqual([
      lifted,
      [],
      [],
    ]);
  });

  it('hear by a socket when there is something to pull', async () => {
    const one = await open(await bindDevice(urls, tenantId, userId));
    const two = await open(await bindDevice(urls, tenantId, userId));
    for (const client of [one, two]) {
      client.start();
      const hasSocket = async (): Promise<boolean> => client.debug().engine.hasSocket;
      await becomes('a socket', hasSocket, { limitMs: 60_000, pauseMs: 50 });
    }
    const theirs = await notesOf(two);
    const write = await one.entity('note').put(randomUUID(), note('by a hint'));
    await until(two, () => theirs.get(write.entityId) !== null);
    expect([one, two].map((client) => client.debug().engine.hasSocket)).toEqual([true, true]);
  });

  it('see what the server does by itself, and remove everything when they are revoked', async () => {
    const credentials = await bindDevice(urls, tenantId, userId);
    const disk = new MemoryDisk();
    const client = await open(credentials, disk);
    const notes = await notesOf(client);
    client.start();
    const id = randomUUID();
    await changeOnServer(urls.learning, tenantId, 'note', id, { ...note('from a clerk') });
    await until(client, () => notes.get(id) !== null);
    await revokeDevice(urls, credentials.deviceId);
    await until(client, () => client.status.state === 'revoked' && notes.get(id) === null);
    expect(client.status.reason).toBe('device_revoked');
    // What is left is that it was revoked.
    const left = [...disk.tables].filter(([, rows]) => rows.size > 0).map(([table]) => table);
    expect(left).toEqual(['meta']);
  });
});
