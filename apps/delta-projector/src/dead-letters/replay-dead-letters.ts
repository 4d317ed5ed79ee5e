import { shorten, readJson } from '@sync/domain';
import { groupsThatFit, RemoteError } from '@sync/messaging';
import { retryConflicts, type Tx } from '@sync/postgres';
import { DeadLetterReplayRequest, validator, type DeadLetterReplayReply } from '@sync/protocol';
import type { AskingDatabase } from '../projection/asking-database.ts';
import { loadHeads, type EntityRef } from '../projection/heads-store.ts';
import { incomingEvent, type IncomingEvent } from '../projection/incoming-event.ts';
import { entityKey } from '../projection/project-entities.ts';
import type { EventOutcome, ProjectEvents } from '../projection/project-events.ts';
import { readEvent } from '../projection/read-events.ts';
import { storableCause } from './dead-letter-store.ts';
import { faultsText } from './list-dead-letters.ts';

/** Which quarantined letters of one tenant. `codes`: only these causes. */
export interface LetterChoice {
  readonly tenantId: string;
  readonly ids?: readonly string[];
  readonly entityType?: string;
  readonly entityId?: string;
  readonly codes?: readonly string[];
}

interface WaitingLetter {
  readonly id: string;
  readonly producer: string;
  readonly entity_type: string | null;
  readonly entity_id: string | null;
  /** Of its event. */
  readonly bytes: number;
}

type FailedLetter = DeadLetterReplayReply['failed'][number];
type Failure = Extract<EventOutcome, { kind: 'refused' }> & { readonly id: string };

/** What one step did, and the last letter that it looked at. */
interface Step {
  readonly replayed: number;
  readonly failed: readonly FailedLetter[];
  readonly last: string | null;
}

const checkRequest = validator(DeadLetterReplayRequest);
/** One transaction. Below the consumer's batches: a replay waits for nobody and nobody should wait for it. */
const LETTERS_PER_STEP = 200;
/** One request; `remaining` says whether to ask again. */
const LETTERS_PER_REQUEST = 1_000;
/** In the reply, which is one message; the letter itself keeps all of it. */
const MAX_REPLY_CAUSE = 200;
/** Of events in memory at once: an entity that was held back for long may have gigabytes of them. */
const EVENT_ROOM = { bytes: 4_194_304 } as const;

/**
 * Projects dead letters again, oldest first. All waiting letters of an entity go together, whichever of them
 * was asked for, because their order must hold. Each is tried on its own: when the entity's last one
 * succeeds, its quarantine ends, and those before it count as replayed even if they failed again, because
 * every event carries the whole entity.
 */
export class ReplayDeadLetters {
  readonly #database: AskingDatabase;
  readonly #projection: ProjectEvents;
  readonly #onCommitted: (outcomes: readonly EventOutcome[]) => void;

  /** @param onCommitted after each step's commit: metrics, and the relay's kick */
  constructor(
    database: AskingDatabase,
    projection: ProjectEvents,
    onCommitted: (outcomes: readonly EventOutcome[]) => void,
  ) {
    this.#database = database;
    this.#projection = projection;
    this.#onCommitted = onCommitted;
  }

  /** Answers `subjects.deadLetterReplay`. @throws RemoteError `schema_invalid` */
  async answer(body: unknown): Promise<DeadLetterReplayReply> {
    const checked = checkRequest(body);
    if (!checked.ok) throw new RemoteError('schema_invalid', faultsText(checked.faults));
    const { deadLetterIds, ...choice } = checked.value;
    const unknown = deadLetterIds === undefined ? [] : await this.#unknownIds(choice.tenantId, deadLetterIds);
    const ids = deadLetterIds?.filter((id) => !unknown.includes(id));
    const done = await this.replay({ ...choice, ...(ids && { ids }) });
    const notFound = unknown.map((deadLetterId) => ({
      deadLetterId,
      code: 'not_found',
      cause: 'No dead letter of this tenant has this id',
    }));
    const quarantined = await this.#countWaiting(choice.tenantId);
    return { replayed: done.replayed, failed: [...done.failed, ...notFound], remaining: { quarantined } };
  }

