import { counterOf, deviceReplica, type ReplicaId, type VectorClock } from '@sync/vector-clock';

/** A mutation, as far as its number goes. */
export interface NumberedMutation {
  readonly baseClock: VectorClock;
  /** Which change of its device it is. */
  readonly counter: number;
  /** Its own clock. */
  readonly clock: VectorClock;
}

/** What is known of a device's own changes of an entity when one more of them is decided. */
export interface OwnChanges {
  /** How many of them the entity has. */
  readonly stands: number;
  /** Up to which of them there are answers, whatever they were; null while nobody has asked the ledger. */
  readonly answered: number | null;
  /** The last of them came in the same push, from the device as it is now. */
  readonly isRecent: boolean;
  /** One of them was made later than this one, which came late. */
  readonly isLate: boolean;
  /** It had counted from anew before this one: the ledger has to say whether it has forgotten any. */
  readonly mayForget: boolean;
  /**
   * The device may have forgotten some of them, because it was restored from a backup; null while nobody has
   * asked the ledger.
   */
  readonly forgotten: boolean | null;
}

/**
 * The mutation with its device's own entry as it has to be; `ask` when the ledger has to be asked first,
 * `missing` when it builds on a change of its device that has not come: the order of two requests was lost,
 * or the first of them.
 *
 * A device knows its own changes, whether it says so or not: where `baseClock` leaves them out, they are
 * added. Unless the device was restored from a backup, or counts fewer of them than there are: it has
 * forgotten those that came later. Then they stay unseen, so that whatever it would overwrite of them is
 * decided and recorded, and the mutation gets a number that no other change has. What a restored device
 * counts after the push that shows it says nothing: it gives its next changes the numbers of those that it
 * has forgotten. And a change that comes late knows nothing of those that were made after it.
 */
export function withOwnEntry<Mutation extends NumberedMutation>(
  mutation: Mutation,
  deviceId: string,
  { stands, answered, isRecent, isLate, mayForget, forgotten }: OwnChanges,
): Mutation | 'ask' | 'missing' {
  const own = deviceReplica(deviceId);
  const counts = counterOf(mutation.baseClock, own);
  if (mayForget && stands > 0 && forgotten === null && !isRecent) return 'ask';
  if (counts > stands && answered === null) return 'ask';
  const all = Math.max(stands, answered ?? 0);
  if (counts > all) return 'missing';
  const isForgetful = forgotten === true && stands > 0 && (counts === 0 || mayForget);
  if ((counts >= stands && !isForgetful) || stands >= Number.MAX_SAFE_INTEGER) return mutation;
  if (counts === 0 && forgotten === null && !isRecent) return 'ask';
  const counter = (isForgetful ? all : stands) + 1;
  const made = { ...mutation, counter, clock: { ...mutation.baseClock, [own]: counter } };
  if (isForgetful) return { ...made, baseClock: withoutEntry(mutation.baseClock, own) };
  if (counts > 0 || isLate) return made;
  return { ...made, baseClock: { ...mutation.baseClock, [own]: stands } };
}

function withoutEntry(clock: VectorClock, replica: ReplicaId): VectorClock {
  return Object.fromEntries(Object.entries(clock).filter(([entry]) => entry !== replica));
}
