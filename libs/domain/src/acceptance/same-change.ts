/**
 * Digits of a change's identity that say everything but its data and the version of that; then come eight of
 * the version, then the data's.
 */
const BEFORE_VERSION = 32;
const BEFORE_DATA = 40;

/**
 * Whether two mutations under one mutationId are the same change.
 *
 * An app that was updated lifts what waits in its outbox, so its data differs. Under another schemaVersion
 * only what no migration touches is compared: user, entity, op, scope, moment and update.
 * @param known identity of the first one, 72 hexadecimal digits; see `identifyChange` of the gateway
 */
export function sameChange(known: string, sent: string): boolean {
  if (known === sent) return true;
  const otherVersion = known.slice(BEFORE_VERSION, BEFORE_DATA) !== sent.slice(BEFORE_VERSION, BEFORE_DATA);
  return otherVersion && known.slice(0, BEFORE_VERSION) === sent.slice(0, BEFORE_VERSION);
}
