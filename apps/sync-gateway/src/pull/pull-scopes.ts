import { partitionOf } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import { STREAMS } from '@sync/protocol';
import { ProblemError, toProblem } from '@sync/service-kit';
import type { Caller } from '../access/caller.ts';
import { FairPlaces } from '../fairness/fair-places.ts';
import type { GatewayMemory } from '../heads/gateway-memory.ts';
import { type AnsweredPage, answerOfRows, type PullAnswer } from './compose-answer.ts';
import type { CursorTokens } from './cursor-token.ts';
import type { DecodedPull } from './decode-pull.ts';
import type { SendDifferences } from './send-differences.ts';
import type { PullMetrics } from './pull-metrics.ts';
import { type AskedScope, type PageRow, type PullRow, readPull } from './pull-store.ts';
import type { NoRoom, WaitingPulls } from './waiting-pulls.ts';

/** How `device_fingerprint` (pull.sql) ends while outcomes wait for their device. */
const OUTCOMES_WAIT = ' t';

export interface PullScopesOptions {
  readonly database: Pick<Database, 'call'>;
  readonly memory: GatewayMemory;
  readonly waiting: WaitingPulls;
  readonly tokens: CursorTokens;
  readonly metrics: PullMetrics;
  readonly differences: SendDifferences;
  /** Connections that pulls may take at once. */
  readonly maxReads: number;
}

/** An answer and whether anything in it is new to the device. */
interface Reading {
  readonly answer: PullAnswer;
  readonly isNews: boolean;
}

/**
 * A pull: from memory when nothing is new and that is certain, else from the database in one round trip. With
 * `waitMs` it is repeated when something may have happened, until it has something to say or the time is
 * over.
 */
export class PullScopes {
  readonly #options: PullScopesOptions;
  readonly #reads: FairPlaces;

  constructor(options: PullScopesOptions) {
    this.#options = options;
    this.#reads = new FairPlaces({ places: options.maxReads });
  }

  /**
   * @param signal aborted when the client has gone: then the answer is worth nothing and the wait ends
   * @param onWait told when it begins to wait for news
   * @throws the driver's error when the database is away before the wait; ProblemError `unavailable` or
   * `rate_limited` when too many pulls wait, `device_revoked` when the device is revoked during its wait
   */
  async pull(
    caller: Caller,
    pull: DecodedPull,
    signal: AbortSignal,
    onWait: () => void = () => undefined,
  ): Promise<PullAnswer> {
    const { waiting, metrics } = this.#options;
    const { asked } = pull;
    const untilMs = performance.now() + pull.waitMs;
    let reading = this.#fromMemory(caller, asked) ?? (await this.#fromDatabase(caller, pull));
    const granted = new Set(reading.answer.granted);
    while (!reading.isNews && asked && performance.now() < untilMs) {
      const noRoom = waiting.noRoom(caller);
      if (noRoom) throw tooManyWaiting(noRoom);
      onWait();
      const why = await waiting.wait({
        device: caller,
        scopes: asked.map(({ scope }) => scope),
        waitMs: untilMs - performance.now(),
        isQuiet: () => this.#quietAnswer(caller, asked) !== null,
        signal,
      });
      if (why === 'revoked') throw new ProblemError('device_revoked', 'The device was revoked');
      if (why !== 'news') break;
      reading = this.#fromMemory(caller, asked) ?? (await this.#again(caller, pull, reading));
      // A scope that was granted during the wait is news; one that the device leaves aside is not, again and
      // again.
      if (reading.answer.granted.some((scope) => !granted.has(scope))) break;
    }
    metrics.answered(reading.isNews);
    return reading.answer;
  }

