import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ConflictDraft, JsonObject } from '@sync/domain';
import { Responder } from '@sync/messaging';
import {
  type ConflictSeen,
  type ExplainReply,
  type ExplainRequest,
  type LocalMutation,
  type Outcome,
  subjects,
} from '@sync/protocol';
import type { Author } from '../outcome/settlement.ts';
import { mutationOf, newAuthor, type PushRig, silent, startPushRig } from '../testing/push-rig.ts';

/**
 * One device makes an entity, edits it, deletes it and edits it again, as one does that was shown it once
 * more. Its owner takes no entity without its `userId`, which no patch has. Every change is right by itself:
 * what does not stand has to be in a record, in whatever order the changes arrive and whatever happens in
 * between.
 */
const TYPES = ['progress', 'note', 'enrollment', 'document'] as const;
/** Requests, each with places in the queue of put, patch, delete, patch. */
const REQUESTS = ['0123', '0 1 2 3', '3 2 1 0', '23 01', '01 23', '012 3', '3 012'];
/** `forgets`: it was restored from a backup of before its deletion, and writes the last patch after that. */
const COUNTS = ['counts its changes', 'leaves them out', 'forgets its deletion'] as const;
const MEANWHILE = [
  'nothing',
  'server writes',
  'server deletes',
  'other puts',
  'other patches',
  'other deletes',
];
const OWNERS = ['projected at once', 'projected late', 'its answers are lost'] as const;
/** Of all orders, because they take minutes; each owner is given other ones. */
const EVERY = 24;
const ATTEMPTS = 50;

interface Order {
  readonly type: (typeof TYPES)[number];
  readonly requests: readonly string[];
  readonly counts: (typeof COUNTS)[number];
  readonly meanwhile: string;
  /** Before which request. */
  readonly at: number;
}

interface Played {
  readonly told: string;
  readonly mutation: LocalMutation;
  readonly outcome: Outcome | undefined;
  readonly again: Outcome | undefined;
}

let rig: PushRig;
let projector: Responder;
beforeAll(async () => {
  rig = await startPushRig({ ownerTimeoutMs: 400 });
  rig.owner.requires = ['userId'];
  projector = new Responder({
    nats: rig.nats,
    subject: subjects.explain,
    queue: 'projector',
    handle: async (body) => explain(body as ExplainRequest),
    logger: silent,
  });
  await rig.nats.flush();
});
afterAll(async () => {
  await projector.stop();
  await rig.stop();
});

/** What was deleted before it was anywhere is in no scope. */
function explain({ tenantId, entityType, entityId }: ExplainRequest): ExplainReply {
  const entity = rig.owner.entity(tenantId, entityType, entityId);
  if (!entity || entity.data) return { entity: null, deadLetter: null };
  const { revision, clock } = entity;
  const known = { schemaVersion: 1, scopes: [], grants: [], projectedAt: new Date().toISOString() };
  return { entity: { revision, clock, deleted: true, ...known }, deadLetter: null };
}

function ordersOf(): Order[] {
  return TYPES.flatMap((type) =>
    REQUESTS.map((told) => told.split(' ')).flatMap((requests) =>
      COUNTS.flatMap((counts) =>
        MEANWHILE.flatMap((meanwhile) => {
          const places = meanwhile === 'nothing' ? [0] : requests.map((_request, place) => place);
          return places.map((at) => ({ type, requests, counts, meanwhile, at }));
        }),
      ),
    ),
  );
}

class Play {
  readonly author = newAuthor();
  readonly other = { ...this.author, deviceId: `${this.author.deviceId}-other` };
  readonly #order: Order;
  readonly #entityId = `e-${this.author.deviceId}`;
  readonly #written: LocalMutation[] = [];
  readonly #answers = new Map<string, Outcome>();

  constructor(order: Order) {
    this.#order = order;
  }

  async push(): Promise<void> {
    const queue = this.#queue();
    this.#written.push(...queue);
    for (const [place, request] of this.#order.requests.entries()) {
      if (place === this.#order.at) await this.#meanwhile();
      await this.#send(
        this.author,
        Array.from(request, Number).flatMap((index) => queue[index] ?? []),
      );
    }
  }

  get authors(): Author[] {
    return [this.author, this.other];
  }

  /** @returns whether all that was written has its end */
  async hasEnded(): Promise<boolean> {
    for (const author of this.authors) {
      for (const outcome of await rig.waiting(author)) this.#answers.set(outcome.mutationId, outcome);
    }
    return this.#written.every(({ mutationId }) => this.#answers.has(mutationId));
  }

