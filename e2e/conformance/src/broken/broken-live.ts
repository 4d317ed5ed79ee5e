import type { TicketResponse } from '@sync/protocol';
import type { BrokenServer } from './broken-server.ts';
import { onAnswers } from './change-answers.ts';
import { type Answer, type Faults, jsonOf, withJson } from './distorting-proxy.ts';

const TICKETS = '/sync/v1/tickets';
const NEWS = 'live.test.ts › says which scopes have something new';
const FIRST = 'live.test.ts › names every scope of the user as soon as the ticket is redeemed';
const TICKET = 'live.test.ts › gives a ticket of 30 s for one use';
const SEVERAL = 'live.test.ts › names every scope of a user who holds several';
const REPEATED = 'live.test.ts › gives tickets for a signed request for five seconds';
const EIGHT = 'live.test.ts › are eight: a ninth closes the oldest, after five seconds';
const SIXTEEN = 'live.test.ts › are sixteen for five seconds, and eight in the end';
const REVOKED = 'live.test.ts › closes with 4403 within one second of the device’s revocation';
/** Longer than a check waits. */
const FOR_EVER_MS = 120_000;

/** Shows the server another ticket where it is shown one again: each request for one is sent twice. */
function takeTwice(): Faults {
  const spare = new Map<string, string>();
  const seen = new Set<string>();
  const ticketIn = (answer: Answer): string => jsonOf<TicketResponse>(answer)?.ticket ?? '';
  return {
    answers: async (asked, forward) => {
      const answer = await forward();
      if (asked.path === TICKETS) spare.set(ticketIn(answer), ticketIn(await forward()));
      return answer;
    },
    live: {
      ticket: (ticket) => {
        const isUsed = seen.has(ticket);
        seen.add(ticket);
        return (isUsed ? spare.get(ticket) : undefined) ?? ticket;
      },
    },
  };
}

/** @param again makes of the first answer to a signed request what the same one is answered later */
function onRepetition(again: (first: Answer) => Answer): Faults {
  const firsts = new Map<unknown, Answer>();
  return {
    answers: async (asked, forward) => {
      const answer = await forward();
      if (asked.path !== TICKETS) return answer;
      const { signature } = asked.headers;
      const first = firsts.get(signature);
      if (!first) firsts.set(signature, answer);
      return first ? again(first) : answer;
    },
  };
}

/** Makes room for a ninth socket at once. */
function closeOldestAtOnce(): Faults {
  const open: ((code: number) => void)[] = [];
  return {
    live: {
      opened: (end) => {
        if (open.push(end) > 8) open.shift()?.(4409);
      },
    },
  };
}

const closeWith = (code: number): Faults => ({ live: { close: () => code } });

export const BROKEN_LIVE: readonly BrokenServer[] = [
  {
    fault: 'gives tickets for an hour',
    rule: 'LIVE-1',
    check: TICKET,
    breaks: () =>
      onAnswers<TicketResponse, unknown>(TICKETS, (body) => {
        return { ...body, expiresAt: new Date(Date.parse(body.serverTime) + 3_600_000).toISOString() };
      }),
  },
  {
    fault: 'takes a used ticket',
    rule: 'LIVE-1',
    check: TICKET,
    breaks: takeTwice,
    isShort: true,
  },
  {
    fault: 'takes any ticket',
    rule: 'LIVE-1',
    check: 'live.test.ts › refuses %s',
    breaks: () => ({
      live: {
        close: (_code, tell) => {
          tell({ scopes: [] });
          return null;
        },
      },
    }),
  },
  {
    fault: 'closes the socket of a forged ticket as if all were well',
    rule: 'LIVE-1',
    check: 'live.test.ts › refuses %s',
    breaks: () => closeWith(1000),
  },
  {
    fault: 'tells of no news',
    rule: 'LIVE-2',
    check: NEWS,
    breaks: () => ({ live: { notice: (notice, place) => (place === 0 ? notice : null) } }),
  },
  {
    fault: 'tells of news after minutes',
    rule: 'LIVE-2',
    check: NEWS,
    breaks: () => ({
      live: { notice: (notice, place) => (place === 0 ? notice : { ...notice, heldMs: FOR_EVER_MS }) },
    }),
  },
  {
    fault: 'names a scope that the user does not hold',
    rule: 'LIVE-2',
    check: NEWS,
    breaks: () => ({ live: { notice: ({ scopes }) => ({ scopes: [...scopes, 'user:somebody-else'] }) } }),
  },
  {
    fault: 'leaves the socket of a revoked device open',
    rule: 'LIVE-3',
    check: REVOKED,
    breaks: () => ({ live: { close: () => null } }),
  },
  {
    fault: 'closes the socket of a revoked device as if it stopped itself',
    rule: 'LIVE-3',
    check: REVOKED,
    breaks: () => closeWith(1012),
  },
  {
    fault: 'leaves nine sockets of a device open',
    rule: 'LIVE-4',
    check: EIGHT,
    breaks: () => ({ live: { close: () => null } }),
  },
  {
    fault: 'closes the oldest socket of a device as soon as a ninth comes',
    rule: 'LIVE-4',
    check: EIGHT,
    breaks: closeOldestAtOnce,
  },
  {
    fault: 'opens as many sockets of a device at once as it asks for',
    rule: 'LIVE-4',
    check: SIXTEEN,
    breaks: () => ({
      live: {
        close: (_code, tell) => {
          tell({ scopes: [] });
          return null;
        },
      },
    }),
  },
  {
    fault: 'gives a ticket for a captured request for ever',
    rule: 'LIVE-6',
    check: REPEATED,
    breaks: () => onRepetition((first) => ({ ...first })),
  },
  {
    fault: 'refuses a request for a ticket that is sent again at once',
    rule: 'LIVE-6',
    check: REPEATED,
    breaks: () => onRepetition((first) => withJson({ ...first, status: 401 }, { code: 'signature_invalid' })),
  },
  {
    fault: 'waits for a client that does not answer its close',
    rule: 'LIVE-7',
    check: 'live.test.ts › cuts off a forged ticket that does not answer its close',
    breaks: () => ({ live: { lingers: true } }),
  },
  {
    fault: 'waits for a revoked device that does not answer its close',
    rule: 'LIVE-7',
    check: 'live.test.ts › cuts off a revoked device that does not answer its close',
    breaks: () => ({ live: { lingers: true } }),
  },
  {
    fault: 'names one of several scopes at first',
    rule: 'LIVE-8',
    check: SEVERAL,
    breaks: () => ({
      live: {
        notice: (notice, place) => (place === 0 ? { scopes: notice.scopes.slice(0, 1) } : notice),
      },
    }),
  },
  {
    fault: 'says nothing at first',
    rule: 'LIVE-8',
    check: FIRST,
    breaks: () => ({ live: { notice: (notice, place) => (place === 0 ? null : notice) } }),
  },
  {
    fault: 'names no scope at first',
    rule: 'LIVE-8',
    check: FIRST,
    breaks: () => ({ live: { notice: (notice, place) => (place === 0 ? { scopes: [] } : notice) } }),
  },
];
