import { randomUUID } from 'node:crypto';
import { DriverDevice, type StackLine, bindDevice, changeOnServer, until } from '@sync/e2e-device';
import { applyUpdate, Doc } from 'yjs';

/** A user with three devices: two that write, one that shows what arrived. */
export interface Learner {
  readonly userId: string;
  readonly scope: string;
  readonly writer: DriverDevice;
  /** Writes the same progress as `writer`, without having seen it. */
  readonly rival: DriverDevice;
  readonly reader: DriverDevice;
  readonly noteId: string;
  readonly progressId: string;
  /** A document of the course, as `writer` has it. */
  readonly document: { readonly scope: string; readonly entityId: string; readonly doc: Doc };
}

export const FIRST_WORDS = 'In the beginning.';

/** Where a learner's requests go, and the services in which a clerk prepares a course. */
export interface Places {
  readonly gatewayUrl: string;
  readonly stack: StackLine;
  readonly tenantId: string;
}

/** Binds the devices and waits until the writer has the document of its course. */
export async function enroll({ gatewayUrl, stack, tenantId }: Places): Promise<Learner> {
  const [userId, courseId, entityId] = [`u-${randomUUID()}`, `c-${randomUUID()}`, randomUUID()];
  const bind = async (): Promise<DriverDevice> =>
    new DriverDevice(gatewayUrl, await bindDevice(stack, tenantId, userId));
  const writer = await bind();
  const enrolled = { userId, courseId, status: 'active', enrolledAt: '2026-01-01T00:00:00.000Z' };
  await changeOnServer(stack.learning, tenantId, 'enrollment', randomUUID(), enrolled);
  const page = { courseId, title: 'Notes', text: FIRST_WORDS };
  await changeOnServer(stack.authoring, tenantId, 'document', entityId, page);
  const scope = `course:${courseId}`;
  const doc = new Doc();
  await until(
    'the document arrives',
    async () => {
      await writer.sync();
      const { update } = writer.scopes.get(scope)?.entities.get(`document/${entityId}`) ?? {};
      if (update !== undefined) applyUpdate(doc, Buffer.from(update, 'base64'));
      return update !== undefined;
    },
    { limitMs: 60_000, pauseMs: 100 },
  );
  return {
    userId,
    scope: `user:${userId}`,
    writer,
    rival: await bind(),
    reader: await bind(),
    noteId: randomUUID(),
    progressId: randomUUID(),
    document: { scope, entityId, doc },
  };
}
