/**
 * Who counts in a clock: `d:<deviceId>` for a device's mutations of the entity, `s:<service>` for the owning
 * service's own changes. At most 200 code points with the prefix.
 */
export type ReplicaId = string;

/** The most code points a replica id may have, its two-character prefix included. */
export const MAX_REPLICA_ID_LENGTH = 200;

// Control characters and lone surrogates are refused because Postgres' jsonb stores neither U+0000 nor half a
// surrogate pair: such an id would pass every check in memory and fail at the first database.
const REPLICA_ID_PATTERN = new RegExp(`^[ds]:[^\\p{Cc}\\p{Cs}]{1,${MAX_REPLICA_ID_LENGTH - 2}}$`, 'u');

/**
 * Says whether `value` is a well-formed replica id. The prefix also keeps `__proto__` from ever being one.
 */
export function isReplicaId(value: string): boolean {
  return REPLICA_ID_PATTERN.test(value);
}

/**
 * The replica id under which a device counts its mutations.
 * @throws RangeError when the device id is empty, too long or holds control characters or lone surrogates
 */
export function deviceReplica(deviceId: string): ReplicaId {
  return checkedReplicaId(`d:${deviceId}`);
}

/**
 * The replica id under which an owning service counts its own changes.
 * @throws RangeError when the name is empty, too long or holds control characters or lone surrogates
 */
export function serviceReplica(service: string): ReplicaId {
  return checkedReplicaId(`s:${service}`);
}

/**
 * Returns `replicaId` unchanged, or throws a RangeError that shows it (cut, so that a log line stays
 * bounded).
 */
export function checkedReplicaId(replicaId: string): ReplicaId {
  if (isReplicaId(replicaId)) return replicaId;
  throw new RangeError(`not a replica id: ${JSON.stringify(replicaId.slice(0, 80))}`);
}
