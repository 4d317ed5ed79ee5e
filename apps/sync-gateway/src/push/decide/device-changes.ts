import { mayHold, withOwnEntry } from '@sync/domain';
import { containsDot, counterOf, deviceReplica, type ReplicaId, type VectorClock } from '@sync/vector-clock';
import type { KnownEntity } from '../../read-model/entity-head.ts';
import { type Postponed, postponed, type Work } from '../outcome/settlement.ts';
import { isPatient } from './earlier-changes.ts';
import { HighestNumbers } from './highest-numbers.ts';
import type { LaneNeed } from './lane-need.ts';
import { ownCount } from './own-count.ts';
import type { Standing } from './standing.ts';

/** Where a mutation comes to stand in its lane. */
export interface Place {
  /** Where the entity stands then. */
  readonly standing: Standing;
  /** The highest counter of what is planned before it. */
  readonly highestCounter: number;
  /** The last change that is planned before it; null: there is none. */
  readonly lastPlanned: Work | null;
  /** Of all changes that are planned before it. */
  readonly plannedNumbers: HighestNumbers;
}

interface LastChange {
  readonly entry: number;
  /** Epoch milliseconds. */
  readonly receivedAtMs: number;
}

/** What one run knows of its device's own changes of an entity. */
export class DeviceChanges {
  readonly #deviceId: string;
  readonly #replica: ReplicaId;
  /** Of the entity before anything of this run was sent. */
  readonly #knownClock: VectorClock;
  /**
   * By mutationId, what its owner has answered `conflict`: its inbox does not know it. Of others that says
   * nothing.
   */
  readonly #unknown = new Set<string>();
  /** Works that went on with another own entry than they came with. */
  readonly #cameAs = new Map<Work, Work>();
  /** What the ledger knows beyond the read model; null while it has not been asked. */
  #known: KnownEntity | null = null;
  /**
   * The last change that was made in this run. Only of one that came in the same push is it clear that the
   * device was not restored between them.
   */
  #lastMade: LastChange = { entry: 0, receivedAtMs: 0 };
  /** Of the changes that were made in this run. */
  readonly #numbers = new HighestNumbers();
  /** The highest counter of a mutation that ended in this run. */
  #answered = 0;
  /** A mutation of this run has shown that the device has forgotten changes of its own. */
  #forgets = false;

  constructor(deviceId: string, knownClock: VectorClock) {
    this.#deviceId = deviceId;
    this.#replica = deviceReplica(deviceId);
    this.#knownClock = knownClock;
  }

  learnKnown(known: KnownEntity): void {
    this.#known = known;
  }

  noteUnknown({ mutation }: Work): void {
    this.#unknown.add(mutation.mutationId);
  }

  /** Its owner has compared it with the entity in this run, and does not have it. */
  isUnknown({ mutation }: Pick<Work, 'mutation'>): boolean {
    return this.#unknown.has(mutation.mutationId);
  }

  noteMade(work: Work, clock: VectorClock): void {
    this.#lastMade = lastOf(work, counterOf(clock, this.#replica));
    this.#numbers.note(work);
  }

  noteEnded({ mutation }: Work): void {
    this.#answered = Math.max(this.#answered, mutation.counter);
  }

  asItCame(work: Work): Work {
    return this.#cameAs.get(work) ?? work;
  }

  /**
   * Whether the mutation may be in the entity already, so that its owner has to be asked first: it was
   * perhaps sent; or it is new to the ledger, which forgets in time, but the entity has as many changes of
   * the device, which sends it again long after its answer was lost.
   */
  mayBeRepeated({ mutation, mayBeSent }: Work, standing: Standing): boolean {
    if (this.isUnknown({ mutation })) return false;
    const { baseClock } = mutation;
    if (!mayHold(standing.clock ?? {}, { baseClock, deviceId: this.#deviceId })) return false;
    return mayBeSent || containsDot(this.#knownClock, this.#replica, counterOf(baseClock, this.#replica) + 1);
  }

  /**
   * @returns the work with its device's own entry as it has to be, or why it has to wait; `orphan`: it
   * changes what was never created
   */
  counted(work: Work, place: Place, nowMs: number): Work | LaneNeed | Postponed | 'orphan' {
    const { standing } = place;
    if (standing.clock === null && standing.revision > 0) return work;
    if (work.mayBeSent && this.mayBeRepeated(work, standing)) return work;
    const stands = ownCount(standing.clock, this.#deviceId);
    const planned = place.lastPlanned;
    const last = planned ? lastOf(planned, planned.mutation.counter) : this.#lastMade;
    const isLate = this.#isLate(work, place);
    const mutation = withOwnEntry(work.mutation, this.#deviceId, {
      stands,
      answered: this.#answeredUpTo(work.mutation.counter - 1, place.highestCounter),
      isRecent: stands === last.entry && work.receivedAtMs === last.receivedAtMs && !isLate && !this.#forgets,
      isLate,
      mayForget: work.mayForget || this.#forgets,
      forgotten: this.#forgets || (this.#known?.restored ?? null),
    });
    if (mutation === 'ask') return { what: 'ledger' };
    if (mutation === 'missing') {
      if (work.mayBeSent) return work;
      if (isPatient(work, nowMs)) return postponed('earlier_missing');
      return standing.revision > 0 || work.mutation.op === 'put' ? work : 'orphan';
    }
    if (mutation === work.mutation) return work;
    // What comes late has not forgotten what was made after it, and says nothing of what comes next.
    this.#forgets ||= !isLate && counterOf(mutation.baseClock, this.#replica) < stands;
    const made = { ...work, mutation };
    this.#cameAs.set(made, work);
    return made;
  }

  #isLate(work: Work, { plannedNumbers }: Place): boolean {
    if (work.mutation.sequence < (this.#known?.ownSequence ?? 0)) return true;
    return plannedNumbers.isBefore(work) || this.#numbers.isBefore(work);
  }

  /**
   * How many of the device's changes have answers; null when more are counted and the ledger may know them.
   */
  #answeredUpTo(counted: number, planned: number): number | null {
    const here = Math.max(this.#answered, planned);
    if (this.#known) return Math.max(here, this.#known.counted);
    return counted > here ? null : here;
  }
}

/** @param entry the own entry after it */
function lastOf({ receivedAtMs }: Work, entry: number): LastChange {
  return { entry, receivedAtMs };
}
