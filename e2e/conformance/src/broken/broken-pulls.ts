import type { AckRequest, Outcome, PullRequest, RemoteDelta } from '@sync/protocol';
import type { BrokenServer } from './broken-server.ts';
import { ACK, type Page, PULL, nothingNew, onAnswers, onPages, onPulls, without } from './change-answers.ts';
import { type Distortion, jsonOf } from './distorting-proxy.ts';

/** Longer than anybody waits for: what a device asked for plus 20 seconds (COMMON-20). */
const FOR_EVER_MS = 120_000;

const IN_ORDER = 'pull.test.ts › brings 100 appends to the second device once each, in order';
const LIMIT = 'pull.test.ts › keeps the limit exactly and continues where it stopped';
const RESET = 'pull.test.ts › resets on a null cursor only, on its first page only';
const DIGEST = 'pull.test.ts › answers a digest equal to the one computed by its definition';
const DELETION =
  'pull.test.ts › sends a deletion, leaves it out of the digest, and ' +
  'brings nothing deleted to a new device';
const NOT_HELD =
  'pull.test.ts › lists every scope that is not held as revoked and tells nothing else about it';
const ACKED = 'pull.test.ts › repeats terminal outcomes until they are acked';

const empty = (page: Page): Page => ({ ...page, reset: false, deltas: [] });

/** The first two of different entities change places. */
function swapped(deltas: readonly RemoteDelta[]): RemoteDelta[] {
  const [first, second, ...others] = deltas;
  const isPair = first !== undefined && second !== undefined && first.entityId !== second.entityId;
  return isPair ? [second, first, ...others] : [...deltas];
}

/** Goes on showing a conflict as it was while its user held the scope. */
function showTaken(): Distortion {
  const whole = new Map<string, RemoteDelta['data']>();
  return onPages((page) => {
    const deltas = page.deltas.map((delta) => {
      if (delta.entityType !== 'conflict' || delta.data === null) return delta;
      if (delta.data['omitted'] === undefined) whole.set(delta.entityId, delta.data);
      return { ...delta, data: whole.get(delta.entityId) ?? delta.data };
    });
    return { ...page, deltas };
  });
}

/** The tenant that a token names. */
function tenantOf(authorization: string | undefined): string {
  const claims = Buffer.from(authorization?.split('.')[1] ?? '', 'base64url').toString();
  return String((JSON.parse(claims) as { tid?: string }).tid);
}

/** Keeps what every tenant pulled, and shows it to others who ask for a scope of that name. */
function mixTenants(): Distortion {
  const seen = new Map<string, { readonly tenant: string; readonly deltas: RemoteDelta[] }>();
  return onPulls((body, _sent, asked) => {
    const tenant = tenantOf(asked.headers.authorization);
    const scopes = body.scopes.map((page): Page => {
      const other = seen.get(page.scope);
      if (other !== undefined && other.tenant !== tenant)
        return { ...page, deltas: [...other.deltas, ...page.deltas] };
      if (page.deltas.length > 0) seen.set(page.scope, { tenant, deltas: page.deltas });
      return page;
    });
    return { ...body, scopes };
  });
}

/** Goes on telling every outcome that it has told once, whatever was acked. */
function forgetAcks(): Distortion {
  const told = new Map<string, Outcome>();
  return onPulls((body) => {
    for (const outcome of body.outcomes) told.set(outcome.mutationId, outcome);
    return { ...body, outcomes: [...told.values()] };
  });
}

const isWaiting: (sent: PullRequest | null) => boolean = (sent) => (sent?.waitMs ?? 0) > 0;

/** Answers a waiting pull before anything is new. */
const hurry: Distortion = async (asked, forward) => {
  const sent = asked.path === PULL ? jsonOf<PullRequest>(asked) : null;
  if (!isWaiting(sent)) return forward();
  return nothingNew();
};

