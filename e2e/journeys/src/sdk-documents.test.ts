import { MemoryDisk } from '@sync/client/memory';
import { type OpenDocument, type Replaced, openDocument } from '@sync/client/yjs';
import {
  AppDevice,
  type DeviceCredentials,
  type StackLine,
  bindDevice,
  changeOnServer,
  until,
} from '@sync/e2e-device';
import { randomUUID } from 'node:crypto';
import * as Y from 'yjs';

const ENTITIES = { document: {} };

/** Documents of the device SDK as an app uses them, on the whole platform. */
describe('the document of a course, on the SDK', () => {
  const urls = JSON.parse(process.env['STACK_JSON'] ?? '{}') as StackLine;
  const tenantId = `t-${randomUUID().slice(0, 8)}`;
  const running = new Set<AppDevice<typeof ENTITIES>>();
  afterEach(async () => {
    for (const device of running) await device.close();
    running.clear();
  });

  const open = async (userId: string, credentials: DeviceCredentials, disk = new MemoryDisk()) => {
    const device = await AppDevice.open({ urls, tenantId, userId, credentials, entities: ENTITIES }, disk);
    running.add(device);
    return device;
  };
  const becomes = (what: string, holds: () => boolean): Promise<void> =>
    until(what, async () => holds(), { limitMs: 60_000, pauseMs: 20 });

  /** A learner of the course, with one device that has the document. */
  const learner = async (courseId: string, documentId: string) => {
    const userId = `u-${randomUUID().slice(0, 8)}`;
    const disk = new MemoryDisk();
    const enrollment = { userId, courseId, status: 'active', enrolledAt: '2026-01-01T00:00:00.000Z' };
    await changeOnServer(urls.learning, tenantId, 'enrollment', randomUUID(), enrollment);
    const credentials = await bindDevice(urls, tenantId, userId);
    const { client } = await open(userId, credentials, disk);
    client.start();
    const document = openDocument(client.entity('document'), documentId);
    await document.whenLoaded;
    await becomes('the document is there', () => document.status.state === 'open');
    const replaced: Replaced[] = [];
    document.onReplaced((each) => replaced.push(each));
    const reopen = async () => {
      const device = await open(userId, credentials, disk);
      const again = openDocument(device.client.entity('document'), documentId);
      await again.whenLoaded;
      return { client: device.client, document: again };
    };
    return { client, document, replaced, disk, reopen };
  };
  type Learner = Awaited<ReturnType<typeof learner>>;
  /** Two learners of a new course, with a document that the server wrote. */
  const twoLearners = async (text: string) => {
    const [courseId, documentId] = [`c-${randomUUID().slice(0, 8)}`, randomUUID()];
    const write = (fields: object): Promise<void> =>
      changeOnServer(urls.authoring, tenantId, 'document', documentId, {
        ...{ courseId, title: 'Lesson', ...fields },
      });
    await write({ text });
    const one = await learner(courseId, documentId);
    const two = await learner(courseId, documentId);
    return { one, two, documentId, write };
  };

  const body = ({ doc }: OpenDocument): Y.Text => doc.getText('body');
  const textOf = (document: OpenDocument): string => body(document).toJSON();
  /** Letter by letter, each stored as an increment of its own. */
  const type = async (document: OpenDocument, at: number, letters: string): Promise<void> => {
    for (const [place, letter] of Array.from(letters).entries()) {
      body(document).insert(at + place, letter);
      await document.flush();
    }
  };
  const isSettled = ({ client, document: { status } }: Pick<Learner, 'client' | 'document'>): boolean =>
    client.status.pending === 0 && !status.isPending && status.problem === null;

  it('is typed in by two offline, one of whom starts again, and has every letter of both', async () => {
    const { one, two } = await twoLearners('shared ');
    for (const { client } of [one, two]) client.forceOffline();
    await type(one.document, 0, 'in a tunnel ');
    await type(two.document, 'shared '.length, 'on a plane');
    body(one.document).insert(0, '…');
    await one.document.destroy();
    await one.client.close();
    const again = await one.reopen();
    expect([textOf(again.document), again.document.status.isPending]).toEqual(['…in a tunnel shared ', true]);
    await type(again.document, textOf(again.document).length, 'again');

    again.client.start();
    two.client.forceOffline(false);
    const typed = ['…in a tunnel ', 'shared ', 'on a plane', 'again'];
    for (const each of [again, two]) {
      await becomes('it has every letter', () => typed.every((part) => textOf(each.document).includes(part)));
      await becomes('nothing waits', () => isSettled(each));
    }
    expect(textOf(two.document)).toBe(textOf(again.document));

    body(two.document).insert(0, 'live ');
    await becomes('the other sees it', () => textOf(again.document).startsWith('live '));
    await becomes('nothing waits', () => isSettled(two));
    expect(textOf(again.document)).toBe(textOf(two.document));
    expect([one.replaced, two.replaced]).toEqual([[], []]);
  });

  it('goes on where the server refuses an increment, and says what was refused', async () => {
    const { one, two } = await twoLearners('shared ');
    const refused = one.document;
    // This owner takes no nested types.
    refused.doc.getMap('marks').set('first', new Y.Map());
    await refused.flush();
    await becomes('another document has taken its place', () => one.replaced.length > 0);
    expect(one.replaced.map(({ reason, doc }) => [reason, doc])).toEqual([['refused', refused.doc]]);
    const [row] = await one.client.outcomes();
    expect(row).toMatchObject({ outcome: { status: 'rejected' }, mutation: { op: 'merge' } });
    const said = Y.decodeUpdate(Buffer.from(row?.mutation?.update ?? '', 'base64'));
    expect(said.structs).toHaveLength(1);

    await type(refused, 0, 'one ');
    body(two.document).insert(textOf(two.document).length, 'two');
    for (const each of [one, two]) {
      await becomes('both have what both typed', () => textOf(each.document) === 'one shared two');
      await becomes('nothing waits', () => isSettled(each));
    }
    expect([one.replaced.length, two.replaced]).toEqual([1, []]);
    expect(refused.doc.getMap('marks').size).toBe(0);
  });

  it('is another one after its owner has replaced it, also for who typed meanwhile', async () => {
    const { one, two, write } = await twoLearners('old ');
    one.client.forceOffline();
    body(one.document).insert(0, 'typed in the ');
    await one.document.flush();
    await write({ text: 'new ', replace: true });
    await becomes('the other has it', () => textOf(two.document) === 'new ');
    body(two.document).insert(0, 'quite ');
    one.client.forceOffline(false);
    for (const each of [one, two]) {
      await becomes('both have the new one', () => textOf(each.document) === 'quite new ');
      await becomes('nothing waits', () => isSettled(each));
    }
    const [mine, theirs] = [one, two].map(({ replaced }) =>
      replaced.map(({ reason, previous }) => [reason, previous.getText('body').toJSON()]),
    );
    expect(mine).toEqual([['new_epoch', 'typed in the old ']]);
    expect(theirs).toEqual([['new_epoch', 'old ']]);
    const outcomes = await one.client.outcomes();
    expect(outcomes.map(({ outcome }) => outcome.code)).toEqual(['document_replaced']);
  });
});