  /** How everything ended, and what is answered to it when it comes once more. */
  async ends(): Promise<Played[]> {
    const again = await rig.push(this.author, this.#written);
    const { type, requests, counts, meanwhile, at } = this.#order;
    const told = `${type} ${requests.join(' ')}, ${counts}, ${meanwhile} before request ${at}`;
    return this.#written.map((mutation, place) => {
      const outcome = this.#answers.get(mutation.mutationId);
      return { told: `${told}: ${mutation.op}`, mutation, outcome, again: again[place] };
    });
  }

  #queue(): LocalMutation[] {
    const { counts } = this.#order;
    const own = `d:${this.author.deviceId}`;
    const forgets = counts === 'forgets its deletion';
    return (['put', 'patch', 'delete', 'patch'] as const).map((op, place) => {
      const counted = forgets && place === 3 ? 2 : place;
      const mutation = this.#change(this.author, op, `text ${place} of ${this.author.deviceId}`);
      const baseClock = counts === 'leaves them out' || counted === 0 ? {} : { [own]: counted };
      return { ...mutation, sequence: counted + 1, baseClock };
    });
  }

  #change(author: Author, op: LocalMutation['op'], text: string): LocalMutation {
    const whole = op === 'put' ? { userId: author.userId } : {};
    return mutationOf(author, {
      ...{ entityType: this.#order.type, entityId: this.#entityId, op },
      ...{ data: op === 'delete' ? null : { ...whole, text } },
    });
  }

  async #meanwhile(): Promise<void> {
    const { tenantId, userId } = this.author;
    const [who, what] = this.#order.meanwhile.split(' ');
    if (who === 'server') {
      const data = what === 'writes' ? { userId, text: 'of the server' } : null;
      // Who finds nothing to delete deletes nothing.
      if (!data && !rig.owner.entity(tenantId, this.#order.type, this.#entityId)?.data) return;
      await rig.owner.change(tenantId, this.#order.type, this.#entityId, data);
    }
    if (who !== 'other') return;
    const op = what === 'puts' ? 'put' : what === 'patches' ? 'patch' : 'delete';
    const mutation = this.#change(this.other, op, `other text of ${this.author.deviceId}`);
    this.#written.push(mutation);
    await this.#send(this.other, [mutation]);
  }

  async #send(author: Author, mutations: readonly LocalMutation[]): Promise<void> {
    for (const outcome of await rig.push(author, mutations)) {
      if (outcome.status !== 'accepted') this.#answers.set(outcome.mutationId, outcome);
    }
  }
}

async function playAll(orders: readonly Order[], owner: (typeof OWNERS)[number]): Promise<Played[]> {
  rig.owner.projectsAtOnce = owner === 'projected at once';
  rig.owner.mode = owner === 'its answers are lost' ? 'silent' : 'answers';
  const plays = orders.map((order) => new Play(order));
  await sideBySide(plays, (play) => play.push());
  rig.owner.mode = 'answers';
  rig.owner.projectsAtOnce = true;
  await rig.owner.projectAll();
  await endAll(plays);
  return (await sideBySide(plays, (play) => play.ends())).flat();
}

/** A breaker that opened while no answer came lets the owner be asked again after a while. */
async function endAll(plays: readonly Play[]): Promise<void> {
  let open = plays;
  for (let attempt = 1; open.length > 0 && attempt <= ATTEMPTS; attempt += 1) {
    const authors = open.flatMap((play) => play.authors);
    await sideBySide(authors, (author) => rig.makeDue(author));
    while ((await rig.dispatchDue(...authors)) > 0);
    const ended = await sideBySide(open, (play) => play.hasEnded());
    open = open.filter((_play, place) => !ended[place]);
    if (open.length > 0) await sleep(100);
  }
}

async function sideBySide<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const waiting = [...all.entries()];
  const next = async (): Promise<void> => {
    for (let one = waiting.shift(); one; one = waiting.shift()) results[one[0]] = await work(one[1]);
  };
  await Promise.all(Array.from({ length: 16 }, next));
  return results;
}

const essenceOf = (outcome: Outcome | undefined) => {
  const { status, code, conflictId } = outcome ?? {};
  return JSON.stringify({ status, code, conflictId });
};

describe('a patch of what its device has deleted', () => {
  it.each(OWNERS)('leaves no text without a record, whatever arrives first: %s', async (owner) => {
    const first = OWNERS.indexOf(owner) * (EVERY / OWNERS.length);
    const played = await playAll(
      ordersOf().filter((_order, place) => place % EVERY === first),
      owner,
    );
    const drafts = new Map(
      (await rig.syncEvents())
        .filter(({ type }) => type.startsWith('sync.conflict.'))
        .map(({ data }) => data as ConflictSeen)
        .map(({ conflictId, draft }) => [conflictId, draft as ConflictDraft]),
    );
    const broken = played.flatMap(({ told, mutation, outcome, again }) => {
      if (!outcome) return [`${told} has no end`];
      const said = essenceOf(outcome);
      if (again?.status !== 'accepted' && essenceOf(again) !== said)
        return [`${told} is ${said} and then ${essenceOf(again)}`];
      if (outcome.status === 'applied' || outcome.status === 'merged') return [];
      const text = (mutation.data as JsonObject | null)?.['text'];
      const kept = drafts.get(outcome.conflictId ?? '')?.theirs?.['text'];
      return text === undefined || kept === text ? [] : [`${told} is ${said}, its text is nowhere`];
    });
    expect(broken).toEqual([]);
    const codes = played.map(({ outcome }) => outcome?.code);
    expect(codes.filter((code) => code === 'data_invalid').length).toBeGreaterThan(0);
  });
});
