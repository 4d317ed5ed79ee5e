import { randomUUID } from 'node:crypto';
import type { Transport } from '@sync/client';
import { type OpenDocument, openDocument } from '@sync/client/yjs';
import {
  type LearnerDevice,
  type StackLine,
  bindLearnerDevice,
  changeOnServer,
  until,
} from '@sync/e2e-device';
import type { PullResponse } from '@sync/protocol';
import type { Traffic } from './traffic.ts';

/** A user with three devices: two that write, one that shows what arrived. */
export interface Learner {
  readonly userId: string;
  /** Has a socket, as `reader` has. */
  readonly writer: LearnerDevice;
  /** Writes the same progress as `writer`. Its pulls wait for news. */
  readonly rival: LearnerDevice;
  readonly reader: LearnerDevice;
  /** The ids of statements, as often as the reader has pulled them. */
  readonly pulledStatements: readonly string[];
  readonly noteId: string;
  readonly progressId: string;
  /** A document of the course, open on both. */
  readonly document: { readonly writer: OpenDocument; readonly reader: OpenDocument };
}

export const FIRST_WORDS = 'In the beginning.';
const ARRIVES = { limitMs: 60_000, pauseMs: 100 };

/** Where a learner's requests go, and the services in which a clerk prepares a course. */
export interface Surroundings {
  readonly gatewayUrl: string;
  readonly stack: StackLine;
  readonly tenantId: string;
  readonly traffic: Traffic;
}

type Through = (transport: Transport) => Transport;

/** Binds a device of the SDK, which is counted. Without a socket its pulls wait for news. */
function bind(
  { gatewayUrl, stack, tenantId, traffic }: Surroundings,
  userId: string,
  hasSocket: boolean,
  through: Through = (transport) => transport,
): Promise<LearnerDevice> {
  const urls = { gateway: gatewayUrl, identity: stack.identity };
  return bindLearnerDevice(urls, tenantId, userId, {
    hasSocket,
    through: (transport) => traffic.through(through(transport)),
  });
}

/** Two devices of a user for whom nothing changes: the socket of one is silent, a pull of the other waits. */
export async function enrollQuiet(surroundings: Surroundings): Promise<LearnerDevice[]> {
  const userId = `u-${randomUUID()}`;
  return [await bind(surroundings, userId, true), await bind(surroundings, userId, false)];
}

/** Binds the devices and waits until they have the document of their course. */
export async function enroll(surroundings: Surroundings): Promise<Learner> {
  const { stack, tenantId } = surroundings;
  const [userId, courseId, entityId] = [`u-${randomUUID()}`, `c-${randomUUID()}`, randomUUID()];
  const pulledStatements: string[] = [];
  const enrolled = { userId, courseId, status: 'active', enrolledAt: '2026-01-01T00:00:00.000Z' };
  await changeOnServer(stack.learning, tenantId, 'enrollment', randomUUID(), enrolled);
  const page = { courseId, title: 'Notes', text: FIRST_WORDS };
  await changeOnServer(stack.authoring, tenantId, 'document', entityId, page);
  const writer = await bind(surroundings, userId, true);
  const reader = await bind(surroundings, userId, true, notingStatements(pulledStatements));
  const [mine, theirs] = [writer, reader].map(({ client }) =>
    openDocument(client.entity('document'), entityId),
  ) as [OpenDocument, OpenDocument];
  const isOpen = async (): Promise<boolean> => mine.status.state === 'open' && theirs.status.state === 'open';
  await until('the document arrives', isOpen, ARRIVES);
  return {
    userId,
    writer,
    rival: await bind(surroundings, userId, false),
    reader,
    pulledStatements,
    noteId: randomUUID(),
    progressId: randomUUID(),
    document: { writer: mine, reader: theirs },
  };
}

function notingStatements(ids: string[]): Through {
  return (transport) => ({
    ...transport,
    send: async (call) => {
      const answer = await transport.send<never>(call);
      if (answer.ok && call.path === '/sync/v1/pull') {
        const deltas = (answer.body as PullResponse).scopes.flatMap((page) => page.deltas);
        ids.push(...deltas.filter(({ entityType }) => entityType === 'statement').map((one) => one.entityId));
      }
      return answer;
    },
  });
}