  /**
   * While waiting, a database that is away for a moment is no reason to fail: nothing new is known, and the
   * wait goes on.
   */
  async #again(caller: Caller, pull: DecodedPull, before: Reading): Promise<Reading> {
    try {
      return await this.#fromDatabase(caller, pull);
    } catch (error) {
      if (toProblem(error).code !== 'unavailable') throw error;
      return before;
    }
  }

  #fromMemory(caller: Caller, asked: DecodedPull['asked']): Reading | null {
    if (!asked) return null;
    const answer = this.#quietAnswer(caller, asked);
    if (!answer) return null;
    this.#options.metrics.fromMemory();
    return { answer, isNews: false };
  }

  /** What a pull at these cursors answers, if it is certain without asking that nothing is new. */
  #quietAnswer(caller: Caller, asked: readonly AskedScope[]): PullAnswer | null {
    const { memory } = this.#options;
    const nowMs = performance.now();
    const known = memory.findDevice(caller, nowMs);
    if (!known) return null;
    const pages: AnsweredPage[] = [];
    for (const { scope, token, position } of asked) {
      if (!position || token === null || known.generations.get(scope) !== position.generation) return null;
      const head = memory.findHead({ tenantId: caller.tenantId, scope }, nowMs);
      if (head?.sequence !== position.sequence || head.epoch !== position.epoch) return null;
      if (head.origin !== position.origin) return null;
      const { count, hash } = head;
      pages.push({ scope, reset: false, parts: [], cursor: token, hasMore: false, count, hash });
    }
    return { pages, revoked: [], outcomes: '', directives: [], granted: known.granted };
  }

  async #fromDatabase(caller: Caller, { asked, limit }: DecodedPull): Promise<Reading> {
    const { memory, database, metrics } = this.#options;
    const partition = partitionOf(`${caller.tenantId}\0${caller.deviceId}`, STREAMS.SYNC_EVENTS.partitions);
    const { turn, readAtMs, ...read } = await this.#reads.run(
      { tenantId: caller.tenantId, callerId: caller.deviceId },
      async () => ({
        turn: memory.turn,
        readAtMs: performance.now(),
        rows: await readPull(database, caller, asked, limit, partition),
      }),
    );
    const rows = asked ? await this.#options.differences.inPages(read.rows, asked) : read.rows;
    const byScope = new Map((asked ?? []).map((each) => [each.scope, each]));
    let isNews = false;
    const answer = answerOfRows(rows, (page) => {
      const before = byScope.get(page.scope);
      const stays = isUnmoved(page, before);
      if (page.reason !== null) metrics.reset(page.reason);
      if (!stays) isNews = true;
      return stays && before?.token ? before.token : this.#options.tokens.mint(caller, page.scope, page);
    });
    isNews ||= answer.revoked.length > 0 || answer.outcomes !== '' || answer.directives.length > 0;
    this.#rememberRows(caller, rows, answer, turn, readAtMs, isNews);
    return { answer, isNews };
  }

  /**
   * Heads are worth remembering for everybody; the device only when it is in good order, which is what makes
   * an empty pull.
   */
  #rememberRows(
    caller: Caller,
    rows: readonly PullRow[],
    answer: PullAnswer,
    turn: GatewayMemory['turn'],
    readAtMs: number,
    isNews: boolean,
  ): void {
    const { memory } = this.#options;
    const generations = new Map<string, string>();
    let fingerprint: string | null = null;
    for (const row of rows) {
      if (row.kind === 'device') fingerprint = row.reason;
      if (row.kind !== 'scope') continue;
      generations.set(row.scope, row.generation);
      if (row.has_more) continue;
      const { origin, epoch, sequence, live_count: count, hash } = row;
      const scope = { tenantId: caller.tenantId, scope: row.scope };
      memory.rememberHead(scope, { origin, epoch, sequence, count, hash }, turn, readAtMs);
    }
    // Outcomes that wait, and are no news: they cannot be shown yet, and only the database knows when they can.
    if (isNews || fingerprint === null || fingerprint.endsWith(OUTCOMES_WAIT)) return;
    const { tenantId, userId, deviceId } = caller;
    const device = { tenantId, userId, deviceId };
    memory.rememberDevice(
      { device, fingerprint, generations, granted: answer.granted, checkedAtMs: readAtMs },
      turn,
      readAtMs,
    );
  }
}

/** Nothing in the page is new to a device at this position. */
function isUnmoved(page: PageRow, before: AskedScope | undefined): boolean {
  const position = before?.position;
  return (
    page.reason === null &&
    page.item_count === 0 &&
    !page.has_more &&
    position?.sequence === page.sequence &&
    position.epoch === page.epoch &&
    position.floor === page.floor
  );
}

function tooManyWaiting(noRoom: NoRoom): ProblemError {
  const headers = { 'retry-after': '5' };
  return noRoom === 'device'
    ? new ProblemError('rate_limited', 'Too many pulls of this device are waiting', { headers })
    : new ProblemError('unavailable', 'Too many pulls are waiting here; pull without waitMs, or later', {
        headers,
      });
}
