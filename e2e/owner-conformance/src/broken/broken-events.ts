import type { DomainEvent } from '@sync/protocol';
import type { BrokenOwner } from './broken-owner.ts';
import type { OnPush } from './owner-proxy.ts';

const WHOLE = 'events.test.ts › tells of each change once: a CloudEvent with the whole entity';
const WRITER = 'events.test.ts › tells who made a change, when, and what repeats a value';
const DELETION =
  'events.test.ts › tells of a deletion without data, and counts on when the entity is made again';

/** An event that looks right, of something that has not happened. */
const eventOf = (tenantid: string, entityid: string, revision: number): DomainEvent => ({
  ...{ specversion: '1.0', id: crypto.randomUUID(), source: '/services/bookmarks' },
  ...{ type: 'bookmarks.bookmark.changed.v1', time: new Date().toISOString() },
  ...{ tenantid, entitytype: 'bookmark', entityid, revision, data: {} },
});

/** Publishes first, and stores when somebody has seen it. */
const tellBefore: OnPush = async (request, forward, proxy) => {
  for (const { entityId, expectedRevision } of request.mutations)
    proxy.publish(eventOf(request.tenantId, entityId, expectedRevision + 1));
  await proxy.awaitLook();
  return forward(request);
};

/** Publishes as soon as somebody asks for a change, whatever becomes of it. */
const tellRefusals: OnPush = async (request, forward, proxy) => {
  const reply = await forward(request);
  for (const { mutationId, entityId, expectedRevision } of request.mutations) {
    const result = reply.results.find((one) => one.mutationId === mutationId);
    if (result?.status === 'conflict')
      proxy.publish(eventOf(request.tenantId, entityId, expectedRevision + 1));
  }
  return reply;
};

/** Removes the row, and with it the number of the last revision. */
const forgetDeleted: OnPush = async (request, forward) => {
  const { results } = await forward(request);
  return {
    results: results.map((result) => {
      if (result.status !== 'conflict' || !result.current.deleted) return result;
      return { ...result, current: { revision: 0, data: null, deleted: false } };
    }),
  };
};

export const BROKEN_EVENTS: readonly BrokenOwner[] = [
  {
    fault: 'loses an event',
    rule: 'OWNER-5',
    check: WHOLE,
    breaks: () => ({ events: (event) => (event.revision === 2 ? [] : [event]) }),
  },
  {
    fault: 'tells of a change twice, each time as an event of its own',
    rule: 'OWNER-5',
    check: WHOLE,
    breaks: () => ({ events: (event) => [event, { ...event, id: `${event.id}-again` }] }),
  },
  {
    fault: 'publishes what is no CloudEvent',
    rule: 'OWNER-6',
    check: WHOLE,
    breaks: () => ({ events: ({ specversion: _left, ...event }) => [event] }),
  },
  {
    fault: 'tells what was changed, not what the entity is now',
    rule: 'OWNER-5',
    check: WHOLE,
    breaks: () => ({
      events: (event) => [event.revision > 1 ? { ...event, data: { page: event.data?.['page'] } } : event],
    }),
  },
  {
    fault: 'skips a revision in its events',
    rule: 'OWNER-5',
    check: WHOLE,
    breaks: () => ({
      events: (event) => [event.revision > 2 ? { ...event, revision: event.revision + 1 } : event],
    }),
  },
  {
    fault: 'gives all its events one id',
    rule: 'OWNER-5',
    check: 'events.test.ts › gives each event an id of its own',
    breaks: () => ({ events: (event) => [{ ...event, id: 'changed' }] }),
  },
  {
    fault: 'leaves the change out of the clock of its event',
    rule: 'CLOCK-4',
    check: 'events.test.ts › tells in the clock of an event, where it has one, which change it was',
    breaks: () => ({ events: (event) => [{ ...event, entityclock: '{"s:bookmarks":1}' }] }),
  },
  {
    fault: 'tells of changes of devices as if they were its own',
    rule: 'OWNER-20',
    check: WRITER,
    breaks: () => ({
      events: ({ mutationid: _id, mutationclock: _clock, mutationdevice: _device, ...event }) => [event],
    }),
  },
  {
    fault: 'does not tell when a device made a change',
    rule: 'OWNER-20',
    check: WRITER,
    breaks: () => ({ events: ({ mutationtime: _left, ...event }) => [event] }),
    isShort: true,
  },
  {
    fault: 'does not tell what was written without a change',
    rule: 'OWNER-20',
    check: WRITER,
    breaks: () => ({ events: ({ mutationwrites: _left, ...event }) => [event] }),
  },
  {
    fault: 'tells of a change before it is stored',
    rule: 'OWNER-5',
    check: 'events.test.ts › tells of a change only when it is stored',
    breaks: () => ({ push: tellBefore }),
    isShort: true,
  },
  {
    fault: 'tells of a change that it did not make',
    rule: 'OWNER-5',
    check: 'events.test.ts › tells nothing of what changed nothing',
    breaks: () => ({ push: tellRefusals }),
  },
  {
    fault: 'shows in the event of a deletion what was deleted',
    rule: 'OWNER-5',
    check: DELETION,
    breaks: () => {
      return { events: (event) => [event.data === null ? { ...event, data: { page: 'gone' } } : event] };
    },
  },
  {
    fault: 'forgets the revision of what was deleted',
    rule: 'OWNER-4',
    check: DELETION,
    breaks: () => ({ push: forgetDeleted }),
  },
  {
    fault: 'skips a number',
    rule: 'OWNER-9',
    check: 'events.test.ts › numbers its messages without a gap, where it numbers them',
    breaks: () => ({ numbers: (place) => (place > 5 ? place + 1 : place) }),
  },
];
