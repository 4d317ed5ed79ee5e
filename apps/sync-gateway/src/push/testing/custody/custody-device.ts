import type { Outcome } from '@sync/protocol';
import { deviceReplica } from '@sync/vector-clock';
import type { Author } from '../../outcome/settlement.ts';
import { mutationOf } from '../push-rig.ts';
import type { Written } from './history.ts';
import type { Write } from './scenario.ts';

const LONG_AGO = '2020-01-01T00:00:00Z';

/**
 * A device that has pulled once, before it went offline: of the server it has seen the first change of each
 * entity and nothing since.
 */
export class CustodyDevice {
  readonly author: Author;
  readonly outbox: Written[] = [];
  /** By mutationId: the outcomes it was told, as texts without the entity that they show. */
  readonly answers = new Map<string, Set<string>>();
  readonly letter: string;
  readonly #counters = new Map<string, number>();

  constructor(author: Author, letter: string) {
    this.author = author;
    this.letter = letter;
  }

  write(entityId: string, field: string, { old }: Write): Written {
    const { author } = this;
    const name = `${this.letter}${this.outbox.length + 1}`;
    const counter = this.#counters.get(entityId) ?? 0;
    this.#counters.set(entityId, counter + 1);
    const own = counter > 0 ? { [deviceReplica(author.deviceId)]: counter } : {};
    const baseClock = { 's:learning': 1, ...own };
    const occurredAt = old ? { occurredAt: LONG_AGO } : {};
    const mutation = mutationOf(author, {
      ...{ entityId, op: 'patch', data: { [field]: name }, baseClock },
      ...occurredAt,
    });
    const written = { name, deviceId: author.deviceId, mutation };
    this.outbox.push(written);
    return written;
  }

  hasEnded({ mutation }: Written): boolean {
    return this.answers.has(mutation.mutationId);
  }

  /** What has no outcome yet, and as many of the latest others, in the order in which they were written. */
  toPush(again: number): Written[] {
    const ended = this.outbox.filter((one) => this.hasEnded(one));
    const repeated = new Set(ended.slice(Math.max(0, ended.length - again)));
    return this.outbox.filter((one) => repeated.has(one) || !this.hasEnded(one));
  }

  /** Keeps what is an end: from then on the answer must be the same, but for the entity, which moves on. */
  note(outcomes: readonly Outcome[]): void {
    for (const { current: _current, currentOf: _currentOf, ...outcome } of outcomes) {
      if (outcome.status === 'accepted') continue;
      const seen = this.answers.get(outcome.mutationId) ?? new Set();
      this.answers.set(outcome.mutationId, seen.add(JSON.stringify(outcome)));
    }
  }
}