  /** Replays about 1,000 letters at most, step by step, each step in a transaction of its own. */
  async replay(
    choice: LetterChoice,
  ): Promise<{ readonly replayed: number; readonly failed: readonly FailedLetter[] }> {
    const failed = new Map<string, FailedLetter>();
    let replayed = 0;
    let after: string | null = '0';
    while (after !== null && replayed + failed.size < LETTERS_PER_REQUEST) {
      const from: string = after;
      const step: Step = await retryConflicts(() => this.#step(choice, from));
      replayed += step.replayed;
      // A letter that failed together with an older one of its entity may be chosen once more.
      for (const letter of step.failed) failed.set(letter.deadLetterId, letter);
      after = step.last;
    }
    return { replayed, failed: [...failed.values()] };
  }

  async #step(choice: LetterChoice, after: string): Promise<Step> {
    const { tenantId } = choice;
    let outcomes: readonly EventOutcome[] = [];
    const step = await this.#database.inTenant(tenantId, async (tx): Promise<Step> => {
      const chosen = await chooseLetters(tx, choice, after);
      const last = chosen.at(-1)?.id ?? null;
      const entities = entitiesOf(tenantId, chosen);
      // Locks come first: from here on no consumer can add a letter behind those that are read now.
      await loadHeads(tx, new Set([tenantId]), entities, 'replay');
      const letters = await lockLetters(tx, tenantId, chosen, entities);
      outcomes = await this.#project(tx, tenantId, letters);
      return { ...(await this.#settle(tx, tenantId, letters, outcomes)), last };
    });
    this.#onCommitted(outcomes);
    return step;
  }

  /** Part by part, in their order. @returns one outcome per letter */
  async #project(tx: Tx, tenantId: string, letters: readonly WaitingLetter[]): Promise<EventOutcome[]> {
    const outcomes: EventOutcome[] = [];
    for (const part of groupsThatFit(letters, EVENT_ROOM, ({ bytes }) => bytes)) {
      const incoming = await readIncoming(tx, tenantId, part);
      outcomes.push(...(await this.#projection.project(tx, incoming, 'replay')));
    }
    return outcomes;
  }

  /** Marks what succeeded (or was made up for), notes another attempt on the rest, and lifts quarantines. */
  async #settle(
    tx: Tx,
    tenantId: string,
    letters: readonly WaitingLetter[],
    outcomes: readonly EventOutcome[],
  ): Promise<Omit<Step, 'last'>> {
    const replayed: WaitingLetter[] = [];
    const failed: Failure[] = [];
    const madeUpFor = new Set<string>();
    // From the last to the first: one that succeeds makes up for all of its entity that came before it.
    for (const [at, letter] of [...letters.entries()].reverse()) {
      const outcome = outcomes[at];
      const key = entityKey(tenantId, letter.entity_type ?? '', letter.entity_id ?? '');
      if (outcome?.kind !== 'refused') {
        replayed.push(letter);
        if (letter.entity_type !== null && letter.entity_id !== null) madeUpFor.add(key);
      } else if (madeUpFor.has(key) && outcome.code !== 'not_the_owner') {
        replayed.push(letter);
      } else {
        failed.push({ ...outcome, id: letter.id });
      }
    }
    await settleLetters(tx, tenantId, { replayed, failed });
    return { replayed: replayed.length, failed: failed.reverse().map(failedLetter) };
  }

  async #unknownIds(tenantId: string, ids: readonly string[]): Promise<string[]> {
    const rows = await this.#database.inTenant(tenantId, (tx) =>
      tx.query<{ id: string }>(
        'SELECT id::text FROM dead_letter WHERE tenant_id = $1 AND id::text = ANY ($2)',
        [tenantId, ids],
      ),
    );
    const known = new Set(rows.map(({ id }) => id));
    return ids.filter((id) => !known.has(id));
  }

  async #countWaiting(tenantId: string): Promise<number> {
    const rows = await this.#database.inTenant(tenantId, (tx) =>
      tx.query<{ count: number }>(
        `SELECT count(*)::int4 AS count FROM dead_letter WHERE tenant_id = $1 AND status = 'quarantined'`,
        [tenantId],
      ),
    );
    return rows[0]?.count ?? 0;
  }
}

const LETTER = 'id, producer, entity_type, entity_id, octet_length(event) AS bytes';

async function chooseLetters(tx: Tx, choice: LetterChoice, after: string): Promise<WaitingLetter[]> {
  const { tenantId, ids = null, entityType = null, entityId = null, codes = null } = choice;
  return tx.query<WaitingLetter>(
    `SELECT ${LETTER} FROM dead_letter
     WHERE tenant_id = $1 AND status = 'quarantined' AND id > $2
       AND ($3::text[] IS NULL OR id::text = ANY ($3)) AND ($4::text IS NULL OR entity_type = $4)
       AND ($5::text IS NULL OR entity_id = $5) AND ($6::text[] IS NULL OR code = ANY ($6))
     ORDER BY id LIMIT $7`,
    [tenantId, after, ids, entityType, entityId, codes, LETTERS_PER_STEP],
  );
}

