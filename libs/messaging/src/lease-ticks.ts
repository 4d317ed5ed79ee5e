import type { Database } from '@sync/postgres';
import { Wakeup } from './pacing.ts';

/** What one group asks with a tick. */
export interface TickRequest {
  readonly group: string;
  readonly holder: string;
  readonly names: readonly string[];
  readonly ttlMs: number;
}

/** What it gets: a row for each lease that it holds, or one without a name. */
export interface TickRow {
  readonly name: string | null;
  readonly token: string | null;
  readonly target: number;
  readonly next_expiry_ms: number | null;
}

/** A group whose leases are kept alive together with those of others. */
export interface TickedGroup {
  /** Called when a tick begins. */
  ask(): TickRequest;
  /** @returns within how many milliseconds it wants the next tick */
  hear(rows: readonly TickRow[]): number;
  /** @returns the same, after a tick that failed */
  fail(error: unknown): number;
}

type Calls = Pick<Database, 'call'>;

const ticksOf = new WeakMap<Calls, LeaseTicks>();

/** The ticks of a database in this process. */
export function leaseTicks(database: Calls): LeaseTicks {
  let ticks = ticksOf.get(database);
  if (ticks === undefined) {
    ticks = new LeaseTicks(database);
    ticksOf.set(database, ticks);
  }
  return ticks;
}

/**
 * In the order of their names in every process: two that start together insert the same missing names, and
 * one waits for the other instead of both for each other.
 */
const TICK_TEXT = `
SELECT g.place::integer AS place, t.name, t.token, t.target, t.next_expiry_ms
FROM unnest($1::text[], $2::text[], $3::integer[]) WITH ORDINALITY AS g (name, holder, ttl_ms, place)
CROSS JOIN LATERAL sync_lease_tick(g.name, g.holder,
  ARRAY (SELECT n.name FROM unnest($4::text[], $5::integer[]) AS n (name, place) WHERE n.place = g.place),
  g.ttl_ms) AS t`;

/**
 * Keeps the leases of all groups of this process in one database alive: one statement for all of them,
 * whenever the first one needs it. Most of what a tick costs, here and in Postgres, is the round trip and the
 * commit.
 */
export class LeaseTicks {
  readonly #database: Calls;
  readonly #groups = new Set<TickedGroup>();
  readonly #wakeup = new Wakeup();
  #ticking: Promise<number> | undefined;
  #running: Promise<void> | undefined;

  constructor(database: Calls) {
    this.#database = database;
  }

  join(group: TickedGroup): void {
    this.#groups.add(group);
    this.soon();
    this.#running ??= this.#run();
  }

  /** Resolves when no tick with the group is under way any more. */
  async leave(group: TickedGroup): Promise<void> {
    this.#groups.delete(group);
    this.soon();
    await this.#ticking;
  }

  /** The next tick begins at once, or after the one that is under way. */
  soon(): void {
    this.#wakeup.wake();
  }

  async #run(): Promise<void> {
    while (this.#groups.size > 0) {
      this.#ticking = this.#tick();
      const pauseMs = await this.#ticking;
      if (this.#groups.size > 0) await this.#wakeup.sleep(pauseMs);
    }
    this.#running = undefined;
  }

  /** @returns milliseconds until the next tick */
  async #tick(): Promise<number> {
    const asked = [...this.#groups].map((group) => ({ group, request: group.ask() }));
    asked.sort((a, b) => compareText(a.request.group, b.request.group));
    const told = await this.#ask(asked.map(({ request }) => request)).catch((error: unknown) => ({ error }));
    const pauses = asked.flatMap(({ group }, place) => {
      if (!this.#groups.has(group)) return [];
      return 'error' in told ? group.fail(told.error) : group.hear(told.get(place + 1) ?? []);
    });
    return Math.min(...pauses);
  }

  async #ask(requests: readonly TickRequest[]): Promise<Map<number, TickRow[]>> {
    const rows = await this.#database.call<TickRow & { readonly place: number }>(
      'sync_lease_ticks',
      TICK_TEXT,
      [
        requests.map(({ group }) => group),
        requests.map(({ holder }) => holder),
        requests.map(({ ttlMs }) => ttlMs),
        requests.flatMap(({ names }) => names),
        requests.flatMap(({ names }, place) => names.map(() => place + 1)),
      ],
    );
    return Map.groupBy(rows, ({ place }) => place);
  }
}

function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