/** Keeps a waiting pull for longer than it asked. */
const keepWaiting: Distortion = async (asked, forward) => {
  const answer = await forward();
  const sent = asked.path === PULL ? jsonOf<PullRequest>(asked) : null;
  return isWaiting(sent) ? { ...answer, heldMs: FOR_EVER_MS } : answer;
};

/** Says once and for all that a device has not what the server has, and does nothing about it. */
function repairNothing(): Distortion {
  let isLied = false;
  const onAcks = onAnswers<unknown, AckRequest>(ACK, (body, sent) => {
    isLied ||= sent.cursors?.some(({ digest }) => digest !== undefined) ?? false;
    return body;
  });
  const onLater = onPulls((body) => {
    if (!isLied) return body;
    return { ...body, directives: [], scopes: body.scopes.map((page) => ({ ...page, reset: false })) };
  });
  return (asked, forward) => (asked.path === ACK ? onAcks : onLater)(asked, forward);
}

export const BROKEN_PULLS: readonly BrokenServer[] = [
  {
    fault: 'leaves out a delta',
    rule: 'PULL-1',
    check: IN_ORDER,
    breaks: () => onPages((page) => ({ ...page, deltas: page.deltas.filter((_delta, at) => at !== 1) })),
    isShort: true,
  },
  {
    fault: 'sends a delta twice',
    rule: 'PULL-1',
    check: IN_ORDER,
    breaks: () => onPages((page) => ({ ...page, deltas: [...page.deltas, ...page.deltas.slice(-1)] })),
  },
  {
    fault: 'brings deltas in another order',
    rule: 'PULL-1',
    check: IN_ORDER,
    breaks: () => onPages((page) => ({ ...page, deltas: swapped(page.deltas) })),
  },
  {
    fault: 'forges its own cursor',
    rule: 'PULL-1',
    check: IN_ORDER,
    breaks: () => onPages((page) => ({ ...page, cursor: `${page.cursor.slice(0, -4)}AAAA` })),
  },
  {
    fault: 'answers past the limit',
    rule: 'PULL-2',
    check: LIMIT,
    breaks: () =>
      onPages((page, { limit }) => {
        if (page.deltas.length !== limit) return page;
        return { ...page, deltas: [...page.deltas, ...page.deltas.slice(-1)] };
      }),
  },
  {
    fault: 'says that there is no more where there is',
    rule: 'PULL-2',
    check: LIMIT,
    breaks: () => onPages((page) => ({ ...page, hasMore: false })),
  },
  {
    fault: 'forgets that a pull starts anew (reset)',
    rule: 'PULL-3',
    check: RESET,
    breaks: () => onPages((page) => ({ ...page, reset: false })),
    isShort: true,
  },
  {
    fault: 'starts anew with every page (reset)',
    rule: 'PULL-3',
    check: RESET,
    breaks: () => onPages((page) => ({ ...page, reset: true })),
  },
  {
    fault: 'lies in the hash of the digest',
    rule: 'PULL-6',
    check: DIGEST,
    breaks: () =>
      onPages((page) => {
        return page.digest ? { ...page, digest: { ...page.digest, hash: 'f'.repeat(64) } } : page;
      }),
  },
  {
    fault: 'counts an entity too many in the digest',
    rule: 'PULL-6',
    check: DIGEST,
    breaks: () =>
      onPages((page) => {
        return page.digest ? { ...page, digest: { ...page.digest, count: page.digest.count + 1 } } : page;
      }),
  },
  {
    fault: 'says no digest',
    rule: 'PULL-6',
    check: DIGEST,
    breaks: () => onPages(({ digest: _left, ...page }) => page),
  },
  {
    fault: 'keeps deletions to itself',
    rule: 'PULL-7',
    check: DELETION,
    breaks: () => onPages((page) => ({ ...page, deltas: page.deltas.filter(({ op }) => op !== 'delete') })),
  },
  {
    fault: 'forgets to say that a scope is not held',
    rule: 'PULL-9',
    check: NOT_HELD,
    breaks: () => onPulls((body) => ({ ...body, revoked: [] })),
  },
  {
    fault: 'shows a page of a scope that is not held',
    rule: 'PULL-9',
    check: NOT_HELD,
    breaks: () =>
      onPulls((body) => {
        const page = { reset: true, deltas: [], cursor: 'AAAA', hasMore: false };
        return { ...body, scopes: [...body.scopes, ...body.revoked.map((scope) => ({ scope, ...page }))] };
      }),
  },
  {
    fault: 'serves the own scope alone where none is named',
    rule: 'PULL-10',
    check: 'pull.test.ts › answers everything granted when no scope is named',
    breaks: () =>
      onPulls((body, { scopes }) => {
        // Named scopes are served: it is no wonder that a device has what it asked for.
        return scopes ? body : { ...body, scopes: body.scopes.slice(0, 1) };
      }),
  },
  {
    fault: 'shows another tenant’s scope of the same name',
    rule: 'PULL-11',
    check: 'pull.test.ts › keeps tenants apart even for equal user ids',
    breaks: mixTenants,
    isShort: true,
  },
  {
    fault: 'answers a waiting pull before anything is new',
    rule: 'PULL-12',
    check: 'pull.test.ts › wakes a long poll as soon as something is new',
    breaks: () => hurry,
  },
  {
    fault: 'wakes a waiting pull without what is new',
    rule: 'PULL-12',
    check: 'pull.test.ts › wakes a long poll as soon as something is new',
    breaks: () =>
      onPulls((body, { waitMs = 0 }) => (waitMs > 0 ? { ...body, scopes: body.scopes.map(empty) } : body)),
  },
  {
    fault: 'holds a waiting pull beyond its time',
    rule: 'COMMON-20',
    check: 'pull.test.ts › ends a long poll after waitMs with an empty answer',
    breaks: () => keepWaiting,
  },
  {
    fault: 'loses the outcomes that a pull should bring',
    rule: 'PULL-13',
    check: ACKED,
    breaks: () => onPulls((body) => ({ ...body, outcomes: [] })),
  },
  {
    fault: 'goes on telling outcomes that were acked',
    rule: 'ACK-4',
    check: ACKED,
    breaks: forgetAcks,
  },
  {
    fault: 'leaves the owner out of the clock of its own change',
    rule: 'PULL-14',
    check: 'pull.test.ts › carries what the server itself changes, with the owner’s entry in the clock',
    breaks: () =>
      onPages((page) => ({ ...page, deltas: page.deltas.map((delta) => ({ ...delta, clock: {} })) })),
  },
  {
    fault: 'shows the conflicts of a scope that was taken away',
    rule: 'CONFLICT-18',
    check:
      'withdrawn-conflict.test.ts › shows what the user wrote and nothing of the server, ' +
      'until the course is held again',
    breaks: showTaken,
  },
  {
    fault: 'repairs nothing when a device holds something else',
    rule: 'ACK-3',
    check: 'ack.test.ts › repairs a digest mismatch with a full resync of that scope',
    breaks: repairNothing,
  },
  {
    fault: 'says of every ack that it advanced',
    rule: 'ACK-1',
    check: 'ack.test.ts › advances a cursor, and says unchanged or stale to a repeated or late one',
    breaks: () =>
      onAnswers<{ cursors: { status: string }[] }, unknown>(ACK, (body) => {
        return { ...body, cursors: body.cursors.map((cursor) => ({ ...cursor, status: 'advanced' })) };
      }),
  },
  {
    fault: 'answers nothing to an ack in a pull',
    rule: 'ACK-5',
    check: 'ack.test.ts › is carried out and answered, and is harmless to repeat: %s',
    breaks: () => onPulls((body) => without(body, 'ack')),
    isShort: true,
  },
];