function entitiesOf(tenantId: string, letters: readonly WaitingLetter[]): EntityRef[] {
  const entities = new Map<string, EntityRef>();
  for (const { entity_type: entityType, entity_id: entityId } of letters) {
    if (entityType === null || entityId === null) continue;
    entities.set(entityKey(tenantId, entityType, entityId), { tenantId, entityType, entityId });
  }
  return [...entities.values()];
}

/**
 * The chosen letters that still wait, and all others of their entities; by index look-ups, not by a join (see
 * load-heads.sql).
 */
async function lockLetters(
  tx: Tx,
  tenantId: string,
  chosen: readonly WaitingLetter[],
  entities: readonly EntityRef[],
): Promise<WaitingLetter[]> {
  const ids = await tx.query<{ id: string }>(
    `SELECT of.id FROM unnest($2::text[], $3::text[]) AS k (entity_type, entity_id)
     CROSS JOIN LATERAL (
       SELECT d.id FROM dead_letter d
       WHERE d.tenant_id = $1 AND d.entity_type = k.entity_type AND d.entity_id = k.entity_id
         AND d.status = 'quarantined'
       OFFSET 0
     ) of`,
    [tenantId, entities.map(({ entityType }) => entityType), entities.map(({ entityId }) => entityId)],
  );
  return tx.query<WaitingLetter>(
    `SELECT ${LETTER} FROM dead_letter
     WHERE tenant_id = $1 AND id = ANY ($2::bigint[]) AND status = 'quarantined' ORDER BY id FOR UPDATE`,
    [tenantId, [...chosen, ...ids].map(({ id }) => id)],
  );
}

async function readIncoming(
  tx: Tx,
  tenantId: string,
  letters: readonly WaitingLetter[],
): Promise<IncomingEvent[]> {
  const rows = await tx.query<{ id: string; event: string }>(
    'SELECT id, event FROM dead_letter WHERE tenant_id = $1 AND id = ANY ($2::bigint[])',
    [tenantId, letters.map(({ id }) => id)],
  );
  const events = new Map(rows.map(({ id, event }) => [id, event]));
  // What made it poison may be exactly what the quick check looks for, so it is always made.
  return letters.map(({ id, producer }) =>
    incomingEvent(producer, readEvent(readJson(events.get(id) ?? 'null'), true)),
  );
}

async function settleLetters(
  tx: Tx,
  tenantId: string,
  { replayed, failed }: { readonly replayed: readonly WaitingLetter[]; readonly failed: readonly Failure[] },
): Promise<void> {
  await tx.query(
    `UPDATE dead_letter SET status = 'replayed', replayed_at = now(), attempts = attempts + 1
     WHERE tenant_id = $1 AND id = ANY ($2::bigint[])`,
    [tenantId, replayed.map(({ id }) => id)],
  );
  await tx.query(
    `UPDATE dead_letter d SET attempts = attempts + 1, last_failed_at = now(), code = f.code,
      cause = f.cause, holds = f.holds
     FROM unnest($2::bigint[], $3::text[], $4::text[], $5::boolean[]) AS f (id, code, cause, holds)
     WHERE d.tenant_id = $1 AND d.id = f.id AND d.id = ANY ($2::bigint[])`,
    [
      tenantId,
      failed.map(({ id }) => id),
      failed.map(({ code }) => code),
      failed.map(({ cause }) => storableCause(cause)),
      failed.map(({ holds }) => holds),
    ],
  );
  await tx.query(
    `DELETE FROM quarantine q WHERE q.tenant_id = $1
       AND (q.entity_type, q.entity_id) IN (SELECT * FROM unnest($2::text[], $3::text[]))
       AND NOT EXISTS (SELECT FROM dead_letter d WHERE d.tenant_id = q.tenant_id
         AND d.entity_type = q.entity_type
                         AND d.entity_id = q.entity_id AND d.status = 'quarantined' AND d.holds)`,
    [tenantId, replayed.map((letter) => letter.entity_type), replayed.map((letter) => letter.entity_id)],
  );
}

function failedLetter({ id, code, cause }: Failure): FailedLetter {
  return { deadLetterId: id, code, cause: shorten(cause, MAX_REPLY_CAUSE) };
}
